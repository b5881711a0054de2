"""True masks in files: index PNGs, a folder of PNGs for each object, or the annotations of a COCO file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from masklet.errors import FormatError
from masklet.evaluation.datasets.base import FrameTruth
from masklet.formats.base import MOST_NUMBER
from masklet.formats.davis import read_index_png
from masklet.formats.numbered import open_png
from masklet.masks.rle import decode_rle, rle_from_json

UNKNOWN = 255
"""The value of pixels of which nobody knows, in index PNGs."""


@dataclass(frozen=True)
class IndexPngs:
    """A PNG for each annotated frame; a pixel's value is its object.

    files  frame -> its file
    known  object -> its first frame, where the data set tells; otherwise all files are looked through
    """

    files: Mapping[int, Path]
    known: Mapping[int, int] = field(default_factory=dict)

    @cached_property
    def frames(self) -> tuple[int, ...]:
        return tuple(sorted(self.files))

    def read(self, frame: int) -> FrameTruth:
        indices = read_index_png(self.files[frame])
        numbers = np.unique(indices)
        found = [int(number) for number in numbers if 1 <= number <= MOST_NUMBER]
        void = indices == UNKNOWN
        return FrameTruth({number: indices == number for number in found}, void if void.any() else None)

    @cached_property
    def entering(self) -> Mapping[int, int]:
        return self.known or first_seen(self)


@dataclass(frozen=True)
class WholePngs:
    """A PNG for each annotated frame; whatever is not 0 is the one object, number 1. So DAVIS-2016 is scored."""

    files: Mapping[int, Path]

    @cached_property
    def frames(self) -> tuple[int, ...]:
        return tuple(sorted(self.files))

    def read(self, frame: int) -> FrameTruth:
        return FrameTruth({1: open_png(self.files[frame]) > 0})

    @cached_property
    def entering(self) -> Mapping[int, int]:
        return first_seen(self)


@dataclass(frozen=True)
class ObjectPngs:
    """A folder for each object with a PNG for each annotated frame, not 0 on the object; masks may overlap.

    files  object -> frame -> its file
    """

    files: Mapping[int, Mapping[int, Path]]

    @cached_property
    def frames(self) -> tuple[int, ...]:
        return tuple(sorted({frame for files in self.files.values() for frame in files}))

    def read(self, frame: int) -> FrameTruth:
        return FrameTruth({n: open_png(files[frame]) > 0 for n, files in self.files.items() if frame in files})

    @cached_property
    def entering(self) -> Mapping[int, int]:
        return first_seen(self)


@dataclass(frozen=True)
class Annotations:
    """The annotations of one picture of a COCO file; crowds are void. Objects count from 1 in their order.

    size         (height, width)
    annotations  as they stand in the file
    name         of the picture, for messages
    """

    size: tuple[int, int]
    annotations: tuple[dict[str, Any], ...]
    name: str

    @cached_property
    def frames(self) -> tuple[int, ...]:
        return (0,)

    def read(self, frame: int) -> FrameTruth:
        single = [self._mask(item) for item in self.annotations if not item.get("iscrowd")]
        crowds = [self._mask(item) for item in self.annotations if item.get("iscrowd")]
        void = np.logical_or.reduce(crowds) if crowds else None
        return FrameTruth({n: mask for n, mask in enumerate(single, start=1) if mask.any()}, void)

    @cached_property
    def entering(self) -> Mapping[int, int]:
        return first_seen(self)

    def _mask(self, item: dict[str, Any]) -> NDArray[np.bool_]:
        try:
            return decode_rle(rle_from_json(item.get("segmentation"), self.size))
        except FormatError as error:
            raise FormatError(f"annotation {item.get('id')} of {self.name}: {error}") from error


def first_seen(truth: IndexPngs | WholePngs | ObjectPngs | Annotations) -> dict[int, int]:
    """Object -> the first annotated frame in which it has a pixel; reads all of them."""
    found: dict[int, int] = {}
    for frame in truth.frames:
        for number, mask in truth.read(frame).masks.items():
            if number not in found and mask.any():
                found[number] = frame
    return found
