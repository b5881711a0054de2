"""The video tracker: prompt objects on any frame, then follow them forward."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING

import torch
from numpy.typing import ArrayLike

from masklet.checkpoints import load_model
from masklet.engines.base import Engine
from masklet.errors import MediaError, SessionError
from masklet.media.source import Frame, FrameSource, open_video
from masklet.nn import Levels
from masklet.prompts import Prompt, make_prompt
from masklet.video.frames import frame_tensor
from masklet.video.policies import MemoryPolicy, PublishedPolicy
from masklet.video.recall import RecallOptions
from masklet.video.result import FrameResult, numbered, object_result
from masklet.video.state import MemoryEntry, ObjectId, ObjectTrack
from masklet.video.step import step

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True)
class TrackingOptions:
    """How a video is tracked.

    Attributes:
        policy: Decides which masks count and what is recalled; None for the published rule.
    """

    policy: MemoryPolicy | None = None


class VideoTracker:
    """Prompt objects in a video, then follow them.

        with masklet.VideoTracker("clip.mp4") as tracker:
            tracker.add_box(frame=0, object="dog", box=(40, 60, 220, 240))
            for result in tracker.propagate():
                mask = result.objects["dog"].mask

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
        slots = RecallOptions(slots=self.engine.config.memory_frames)
        self.policy = (options or TrackingOptions()).policy or PublishedPolicy(slots)
        self.tracks: dict[ObjectId, ObjectTrack] = {}
        self._frames: Iterator[Frame] | None = None
        self._frame: Frame | None = None
        self._levels: Levels | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the video's frames."""
        return self.source.size

    def add_points(
        self, *, frame: int, object: ObjectId, points: ArrayLike, labels: ArrayLike | None = None
    ) -> FrameResult:
        """Click on an object: (x, y) in pixels; labels 1 include, 0 exclude. Added to earlier clicks on the frame.

        Raises:
            PromptError: The points make no sense for the picture.
            MediaError: The video has no such frame.
        """
        new = make_prompt(self.size, points=points, labels=labels)
        old = self._prompt(frame, object)
        if old is None or old.mask is not None:
            return self._add(frame, object, new)
        return self._add(frame, object, dataclasses.replace(
            old, points=(*old.points, *new.points), labels=(*old.labels, *new.labels)
        ))  # fmt: skip

    def add_box(self, *, frame: int, object: ObjectId, box: ArrayLike) -> FrameResult:
        """Draw a box (x0, y0, x1, y1) around an object. Earlier clicks on the frame stay, an earlier box goes.

        Raises:
            PromptError: The box makes no sense for the picture.
            MediaError: The video has no such frame.
        """
        new = make_prompt(self.size, box=box)
        old = self._prompt(frame, object)
        keep = old is not None and old.mask is None
        return self._add(frame, object, dataclasses.replace(old, box=new.box) if old is not None and keep else new)

    def add_mask(self, *, frame: int, object: ObjectId, mask: ArrayLike) -> FrameResult:
        """Give an object's mask, bool (H, W). Takes the place of other prompts on the frame.

        Raises:
            PromptError: The mask is of another size than the picture.
            MediaError: The video has no such frame.
        """
        return self._add(frame, object, make_prompt(self.size, mask=mask))

    def propagate(self, start: int | None = None, stop: int | None = None) -> Iterator[FrameResult]:
        """Follow all objects forward.

        Args:
            start: First frame; the earliest prompted one if not given.
            stop: First frame that is left out; the end of the video if not given.

        Yields:
            One result for each frame, as soon as it is there. An object is followed from its first prompt on.

        Raises:
            SessionError: No object was prompted.
        """
        first = min((f for track in self.tracks.values() for f in track.prompted), default=None)
        if first is None:
            raise SessionError("no object is prompted; call add_points, add_box or add_mask before propagate")
        return self._propagate(first if start is None else start, stop)

    def close(self) -> None:
        """Give back the video and all memories."""
        self.tracks.clear()
        self._frames = self._frame = self._levels = None
        self.source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _propagate(self, start: int, stop: int | None) -> Iterator[FrameResult]:
        frame = start
        while (stop is None or frame < stop) and (picture := self._seek(frame)) is not None:
            self._step(picture)
            yield self._result(picture)
            frame += 1

    @torch.inference_mode()
    def _step(self, picture: Frame) -> None:
        """Follow the objects into a frame. A prompted frame stands as it is."""
        frame = picture.index
        followed = {
            name: track
            for name, track in self.tracks.items()
            if frame not in track.prompted and min(track.prompted, default=frame) < frame
        }
        if not followed:
            return
        entries = step(self.engine, self._encode(picture), followed, frame, self.size, self.policy)
        for name, entry in entries.items():
            tracked = {**self._reachable(followed[name], frame), frame: entry}
            self.tracks[name] = dataclasses.replace(followed[name], tracked=tracked)

    def _reachable(self, track: ObjectTrack, frame: int) -> dict[int, MemoryEntry]:
        """Entries that a later frame can still recall; the others are dropped, so that memory stays flat."""
        recall = self.policy.recall(track, frame)
        reachable = {*recall.memories, *recall.pointers}
        return {f: entry for f, entry in track.tracked.items() if f in reachable}

    @torch.inference_mode()
    def _add(self, frame: int, name: ObjectId, prompt: Prompt) -> FrameResult:
        picture = self._seek(frame)
        if picture is None:
            count = "fewer" if self.source.frame_count is None else f"{self.source.frame_count}"
            raise MediaError(f"there is no frame {frame}; the video has {count} frames, counted from 0")
        track = self.tracks.get(name, ObjectTrack())
        asked = dataclasses.replace(track, prompts={**track.prompts, frame: prompt})
        entry = step(self.engine, self._encode(picture), {name: asked}, frame, self.size, self.policy)[name]
        tracked = {f: known for f, known in track.tracked.items() if f != frame}
        self.tracks[name] = dataclasses.replace(asked, prompted={**track.prompted, frame: entry}, tracked=tracked)
        return self._result(picture)

    def _prompt(self, frame: int, name: ObjectId) -> Prompt | None:
        return self.tracks.get(name, ObjectTrack()).prompts.get(frame)

    def _result(self, picture: Frame) -> FrameResult:
        entries = {name: track.entry(picture.index) for name, track in self.tracks.items()}
        objects = {name: object_result(entry, self.size) for name, entry in entries.items() if entry is not None}
        return FrameResult(picture.index, picture.time, picture.image, objects, numbered(list(self.tracks)))

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
