"""The examples for kinds of users do what they say."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pyogrio
import pytest
from PIL import Image

from masklet.engines.fake import FakeEngine
from tests.media.test_series import FIELD, write_map
from tests.media.test_volume import AFFINE, inside, scan
from tests.test_words import GREEN, RED, picture

EXAMPLES = Path(__file__).parents[1] / "examples"
Read = pytest.CaptureFixture[str]


def example(name: str) -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))


def test_an_organ_in_a_scan(tmp_path: Path, capsys: Read) -> None:
    nibabel.save(nibabel.Nifti1Image(scan(), AFFINE), tmp_path / "scan.nii.gz")
    rows, columns = np.nonzero(inside()[..., 8].T)
    box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    out = tmp_path / "organ.nii.gz"
    example("scan")["main"](str(tmp_path / "scan.nii.gz"), "8", *map(str, box), str(out), model=FakeEngine())
    assert "ml" in capsys.readouterr().out
    labels = nibabel.load(out)
    np.testing.assert_allclose(labels.affine, AFFINE, atol=1e-4)
    found = np.asarray(labels.dataobj)[..., 8] > 0
    assert (found & inside()[..., 8]).sum() / (found | inside()[..., 8]).sum() > 0.7


def test_a_field_through_the_seasons(tmp_path: Path, capsys: Read) -> None:
    (tmp_path / "dates").mkdir()
    for day in ("20260501", "20260611"):
        write_map(tmp_path / f"dates/{day}.tif")
    west, south, east, north = FIELD
    out = tmp_path / "field.gpkg"
    example("fields")["main"](str(tmp_path / "dates"), f"{west},{north},{east},{south}", str(out), model=FakeEngine())
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("2026-05-01: ")
    assert second.startswith("2026-06-11: ")
    assert float(first.split()[1]) == pytest.approx((east - west) * (north - south) / 10_000, rel=0.2)
    assert pyogrio.read_info(out)["features"] == 2


def test_red_things_in_pictures(tmp_path: Path, capsys: Read) -> None:
    words, paths = example("words"), [str(tmp_path / name) for name in ("a.png", "b.png")]
    Image.fromarray(picture()).save(paths[0])
    Image.fromarray(np.full((*picture().shape[:2], 3), 90, np.uint8)).save(paths[1])
    out = tmp_path / "found.json"
    words["main"]("red car . dog", str(out), *paths, model=FakeEngine(), grounder=words["RedThings"]())
    assert capsys.readouterr().out.splitlines() == [f"{paths[0]}: red car", f"{paths[1]}: nothing"]
    (found,) = json.loads(out.read_text())[paths[0]]["annotations"]
    x, y, width, height = found["bbox"]
    assert [x, y, x + width, y + height] == pytest.approx(RED, abs=4)
    assert x + width < GREEN[0]
