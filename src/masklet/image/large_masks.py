"""Masks of a picture that is too large for memory."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from masklet.errors import FormatError
from masklet.formats.atomic import replacing
from masklet.image.coco import coco_content
from masklet.image.found import FoundMasks
from masklet.masks.patch import Box, Patch, cut_patch, paste, patch_areas, patch_boxes, whole_rle
from masklet.masks.rle import Rle
from masklet.media.large import LargePicture


@dataclass(frozen=True, eq=False)
class LargeMasks:
    """Masks of a large picture, each kept as run lengths in its own box.

    Attributes:
        size: (height, width) of the picture.
        patches: The masks.
        scores: (M,) float32, predicted intersection over union, 0..1.
    """

    size: tuple[int, int]
    patches: tuple[Patch, ...]
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        """M"""
        return len(self.patches)

    @cached_property
    def boxes(self) -> NDArray[np.int64]:
        """(M, 4): x0, y0, x1, y1 around each mask in pixels of the picture, x1 and y1 one past the last."""
        return patch_boxes(self.patches)

    @cached_property
    def areas(self) -> NDArray[np.int64]:
        """(M,): pixels in each mask."""
        return patch_areas(self.patches)

    def patch(self, i: int) -> NDArray[np.bool_]:
        """Mask `i` inside its box, bool of the box's size."""
        return self.patches[i].inside

    def rle(self, i: int) -> Rle:
        """The run lengths of mask `i` over the whole picture, as COCO writes them."""
        return whole_rle(self.patches[i], self.size)

    def window(self, picture: LargePicture, box: Box) -> FoundMasks:
        """A part of the picture with the masks in it, to be drawn, cut out or saved like any other; `objects` holds
        their numbers here.

        Raises:
            MediaError: The window does not lie in the picture, or cannot be read.
        """
        image = picture.read(box)
        cuts = [cut_patch(paste(patch, box)) for patch in self.patches]
        rows = [row for row, cut in enumerate(cuts) if cut is not None]
        return FoundMasks(
            logits=np.zeros((0, 0, 0), np.float32),
            scores=self.scores[rows],
            presence=np.ones(len(rows), np.float32),
            objects=np.array(rows, np.int64),
            candidates=np.zeros(len(rows), np.int64),
            image=image,
            patches=tuple(cut for cut in cuts if cut is not None),
            stability=np.ones(len(rows), np.float32),
            points=np.zeros((len(rows), 2)),
            crops=np.tile(np.array([0, 0, *image.shape[1::-1]], np.int64), (len(rows), 1)),
        )

    def to_coco(self, file_name: str = "") -> dict[str, Any]:
        """All masks as the content of a COCO JSON file."""
        return coco_content(self, np.arange(len(self)), file_name)

    def save(self, path: str | PathLike[str], format: str | None = None) -> None:
        """Write all masks as COCO JSON, the one format that keeps run lengths of a picture that is never in memory as a
        whole, to a file that appears when it is whole. A `window` saves in every format.

        Raises:
            FormatError: Another format or ending, or a path that cannot be written.
        """
        path = Path(path)
        if format not in (None, "coco") or path.suffix.lower() != ".json":
            raise FormatError(
                f"masks of a large picture are saved as coco alone, and {format or path.name} came; give a file that "
                "ends in .json, or save a part of the picture: masks.window(picture, box).save(...)"
            )
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(self.to_coco(), allow_nan=False), encoding="ascii")
