"""Masks of one picture as the content of a COCO JSON file."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from masklet.masks.rle import Rle


class Annotated(Protocol):
    """M masks of a picture and their figures."""

    @property
    def size(self) -> tuple[int, int]: ...
    @property
    def boxes(self) -> NDArray[np.int64]: ...
    @property
    def areas(self) -> NDArray[np.int64]: ...
    @property
    def scores(self) -> NDArray[np.float32]: ...
    def rle(self, i: int) -> Rle: ...


def coco_content(masks: Annotated, objects: NDArray[np.int64], file_name: str) -> dict[str, Any]:
    """Compressed run lengths, boxes (x, y, width, height), areas, scores, and the `object_id` of each mask. Empty masks
    have no annotation."""
    height, width = masks.size
    annotations = []
    for i in np.flatnonzero(masks.areas).tolist():
        x0, y0, x1, y1 = masks.boxes[i].tolist()
        annotations.append({
            "id": i + 1,
            "image_id": 1,
            "category_id": 1,
            "segmentation": masks.rle(i).to_json(),
            "bbox": [x0, y0, x1 - x0, y1 - y0],
            "area": int(masks.areas[i]),
            "iscrowd": 0,
            "score": float(masks.scores[i]),
            "object_id": int(objects[i]) + 1,
        })  # fmt: skip
    return {
        "images": [{"id": 1, "file_name": file_name, "height": height, "width": width}],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "object", "supercategory": "object"}],
    }
