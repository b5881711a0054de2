"""Methods: models and baselines behind one interface, so that every protocol runs them all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from masklet.errors import EvaluationError, nearest
from masklet.evaluation.baselines import BASELINES
from masklet.formats.base import FrameLike, ObjectLike
from masklet.media.source import FrameSource
from masklet.prompts import Prompt

if TYPE_CHECKING:
    from masklet.image import EverythingOptions, MaskSet


class Session(Protocol):
    """One video under way."""

    def prompt(self, frame: int, object: int, prompt: Prompt) -> NDArray[np.bool_]:
        """Add to the prompts of an object in a frame: its mask, bool (H, W)."""
        ...

    def follow(self, start: int) -> Iterator[FrameLike]:
        """Every frame from `start` to the end, with the objects that were prompted there or before."""
        ...


Look = Callable[[Sequence[Prompt]], Sequence[ObjectLike]]
"""One picture under way: all prompts so far of N objects -> their masks with their scores. Calls on one picture are
about the same objects in the same order; each refines the last answers."""


class Method(Protocol):
    """A model or a baseline.

    name       for tables
    facts      what it is, exactly: plain JSON for the record of a run
    estimates  whether it estimates the IoU and the presence of its masks; a baseline does not
    """

    @property
    def name(self) -> str: ...

    @property
    def facts(self) -> Mapping[str, Any]: ...

    @property
    def estimates(self) -> bool: ...

    def track(self, source: FrameSource) -> AbstractContextManager[Session]:
        """Begin on a video."""
        ...

    def look(self, image: NDArray[np.uint8]) -> Look:
        """Begin on a picture, uint8 (H, W, 3) RGB."""
        ...

    def everything(self, image: NDArray[np.uint8], options: EverythingOptions) -> MaskSet:
        """The masks of everything in a picture. Raises EvaluationError if the method finds nothing without prompts."""
        ...


@dataclass(frozen=True)
class MethodChoice:
    """What is to be measured: a baseline, or else a model; plain data, so that other processes can load it."""

    model: str = "nano"  # name or file
    baseline: str | None = None  # a name of `BASELINES`, or None
    device: str | None = None  # where a model runs; None for the best there is
    speed: str | None = None  # its speed mode; None for what the model's name says
    # fields of `masklet.TrackingOptions` that are not the default
    tracking: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if self.baseline is not None and self.baseline not in BASELINES:
            known, hint = ", ".join(BASELINES), nearest(self.baseline, BASELINES)
            raise EvaluationError(f"unknown baseline {self.baseline!r}{hint}; there are {known}")
        if self.baseline is not None and (self.tracking or self.speed not in (None, "exact")):
            raise EvaluationError("a baseline has no speed and no tracking options; leave them out, or give a model")


@cache
def find_method(choice: MethodChoice) -> Method:
    """The method, loaded once in each process.

    Raises CheckpointError if it is a model that cannot be loaded, and ConfigError for options that it cannot have.
    """
    if choice.baseline is not None:
        return BASELINES[choice.baseline]
    from masklet.checkpoints import load_model  # imports torch, which baselines do without
    from masklet.evaluation.model import ModelMethod

    return ModelMethod(load_model(choice.model, device=choice.device, speed=choice.speed), choice.tracking)
