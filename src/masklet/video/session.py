"""A session of a video: what a person said of its objects, what came of it, its log and undo; and all that is shown of
it, or kept in files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy, deepcopy
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from masklet.checkpoints import load_engine
from masklet.engines.base import Engine
from masklet.errors import ConfigError, FormatError, SessionError, need
from masklet.formats.base import Facts, PlainFrame, comes_evenly
from masklet.formats.description import Description
from masklet.formats.json_file import check_plain
from masklet.formats.project_file import check_video, path_from, read_project, video_of, write_project
from masklet.formats.registry import find_format, format_of, with_finish
from masklet.formats.writer import Writer
from masklet.masks.finish import Finish
from masklet.media.source import Frame, FrameSource, facts_of, open_video
from masklet.video import edits, events, journal, project
from masklet.video.events import Event, LogEntry, Mark, event_to_json
from masklet.video.journal import Journal
from masklet.video.options import TrackingOptions, options_from_json
from masklet.video.reader import FrameReader
from masklet.video.result import FrameResult, ShownMasks, frame_result, plain_frame
from masklet.video.review import ReviewReason
from masklet.video.state import KnownFrame, ObjectId, ObjectTrack, Tracks, doubts, known_frames
from masklet.video.step import absent_frame, encode_again
from masklet.video.store import FrameStore, StoredFrames

if TYPE_CHECKING:
    import torch
    from typing_extensions import Self


class Session:
    """What is known of a video, and what changes it without asking the network. See `VideoTracker` for the arguments.

    Attributes:
        tracks: What is known of each object.
    """

    def __init__(
        self,
        video: str | PathLike[str] | FrameSource,
        model: str | PathLike[str] | Engine = "nano",
        *,
        device: str | torch.device | None = None,
        options: TrackingOptions | None = None,
    ) -> None:
        self.options = TrackingOptions() if options is None else options
        need(self.options, TrackingOptions, "options", ConfigError)
        self.source: FrameSource = video if isinstance(video, FrameSource) else open_video(video)
        self.path = str(video if isinstance(video, str | PathLike) else getattr(video, "path", ""))
        try:
            self.engine: Engine = load_engine(model, device=device)
            self.policy = self.options.policy_for(self.engine.config)
        except BaseException:
            if self.source is not video:
                self.source.close()
            raise
        self.tracks: Tracks = {}
        self.times: dict[int, float] = {}
        self.notes: Mapping[str, Any] = {}
        self._done: list[LogEntry] = []
        self._undone: list[LogEntry] = []  # since the last event, the last first
        self._under_way: LogEntry | None = None  # the last entry that was done, if it is a pass that goes on
        self._closed = False
        self._store = FrameStore(self.engine, self.options.disk_budget, self._encode_again)
        self._reader = FrameReader(self.source, self.engine, self.options.feature_budget)
        self._shown = ShownMasks(self.size, self.options.non_overlapping, self._time)
        self._journal: Journal | None = None
        self._new = ObjectTrack(StoredFrames(self._store), absence=absent_frame(self.engine))

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

    @property
    def events(self) -> list[Event]:
        """The events of the session, in order, without undone ones."""
        return [event for event, _ in self._done]

    @property
    def undone(self) -> list[Event]:
        """What `redo` would do, the next one first."""
        return [event for event, _ in reversed(self._undone)]

    @property
    def objects(self) -> dict[ObjectId, Description]:
        """The objects in the order in which they were added, and what is said of them."""
        return {name: track.description for name, track in self.tracks.items()}

    def needs_prompt(self) -> dict[int, dict[ObjectId, ReviewReason]]:
        """The frames at which a person should look, in their order, each with the objects in doubt and why. No mask is
        read: each frame has kept its reason since it was found."""
        found = doubts(self.tracks)
        return {f: {name: ReviewReason(why) for name, why in reasons.items()} for f, reasons in found.items()}

    def known_frames(self) -> list[int]:
        """Frames of which something is known, in their order."""
        return known_frames(self.tracks)

    def clear(self, frame: int, object: ObjectId) -> None:
        """Take back the prompts on an object in a frame. What was tracked there before comes back, if it is known; what
        was followed elsewhere stays until the next pass. With its last prompt goes all that was found of an object.

        Raises:
            SessionError: There is no such object, or no prompt of it on the frame.
        """
        self._do(events.Cleared(frame, object))

    def remove(self, object: ObjectId) -> None:
        """Remove an object with all that is known of it.

        Raises:
            SessionError: There is no such object.
        """
        self._do(events.Removed(object))

    def describe(
        self,
        object: ObjectId,
        *,
        title: str | None = None,
        category: str | None = None,
        colour: str | None = None,
        attributes: Mapping[str, str | float | bool] | None = None,
    ) -> None:
        """Say what an object is. An unknown one is added, to be prompted later; what is not given stays.

        Args:
            object: The user's name for it.
            title: What people read in place of that name.
            category: Its class, such as "car", in files for training.
            colour: "#rrggbb", in overlays and palettes.
            attributes: Texts, numbers and truths by name, in place of all earlier ones.

        Raises:
            SessionError: One of them is something else.
        """
        track = edits.track_of(self.tracks, events.checked_object(object), self._new)
        self._do(events.Described(object, track.description.updated(title, category, colour, attributes)))

    def lock(self, frame: int, object: ObjectId | None = None) -> None:
        """Approve a frame, of one object or of all: its masks never change again, and all other frames learn from them.
        `clear` takes it back.

        Raises:
            SessionError: Nothing is known of the frame, or there is no such object.
        """
        self._do(events.Locked(frame, object))

    def accept(self, object: ObjectId, first: int, last: int | None = None) -> None:
        """Leave an object's frames as they are, from `first` to `last`, that one included: they are in doubt no more,
        and following passes them over. Unlike a locked frame none of them counts as a prompt.

        Raises:
            SessionError: There is no such object, or nothing is known of it there.
        """
        self._mark(object, first, last, "accepted")

    def mark_absent(self, object: ObjectId, first: int, last: int | None = None) -> None:
        """Say that an object is not there from frame `first` to `last`, that one included. Its prompts and locks there
        go; following leaves these frames alone, and no other frame learns from them. A later prompt on one of them
        counts again.

        Raises:
            SessionError: There is no such object.
            MediaError: The video has no such frames.
        """
        self._mark(object, first, last, "absent")

    def unmark(self, object: ObjectId, first: int, last: int | None = None) -> None:
        """Take back what `accept` or `mark_absent` said of frames; what was tracked there is seen again.

        Raises:
            SessionError: Nothing was said of them.
        """
        self._mark(object, first, last, None)

    def swap(self, frame: int, object: ObjectId, other: ObjectId) -> None:
        """Exchange all that is known of two objects from a frame on: masks, prompts, locks and marks.

        Raises:
            SessionError: There is no such object, or nothing is known of both from there on.
        """
        self._do(events.Swapped(frame, object, other))

    def split(self, frame: int, object: ObjectId, new: ObjectId) -> None:
        """Make what is known of an object from a frame on a new object, of the same category and attributes.

        Raises:
            SessionError: There is no such object, the new one is there already, or the frame does not divide what is
                known.
        """
        self._do(events.Split(frame, object, new))

    def merge(self, object: ObjectId, into: ObjectId) -> None:
        """Make an object a part of another one. On a frame that both know, the one for which a person answers stays; of
        two of a kind the one that is seen; where both are, both masks together.

        Raises:
            SessionError: There is no such object.
        """
        self._do(events.Merged(object, into))

    def undo(self) -> Event:
        """Take back the last event, and return it. Nothing is computed again for the events of this session, and for
        the newest of those before it was saved; for older ones everything before them is, by the present model and
        options.

        Raises:
            SessionError: Nothing was done.
        """
        if not self._done:
            raise SessionError("there is nothing to undo")
        event, before = self._done[-1]
        if before is None:
            past = copy(self)
            past.tracks, past._done, past._undone = {}, [], []
            past.replay(self.events[:-1])
            self._done, before = [*past._done, (event, past.tracks)], past.tracks
        before = dict(before)  # of a file it is read now, which may fail
        self._done.pop()
        self._undone.append((event, self.tracks))
        self.tracks, self._under_way = before, None
        return event

    def redo(self) -> Event:
        """Do again what was undone last, and return it. Nothing is computed again.

        Raises:
            SessionError: Nothing was undone since the last event.
        """
        if not self._undone:
            raise SessionError("there is nothing to redo")
        event, after = self._undone.pop()
        assert after is not None, "the state after an undone event is always known"
        self._done.append((event, self.tracks))
        self.tracks = after
        return event

    def replay(self, events: Sequence[Event]) -> None:
        """Do recorded events on top of what is there, computing everything."""
        for event in events:
            if not isinstance(event, Event):
                raise SessionError(f"{event!r:.80} is no event; give those of tracker.events")
            self._do(event)

    def result(self, frame: int) -> FrameResult:
        """The present result of a frame, without objects that are unknown there.

        Raises:
            MediaError: The video has no such frame.
        """
        self._check_open()
        return self._result(self._reader.seek(events.checked_frame(frame)))

    def masks(self, frame: int) -> PlainFrame:
        """The present masks and scores of a frame, as `result` gives them, without its picture, which is not read. The
        time of a frame that was not read before is that of an even rate."""
        self._check_open()
        frame = events.checked_frame(frame)
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
        self._keep_journal(Journal(Path(path), self._write(path)))
        journal.journal_of(Path(path)).unlink(missing_ok=True)  # the project file has it all

    def save_copy(self, path: str | PathLike[str]) -> None:
        """Write a project file as `save` does, to be given away: `save_changes` goes on beside the file of before.

        Raises:
            FormatError: The file cannot be written.
        """
        if self._journal is not None and self._journal.path.resolve() == journal.journal_of(Path(path)).resolve():
            self.save(path)  # it is the file of before
        else:
            self._write(path)
            journal.journal_of(Path(path)).unlink(missing_ok=True)

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
        goes_on = self._under_way is not None
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
            found = project.from_project(read, tracker._store, tracker._new)
            tracker._shown.remember(found.tracks, read.frames)
            found, end = journal.reopened(Path(path), read, found, tracker.engine, tracker._new)
        except BaseException:
            tracker.close()
            raise
        tracker.tracks, tracker.times, tracker.notes = found.tracks, dict(found.times), found.notes
        tracker._done = list(found.log)
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
        self._done, self._undone, self._under_way = [], [], None
        self._keep_journal(None)
        self._store.close()
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def facts(self, frames: Sequence[int] | None = None) -> Facts:
        """The facts of the video, for a writer of some frames; of all that are known if not given."""
        self._check_open()  # what was written of a session is not written over by nothing
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

    def _time(self, frame: int) -> float:
        """When a frame comes, in seconds; of one that was not read yet by the video's rate."""
        return self.times.get(frame, frame / (self.source.rate or 1.0))

    def _take_notes(self, notes: Mapping[str, Any] | None) -> None:
        if notes is None:
            return
        if not isinstance(notes, dict):
            raise FormatError(f"notes are of type {type(notes).__name__}; give a dict of values by their names")
        check_plain(notes, "notes")
        self.notes = deepcopy(notes)  # what the caller changes later was neither checked nor given

    def _write(self, path: str | PathLike[str]) -> journal.Snapshot:
        """Write a project file, and give what it keeps."""
        snapshot = self._snapshot({frame: self._time(frame) for frame in self.known_frames()})
        kept = project.to_project(snapshot, self.facts(), self.options, self.engine, self.policy.window, self._shown)
        write_project(path, replace(kept, video=path_from(self.path, path)))
        self._shown.forget_others()
        return snapshot

    def _snapshot(self, times: Mapping[int, float]) -> journal.Snapshot:
        return journal.Snapshot(self.tracks, list(self._done), times, self.notes)

    def _keep_journal(self, journal: Journal | None) -> None:
        if self._journal is not None:
            self._journal.close()
        self._journal = journal

    def _encode_again(self, known: KnownFrame) -> KnownFrame:
        """A frame with its memory, which was given up or is not in the session's file."""
        return encode_again(self.engine, self._reader.features_of(known.frame), known)

    def _do(self, event: Event) -> None:
        self._check_open()
        self._record(event, self._after(event))

    def _mark(self, name: ObjectId, first: int, last: int | None, mark: Mark | None) -> None:
        self._do(events.Marked(name, first, first if last is None else last, mark))

    def _after(self, event: Event) -> Tracks:
        """The state after an event that asks nothing of the network. Raises `SessionError` if it does not fit."""
        tracks, shown = self.tracks, self._shown
        match event:
            case events.Cleared(frame, name):
                return edits.cleared(tracks, frame, name)
            case events.Removed(name):
                return edits.removed(tracks, name)
            case events.Described(name, said):
                return edits.described(tracks, name, said, self._new)
            case events.Locked(frame, only):
                return edits.locked(tracks, frame, shown, only)
            case events.Marked(name, first, last, mark):
                if mark == "absent" and ((end := self._last_frame()) is None or last > end):
                    self._reader.seek(last)  # says so if it is not there
                return edits.marked(tracks, name, first, last, mark)
            case events.Swapped(frame, name, other):
                return edits.swapped(tracks, frame, name, other, shown)
            case events.Split(frame, name, new):
                return edits.split(tracks, frame, name, new, self._new, shown)
            case events.Merged(name, into):
                return edits.merged(tracks, name, into, self.size, self._encode_again)
        raise AssertionError(f"{event} asks the network")

    def _record(self, event: Event, tracks: Tracks) -> None:
        self._log(event, self.tracks)
        self.tracks = tracks
        self._hold()

    def _log(self, event: Event, before: Tracks) -> None:
        """One more event. What was undone cannot be done again."""
        self._done.append((event, before))
        self._undone.clear()
        self._under_way = None

    def _check_open(self) -> None:
        if self._closed:
            raise SessionError("this tracker is closed; open a new one, or the session that was saved")

    def _hold(self) -> None:
        """As many frames stay in memory as are recalled in both directions, of all objects."""
        self._store.recent = (2 * self.policy.window + self.policy.most_anchors) * max(len(self.tracks), 1)

    def _result(self, picture: Frame) -> FrameResult:
        self.times[picture.index] = picture.time
        return frame_result(picture, self.tracks, self.options.non_overlapping)
