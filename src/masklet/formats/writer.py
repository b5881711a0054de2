"""What writers have in common: the checks of every format, a file for each frame, and masks that wait on disk until all
frames are known; and several writers at once, each of which may fail alone."""

import os
import tempfile
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import IO

from masklet.atomic import atomic_write, make_folder, write_error, writing
from masklet.errors import FormatError, MaskletError
from masklet.formats.base import Facts, FrameLike, ObjectId, Opener, RleMask, Sink, rle_of
from masklet.formats.description import Description, label_of, numbers_of_labels
from masklet.masks.rle import Rle, rle_area


class Writer:
    """Writes frames inside a `with` block. What stands at the path is whole, whenever one looks.

    Formats of one file appear when the block ends cleanly; an exception, a full disk or a kill leaves what was
    there before. Formats of a file for each frame keep the frames that were written.

    Raises FormatError for a path that cannot be written, on entering the block, on the way and at its end.
    """

    def __init__(self, opener: Opener, path: Path, facts: Facts) -> None:
        self.path = path
        self.facts = facts
        self._life = opener(path, facts)
        self._write: Sink | None = None

    def write(self, result: FrameLike) -> None:
        """Write one frame. Raises FormatError if it is of another size, or the format cannot hold it."""
        if self._write is None:
            raise FormatError(f"{self.path.name} is not open; write inside `with writer(...) as sink:`")
        if result.size != self.facts.size and not self.facts.own_sizes:
            raise FormatError(
                f"frame {result.frame} has the size {result.size}; "
                f"{self.path.name} was opened for (height, width) = {self.facts.size}"
            )
        with writing(self.path):
            self._write(result)

    def __enter__(self) -> "Writer":
        with writing(self.path):
            self._write = self._life.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._write = None
        try:
            self._life.__exit__(kind, error, traceback)
        except OSError as failure:
            if failure is error:  # the block's own, which only passed through
                raise
            raise write_error(self.path, failure) from failure


class Writers:
    """Several writers inside one `with` block. One that fails is left, and the others go on to their end.

    faults  a sentence for each that failed, complete once the block has ended
    cause   what the system said first, such as that the disk is full; None if it said nothing

    Raises FormatError, with all their sentences and that cause, when none is left.
    """

    def __init__(self, writers: Sequence[Writer]) -> None:
        self.faults: list[str] = []
        self.cause: BaseException | None = None
        self._writers = list(writers)
        self._open: list[Writer] = []

    def write(self, result: FrameLike) -> None:
        """Write one frame by every writer that is left."""
        for writer in list(self._open):
            with self._left_if_it_fails(writer):
                writer.write(result)
        self._check_left()

    def __enter__(self) -> "Writers":
        for writer in self._writers:
            with self._left_if_it_fails(writer):
                self._open.append(writer.__enter__())
        self._check_left()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        while self._open:
            writer = self._open.pop()
            with self._left_if_it_fails(writer, error):
                writer.__exit__(kind, error, traceback)
        if kind is None and len(self.faults) == len(self._writers):
            self._check_left()

    @contextmanager
    def _left_if_it_fails(self, writer: Writer, known: BaseException | None = None) -> Iterator[None]:
        """Keeps what goes wrong inside, unless it is known already, and has the writer remove its unfinished file."""
        try:
            yield
        except Exception as error:
            if error is known:
                return
            told = error if isinstance(error, MaskletError) else f"{type(error).__name__}: {error}"
            name = writer.path.name
            self.cause = self.cause or error.__cause__
            self.faults.append(str(told) if name in str(told) else f"{name} cannot be written: {told}")
            if writer in self._open:
                self._open.remove(writer)
                with self._left_if_it_fails(writer, error):
                    writer.__exit__(type(error), error, error.__traceback__)

    def _check_left(self) -> None:
        if self._writers and not self._open:
            raise FormatError("; ".join(self.faults)) from self.cause


