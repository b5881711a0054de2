"""`masklet everything`: all that is in pictures; one picture's failure is told, and the rest go on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from masklet.image import EverythingOptions, segment_everything
from tests.cli.conftest import Read, Run, error_of
from tests.conftest import GOLDEN

FEW = ("--points-per-side", "3", "--least-iou", "0.1", "--least-stability", "0.5", "--most-overlap", "1")
"""Options with which random weights find something, and soon."""


def test_one_picture_to_a_file(run: Run, tmp_path: Path, weights: Path, capsys: Read) -> None:
    cat, out = GOLDEN / "image/photo_cat.png", tmp_path / "new/cat.json"
    assert run("everything", cat, *FEW, "--model", weights, "--out", out) == 0
    options = EverythingOptions(points_per_side=3, least_iou=0.1, least_stability=0.5, most_overlap=1)
    expected = segment_everything(cat, weights, options)
    annotations = json.loads(out.read_text())["annotations"]
    assert [entry["area"] for entry in annotations] == expected.areas.tolist()
    assert len(annotations) > 1
    assert capsys.readouterr().out == f"1 picture done: masks in {out}\n"


@pytest.mark.parametrize(("format", "mode"), [("overlay", "RGB"), ("davis", "P"), ("cutout", "RGBA")])
def test_formats(run: Run, tmp_path: Path, weights: Path, format: str, mode: str) -> None:
    cat, out = GOLDEN / "image/photo_cat.png", tmp_path / "out"
    assert run("everything", cat, *FEW, "--format", format, "--model", weights, "--out", out) == 0
    with Image.open(out / "photo_cat.png") as written:
        assert (written.mode, written.size) == (mode, (226, 150))
        assert np.asarray(written).any()


@pytest.mark.parametrize("option", [("--least-iou", "2"), ("--points-per-side", "0"), ("--crop-layers", "-1")])
def test_wrong_usage(run: Run, tmp_path: Path, photos: Path, option: tuple[str, str]) -> None:
    assert run("everything", photos, *option, "--out", tmp_path / "out") == 2
    assert not (tmp_path / "out").exists()


def test_tile_by_tile(run: Run, tmp_path: Path, weights: Path) -> None:
    pytest.importorskip("rasterio", reason="needs rasterio: pip install 'masklet[geo]'")
    cat, out = GOLDEN / "image/photo_cat.png", tmp_path / "cat.json"
    assert run("everything", cat, *FEW, "--tile", "120", "--model", weights, "--out", out) == 0
    content = json.loads(out.read_text())
    assert content["annotations"]
    assert (content["images"][0]["height"], content["images"][0]["width"]) == (150, 226)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--out", "masks", "--format", "overlay"], "--tile writes coco or a map, and --format overlay came"),
        (["--out", "masks.png"], "ends in .png; give a file that ends in .json"),
    ],
)
def test_tiles_are_coco_alone(run: Run, tmp_path: Path, capsys: Read, options: list[str], said: str) -> None:
    options[1] = str(tmp_path / options[1])
    assert run("everything", GOLDEN / "image/photo_cat.png", "--tile", "120", *options) == 2
    assert said in error_of(capsys)
    assert not list(tmp_path.iterdir())
