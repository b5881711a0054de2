"""A session of a video: frames are read, found masks are shown, and all of it is kept in files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from masklet.checkpoints import load_engine
from masklet.engines.base import Engine
from masklet.errors import SessionError
from masklet.formats.base import Facts, PlainFrame, comes_evenly
from masklet.formats.json_file import check_plain
from masklet.formats.project_file import check_video, read_project, video_of, write_project
from masklet.formats.registry import find_format, format_of, with_finish
from masklet.formats.writer import Writer
from masklet.masks.finish import Finish
from masklet.media.source import Frame, FrameSource, facts_of, open_video
from masklet.video import journal, project
from masklet.video.edits import EditContext
from masklet.video.events import Event, History, checked_frame
from masklet.video.journal import Journal
from masklet.video.json_values import event_to_json, options_from_json
from masklet.video.options import TrackingOptions
from masklet.video.reader import FrameReader
from masklet.video.result import FrameResult, ShownMasks, frame_result, plain_frame
from masklet.video.session import Session
from masklet.video.state import KnownFrame, ObjectTrack, Tracks
from masklet.video.step import absent_frame, encode_again
from masklet.video.store import FrameStore, StoredFrames

if TYPE_CHECKING:
    import torch
    from typing_extensions import Self


class VideoSession(Session):
    """What is known of a video, and an engine that can encode it. See `VideoTracker` for the arguments."""

    def __init__(
        self,
        video: str | PathLike[str] | FrameSource,
        model: str | PathLike[str] | Engine = "nano",
        *,
        device: str | torch.device | None = None,
        options: TrackingOptions | None = None,
    ) -> None:
        self.source: FrameSource = video if isinstance(video, FrameSource) else open_video(video)
        self.path = str(video if isinstance(video, str | PathLike) else getattr(video, "path", ""))
        self.options = options or TrackingOptions()
        try:
            self.engine: Engine = load_engine(model, device=device)
            self.policy = self.options.policy_for(self.engine.config)
        except BaseException:
            if self.source is not video:
                self.source.close()
            raise
        self.times: dict[int, float] = {}
        self.notes: Mapping[str, Any] = {}
        self._store = FrameStore(self.engine, self.options.disk_budget, self._encode_again)
        self._reader = FrameReader(self.source, self.engine, self.options.feature_budget)
        self._shown = ShownMasks(self.size, self.options.non_overlapping, self._time)
        self._journal: Journal | None = None
        new = ObjectTrack(StoredFrames(self._store), absence=absent_frame(self.engine))
        super().__init__(EditContext(self.size, new, self._shown.final, self._encode_again, self._check_there))

    def __repr__(self) -> str:
        height, width = self.size
        name = Path(self.path).name or "frames"
        return f"{type(self).__name__}({name}, {width} x {height} pixels, {self.engine.config.name})"

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the video's frames."""
        return self.source.size

    @property
    def frame_count(self) -> int | None:
        """The number of frames: what the file's head says until the end was read; None where it says nothing."""
        return self.source.frame_count

    @property
    def rate(self) -> float | None:
        """Frames a second, on average; None where nothing says."""
        return self.source.rate

    def result(self, frame: int) -> FrameResult:
        """The present result of a frame, without objects that are unknown there.

        Raises:
            MediaError: The video has no such frame.
        """
        self._check_open()
        return self._result(self._reader.seek(checked_frame(frame)))

    def masks(self, frame: int) -> PlainFrame:
        """The present masks and scores of a frame, as `result` gives them, without its picture, which is not read. The
        time of a frame that was not read before is that of an even rate."""
        self._check_open()
        frame = checked_frame(frame)
        return plain_frame(self.tracks, frame, self._time(frame), self.size, self.options.non_overlapping)

    def save(self, path: str | PathLike[str], *, notes: Mapping[str, Any] | None = None) -> None:
        """Write a project file: prompts, masks, scores, and what the next frames would recall.

        `VideoTracker.open` goes on from it as if nothing had happened.

        Args:
            path: The file.
            notes: What a program wants to find in it again, as `read_project(path).notes`: values that JSON knows. If
                not given, those of the file from which the session came.

        Raises:
            FormatError: The file cannot be written, or would not give the notes back as they are.
        """
        self._take_notes(notes)
        snapshot = self._snapshot({frame: self._time(frame) for frame in self.known_frames()})
        kept = project.to_project(snapshot, self.facts(), self.options, self.engine, self.policy.window, self._shown)
        write_project(path, replace(kept, video=project.path_from(self.path, path)))
        self._shown.forget_others()
        self._keep_journal(Journal(Path(path), snapshot))
        journal.forgotten(Path(path))

    def save_changes(self, *, notes: Mapping[str, Any] | None = None) -> int:
        """Write what changed since `save`, `open` or the last call to a journal beside that file, `PATH.journal`, which
        `open` reads too, and return its bytes. What was written outlives a kill of the process, and, but for the frames
        of a pass that goes on, a power cut. `save` puts it all into one file again.

        The frames of a call that has many are kept as `save` keeps them; those of a few with their memories too, some
        0.1 MB each with `nano`.

        Args:
            notes: As of `save`.

        Raises:
            SessionError: The session was neither saved nor opened.
            FormatError: The journal cannot be written, or would not give the notes back as they are.
        """
        self._check_open()
        if self._journal is None:
            raise SessionError("the session lies in no file yet; call save(path) first")
        self._take_notes(notes)
        goes_on = self._history.under_way is not None
        self._journal.append(self._snapshot(self.times), self._shown, self.policy.window, durable=not goes_on)
        return self._journal.size

    @classmethod
    def open(
        cls,
        path: str | PathLike[str],
        video: str | PathLike[str] | FrameSource | None = None,
        model: str | PathLike[str] | Engine | None = None,
        *,
        device: str | torch.device | None = None,
        options: TrackingOptions | None = None,
        other_weights: bool = False,
    ) -> Self:
        """A session from a project file. Nothing is computed again.

        Args:
            path: What `save` wrote.
            video: The video, if it does not lie any more where it was.
            model: The model, if it is not known by its name.
            device: Where to run.
            options: How to track, if not as the session was tracked.
            other_weights: Whether the model may have other weights than that of the session. What was found stays as it
                is, and what is remembered too.

        Raises:
            FormatError: The file cannot be read, or was made from another video, or by a policy that has no name.
            MediaError: The video cannot be read.
            CheckpointError: The model cannot be loaded, or has other weights.
            ConfigError: There is no policy of the name that the file or the options give.
        """
        read = read_project(path)
        tracker = cls(
            video_of(read, path) if video is None else video,
            read.model if model is None else model,
            device=device,
            options=options_from_json(read.options) if options is None else options,
        )
        try:
            check_video(read, project.fingerprint_of(tracker.source, tracker.path))
            project.check_model(read, tracker.engine, other_weights=other_weights)
            found = project.from_project(read, tracker._store, tracker._edit_context.new)
            tracker._shown.remember(found.tracks, read.frames)
            found, end = journal.reopened(Path(path), read, found, tracker.engine, tracker._edit_context.new)
        except BaseException:
            tracker.close()
            raise
        tracker.tracks, tracker.times, tracker.notes = found.tracks, dict(found.times), found.notes
        tracker._history = History(done=list(found.log))
        tracker._journal = Journal(Path(path), found, end)
        tracker._hold()
        return tracker

    def export(
        self,
        path: str | PathLike[str],
        *,
        format: str | None = None,
        background: str | Path | None = None,
        finish: Finish | None = None,
    ) -> None:
        """Write all that is known in a file format; see docs/formats.md.

        Args:
            path: A file or a folder, as the format wants it.
            format: Name of the format; by the ending of the path if not given.
            background: Of the format `background`: "blur" as if not given, a colour, or the path of a picture.
            finish: Of cut-outs: what is shown of the objects, and how their edges are made.

        Raises:
            FormatError: Unknown format, a path that cannot be written, an unknown background, or a finish that the
                format does not show.
        """
        entry = find_format(format) if format else format_of(path)
        with Writer(entry.open, Path(path), with_finish(self.facts(), entry, finish, background)) as sink:
            for frame in self.known_frames():
                sink.write(self.result(frame))

    def close(self) -> None:
        """Give back the video and all memories."""
        self.tracks = {}
        self.times = {}
        self._closed = True
        self._history = History()
        self._keep_journal(None)
        self._store.close()
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def facts(self, frames: Sequence[int] | None = None) -> Facts:
        """The facts of the video, for a writer of some frames; of all that are known if not given."""
        known = self.known_frames() if frames is None else frames
        rate = self.source.rate
        return Facts(
            size=self.size,
            rate=rate,
            frame_count=self.source.frame_count,
            video=self.path,
            model=self.engine.config.name,
            fingerprint=project.fingerprint_of(self.source, self.path),
            events=[event_to_json(event) for event in self.events],
            steady=comes_evenly(rate, known, [self._time(frame) for frame in known]),
            **facts_of(self.source, Path(self.path)),
        )

    def _last_frame(self) -> int | None:
        count = self.source.frame_count if self.source.frame_count_exact else None
        return None if count is None else count - 1

    def _check_there(self, frame: int) -> None:
        end = self._last_frame()
        if end is None or frame > end:
            self._reader.seek(frame)

    def _time(self, frame: int) -> float:
        """When a frame comes, in seconds; of one that was not read yet by the video's rate."""
        return self.times.get(frame, frame / (self.source.rate or 1.0))

    def _take_notes(self, notes: Mapping[str, Any] | None) -> None:
        check_plain({} if notes is None else notes, "notes")
        self.notes = self.notes if notes is None else notes

    def _snapshot(self, times: Mapping[int, float]) -> project.Snapshot:
        return project.Snapshot(self.tracks, list(self._history.done), times, self.notes)

    def _keep_journal(self, journal: Journal | None) -> None:
        if self._journal is not None:
            self._journal.close()
        self._journal = journal

    def _encode_again(self, known: KnownFrame) -> KnownFrame:
        """A frame with its memory, which was given up or is not in the session's file."""
        return encode_again(self.engine, self._reader.features_of(known.frame), known)

    def _record(self, event: Event, tracks: Tracks) -> None:
        super()._record(event, tracks)
        self._hold()

    def _hold(self) -> None:
        """As many frames stay in memory as are recalled in both directions, of all objects."""
        self._store.recent = (2 * self.policy.window + self.policy.most_anchors) * max(len(self.tracks), 1)

    def _result(self, picture: Frame) -> FrameResult:
        self.times[picture.index] = picture.time
        return frame_result(picture, self.tracks, self.options.non_overlapping)