@contextmanager
def frame_files(path: Path, facts: Facts, suffix: str, write: Callable[[Path, FrameLike], None]) -> Iterator[Sink]:
    """A sink that writes each frame to a file of its own, with that ending, which is whole as soon as it is there:
    00000.png, 00001.png, ... or, where frames are pictures in files, by their names.

    The path is a folder, which is made if need be; or, if it has the ending, the file of the only frame, which appears
    at the end.
    """
    if path.suffix.lower() != suffix or os.path.isdir(path):
        make_folder(path)

        def each(result: FrameLike) -> None:
            with atomic_write(path / f"{facts.stem(result.frame)}{suffix}") as temporary:
                write(temporary, result)

        yield each
        return
    written: list[int] = []
    with atomic_write(path) as temporary:

        def only(result: FrameLike) -> None:
            if written and result.frame not in written:
                raise FormatError(
                    f"{path.name} is the file of one picture, and frame {result.frame} is another; give a folder"
                )
            written[:] = [result.frame]
            write(temporary, result)

        yield only
        if not written:
            raise FormatError(f"no frame was written to {path}; it is the file of one picture")


class Spool:
    """Masks that wait on disk, as run lengths. Memory grows by some 60 bytes for each mask. Frames may come in any
    order, and again: the last word counts.

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
        # frame -> the row of its first mask in the two arrays, and the objects whose masks lie in this row and the next
        self._rows: dict[int, tuple[int, tuple[ObjectId, ...]]] = {}
        self._same: dict[tuple[ObjectId, ...], tuple[ObjectId, ...]] = {}  # frames of the same objects share one tuple
        self._places = array("q", [0])  # where each mask begins in the file; the last is the file's end
        self._scores = array("d")  # iou and presence of each mask

    def add(self, result: FrameLike) -> None:
        """Keep a frame; it replaces what was there for the same frame."""
        first, names = len(self._places) - 1, tuple(result.objects)
        self._file.seek(0, 2)
        for name, item in result.objects.items():
            counts = rle_of(item).counts.encode("ascii")
            self._file.write(counts)
            self._places.append(self._places[-1] + len(counts))
            self._scores.extend((float(item.iou), float(item.presence)))
            self._numbers[name] = result.indices[name]
        self.descriptions.update(result.descriptions)
        self._rows[result.frame] = first, self._same.setdefault(names, names)
        self.times[result.frame], self.sizes[result.frame] = float(result.time), result.size

    @property
    def indices(self) -> dict[ObjectId, int]:
        """The number of each object, in the order in which objects appeared; new ones if two had the same."""
        if len(set(self._numbers.values())) == len(self._numbers):
            return self._numbers
        return {name: number for number, name in enumerate(self._numbers, start=1)}

    @property
    def classes(self) -> dict[str, int]:
        """The classes of the objects, numbered from 1."""
        return {label: number + 1 for label, number in numbers_of_labels(self.indices, self.descriptions).items()}

    def said_of(self, name: ObjectId) -> Description:
        """What is said of an object; nothing if nothing is."""
        return self.descriptions.get(name) or Description()

    def class_of(self, name: ObjectId) -> str:
        return label_of(name, self.descriptions.get(name))

    def frames(self) -> list[int]:
        return sorted(self._rows)

    def masks(self, frame: int) -> dict[ObjectId, RleMask]:
        """The masks of a frame; empty if the frame was not written."""
        first, names = self._rows.get(frame, (0, ()))
        return {name: self._mask(frame, row) for row, name in enumerate(names, start=first)}

    def seen(self) -> Iterator[tuple[int, ObjectId, RleMask]]:
        """All masks that are not empty with their frames, in the order of frames."""
        masks = ((frame, name, item) for frame in self.frames() for name, item in self.masks(frame).items())
        return (found for found in masks if rle_area(found[2].rle))

    def track(self, name: ObjectId) -> Iterator[tuple[int, RleMask]]:
        """The frames of an object with its masks, in their order."""
        for frame, (first, names) in sorted(self._rows.items()):
            if name in names:
                yield frame, self._mask(frame, first + names.index(name))

    def _mask(self, frame: int, row: int) -> RleMask:
        begin, end = self._places[row], self._places[row + 1]
        self._file.seek(begin)
        counts = self._file.read(end - begin).decode("ascii")
        return RleMask(Rle(self.sizes[frame], counts), self._scores[2 * row], self._scores[2 * row + 1])


def when_all_is_known(write: Callable[[Path, Facts, Spool], None]) -> Opener:
    """The writer of a format that can be written only when all frames are known. Until then masks wait in a file beside
    `path`, on the disk that they will need anyway; the system removes it, even after a kill."""

    @contextmanager
    @wraps(write)
    def opened(path: Path, facts: Facts) -> Iterator[Sink]:
        with tempfile.TemporaryFile(dir=path.parent, prefix=f".{path.name}.") as file:
            spool = Spool(file)
            yield spool.add
            write(path, facts, spool)

    return opened
