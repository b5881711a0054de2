"""What a tracker remembers: frozen data without cycles. It can be printed, compared, saved, and undone by keeping
the old."""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from masklet.engines.arrays import Array
from masklet.formats.description import Description
from masklet.formats.project import Spans
from masklet.masks.shape import Box
from masklet.prompts import ObjectId as ObjectId
from masklet.prompts import Prompt
from masklet.video.overlap import FinalMask

END = sys.maxsize
"""Stands for the end of a video, of which the last frame is not known."""


@dataclass(frozen=True, eq=False, slots=True)
class FrameStats:
    """A known frame without its arrays: small, and at hand for every frame without reading a file.

    Attributes:
        frame: Number of the frame.
        iou: Predicted intersection over union of the mask, 0..1.
        presence: Logit; positive if the object is in the frame.
        attended: Whether the frame looked at memories; a first prompt does not.
        backward: Whether it was followed towards the video's beginning.
        area: Cells of the low-resolution mask that are inside.
        box: Around these cells.
        anchors: Frames that stay known from here on, however far they fall behind; a policy decides.
        colours: Signature of the frame's colours, see `masklet.video.cuts`.
        cut: Whether a scene cut lies between the frame before and this one.
        doubt: Why a person should look, a value of `ReviewReason`, as it was when the frame was found; or empty.
    """

    frame: int
    iou: float = field(kw_only=True)
    presence: float = field(kw_only=True)
    attended: bool = field(kw_only=True)
    backward: bool = field(default=False, kw_only=True)
    area: int = field(default=0, kw_only=True)
    box: Box = field(default=(0, 0, 0, 0), kw_only=True)
    anchors: tuple[int, ...] = field(default=(), kw_only=True)
    colours: bytes = field(default=b"", kw_only=True)
    cut: bool = field(default=False, kw_only=True)
    doubt: str = field(default="", kw_only=True)


@dataclass(frozen=True, eq=False, slots=True)
class KnownFrame(FrameStats):
    """One object in one frame: scores and a mask, with or without its memory.

    Attributes:
        memory: (M, h, w), the encoded memory, see `engines.arrays.as_memory`; None if it is gone. Then it can be
            encoded again.
        pointer: (C,) the object pointer; None where only a mask is known.
        logits: (S/4, S/4) float32, the mask before thresholding; -1024 everywhere if the object is absent.
        exact_mask: The mask of the picture's size where it is final, such as one that a person gave; the logits are
            then only what the network reads. None where the mask comes from the logits.
    """

    memory: Array | None
    pointer: Array | None
    logits: Array
    exact_mask: FinalMask | None = field(default=None, kw_only=True)


def stats_of(known: FrameStats) -> dict[str, Any]:
    """All but the arrays, by name; numbers, truths, whole numbers in tuples, and bytes."""
    return {fact.name: getattr(known, fact.name) for fact in fields(FrameStats)}


@dataclass(frozen=True, eq=False)
class StatColumns:
    """What a strip shows of N frames, in no order: arrays (N,) as `FrameStats` has the facts, and doubts by frame."""

    frame: NDArray[np.int64]
    iou: NDArray[np.float64]
    presence: NDArray[np.float64]
    backward: NDArray[np.bool_]
    cut: NDArray[np.bool_]
    doubts: Mapping[int, str]


def columns_of(frames: Iterable[FrameStats]) -> StatColumns:
    """The stats of frames as arrays."""
    known = list(frames)
    return StatColumns(
        np.array([stats.frame for stats in known], np.int64),
        np.array([stats.iou for stats in known], np.float64),
        np.array([stats.presence for stats in known], np.float64),
        np.array([stats.backward for stats in known], np.bool_),
        np.array([stats.cut for stats in known], np.bool_),
        {stats.frame: stats.doubt for stats in known if stats.doubt},
    )


class KnownFrames(Mapping[int, KnownFrame]):
    """The tracked frames of an object, by frame. Immutable: adding a frame gives another mapping."""

    @abstractmethod
    def stats(self, frame: int) -> FrameStats | None:
        """The stats of a frame, without reading a file; None if the frame is not known."""

    def every(self) -> Iterator[FrameStats]:
        """The stats of all frames, in no order."""
        return (stats for frame in self if (stats := self.stats(frame)) is not None)

    def columns(self) -> StatColumns:
        """The stats of all frames as arrays; those that lie in a file are not made one by one."""
        return columns_of(self.every())

    def doubts(self) -> dict[int, str]:
        """The frames in doubt, and why."""
        return {stats.frame: stats.doubt for stats in self.every() if stats.doubt}

    def whole(self, frame: int) -> KnownFrame:
        """A frame with its memory, which is encoded again if it is gone. Raises `KeyError` if it is not known."""
        return self[frame]

    @abstractmethod
    def adding(self, known: KnownFrame) -> KnownFrames:
        """With one more frame, which takes the place of an older one of its number."""

    @abstractmethod
    def taking(self, frames: Iterable[int], other: KnownFrames) -> KnownFrames:
        """With these frames as another object has them: known, or not."""

    @abstractmethod
    def nothing(self) -> KnownFrames:
        """No frames, kept in the same way."""


