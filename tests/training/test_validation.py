"""Validation: a perfect and a blind model, by the predictors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from masklet.checkpoints import Model
from masklet.training.data.kinds import parse_wanted, read_data
from masklet.training.validation import ValidationOptions, held_out, iou, middle
from tests.training.shapes import tiny_network


def test_a_model_is_judged_in_pictures_and_videos(shapes: Path) -> None:
    judge = held_out(read_data([parse_wanted(str(shapes))]), ValidationOptions(pictures=3, videos=1, frames=3))
    model = Model("tiny", tiny_network().eval().requires_grad_(False).prepare())
    figures = judge(model)
    assert set(figures) == {"box", "click", "video"}
    assert all(0 <= value <= 1 for value in figures.values())
    assert judge(model) == figures


def test_unknown_pixels_do_not_count() -> None:
    truth, found = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    truth[:2], found[:3] = True, True
    assert iou(found, truth, None) == pytest.approx(2 / 3)
    unknown = np.zeros((4, 4), bool)
    unknown[2] = True
    assert iou(found, truth, unknown) == 1.0


def test_the_middle_of_a_mask_lies_in_it() -> None:
    mask = np.zeros((20, 20), bool)
    mask[5:14, 2:11] = True
    assert middle(mask) == (6.0, 9.0)
