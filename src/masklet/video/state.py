"""What a tracker remembers: frozen data without cycles. It can be printed, compared, saved, and undone by keeping
the old."""

from __future__ import annotations

import itertools
import sys
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field, fields, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from masklet.engines.arrays import Array
from masklet.errors import SessionError
from masklet.formats.base import RleMask
from masklet.formats.description import Description
from masklet.formats.project_file import Spans
from masklet.masks.shape import Box
from masklet.prompts import ObjectId as ObjectId
from masklet.prompts import Prompt

END = sys.maxsize
"""Stands for the end of a video, of which the last frame is not known."""


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


def with_spans(spans: Spans, others: Spans) -> Spans:
    """Frames that are in either."""
    for first, last in others:
        spans = with_span(spans, first, last)
    return spans


def spliced(spans: Spans, others: Spans, frame: int) -> Spans:
    """Those of `spans` before a frame, and those of `others` from it on."""
    before = tuple((low, min(high, frame - 1)) for low, high in spans if low < frame)
    return before + tuple((max(low, frame), high) for low, high in others if high >= frame)


@dataclass(frozen=True, eq=False, slots=True)
class FrameStats:
    """A known frame without its arrays: small, and at hand for every frame without reading a file."""

    frame: int
    _: KW_ONLY
    iou: float  # predicted intersection over union of the mask, 0..1
    presence: float  # logit; positive if the object is in the frame
    attended: bool  # looked at memories; a first prompt does not
    backward: bool = False  # followed towards the video's beginning
    area: int = 0  # cells of the low-resolution mask that are inside
    box: Box = (0, 0, 0, 0)  # around these cells
    anchors: tuple[int, ...] = ()  # frames that stay known from here on, however far they fall behind; a policy decides
    colours: bytes = b""  # signature of the frame's colours, see `masklet.video.review`
    cut: bool = False  # whether a scene cut lies between the frame before and this one
    doubt: str = ""  # why a person should look, a `ReviewReason`, as it was when the frame was found; or empty


@dataclass(frozen=True, eq=False, slots=True)
class KnownFrame(FrameStats):
    """One object in one frame: scores and a mask, with or without its memory."""

    memory: Array | None  # (M, h, w), see `engines.arrays.as_memory`; None if it is gone: it can be encoded again
    pointer: Array | None  # (C,) the object pointer; None where only a mask is known
    logits: Array  # (S/4, S/4) float32, the mask before thresholding; -1024 everywhere if the object is absent
    # the mask of the picture's size where it is final, such as one that a person gave: logits are then only what the
    # network reads. None where the mask comes from the logits
    exact_mask: RleMask | None = field(default=None, kw_only=True)


Known = TypeVar("Known", bound=FrameStats)


def stats_of(known: FrameStats) -> dict[str, Any]:
    """All but the arrays, by name; numbers, truths, whole numbers in tuples, and bytes."""
    return {fact.name: getattr(known, fact.name) for fact in fields(FrameStats)}


Columns = Mapping[str, NDArray[Any]]
"""Facts of frames, an array (N,) each, in no order."""

STRIP_FACTS: dict[str, type] = {
    "frame": np.int64,
    "iou": np.float64,
    "presence": np.float64,
    "backward": np.bool_,
    "cut": np.bool_,
    "doubt": np.object_,
}
"""The facts that a strip of frames shows."""


def columns_of(frames: Iterable[FrameStats]) -> Columns:
    """What a strip shows of frames."""
    known = list(frames)
    return {fact: np.array([getattr(stats, fact) for stats in known], kind) for fact, kind in STRIP_FACTS.items()}


