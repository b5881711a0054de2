"""Masks as types of other libraries."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from masklet.adapters import to_supervision
from masklet.errors import MaskletError
from masklet.formats.base import ObjectLike, PlainFrame, mask_only
from masklet.image import Masks


def two() -> Masks:
    logits = np.full((2, 20, 30), -5, np.float32)
    logits[0, 2:8, 3:12], logits[1, 10:15, 20:30] = 5, 5
    scores = np.array([0.9, 0.6], np.float32)
    image, candidates = np.zeros((20, 30, 3), np.uint8), np.zeros(2, np.int64)
    return Masks(logits, image, iou=scores, presence=scores, objects=np.arange(2), candidates=candidates)


def test_supervision_has_boxes_masks_and_scores() -> None:
    supervision = pytest.importorskip("supervision", reason="needs supervision, an optional library")
    found = to_supervision(two())
    assert isinstance(found, supervision.Detections)
    assert found.xyxy.tolist() == [[3, 2, 12, 8], [20, 10, 30, 15]]
    np.testing.assert_array_equal(found.mask, two().masks)
    assert found.confidence.tolist() == pytest.approx([0.9, 0.6])
    assert found.area.tolist() == [54, 50]
    assert found[found.confidence > 0.7].data["object"].tolist() == [0]


def test_objects_of_a_frame_keep_their_numbers() -> None:
    pytest.importorskip("supervision", reason="needs supervision, an optional library")
    size = (20, 30)
    masks = {name: np.zeros(size, np.bool_) for name in ("dog", 7, "hidden")}
    masks["dog"][2:8, 3:12], masks[7][10:15, 20:30] = True, True
    objects: dict[int | str, ObjectLike] = {name: mask_only(mask, 0.5, 0.75) for name, mask in masks.items()}
    found = to_supervision(PlainFrame(4, 0.2, size, objects, {"dog": 1, 7: 7, "hidden": 2}))
    assert found.tracker_id.tolist() == [1, 7]
    assert found.xyxy.tolist() == [[3, 2, 12, 8], [20, 10, 30, 15]]
    assert found.data["object"].tolist() == ["dog", "7"]
    assert found.data["class_name"].tolist() == ["dog", "object"]
    assert found.class_id.tolist() == [0, 1]
    assert found.confidence.tolist() == [0.5, 0.5]
    assert len(to_supervision(PlainFrame(4, 0.2, size, {}, {}))) == 0


def test_no_masks_are_no_detections() -> None:
    pytest.importorskip("supervision", reason="needs supervision, an optional library")
    assert len(to_supervision(two().of(5))) == 0


def test_without_supervision_the_command_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(MaskletError, match=r"this type needs the package supervision: pip install 'masklet\[superv"):
        to_supervision(two())
