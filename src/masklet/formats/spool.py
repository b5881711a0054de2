"""Masks that wait on disk, as run lengths, for formats that can be written only when all frames are known.

Memory grows by some 60 bytes for each mask. Frames may come in any order, and again: the last word counts.
"""

import tempfile
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from masklet.formats.base import FrameLike, ObjectId, RleMask, rle_of
from masklet.formats.description import Description, label_of, numbers_of_labels
from masklet.masks.rle import Rle


class Spool:
    """What was written so far; made by `spooled`.

    times  seconds of each frame, by frame
    sizes  (height, width) of each frame, by frame
    descriptions  what was said of objects last
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.times: dict[int, float] = {}
        self.sizes: dict[int, tuple[int, int]] = {}
        self.descriptions: dict[ObjectId, Description] = {}
        self._file = file
        self._numbers: dict[ObjectId, int] = {}
        self._slots: dict[ObjectId, int] = {}
        self._rows: dict[int, range] = {}  # frame -> its masks, rows of the three arrays
        self._row_slots = array("l")
        self._places = array("q", [0])  # where each mask begins in the file; the last is the file's end
        self._scores = array("d")  # iou and presence of each mask

    def add(self, result: FrameLike) -> None:
        """Keep a frame; it replaces what was there for the same frame."""
        first = len(self._row_slots)
        self._file.seek(0, 2)
        for name, item in result.objects.items():
            counts = rle_of(item).counts.encode("ascii")
            self._file.write(counts)
            self._places.append(self._places[-1] + len(counts))
            self._row_slots.append(self._slots.setdefault(name, len(self._slots)))
            self._scores.extend((float(item.iou), float(item.presence)))
            self._numbers[name] = result.indices[name]
        self.descriptions.update(result.descriptions)
        self._rows[result.frame] = range(first, len(self._row_slots))
        self.times[result.frame], self.sizes[result.frame] = float(result.time), result.size

    @property
    def indices(self) -> dict[ObjectId, int]:
        """The number of each object, in the order in which objects appeared; new ones if two had the same."""
        if len(set(self._numbers.values())) == len(self._numbers):
            return self._numbers
        return {name: number for number, name in enumerate(self._numbers, start=1)}

    @property
    def classes(self) -> dict[str, int]:
        """The classes of the objects, numbered from 0."""
        return numbers_of_labels(self.indices, self.descriptions)

    def said_of(self, name: ObjectId) -> Description:
        """What is said of an object; nothing if nothing is."""
        return self.descriptions.get(name) or Description()

    def class_of(self, name: ObjectId) -> str:
        return label_of(name, self.descriptions.get(name))

    def frames(self) -> list[int]:
        return sorted(self._rows)

    def masks(self, frame: int) -> dict[ObjectId, RleMask]:
        """The masks of a frame; empty if the frame was not written."""
        names = list(self._slots)
        return {names[self._row_slots[row]]: self._mask(frame, row) for row in self._rows.get(frame, ())}

    def track(self, name: ObjectId) -> Iterator[tuple[int, RleMask]]:
        """The frames of an object with its masks, in their order."""
        slots = np.array(self._row_slots)
        for frame in self.frames():
            rows = self._rows[frame]
            for offset in np.flatnonzero(slots[rows.start : rows.stop] == self._slots[name]):
                yield frame, self._mask(frame, rows[int(offset)])

    def _mask(self, frame: int, row: int) -> RleMask:
        begin, end = self._places[row], self._places[row + 1]
        self._file.seek(begin)
        counts = self._file.read(end - begin).decode("ascii")
        return RleMask(Rle(self.sizes[frame], counts), self._scores[2 * row], self._scores[2 * row + 1])


@contextmanager
def spooled(path: Path) -> Iterator[Spool]:
    """A spool beside `path`, on the disk that the masks will need anyway; the system removes it, even after a kill."""
    with tempfile.TemporaryFile(dir=path.parent, prefix=f".{path.name}.") as file:
        yield Spool(file)
