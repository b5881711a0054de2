"""Masks as data sets want them handed in: also what `masklet eval score` reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from masklet.atomic import atomic_write, make_folder
from masklet.datasets.base import Clip, Layout
from masklet.formats.davis import read_index_png, write_index_png
from masklet.formats.numbered import open_png


@dataclass(frozen=True)
class Submission:
    """A folder of masks.

    folder  of all clips
    layout  "index": CLIP/00000.png, a pixel's value is its object; "objects": CLIP/000/00000.png, not 0 on the object
    """

    folder: Path
    layout: Layout

    def write(
        self, clip: Clip, frame: int, numbers: NDArray[np.integer], masks: Mapping[int, NDArray[np.bool_]]
    ) -> None:
        """One frame: each pixel's object, and the whole masks, which may overlap. Raises FormatError.

        Frames have the names that they have in the data set.
        """
        if self.layout == "index":
            path = self.path(clip, frame)
            make_folder(path.parent)
            write_index_png(path, numbers)
            return
        for number, mask in masks.items():
            path = self.path(clip, frame, number)
            make_folder(path.parent)
            with atomic_write(path) as temporary:
                Image.fromarray(mask.astype(np.uint8) * 255).save(temporary, format="PNG")

    def read(self, clip: Clip, frame: int, objects: tuple[int, ...]) -> dict[int, NDArray[np.bool_]]:
        """What was written of some objects in a frame. Raises FormatError if it is missing or damaged."""
        if self.layout == "index":
            numbers = read_index_png(self.path(clip, frame))
            return {number: numbers == number for number in objects}
        return {number: open_png(self.path(clip, frame, number)) > 0 for number in objects}

    def path(self, clip: Clip, frame: int, number: int = 0) -> Path:
        """The file of a frame."""
        folder = self.folder / clip.name
        return (folder if self.layout == "index" else folder / f"{number:03d}") / f"{clip.stem(frame)}.png"
