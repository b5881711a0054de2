"""The video tracker: prompt objects on any frame, follow them in both directions, correct what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Literal

import torch
from numpy.typing import ArrayLike

from masklet.checkpoints import load_model
from masklet.engines.base import Engine
from masklet.errors import MediaError, SessionError
from masklet.media.source import Frame, FrameSource, open_video
from masklet.nn import Levels
from masklet.prompts import Prompt, make_prompt, merge_prompts
from masklet.video import session
from masklet.video.events import Cleared, Event, Followed, Locked, Prompted, Removed
from masklet.video.frames import frame_tensor
from masklet.video.options import TrackingOptions
from masklet.video.result import FrameResult, frame_result
from masklet.video.state import ObjectId, ObjectTrack
from masklet.video.step import Moment, step
from masklet.video.store import EntryStore, StoredEntries

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True)
class _Range:
    """Frames to follow, and in which direction; `stop` is left out, None is the end of the video."""

    first: int
    stop: int | None
    backward: bool

    @property
    def end(self) -> int | None:
        return -1 if self.backward and self.stop is None else self.stop


@dataclass
class _Pass:
    """A pass that is under way."""

    before: session.Tracks
    first: int
    backward: bool
    only: ObjectId | None
    last: int | None = None

    def event(self) -> Followed:
        assert self.last is not None, "a pass that did not begin is no event"
        return Followed(self.first, self.last, self.backward, self.only)


class VideoTracker:
    """Prompt objects in a video, follow them, correct them.

        with masklet.VideoTracker("clip.mp4") as tracker:
            tracker.add_box(frame=0, object="dog", box=(40, 60, 220, 240))
            for result in tracker.propagate():
                mask = result.objects["dog"].mask

    Objects can be added, corrected, cleared and removed at any time, before, during and after following, without
    touching other objects. A correction always counts: its frame conditions every later pass. Everything that was done
    can be undone.

    Args:
        video: Path of a video file or a folder of pictures, or an open `FrameSource`.
        model: Name, path, `Model`, or any engine.
        device: Where to run; the best there is if not given. Only for a name or a path.
        options: How to track.

    Raises:
        MediaError: The video cannot be read.
        CheckpointError: The model cannot be loaded.
    """

    def __init__(
        self,
        video: str | PathLike[str] | FrameSource,
        model: str | PathLike[str] | Engine = "nano",
        *,
        device: str | torch.device | None = None,
        options: TrackingOptions | None = None,
    ) -> None:
        self.source = open_video(video) if isinstance(video, str | PathLike) else video
        self.engine: Engine = load_model(model, device=device) if isinstance(model, str | PathLike) else model
        self.options = options or TrackingOptions()
        self.policy = self.options.policy_for(self.engine.config)
        self.tracks: session.Tracks = {}
        self._store = EntryStore(self.engine.device)
        self._done: list[tuple[Event, session.Tracks]] = []
        self._undone: list[tuple[Event, session.Tracks]] = []
        self._pass: _Pass | None = None
        self._frames: Iterator[Frame] | None = None
        self._frame: Frame | None = None
        self._levels: Levels | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the video's frames."""
        return self.source.size

    @property
    def events(self) -> list[Event]:
        """What was done, in order. Undone events are not among them."""
        self._settle()
        return [event for event, _ in self._done]

    def add_points(
        self, *, frame: int, object: ObjectId, points: ArrayLike, labels: ArrayLike | None = None
    ) -> FrameResult:
        """Click on an object: (x, y) in pixels; labels 1 include, 0 exclude. Added to earlier clicks on the frame.

        Raises:
            PromptError: The points make no sense for the picture.
            MediaError: The video has no such frame.
        """
        return self._prompt(frame, object, make_prompt(self.size, points=points, labels=labels))

    def add_box(self, *, frame: int, object: ObjectId, box: ArrayLike) -> FrameResult:
        """Draw a box (x0, y0, x1, y1) around an object. Earlier clicks on the frame stay, an earlier box goes.

        Raises:
            PromptError: The box makes no sense for the picture.
            MediaError: The video has no such frame.
        """
        return self._prompt(frame, object, make_prompt(self.size, box=box))

    def add_mask(self, *, frame: int, object: ObjectId, mask: ArrayLike) -> FrameResult:
        """Give an object's mask, bool (H, W). Takes the place of other prompts on the frame.

        Raises:
            PromptError: The mask is of another size than the picture.
            MediaError: The video has no such frame.
        """
        return self._prompt(frame, object, make_prompt(self.size, mask=mask))

    def propagate(
        self,
        start: int | None = None,
        stop: int | None = None,
        *,
        direction: Literal["forward", "backward", "both"] = "forward",
        only: ObjectId | None = None,
        stop_when_unsure: bool = False,
    ) -> Iterator[FrameResult]:
        """Follow objects through the video.

        Args:
            start: First frame; if not given, the earliest prompted one, or backward the latest.
            stop: First frame that is left out; if not given, all are followed to the video's end, backward to its
                beginning. With "both" it bounds the forward pass.
            direction: "both" goes backward from `start` first, then forward from it.
            only: Follow this object alone; the others stay as they are.
            stop_when_unsure: End with the first frame on which an object needs a prompt.

        Yields:
            One result for each frame, as soon as it is there. Going forward an object is followed from its first
            prompt on, going backward from its last. Prompted and locked frames stand as they are.

        Raises:
            SessionError: No object was prompted, or `only` is unknown.
        """
        if direction not in ("forward", "backward", "both"):
            raise SessionError(f"direction is {direction!r}; give 'forward', 'backward' or 'both'")
        chosen = self.tracks if only is None else {only: session.known_track(self.tracks, only)}
        prompted = [f for track in chosen.values() for f in track.prompted]
        if not prompted:
            raise SessionError("no object is prompted; call add_points, add_box or add_mask before propagate")
        first = start if start is not None else max(prompted) if direction == "backward" else min(prompted)
        passes = {
            "forward": (_Range(first, stop, backward=False),),
            "backward": (_Range(first, stop, backward=True),),
            "both": (_Range(first, None, backward=True), _Range(first, stop, backward=False)),
        }
        return self._follow_all(passes[direction], only, stop_when_unsure)

    def result(self, frame: int) -> FrameResult:
        """What is known of a frame now. Objects of which nothing is known there are left out.

        Raises:
            MediaError: The video has no such frame.
        """
        return self._result(self._picture(frame))

    def clear(self, frame: int, object: ObjectId) -> None:
        """Take back the prompts on an object in a frame. What was followed elsewhere stays until the next pass.

        Raises:
            SessionError: There is no such object, or no prompt of it on the frame.
        """
        self._record(Cleared(frame, object), session.cleared(self.tracks, frame, object))

    def remove(self, object: ObjectId) -> None:
        """Remove an object with all that is known of it.

        Raises:
            SessionError: There is no such object.
        """
        self._record(Removed(object), session.removed(self.tracks, object))

    def lock(self, frame: int) -> None:
        """Approve a frame: its masks never change again, and all other frames learn from them.

        Raises:
            SessionError: Nothing is known of the frame.
        """
        self._record(Locked(frame), session.locked(self.tracks, frame))

    def undo(self) -> Event:
        """Take back the last event, and return it.

        Raises:
            SessionError: Nothing was done.
        """
        self._settle()
        if not self._done:
            raise SessionError("there is nothing to undo")
        event, before = self._done.pop()
        self._undone.append((event, self.tracks))
        self.tracks = before
        return event

    def redo(self) -> Event:
        """Do again what was undone last, and return it. Nothing is computed again.

        Raises:
            SessionError: Nothing was undone since the last event.
        """
        self._settle()
        if not self._undone:
            raise SessionError("there is nothing to redo")
        event, after = self._undone.pop()
        self._done.append((event, self.tracks))
        self.tracks = after
        return event

    def replay(self, events: list[Event]) -> None:
        """Do recorded events on top of what is there, computing everything."""
        for event in events:
            match event:
                case Prompted(frame, name, prompt):
                    self._answer(frame, name, prompt)
                case Cleared(frame, name):
                    self.clear(frame, name)
                case Removed(name):
                    self.remove(name)
                case Locked(frame):
                    self.lock(frame)
                case Followed(first, last, backward, only):
                    stop = last - 1 if backward else last + 1
                    for _ in self._follow(_Range(first, stop, backward), only):
                        pass

    def close(self) -> None:
        """Give back the video and all memories."""
        self.tracks = {}
        self._done.clear()
        self._undone.clear()
        self._frames = self._frame = self._levels = None
        self._store.close()
        self.source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _record(self, event: Event, after: session.Tracks) -> None:
        self._settle()
        self._done.append((event, self.tracks))
        self._undone.clear()
        self.tracks = after

    def _prompt(self, frame: int, name: ObjectId, new: Prompt) -> FrameResult:
        track = self.tracks.get(name)
        return self._answer(frame, name, merge_prompts(track.prompts.get(frame) if track else None, new))

    @torch.inference_mode()
    def _answer(self, frame: int, name: ObjectId, prompt: Prompt) -> FrameResult:
        picture = self._picture(frame)
        track = session.asking(self.tracks.get(name) or ObjectTrack(StoredEntries(self._store)), frame, prompt)
        entry = step(self.engine, self._encode(picture), {name: track}, self._moment(frame), self.policy)[name]
        self._record(Prompted(frame, name, prompt), {**self.tracks, name: session.answered(track, entry)})
        self._store.recent = 2 * self.policy.window * len(self.tracks)
        return self._result(picture)

    def _follow_all(
        self, passes: Sequence[_Range], only: ObjectId | None, stop_when_unsure: bool
    ) -> Iterator[FrameResult]:
        for range in passes:
            for result in self._follow(range, only):
                yield result
                if stop_when_unsure and result.needs_prompt:
                    return

    def _follow(self, range: _Range, only: ObjectId | None) -> Iterator[FrameResult]:
        """One pass. It is recorded when it ends, is stopped, or is interrupted by another event."""
        frame, mine = range.first, None
        try:
            while frame != range.end and (picture := self._seek(frame)) is not None:
                if mine is None or self._pass is not mine:
                    self._settle()
                    mine = self._pass = _Pass(self.tracks, frame, range.backward, only)
                self._follow_into(picture, range.backward, only)
                mine.last = frame
                yield self._result(picture)
                frame += -1 if range.backward else 1
        finally:
            if self._pass is mine:
                self._settle()

    def _settle(self) -> None:
        """Record the pass that is under way, as far as it came."""
        if self._pass is not None and self._pass.last is not None:
            self._done.append((self._pass.event(), self._pass.before))
            self._undone.clear()
        self._pass = None

    @torch.inference_mode()
    def _follow_into(self, picture: Frame, backward: bool, only: ObjectId | None) -> None:
        frame = picture.index
        moving = session.to_follow(self.tracks, frame, backward=backward, only=only)
        if not moving:
            return
        entries = step(self.engine, self._encode(picture), moving, self._moment(frame, backward), self.policy)
        kept = {name: session.followed(moving[name], entry) for name, entry in entries.items()}
        self.tracks = {**self.tracks, **kept}

    def _moment(self, frame: int, backward: bool = False) -> Moment:
        return self.options.moment(frame, self.size, self.engine.config, backward=backward)

    def _result(self, picture: Frame) -> FrameResult:
        return frame_result(picture, self.tracks, self.options.non_overlapping)

    def _picture(self, frame: int) -> Frame:
        picture = self._seek(frame)
        if picture is None:
            count = "fewer" if self.source.frame_count is None else f"{self.source.frame_count}"
            raise MediaError(f"there is no frame {frame}; the video has {count} frames, counted from 0")
        return picture

    def _seek(self, frame: int) -> Frame | None:
        """The frame, or None past the end. Reading goes forward; for an earlier frame it begins again."""
        if self._frame is not None and self._frame.index == frame:
            return self._frame
        if self._frames is None or self._frame is None or self._frame.index > frame:
            self._frames = iter(self.source)
        self._frame = self._levels = None
        for picture in self._frames:
            if picture.index == frame:
                self._frame = picture
                return picture
        self._frames = None
        return None

    def _encode(self, picture: Frame) -> Levels:
        """The frame's features, computed once."""
        if self._levels is None:
            self._levels = self.engine.encode_image(frame_tensor(picture.image, self.engine))
        return self._levels
