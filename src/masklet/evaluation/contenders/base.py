"""The interface of whatever is measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from masklet.formats.base import FrameLike
from masklet.media.source import FrameSource
from masklet.prompts import Prompt

if TYPE_CHECKING:
    from masklet.image import EverythingOptions, MaskSet


class Session(Protocol):
    """One video under way."""

    def prompt(self, frame: int, object: int, prompt: Prompt) -> NDArray[np.bool_]:
        """Say something about an object in a frame, in addition to what was said there: its mask, bool (H, W)."""
        ...

    def follow(self, start: int) -> Iterator[FrameLike]:
        """Every frame from `start` to the end, with the objects that were prompted there or before."""
        ...


class Look(Protocol):
    """One picture under way."""

    def answer(self, prompts: Sequence[Prompt]) -> list[NDArray[np.bool_]]:
        """The masks of N objects, bool (H, W), for all that was said about each so far.

        Calls on one picture are about the same objects in the same order; each refines the last answers.
        """
        ...


class Contender(Protocol):
    """A model or a baseline.

    name   for tables
    facts  what it is, exactly: plain JSON for the record of a run
    """

    @property
    def name(self) -> str: ...

    @property
    def facts(self) -> Mapping[str, Any]: ...

    def track(self, source: FrameSource) -> AbstractContextManager[Session]:
        """Begin on a video."""
        ...

    def look(self, image: NDArray[np.uint8]) -> Look:
        """Begin on a picture, uint8 (H, W, 3) RGB."""
        ...


@runtime_checkable
class Finder(Protocol):
    """A contender that finds objects to which nobody points; baselines are none."""

    def everything(self, image: NDArray[np.uint8], options: EverythingOptions) -> MaskSet:
        """The masks of everything in a picture, uint8 (H, W, 3) RGB."""
        ...
