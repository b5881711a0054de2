"""What every protocol gives: values by object, and what they cost."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from masklet.datasets.base import Clip, ObjectMasks
from masklet.evaluation.contenders.base import Contender
from masklet.evaluation.submission import Submission
from masklet.formats.base import FrameLike

Item = TypeVar("Item")


@dataclass(frozen=True)
class Outcome:
    """What a contender did on one clip.

    values   object -> measure -> value; empty if nothing of the clip is known that could be scored
    course   frame -> the main measure over all objects, to find the frames worth a look
    frames   answered frames
    seconds  that the contender took for them, without reading true masks, scoring and writing
    whole    measure -> value of the clip as a whole, where it is of no single object, such as masks/picture
    """

    values: Mapping[int, Mapping[str, float]]
    course: Mapping[int, float]
    frames: int
    seconds: float
    whole: Mapping[str, float] = field(default_factory=dict)


class Procedure(Protocol):
    """A protocol with its options: a frozen dataclass of plain values, which stand in the record of a run.

    name      of the protocol
    measures  what it measures, the main measure first
    """

    @property
    def name(self) -> str: ...

    @property
    def measures(self) -> tuple[str, ...]: ...

    def run(self, clip: Clip, contender: Contender, submission: Submission) -> Outcome:
        """Ask, score, and hand the masks in. Raises MediaError and FormatError for files that are damaged."""
        ...


@dataclass
class Stopwatch:
    """Adds up the seconds that are spent in its `with` blocks."""

    seconds: float = 0.0
    _began: float = field(default=0.0, repr=False)

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self._began


@dataclass(frozen=True, eq=False)
class Answer:
    """A frame's masks, made.

    result   as the contender gave it
    numbers  int32 (H, W): each pixel's object, the surest one, 0 where there is none
    """

    result: FrameLike
    numbers: NDArray[np.int32]

    def mask(self, number: int) -> NDArray[np.bool_]:
        """bool (H, W): the pixels that went to an object."""
        return self.numbers == number


def answers(results: Iterable[FrameLike], watch: Stopwatch) -> Iterator[Answer]:
    """The frames with their masks; the watch runs only while the contender is at work."""
    iterator = iter(results)
    while True:
        with watch:
            result = next(iterator, None)
            answer = None if result is None else Answer(result, result.index_map())
        if answer is None:
            return
        yield answer


def true_mask(truth: ObjectMasks, number: int, size: tuple[int, int]) -> NDArray[np.bool_]:
    """bool (H, W): an object's true mask; empty where it is not annotated."""
    mask = truth.get(number)
    return np.zeros(size, np.bool_) if mask is None else mask
