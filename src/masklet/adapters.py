"""Masks as types of other libraries, which are optional. They stand beside `Masks`, not inside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from masklet.errors import MaskletError

if TYPE_CHECKING:
    import supervision

    from masklet.image import Masks


def to_supervision(masks: Masks) -> supervision.Detections:
    """Masks as `supervision.Detections`: boxes, masks, scores as `confidence`, class 0 for all, and as `data` each
    mask's "object" and "presence".

    All masks are given, candidates too; `to_supervision(masks.best)` gives one for each object.

    Raises:
        MaskletError: supervision is not installed.
    """
    try:
        from supervision import Detections
    except ImportError:
        raise MaskletError("supervision is missing; install it with: pip install 'masklet[supervision]'") from None
    return Detections(
        xyxy=masks.boxes.astype(np.float32),
        mask=masks.masks,
        confidence=masks.scores,
        class_id=np.zeros(len(masks), np.int64),
        data={"object": masks.objects, "presence": masks.presence},
    )