class KnownFrames(Mapping[int, KnownFrame]):
    """The tracked frames of an object, by frame. Immutable: adding a frame gives another mapping."""

    def __contains__(self, frame: object) -> bool:
        return self.stats(frame) is not None  # type: ignore[arg-type]

    @abstractmethod
    def stats(self, frame: int) -> FrameStats | None:
        """The stats of a frame, without reading a file; None if the frame is not known."""

    def every(self) -> Iterator[FrameStats]:
        """The stats of all frames, in no order."""
        return (stats for frame in self if (stats := self.stats(frame)) is not None)

    def columns(self) -> Columns:
        """What a strip shows of all frames; those that lie in a file are not made one by one."""
        return columns_of(self.every())

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
    """One object: what was said about it, and what came of it."""

    tracked: KnownFrames  # what the tracker found, by frame
    prompts: Mapping[int, Prompt] = field(default_factory=dict)  # what was said, by frame
    # what a person answers for, by frame: prompted or locked, with its memory; it conditions all other frames
    prompted: Mapping[int, KnownFrame] = field(default_factory=dict)
    number: int = 1  # its number in index maps, from 1; given once and kept
    description: Description = field(default_factory=Description)
    absent: Spans = ()  # frames on which a person said that it is not there; no frame learns from them
    accepted: Spans = ()  # tracked frames that a person has looked at and left as they are
    absence: KnownFrame | None = None  # what is known of it where it is absent; None as long as it never was
    one_way: bool | None = None  # only what was tracked backward (True) or forward (False) is seen; None if all is

    def is_absent(self, frame: int) -> bool:
        """Whether a person said that it is not there."""
        return bool(self.absent) and frame not in self.prompted and within(frame, self.absent)

    def stands(self, frame: int) -> bool:
        """Whether a person answers for the frame: following leaves it as it is."""
        return frame in self.prompted or within(frame, self.absent) or within(frame, self.accepted)

    def can_follow(self, frame: int, *, backward: bool) -> bool:
        """Whether a frame is to be followed: no person answers for it already, but for one before it."""
        if self.stands(frame) or not self.prompted:
            return False
        return frame < max(self.prompted) if backward else frame > min(self.prompted)

    def frames(self) -> set[int]:
        """The frames of which something is known, or was said."""
        absent = (frame for first, last in self.absent for frame in range(first, last + 1))
        return {*self.prompts, *self.prompted, *self.tracked, *absent}

    def reach(self, frame: int) -> tuple[int, int]:
        """(first, last) of the frames for which a prompt on a frame speaks: up to the neighbouring ones for which a
        person answers. `END` where none comes after it."""
        standing = [*((f, f) for f in self.prompted), *self.absent, *self.accepted]
        before = max((last for _, last in standing if last < frame), default=-1)
        after = min((first for first, _ in standing if first > frame), default=END + 1)
        return before + 1, after - 1

    def known(self, frame: int) -> KnownFrame | None:
        """The known frame: what a person answers for, or else what was tracked; None if it is not known."""
        return self._said(frame) or self._seen(self.tracked.get(frame))

    def stats(self, frame: int) -> FrameStats | None:
        """The stats of the known frame, without reading a file; None if it is not known."""
        return self._said(frame) or self._seen(self.tracked.stats(frame))

    def _said(self, frame: int) -> KnownFrame | None:
        """The frame as it was prompted or locked, or without the object where a person said so."""
        if self.absence is not None and self.is_absent(frame):
            return replace(self.absence, frame=frame)
        return self.prompted.get(frame)

    def _seen(self, found: Known | None) -> Known | None:
        """A tracked frame, if passes of its direction are seen."""
        return found if found is None or self.one_way in (None, found.backward) else None

    def remembered(self, frame: int) -> FrameStats | None:
        """The stats of the known frame, if other frames may learn from it."""
        return None if self.is_absent(frame) else self.stats(frame)

    def whole(self, frame: int) -> KnownFrame:
        """The known frame with its memory. Raises `KeyError` if it is not known."""
        known = self.prompted.get(frame)
        return self.tracked.whole(frame) if known is None else known


Tracks = Mapping[ObjectId, ObjectTrack]
"""The state of a session: what is known of each object, in the order in which they were added."""


def known_track(tracks: Tracks, name: ObjectId) -> ObjectTrack:
    """The object's track. Raises `SessionError` for an unknown object."""
    if name not in [*tracks]:  # a list takes what cannot be hashed too
        known = ", ".join(repr(other) for other in tracks) or "none yet"
        raise SessionError(f"there is no object {name!r}; known objects: {known}")
    return tracks[name]


def free_numbers(tracks: Tracks, count: int) -> list[int]:
    """The lowest whole numbers from 1 on that are no object's name."""
    return list(itertools.islice((number for number in itertools.count(1) if number not in tracks), count))


def known_frames(tracks: Tracks) -> list[int]:
    """Frames of which something is known, in their order."""
    return sorted(set[int]().union(*(track.frames() for track in tracks.values())))


def doubts(tracks: Tracks) -> dict[int, dict[ObjectId, str]]:
    """By frame, in their order, the objects at which a person should look, and why."""
    found: dict[int, dict[ObjectId, str]] = {}
    for name, track in tracks.items():
        strip = track.tracked.columns()
        for frame, doubt in zip(strip["frame"].tolist(), strip["doubt"], strict=True):
            if doubt and not track.stands(frame):
                found.setdefault(frame, {})[name] = doubt
    return dict(sorted(found.items()))


def to_follow(tracks: Tracks, frame: int, *, backward: bool = False, only: ObjectId | None = None) -> Tracks:
    """The objects that are to be followed into a frame."""
    return {
        name: track
        for name, track in tracks.items()
        if only in (None, name) and track.can_follow(frame, backward=backward)
    }
