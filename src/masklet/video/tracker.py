"""The video tracker: prompt objects on any frame, follow them in both directions, correct what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import suppress
from copy import copy
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from masklet.checkpoints import load_engine
from masklet.engines.base import Engine
from masklet.errors import PromptError, SessionError
from masklet.formats.base import Facts, PlainFrame, comes_evenly
from masklet.formats.description import Description
from masklet.formats.json_file import check_plain
from masklet.formats.project import ProjectFrame, check_video, project_frame
from masklet.formats.project_file import read_project, video_of, write_project
from masklet.formats.registry import find_format, format_of, with_finish
from masklet.formats.writer import Writer
from masklet.masks.finish import Finish
from masklet.masks.shape import LEAST_AREA, MOST_KNOWN, new_things, same_thing
from masklet.media.source import Frame, FrameSource, open_video
from masklet.prompts import Prompt, make_prompt, merge_prompts
from masklet.video import identities, journal, project, session
from masklet.video.corrections import LocalPropagation, Propagation, PublishedPropagation
from masklet.video.events import (
    Cleared,
    Described,
    Direction,
    Event,
    Followed,
    History,
    Locked,
    Mark,
    Marked,
    Merged,
    Pass,
    Prompted,
    Range,
    Removed,
    Split,
    Swapped,
    checked_direction,
    checked_frame,
    checked_object,
    checked_span,
    remaining,
)
from masklet.video.journal import Journal
from masklet.video.json_values import event_to_json, options_from_json
from masklet.video.options import TrackingOptions
from masklet.video.overlap import FinalMask
from masklet.video.reader import ENCODE_AHEAD, FrameReader
from masklet.video.result import FrameResult, frame_result, plain_frame
from masklet.video.review import ReviewReason, with_doubts
from masklet.video.state import KnownFrame, ObjectId, ObjectTrack, Tracks
from masklet.video.step import absent_frame, candidates, encode_again, step
from masklet.video.store import FrameStore, StoredFrames
from masklet.words import LEAST_SCORE, FoundBox, Grounder, find_boxes

if TYPE_CHECKING:
    import torch
    from typing_extensions import Self


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
        video: Path of a video file or a folder of pictures, an array (T, H, W, 3), a list of pictures, or an open
            `FrameSource`.
        model: Name, path, `Model`, or any engine.
        device: Where to run; the best there is if not given. Only for a name or a path.
        options: How to track.

    Raises:
        MediaError: The video cannot be read.
        CheckpointError: The model cannot be loaded.
        ConfigError: There is no policy of the name that the options give.
    """

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
        self.tracks: Tracks = {}
        self.times: dict[int, float] = {}
        self.notes: Mapping[str, Any] = {}
        self._store = FrameStore(self.engine, self.options.disk_budget, self._encode_again)
        self._history = History()
        self._reader = FrameReader(self.source, self.engine, self.options.feature_budget)
        self._shown_masks = project.ShownMasks()
        self._journal: Journal | None = None
        self._closed = False

    def __repr__(self) -> str:
        height, width = self.size
        return f"VideoTracker({Path(self.path).name or 'frames'}, {width} x {height} pixels, {self.engine.config.name})"

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
        return self._history.events()

    @property
    def undone(self) -> list[Event]:
        """What `redo` would do, the next one first."""
        return [event for event, _ in reversed(self._history.undone)]

    def prepare(self, frame: int) -> None:
        """Read and encode a frame, so that a prompt on it is answered at once.

        Raises:
            MediaError: The video has no such frame.
        """
        self._check_open()
        self._reader.seek(checked_frame(frame))
        self._reader.features()

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

    def add_prompt(self, *, frame: int, object: ObjectId, prompt: Prompt, replace: bool = False) -> FrameResult:
        """Say several things at once, such as a box and clicks, in a prompt that `masklet.prompts.make_prompt` made.

        It is added to earlier prompts on the frame, or takes their place with `replace`; what they were answered with
        is refined in both cases.

        Raises:
            MediaError: The video has no such frame.
        """
        return self._prompt(frame, object, prompt, replace=replace)

    def add_text(
        self,
        *,
        frame: int,
        text: str,
        grounder: str | PathLike[str] | Grounder = "grounding-dino-tiny",
        least: float = LEAST_SCORE,
    ) -> dict[ObjectId, FoundBox]:
        """Look in a frame for what a text names, such as "red car . dog". What is followed there already keeps its
        object; of what is new objects begin, under the lowest free numbers, with the phrase as their category.
        `masklet.track_everything` does so on key frames.

        Args:
            frame: Where to look.
            text: Phrases with a dot between them.
            grounder: What finds boxes: a name of `masklet.words.GROUNDERS`, a folder, or any `Grounder`.
            least: The lowest score of a box, 0..1.

        Returns:
            Each object that the text names in the frame, known or new, and its box.

        Raises:
            PromptError: Nothing is found, or the text is none.
            MediaError: The video has no such frame.
            CheckpointError: What finds boxes cannot be loaded.
        """
        result = self.result(frame)
        found = find_boxes(result.image, text, grounder, least)
        if not found:
            raise PromptError(
                f"nothing is found for {text!r} in frame {frame}; give other words, or a lower score than {least:g}"
            )
        masks = self.masks_in(frame, found)
        new = self.take_up(result, masks, [one.phrase for one in found])
        known = {name: item.mask for name, item in result.objects.items()}
        known |= {name: masks[place] for place, name in new.items()}
        names = (new.get(place, same_thing(mask, known)) for place, mask in enumerate(masks))
        seen: dict[ObjectId, FoundBox] = {}
        for name, one in zip(names, found, strict=True):
            if name is not None:
                seen.setdefault(name, one)
        return seen

    def masks_in(self, frame: int, boxes: Sequence[FoundBox]) -> list[NDArray[np.bool_]]:
        """The masks, bool (H, W), that boxes on a frame mean. Nothing is recorded or changed."""
        (name,) = session.free_numbers(self.tracks, 1)
        prompts = (make_prompt(self.size, box=one.box) for one in boxes)
        return [self.preview(frame=frame, object=name, prompt=prompt).objects[name].mask for prompt in prompts]

    def take_up(
        self,
        result: FrameResult,
        masks: Iterable[NDArray[np.bool_]],
        labels: Sequence[str] = (),
        *,
        least_area: float = LEAST_AREA,
        most_known: float = MOST_KNOWN,
        room: int | None = None,
    ) -> dict[int, ObjectId]:
        """Begin an object with each mask on a frame that is nothing known: with all or, if that is interrupted, with
        none.

        Args:
            result: The present result of the frame.
            masks: bool (H, W) each, the surest first.
            labels: The category of each; none if not given.
            least_area: A new thing covers at least this share of the picture, 0..1, outside of what is known.
            most_known: A thing is new if at most this share of it is known, 0..1.
            room: So many new ones at most; None for any number.

        Returns:
            The new objects, by the places of their masks.
        """
        known = np.zeros(result.size, np.bool_)
        for item in result.objects.values():
            known |= item.mask
        fresh = new_things(masks, known, least_area * known.size, most_known, room)
        names = dict(zip(fresh, session.free_numbers(self.tracks, len(fresh)), strict=True))
        try:
            for place, name in names.items():
                self.add_mask(frame=result.frame, object=name, mask=fresh[place])
                if labels:
                    self.describe(name, category=labels[place])
        except BaseException:
            for name in names.values():
                if name in self.tracks:
                    self.remove(name)
            raise
        return {**names}

    def preview(self, *, frame: int, object: ObjectId, prompt: Prompt) -> FrameResult:
        """What `add_prompt` would answer. Nothing is recorded or changed.

        Raises:
            MediaError: The video has no such frame.
        """
        self._check_open()
        other = copy(self)
        other._history = History()
        return other.add_prompt(frame=frame, object=object, prompt=prompt)

    def candidates(self, *, frame: int, prompt: Prompt) -> list[tuple[NDArray[np.bool_], float]]:
        """What a first prompt on an object may mean, such as a wheel or the car: up to three masks, bool (H, W), each
        with its predicted IoU, 0..1, the surest first. `add_mask` takes the one that is meant. Nothing is recorded or
        changed.

        Raises:
            MediaError: The video has no such frame.
        """
        self._check_open()
        picture = self._reader.seek(checked_frame(frame))
        context = self.options.context(picture.index, self.size, self.engine.config)
        track = session.asked(ObjectTrack(StoredFrames(self._store)), frame, prompt)
        return candidates(self.engine, self._reader.features(), track, context)

    def propagate(
        self,
        start: int | None = None,
        stop: int | None = None,
        *,
        direction: Direction = "forward",
        only: ObjectId | None = None,
        within: range | None = None,
        stop_when_unsure: bool = False,
        resume: bool = False,
    ) -> Iterator[FrameResult]:
        """Follow objects through the video.

        Args:
            start: First frame; if not given, the earliest prompted one, or backward the latest.
            stop: First frame that is left out; if not given, all are followed to the video's end, backward to its
                beginning. With "both" it bounds the forward pass.
            direction: "both" goes backward first, then forward: from `start`, or, if it is not given, backward from
                the latest prompt and forward from the earliest. Frames between come twice: first as the backward pass
                found them, then with the better of both answers, which stays.
            only: Follow this object alone; the others stay as they are.
            within: Frames that no pass leaves, in either direction; all if not given.
            stop_when_unsure: End with the first frame on which an object needs a prompt.
            resume: Go on with such a call that was stopped, in this session or before it was saved: only what is left
                comes, from the frame that it came to last.

        Yields:
            One result for each frame, as soon as it is there. Going forward an object is followed from its first
            prompt on, going backward from its last. Prompted and locked frames stand as they are.

        Raises:
            SessionError: No object was prompted, `only` is unknown, or `stop` lies on the wrong side of `start`.
            MediaError: The video has no such frame.
        """
        self._check_open()
        checked_direction(direction)
        start = None if start is None else checked_frame(start, "start")
        stop = None if stop is None else checked_frame(stop, "stop")
        passes = session.passes(self.tracks, start, stop, direction, only, within)
        if resume:
            passes = self.remaining(passes, only)
        short = start is not None and direction == "both"
        return self._follow_all(passes, only, stop_when_unsure, short=short)

    def remaining(self, passes: Sequence[Range], only: ObjectId | None = None) -> list[Range]:
        """The rest of passes: each from the frame before the first that may still change."""
        if self.options.corrections == "published":
            return remaining(passes, self.events, only)
        if isinstance(self.source, Sized) and any(isinstance(event, Followed) for event in self.events):
            with suppress(TypeError):  # the end decides what is left, not how far a thread has read
                len(self.source)
        left = (self._propagation(span, only).remaining(self.tracks, self._last_frame()) for span in passes)
        return [span for span in left if span is not None]

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

    def needs_prompt(self) -> dict[int, dict[ObjectId, ReviewReason]]:
        """The frames at which a person should look, in their order, each with the objects in doubt and why. No mask is
        read: each frame has kept its reason since it was found."""
        doubts = session.doubts(self.tracks)
        return {f: {name: ReviewReason(why) for name, why in found.items()} for f, found in doubts.items()}

    def known_frames(self) -> list[int]:
        """Frames of which something is known, in their order."""
        return session.known_frames(self.tracks)

    def clear(self, frame: int, object: ObjectId) -> None:
        """Take back the prompts on an object in a frame. What was tracked there before comes back, if it is known; what
        was followed elsewhere stays until the next pass. With its last prompt goes all that was found of an object.

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

    @property
    def objects(self) -> dict[ObjectId, Description]:
        """The objects in the order in which they were added, and what is said of them."""
        return {name: track.description for name, track in self.tracks.items()}

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
        name = checked_object(object)
        track = self._track(name)
        said = track.description.updated(title, category, colour, attributes)
        self._record(Described(name, said), session.described(self.tracks, name, track, said))

    def lock(self, frame: int, object: ObjectId | None = None) -> None:
        """Approve a frame, of one object or of all: its masks never change again, and all other frames learn from them.
        `clear` takes it back.

        Raises:
            SessionError: Nothing is known of the frame, or there is no such object.
        """
        frame, only = checked_frame(frame), None if object is None else checked_object(object)
        after = session.locked(self.tracks, frame, self._shown(self.tracks, frame), only)
        self._record(Locked(frame, only), after)

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
        event = Swapped(checked_frame(frame), checked_object(object), checked_object(other))
        self._rearrange(event, identities.swapped(self.tracks, event.frame, event.object, event.other), event.frame)

    def split(self, frame: int, object: ObjectId, new: ObjectId) -> None:
        """Make what is known of an object from a frame on a new object, of the same category and attributes.

        Raises:
            SessionError: There is no such object, the new one is there already, or the frame does not divide what is
                known.
        """
        event = Split(checked_frame(frame), checked_object(object), checked_object(new))
        self._rearrange(event, identities.split(self.tracks, event.frame, event.object, event.new), event.frame)

    def merge(self, object: ObjectId, into: ObjectId) -> None:
        """Make an object a part of another one. On a frame that both know, the one for which a person answers stays; of
        two of a kind the one that is seen; where both are, both masks together.

        Raises:
            SessionError: There is no such object.
        """
        name, into = checked_object(object), checked_object(into)
        after = identities.merged(self.tracks, name, into, self.size, self._encode_again)
        self._record(Merged(name, into), after)

    def undo(self) -> Event:
        """Take back the last event, and return it. Nothing is computed again for the events of this session, and for
        the newest of those before it was saved; for older ones everything before them is, by the present model and
        options.

        Raises:
            SessionError: Nothing was done.
        """
        self._history.settle()
        if not self._history.done:
            raise SessionError("there is nothing to undo")
        event, before = self._history.done[-1]
        if before is None:
            past = self._replayed(self.events[:-1])
            self._history.done, before = [*past._history.done, (event, past.tracks)], past.tracks
        before = dict(before)  # of a file it is read now, which may fail
        event, self.tracks = self._history.undo(self.tracks), before
        return event

    def redo(self) -> Event:
        """Do again what was undone last, and return it. Nothing is computed again.

        Raises:
            SessionError: Nothing was undone since the last event.
        """
        event, after = self._history.redo(self.tracks)
        assert after is not None, "the state after an undone event is always known"
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
                case Described(name, said):
                    self._record(event, session.described(self.tracks, name, self._track(name), said))
                case Locked(frame, name):
                    self.lock(frame, name)
                case Marked(name, first, last, mark):
                    self._mark(name, first, last, mark)
                case Swapped(frame, name, other):
                    self.swap(frame, name, other)
                case Split(frame, name, new):
                    self.split(frame, name, new)
                case Merged(name, into):
                    self.merge(name, into)
                case Followed(first, last, backward, only, apart, ended):
                    stop = last - 1 if backward else last + 1
                    for _ in self._follow(Range(first, stop, backward, apart), only, short=ended):
                        pass

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
        check_plain({} if notes is None else notes, "notes")
        self.notes = self.notes if notes is None else notes
        steps, config = self._history.steps(), self.engine.config
        kept = project.to_project(
            self.tracks,
            steps,
            {frame: self._time(frame) for frame in self.known_frames()},
            self.facts(),
            self.options,
            window=self.policy.window,
            sizes=(config.width, config.mask_size),
            shown=self._shown_masks,
        )
        video, weights = project.path_from(self.path, path), self.engine.digest
        write_project(path, replace(kept, video=video, weights=weights, notes=self.notes))
        self._shown_masks.forget_others()
        self._keep_journal(Journal(Path(path), self.tracks, steps))
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
        check_plain({} if notes is None else notes, "notes")

        def masks(state: Tracks, frame: int) -> ProjectFrame:
            return self._shown_masks.frame(state, frame, self._time(frame), self.size, self.options.non_overlapping)

        steps, goes_on = self._history.steps(), self._history.under_way is not None
        self._journal.append(
            self.tracks, steps, self.times, masks, self.policy.window, notes=notes, durable=not goes_on
        )
        self.notes = self.notes if notes is None else notes
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
            engine = tracker.engine
            project.check_model(read, engine.config.name, engine.digest, other_weights=other_weights)
            found = project.from_project(read, tracker._store)
            tracker._shown_masks.remember(found.tracks, read.frames)
            new = project.nothing_known(tracker._store)
            found, end = journal.reopened(Path(path), read, found, engine, new)
        except BaseException:
            tracker.close()
            raise
        tracker.tracks, tracker.times, tracker.notes = found.tracks, dict(found.times), found.notes
        tracker._history = History(done=found.steps)
        tracker._journal = Journal(Path(path), found.tracks, found.steps, end)
        tracker._store.recent = tracker._to_hold(len(tracker.tracks))
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
        self._history.clear()
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
        file, rate = Path(self.path), self.source.rate
        return Facts(
            size=self.size,
            rate=rate,
            frame_count=self.source.frame_count,
            video=self.path,
            audio_from=file if file.is_file() and self.source.geometry is None else None,
            model=self.engine.config.name,
            fingerprint=project.fingerprint_of(self.source, self.path),
            events=[event_to_json(event) for event in self.events],
            names=self.source.names,
            steady=comes_evenly(rate, known, [self._time(frame) for frame in known]),
            geometry=self.source.geometry,
            ground=self.source.ground,
            dates=self.source.dates,
            footage=self.source.footage,
        )

    def _time(self, frame: int) -> float:
        """When a frame comes, in seconds; of one that was not read yet by the video's rate."""
        return self.times.get(frame, frame / (self.source.rate or 1.0))

    def _replayed(self, events: list[Event]) -> VideoTracker:
        """Another tracker with the same parts, on which events were done. This one stays as it is."""
        past = copy(self)
        past.tracks, past._history = {}, History()
        past.replay(events)
        return past

    def _keep_journal(self, journal: Journal | None) -> None:
        if self._journal is not None:
            self._journal.close()
        self._journal = journal

    def _record(self, event: Event, after: Tracks) -> None:
        self._check_open()
        self._history.record(event, before=self.tracks)
        self.tracks = after

    def _mark(self, name: ObjectId, first: int, last: int | None, mark: Mark | None) -> None:
        self._check_open()
        name, (first, last), end = checked_object(name), checked_span(first, last), self._last_frame()
        if mark == "absent" and (end is None or last > end):
            self._reader.seek(last)
        absence = absent_frame(self.engine)
        self._record(Marked(name, first, last, mark), session.marked(self.tracks, name, first, last, mark, absence))

    def _rearrange(self, event: Swapped | Split, after: Tracks, frame: int) -> None:
        """Record who has which frames. Of an object that is left without a frame for which a person answers, the one
        nearest to `frame` is locked, so that it can be followed."""
        for name in (event.object, event.new if isinstance(event, Split) else event.other):
            nearest = identities.unanswered(after[name], frame)
            if nearest is not None:
                after = session.locked(after, nearest, self._shown(after, nearest), name)
        self._record(event, after)
        self._store.recent = self._to_hold(len(self.tracks))

    def _prompt(self, frame: int, name: ObjectId, new: Prompt, *, replace: bool = False) -> FrameResult:
        self._check_open()
        frame, name = checked_frame(frame), checked_object(name)
        track = None if replace else self.tracks.get(name)
        return self._answer(frame, name, merge_prompts(track.prompts.get(frame) if track else None, new))

    def _to_hold(self, objects: int) -> int:
        """How many entries stay in memory: what is recalled in both directions, of so many objects."""
        return (2 * self.policy.window + self.policy.most_anchors) * max(objects, 1)

    def _check_open(self) -> None:
        if self._closed:
            raise SessionError("this tracker is closed; open a new one, or the session that was saved")

    def _answer(self, frame: int, name: ObjectId, prompt: Prompt) -> FrameResult:
        picture = self._reader.seek(frame)
        track = self._track(name)
        answer = self._step(picture, {name: session.asked(track, frame, prompt)})[name]
        self._record(Prompted(frame, name, prompt), {**self.tracks, name: session.answered(track, prompt, answer)})
        self._store.recent = self._to_hold(len(self.tracks))
        return self._result(picture)

    def _track(self, name: ObjectId) -> ObjectTrack:
        """What is known of an object, or a new one's."""
        new = ObjectTrack(StoredFrames(self._store), number=session.free_number(self.tracks, name))
        return self.tracks.get(name) or new

    def _step(self, picture: Frame, tracks: Tracks, *, backward: bool = False) -> dict[ObjectId, KnownFrame]:
        """The new known frames of objects in a frame."""
        config = self.engine.config
        context = self.options.context(picture.index, self.size, config, backward=backward, image=picture.image)
        before = picture.index + (1 if backward else -1)
        followed = [track for track in tracks.values() if picture.index not in track.prompts]
        if config.motion == "flow" and any(track.stats(before) is not None for track in followed):
            context = replace(context, flow=self._reader.flow_to(before))
        return step(self.engine, self._reader.features(), tracks, context, self.policy)

    def _encode_again(self, known: KnownFrame) -> KnownFrame:
        """A frame with its memory, which was given up or is not in the session's file."""
        return encode_again(self.engine, self._reader.features_of(known.frame), known)

    def _propagation(self, span: Range, only: ObjectId | None) -> Propagation:
        """How a pass that begins now is made."""
        if self.options.corrections == "published":
            return PublishedPropagation(span, only)
        return LocalPropagation.of(self.events, self.tracks, span, only)

    def _last_frame(self) -> int | None:
        count = self.source.frame_count if self.source.frame_count_exact else None
        return None if count is None else count - 1

    def _follow_all(
        self, passes: Sequence[Range], only: ObjectId | None, stop_when_unsure: bool, *, short: bool
    ) -> Iterator[FrameResult]:
        for span in passes:
            for result in self._follow(span, only, short=short):
                yield result
                if stop_when_unsure and result.needs_prompt:
                    return

    def _follow(self, span: Range, only: ObjectId | None, *, short: bool = False) -> Iterator[FrameResult]:
        """One pass. It is recorded when it ends, is stopped, or is interrupted by another event. A short one ends where
        nothing is left to change."""
        self._check_open()
        self._reader.seek(span.first)
        frame, mine = span.first, None
        try:
            while frame != span.end and (picture := self._reader.find(frame)) is not None:
                if mine is None or self._history.under_way is not mine:
                    propagation = self._propagation(replace(span, first=frame), only)
                    mine = self._history.begin(Pass(self.tracks, frame, span.backward, span.apart, only))
                moved = self._follow_into(picture, span, propagation)
                mine.last = frame
                yield self._result(picture)
                self._check_open()  # who takes the results may have closed it
                if short and not moved and propagation.ends(self.tracks, frame, self._last_frame()):
                    mine.ended = True
                    return
                frame = span.after(frame)
        finally:
            if self._history.under_way is mine:
                self._history.settle()

    def _follow_into(self, picture: Frame, span: Range, propagation: Propagation) -> bool:
        """Whether an object was followed into a frame."""
        moving = propagation.moving(self.tracks, picture.index)
        if moving:
            self._reader.features()
            self._encode_next(picture.index, span, len(moving))
            found = with_doubts(self.tracks, self._step(picture, moving, backward=span.backward))
            self.tracks = propagation.joined(self.tracks, found)
        return bool(moving)

    def _encode_next(self, frame: int, span: Range, objects: int) -> None:
        """Have the next frame encoded beside the objects of this one, if they are few."""
        following = span.after(frame)
        if following != span.end and objects <= ENCODE_AHEAD:
            self._reader.encode_ahead(following)

    def _shown(self, tracks: Tracks, frame: int) -> dict[ObjectId, FinalMask]:
        """The masks of a frame as they are shown."""
        shown = project_frame(plain_frame(tracks, frame, 0.0, self.size, self.options.non_overlapping))
        return {name: FinalMask(mask.rle, mask.lost) for name, mask in shown.objects.items()}

    def _result(self, picture: Frame) -> FrameResult:
        self.times[picture.index] = picture.time
        return frame_result(picture, self.tracks, self.options.non_overlapping)
