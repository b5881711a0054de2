"""The checks of every writer, whatever its format; and several writers at once, each of which may fail alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from masklet.atomic import write_error
from masklet.errors import FormatError, MaskletError
from masklet.formats.base import Facts, FrameLike

if TYPE_CHECKING:
    from typing_extensions import Self


class Writer:
    """Writes frames inside a `with` block. What stands at the path is whole, whenever one looks.

    Formats of one file appear when the block ends cleanly; an exception, a full disk or a kill leaves what was
    there before. Formats of a file for each frame keep the frames that were written.

    Raises FormatError for a path that cannot be written, on entering the block, on the way and at its end.
    """

    def __init__(
        self,
        opener: Callable[[Path, Facts], AbstractContextManager[Callable[[FrameLike], None]]],
        path: Path,
        facts: Facts,
    ) -> None:
        self.path = path
        self.facts = facts
        self._life = opener(path, facts)
        self._write: Callable[[FrameLike], None] | None = None

    def write(self, result: FrameLike) -> None:
        """Write one frame. Raises FormatError if it is of another size, or the format cannot hold it."""
        if self._write is None:
            raise FormatError(f"{self.path.name} is not open; write inside `with writer(...) as sink:`")
        if result.size != self.facts.size and not self.facts.own_sizes:
            raise FormatError(
                f"frame {result.frame} has the size {result.size}; "
                f"{self.path.name} was opened for (height, width) = {self.facts.size}"
            )
        try:
            self._write(result)
        except OSError as error:
            raise write_error(self.path, error) from error

    def __enter__(self) -> Self:
        try:
            self._write = self._life.__enter__()
        except OSError as error:
            raise write_error(self.path, error) from error
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
            try:
                writer.write(result)
            except Exception as error:
                self._open.remove(writer)
                self._failed(writer, error)
                try:
                    writer.__exit__(type(error), error, error.__traceback__)  # it removes its unfinished file
                except Exception as again:
                    if again is not error:
                        self._failed(writer, again)
        self._check_left()

    def __enter__(self) -> Self:
        for writer in self._writers:
            try:
                self._open.append(writer.__enter__())
            except Exception as error:
                self._failed(writer, error)
        self._check_left()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for writer in reversed(self._open):
            try:
                writer.__exit__(kind, error, traceback)
            except Exception as failure:
                if failure is not error:
                    self._failed(writer, failure)
        if kind is None and len(self.faults) == len(self._writers):
            self._open.clear()
            self._check_left()

    def _failed(self, writer: Writer, error: Exception) -> None:
        told = error if isinstance(error, MaskletError) else f"{type(error).__name__}: {error}"
        name = writer.path.name
        self.cause = self.cause or error.__cause__
        self.faults.append(str(told) if name in str(told) else f"{name} cannot be written: {told}")

    def _check_left(self) -> None:
        if self._writers and not self._open:
            raise FormatError("; ".join(self.faults)) from self.cause