@dataclass(frozen=True, eq=False)
class ObjectTrack:
    """One object: what was said about it, and what came of it.

    Attributes:
        tracked: What the tracker found, by frame.
        prompts: What was said, by frame.
        prompted: What a person answers for, by frame: prompted or locked, with its memory. It conditions all other
            frames.
        number: Its number in index maps, from 1; given once and kept.
        description: Its title, category, colour and attributes.
        absent: Frames on which a person said that it is not there. No frame learns from them.
        accepted: Tracked frames that a person has looked at and left as they are.
        absence: What is known of it where it is absent; None as long as it never was.
        one_way: Whether only what was tracked backward (True) or forward (False) is seen; None if all is.
    """

    tracked: KnownFrames
    prompts: Mapping[int, Prompt] = field(default_factory=dict)
    prompted: Mapping[int, KnownFrame] = field(default_factory=dict)
    number: int = 1
    description: Description = field(default_factory=Description)
    absent: Spans = ()
    accepted: Spans = ()
    absence: KnownFrame | None = None
    one_way: bool | None = None

    def is_absent(self, frame: int) -> bool:
        """Whether a person said that it is not there."""
        return bool(self.absent) and frame not in self.prompted and within(frame, self.absent)

    def stands(self, frame: int) -> bool:
        """Whether a person answers for the frame: following leaves it as it is."""
        return frame in self.prompted or within(frame, self.absent) or within(frame, self.accepted)

    def reach(self, frame: int) -> tuple[int, int]:
        """(first, last) of the frames for which a prompt on a frame speaks: up to the neighbouring ones for which a
        person answers. `END` where none comes after it."""
        standing = [*((f, f) for f in self.prompted), *self.absent, *self.accepted]
        before = max((last for _, last in standing if last < frame), default=-1)
        after = min((first for first, _ in standing if first > frame), default=END)
        return before + 1, after if after == END else after - 1

    def known(self, frame: int) -> KnownFrame | None:
        """The known frame: prompted or locked, said to be without the object, or else tracked; None if it is not
        known."""
        if frame in self.prompted:
            return self.prompted[frame]
        if self.absence is not None and self.is_absent(frame):
            return replace(self.absence, frame=frame)
        known = self.tracked.get(frame)
        return known if known is None or self.one_way in (None, known.backward) else None

    def stats(self, frame: int) -> FrameStats | None:
        """The stats of the known frame, without reading a file; None if it is not known."""
        if frame in self.prompted:
            return self.prompted[frame]
        if self.absence is not None and self.is_absent(frame):
            return replace(self.absence, frame=frame)
        stats = self.tracked.stats(frame)
        return stats if stats is None or self.one_way in (None, stats.backward) else None

    def remembered(self, frame: int) -> FrameStats | None:
        """The stats of the known frame, if other frames may learn from it."""
        return None if self.is_absent(frame) else self.stats(frame)

    def whole(self, frame: int) -> KnownFrame:
        """The known frame with its memory. Raises `KeyError` if it is not known."""
        known = self.prompted.get(frame)
        return self.tracked.whole(frame) if known is None else known


Tracks = Mapping[ObjectId, ObjectTrack]
"""The state of a session: what is known of each object, in the order in which they were added."""


def within(frame: int, spans: Spans) -> bool:
    """Whether a frame is among some."""
    return any(first <= frame <= last for first, last in spans)


def without_span(spans: Spans, first: int, last: int) -> Spans:
    """Some frames without those from `first` to `last`."""
    left: list[tuple[int, int]] = []
    for low, high in spans:
        apart = high < first or low > last or first > last
        left += [(low, high)] if apart else [(low, first - 1), (last + 1, high)]
    return tuple((low, high) for low, high in left if low <= high)


def with_span(spans: Spans, first: int, last: int) -> Spans:
    """Some frames and those from `first` to `last`."""
    return (*without_span(spans, first, last), (first, last)) if first <= last else spans


def parted(spans: Spans, frame: int) -> tuple[Spans, Spans]:
    """Those before a frame, and those from it on."""
    first = tuple((low, min(high, frame - 1)) for low, high in spans if low < frame)
    return first, tuple((max(low, frame), high) for low, high in spans if high >= frame)
