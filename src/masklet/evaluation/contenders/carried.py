"""Baselines: the mask of a prompted frame is carried on, from each frame to the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from masklet.evaluation.contenders.grabcut import cut_prompt
from masklet.formats.base import FrameLike, ObjectId, ObjectLike, PlainFrame
from masklet.media.source import Frame, FrameSource
from masklet.prompts import Prompt, merge_prompts

Soft = NDArray[np.float32]
"""(H, W) in 0..1: how much of a pixel belongs to the object."""

Carry = Callable[[NDArray[np.uint8], NDArray[np.uint8], Mapping[int, Soft]], Mapping[int, Soft]]
"""(image of a frame, image of the next, masks by object) -> masks in the next."""


@dataclass(frozen=True)
class Baseline:
    """A way to carry masks. Where no mask is given but a box or clicks, GrabCut makes the first one.

    name   what people type
    help   one line
    carry  from a frame to the next
    """

    name: str
    help: str
    carry: Carry

    @property
    def facts(self) -> dict[str, str]:
        """For the record of a run."""
        return {"baseline": self.name, "how": self.help}

    @contextmanager
    def track(self, source: FrameSource) -> Iterator[CarriedSession]:
        with source:
            yield CarriedSession(source, self.carry)

    def look(self, image: NDArray[np.uint8]) -> CutLook:
        return CutLook(image)


@dataclass(frozen=True, eq=False)
class SoftMask:
    """One object in one frame, as files are written from it."""

    soft: Soft
    iou: float = 1.0
    presence: float = 1.0

    @property
    def mask(self) -> NDArray[np.bool_]:
        """More in than out."""
        return self.soft > 0.5

    def full_logits(self) -> Soft:
        """-1..1, positive inside."""
        return 2 * self.soft - 1


class CarriedSession:
    """A video under way: masks stand where they were prompted, and are carried from there."""

    def __init__(self, source: FrameSource, carry: Carry) -> None:
        self.source = source
        self.carry = carry
        self.said: dict[tuple[int, int], Prompt] = {}
        self.anchors: dict[int, dict[int, Soft]] = {}
        self.carried: tuple[Frame, Mapping[int, Soft]] | None = None

    def prompt(self, frame: int, object: int, prompt: Prompt) -> NDArray[np.bool_]:
        """A given mask as it is; of anything else what GrabCut makes of all that was said on the frame."""
        prompt = self.said[frame, object] = merge_prompts(self.said.get((frame, object)), prompt)
        mask = prompt.mask if prompt.mask is not None else cut_prompt(self.source.read(frame).image, prompt)
        self.anchors.setdefault(frame, {})[object] = mask.astype(np.float32)
        return mask

    def follow(self, start: int) -> Iterator[FrameLike]:
        """Forward to the end; if `start` is the frame that was reached last, on from there."""
        before = self.carried if self.carried is not None and self.carried[0].index == start else None
        masks: Mapping[int, Soft] = before[1] if before else {}
        image = None
        for frame in self.source.frames(start):
            if image is not None:
                masks = self.carry(image, frame.image, masks)
            masks = {**masks, **self.anchors.get(frame.index, {})}
            image, self.carried = frame.image, (frame, masks)
            yield self._result(frame, masks)

    def _result(self, frame: Frame, masks: Mapping[int, Soft]) -> PlainFrame:
        objects: dict[ObjectId, ObjectLike] = {number: SoftMask(soft) for number, soft in masks.items()}
        numbers: dict[ObjectId, int] = {number: number for number in masks}
        return PlainFrame(frame.index, frame.time, self.source.size, objects, numbers, frame.image)


@dataclass
class CutLook:
    """A picture under way, by GrabCut: each answer begins anew with all that was said."""

    image: NDArray[np.uint8] = field(repr=False)

    def answer(self, prompts: Sequence[Prompt]) -> list[NDArray[np.bool_]]:
        """One after another."""
        return [cut_prompt(self.image, prompt) for prompt in prompts]


def keep_still(image: NDArray[np.uint8], following: NDArray[np.uint8], masks: Mapping[int, Soft]) -> Mapping[int, Soft]:
    """The same masks."""
    return masks
