"""A tracker with the session rules of the reference, to the letter, for tests of parity: what people would call its
accidents too.

An answer waits until the next pass. On a frame that a pass has visited it is then no prompted frame but a tracked one,
which the same pass finds anew without the prompt: the correction is lost, and on the first frame it is dropped even
before. Every object is tracked on every frame, also before its first prompt.

Where the reference ends in an error or in NaN, these rules do what masklet does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import torch

from masklet.formats.base import free_number
from masklet.media.source import Frame
from masklet.prompts import Prompt
from masklet.video import FrameResult, VideoTracker
from masklet.video.edits import followed
from masklet.video.events import Cleared, Prompted
from masklet.video.passes import Range, prompted_frames
from masklet.video.policies import PublishedPolicy, recently_tracked
from masklet.video.recall import Recall, published_recall
from masklet.video.state import FrameStats, KnownFrame, ObjectId, ObjectTrack, Tracks, known_track
from masklet.video.store import StoredFrames

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class ReferenceTrack(ObjectTrack):
    """One object, as the reference keeps it.

    Attributes:
        waiting: Answers that nothing attends before the next pass, by frame.
        visited: Frames to which a pass came, and whether it went backward.
        attends: Frames that a correction attends as prompted ones, its own among them; None where it is none.
    """

    waiting: Mapping[int, KnownFrame] = field(default_factory=dict)
    visited: Mapping[int, bool] = field(default_factory=dict)
    attends: tuple[int, ...] | None = None

    def known(self, frame: int) -> KnownFrame | None:
        return self.waiting.get(frame) or super().known(frame)

    def stats(self, frame: int) -> FrameStats | None:
        return self.waiting.get(frame) or super().stats(frame)

    def whole(self, frame: int) -> KnownFrame:
        return self.waiting.get(frame) or super().whole(frame)


class ReferencePolicy(PublishedPolicy):
    """A corrected frame attends its own memory too."""

    def recall(self, track: ObjectTrack, frame: int, *, backward: bool) -> Recall:
        assert isinstance(track, ReferenceTrack)
        prompted = list(track.prompted if track.attends is None else track.attends)
        known = recently_tracked(track, frame, self.window, backward=backward)
        return published_recall(frame, prompted, known, self.options, backward=backward)


class ReferenceTracker(VideoTracker):
    """A tracker that forgets corrections."""

    def propagate(  # type: ignore[override]
        self, start: int | None = None, stop: int | None = None, *, direction: str = "forward", **options: Any
    ) -> Iterator[FrameResult]:
        """Both directions begin at the earliest prompt, and none goes backward from frame 0."""
        first = min(prompted_frames(settled(self.tracks), None)) if start is None else start
        span = Range(first, stop, backward=direction == "backward")
        return self._follow_all([span] if first > 0 or not span.backward else [], None, False, short=False)

    def clear(self, frame: int, object: ObjectId) -> None:
        """What was stored of a cleared frame stays, as if it had been tracked."""
        track = reference_track(known_track(self.tracks, object))
        left = replace(track, prompts=without(track.prompts, frame), waiting=without(track.waiting, frame))
        if frame in track.prompted:
            left = replace(
                left,
                prompted=without(track.prompted, frame),
                tracked=track.tracked.adding(track.prompted[frame]),
                visited=without(track.visited, frame),
            )
        self._record(Cleared(frame, object), {**self.tracks, object: left})

    @torch.inference_mode()
    def _answer(self, frame: int, name: ObjectId, prompt: Prompt) -> FrameResult:
        picture, number = self._reader.seek(frame), free_number(name, {track.number for track in self.tracks.values()})
        track = reference_track(self.tracks.get(name) or ReferenceTrack(StoredFrames(self._store), number=number))
        backward = track.visited.get(frame, False)
        answer = self._step(picture, {name: asked(track, frame, prompt)}, backward=backward)[name]
        visited = track.visited if is_correction(track, frame) else without(track.visited, frame)
        prompts, waiting = {**track.prompts, frame: prompt}, {**track.waiting, frame: answer}
        after = replace(track, prompts=prompts, waiting=waiting, visited=visited)
        self._record(Prompted(frame, name, prompt), {**self.tracks, name: after})
        return self._result(picture)

    @torch.inference_mode()
    def _follow_into(self, picture: Frame, span: Range, propagation: object) -> bool:
        """All objects that do not stand there are followed, wherever their prompts are; all are visited."""
        self.tracks = settled(self.tracks)
        frame = picture.index
        moving = {name: t for name, t in self.tracks.items() if t.prompted and frame not in t.prompted}
        if moving:
            self.tracks = followed(self.tracks, self._step(picture, moving, backward=span.backward))
        self.tracks = {name: visit(reference_track(t), frame, span.backward) for name, t in self.tracks.items()}
        return bool(moving)


def asked(track: ReferenceTrack, frame: int, prompt: Prompt) -> ReferenceTrack:
    """The object with a prompt. Of other frames it shows what is stored, of this one the newest logits; a visited frame
    attends memories in the direction in which it was visited, its own among them."""
    stored, newest = ObjectTrack.known(track, frame), track.known(frame)
    shown = {}
    if newest is not None:
        attended = is_correction(track, frame)
        shown[frame] = replace(
            stored or newest, logits=newest.logits, attended=attended, backward=track.visited.get(frame, False)
        )
    return replace(track, prompts={frame: prompt}, waiting=shown, attends=tuple(track.prompted))


def settled(tracks: Tracks) -> Tracks:
    """The state when a pass begins: what waited is stored, corrections as if they had been tracked. A frame that is
    prompted drops what was tracked on it."""
    return {name: stored(reference_track(track)) for name, track in tracks.items()}


def stored(track: ReferenceTrack) -> ReferenceTrack:
    """The object with nothing that waits."""
    tracked, prompted = track.tracked, dict(track.prompted)
    for frame, known in track.waiting.items():
        if frame in track.visited:
            tracked = tracked.adding(known)
        else:
            prompted[frame] = known
    for frame in prompted:
        tracked = tracked.taking([frame], tracked.nothing())
    return replace(track, tracked=tracked, prompted=prompted, waiting={})


def visit(track: ReferenceTrack, frame: int, backward: bool) -> ReferenceTrack:
    return replace(track, visited={**track.visited, frame: backward})


def is_correction(track: ReferenceTrack, frame: int) -> bool:
    """Whether a prompt corrects what was tracked. With nothing to condition on it is a first prompt; the reference ends
    in an error there."""
    return frame in track.visited and bool(track.prompted)


def reference_track(track: ObjectTrack) -> ReferenceTrack:
    assert isinstance(track, ReferenceTrack)
    return track


def without(mapping: Mapping[int, T], frame: int) -> dict[int, T]:
    return {f: value for f, value in mapping.items() if f != frame}
