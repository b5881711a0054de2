"""The mask of a prompt in a file: one object of it, whole, and nothing that is unknown or noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from masklet.errors import FormatError
from masklet.jobs.track import read_mask
from masklet.masks.draw import PALETTE

BALL = np.hypot(*(np.mgrid[:96, :160] - np.array([50, 70])[:, None, None])) < 25
TWO = np.where(BALL, 1, 0).astype(np.uint8)
TWO[60:90, 120:150] = 2
TWO[:15] = 255


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def palette(path: Path, values: np.ndarray) -> Path:
    picture = Image.fromarray(values)
    picture.putpalette(PALETTE.tobytes())
    picture.save(path)
    return path


def test_the_noise_and_the_edges_of_black_and_white_pictures(tmp_path: Path) -> None:
    white = Image.fromarray(BALL.astype(np.uint8) * 255)
    white.save(tmp_path / "clean.png")
    white.convert("1").save(tmp_path / "bits.png")
    Image.fromarray(BALL.astype(np.uint8)).save(tmp_path / "ones.png")
    white.save(tmp_path / "noise.jpg", quality=60)
    white.resize((320, 192)).resize((160, 96), Image.Resampling.BILINEAR).save(tmp_path / "soft.png")
    for name, least in (("clean.png", 1), ("bits.png", 1), ("ones.png", 1), ("noise.jpg", 0.97), ("soft.png", 0.97)):
        assert iou(read_mask(tmp_path / name, "ball"), BALL) >= least, name


@pytest.mark.parametrize("make", [palette, lambda path, values: Image.fromarray(values).save(path) or path])
def test_an_object_of_several_by_its_number_and_never_what_is_unknown(tmp_path: Path, make: object) -> None:
    path = make(tmp_path / "two.png", TWO)  # type: ignore[operator]
    assert iou(read_mask(path, 1), BALL & (TWO != 255)) == 1
    assert (read_mask(path, 2) == (TWO == 2)).all()
    with pytest.raises(FormatError, match=r"two\.png holds the objects 1, 2 and none of the name 'dog'"):
        read_mask(path, "dog")


def test_the_only_object_needs_no_number(tmp_path: Path) -> None:
    alone = np.where(TWO == 2, 0, TWO).astype(np.uint8)
    assert (read_mask(palette(tmp_path / "one.png", alone), "ball") == (alone == 1)).all()
    assert not read_mask(palette(tmp_path / "none.png", np.zeros_like(TWO)), 1).any()
    void = np.where(BALL, 255, 0).astype(np.uint8)
    assert (read_mask(palette(tmp_path / "void.png", void), 1) == BALL).all()
