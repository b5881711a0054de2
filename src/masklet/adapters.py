"""Masks as types of other libraries, which are optional. They stand beside `Masks`, not inside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from masklet.errors import MaskletError, needing
from masklet.formats.base import FrameLike
from masklet.formats.description import label_of, numbers_of_labels
from masklet.image.result import PictureMasks
from masklet.masks.shape import mask_box

if TYPE_CHECKING:
    import supervision


def to_supervision(result: PictureMasks | FrameLike) -> supervision.Detections:
    """Masks of a picture, or the objects in a frame of a video, as `supervision.Detections`.

    Of a picture all masks are given, candidates too; `to_supervision(masks.best)` gives one for each object. `data` has
    each mask's "object" and "presence". Of a frame the objects that are seen are given: `tracker_id` is an object's
    number in index maps, `class_id` counts the classes of the frame's objects, "object" and "class_name" are names.

    Raises:
        MaskletError: supervision is not installed.
    """
    with needing("supervision", "this type", MaskletError):
        from supervision import Detections
    if isinstance(result, PictureMasks):
        return Detections(
            xyxy=result.boxes.astype(np.float32),
            mask=result.masks,
            confidence=result.iou,
            class_id=np.zeros(len(result), np.int64),
            data={"object": result.objects, "presence": result.presence},
        )
    seen = {name: (mask, item) for name, item in result.objects.items() if (mask := item.mask).any()}
    classes = numbers_of_labels(result.objects, result.descriptions)
    labels = {name: label_of(name, result.descriptions.get(name)) for name in seen}
    columns: dict[str, list[Any]] = {
        "object": [str(name) for name in seen],
        "class_name": list(labels.values()),
        "presence": [item.presence for _, item in seen.values()],
    }
    masks: NDArray[np.bool_] = np.array([mask for mask, _ in seen.values()], np.bool_).reshape(-1, *result.size)
    return Detections(
        xyxy=np.array([mask_box(mask) for mask in masks], np.float32).reshape(-1, 4),
        mask=masks,
        confidence=np.array([item.iou for _, item in seen.values()], np.float32),
        class_id=np.array([classes[label] for label in labels.values()], np.int64),
        tracker_id=np.array([result.indices[name] for name in seen], np.int64),
        data={name: np.array(values) for name, values in columns.items()},
    )
