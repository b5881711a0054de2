"""The video tracker: prompt objects on any frame, follow them in both directions, correct what is wrong."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence, Sized
from contextlib import suppress
from copy import copy
from dataclasses import replace
from os import PathLike

import numpy as np
from numpy.typing import ArrayLike, NDArray

from masklet.errors import PromptError, SessionError, need
from masklet.masks.shape import MAX_KNOWN, MIN_AREA, new_things, same_thing
from masklet.media.source import Frame
from masklet.prompts import Prompt, make_prompt, merge_prompts
from masklet.video.edits import approved, asked, track_of
from masklet.video.events import Event, Followed, LogEntry, Prompted, checked_frame, checked_object
from masklet.video.passes import Direction, LocalPropagation, PublishedPropagation, Range, passes
from masklet.video.reader import ENCODE_AHEAD
from masklet.video.result import FrameResult
from masklet.video.review import signature, with_doubts
from masklet.video.session import Session
from masklet.video.state import KnownFrame, ObjectId, Tracks, free_numbers
from masklet.video.step import FrameContext, candidates, step
from masklet.words import MIN_SCORE, FoundBox, Grounder, find_boxes


class VideoTracker(Session):
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
        least: float = MIN_SCORE,
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
        (name,) = free_numbers(self.tracks, 1)
        prompts = (make_prompt(self.size, box=one.box) for one in boxes)
        return [self.preview(frame=frame, object=name, prompt=prompt).objects[name].mask for prompt in prompts]

    def take_up(
        self,
        result: FrameResult,
        masks: Iterable[NDArray[np.bool_]],
        labels: Sequence[str] = (),
        *,
        least_area: float = MIN_AREA,
        most_known: float = MAX_KNOWN,
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
        names = dict(zip(fresh, free_numbers(self.tracks, len(fresh)), strict=True))
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
        other._done, other._undone = [], []
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
        levels = self._reader.features()
        context = FrameContext(self.engine, levels, self.policy, self.options, picture.index, self.size)
        return candidates(asked(self._new, frame, prompt), context)

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
        start = None if start is None else checked_frame(start, "start")
        stop = None if stop is None else checked_frame(stop, "stop")
        if within is not None:
            need(within, range, "within", SessionError)
            if within.step != 1:
                raise SessionError(f"within is {within}; give frames one after another, such as range(24, 72)")
        spans = passes(self.tracks, start, stop, direction, only, within)
        if resume:
            spans = self.remaining(spans, only)
        short = start is not None and direction == "both"
        return self._follow_all(spans, only, stop_when_unsure, short=short)

    def remaining(self, spans: Sequence[Range], only: ObjectId | None = None) -> list[Range]:
        """The rest of passes: each from the frame before the first that may still change."""
        if isinstance(self.source, Sized) and any(isinstance(event, Followed) for event in self.events):
            with suppress(TypeError):  # the end decides what is left, not how far a thread has read
                len(self.source)
        left = (self._propagation(span, only).remaining(self.tracks, self._last_frame()) for span in spans)
        return [span for span in left if span is not None]

    def _prompt(self, frame: int, name: ObjectId, new: Prompt, *, replace: bool = False) -> FrameResult:
        self._check_open()
        frame, name = checked_frame(frame), checked_object(name)
        track = None if replace else self.tracks.get(name)
        return self._answer(frame, name, merge_prompts(track.prompts.get(frame) if track else None, new))

    def _answer(self, frame: int, name: ObjectId, prompt: Prompt) -> FrameResult:
        picture = self._reader.seek(frame)
        track = asked(track_of(self.tracks, name, self._new), frame, prompt)
        answer = self._step(picture, {name: track})[name]
        self._record(Prompted(frame, name, prompt), {**self.tracks, name: approved(track, answer)})
        return self._result(picture)

    def _do(self, event: Event) -> None:
        match event:
            case Prompted(frame, name, prompt):
                self._answer(frame, name, prompt)
            case Followed(first, last, backward, only, apart, ended):
                span = Range(first, last - 1 if backward else last + 1, backward, apart)
                deque(self._follow(span, only, short=ended), maxlen=0)
            case _:
                super()._do(event)

    def _step(self, picture: Frame, tracks: Tracks, *, backward: bool = False) -> dict[ObjectId, KnownFrame]:
        """The new known frames of objects in a frame."""
        before, flow = picture.index + (1 if backward else -1), None
        followed = [track for track in tracks.values() if picture.index not in track.prompts]
        if self.engine.config.motion == "flow" and any(track.stats(before) is not None for track in followed):
            flow = self._reader.flow_to(before)
        colours, how = signature(picture.image), (self.engine, self._reader.features(), self.policy, self.options)
        return step(tracks, FrameContext(*how, picture.index, self.size, backward, colours, flow))

    def _propagation(self, span: Range, only: ObjectId | None) -> PublishedPropagation | LocalPropagation:
        """How a pass that begins now is made, by the rules of `TrackingOptions.corrections`."""
        if self.options.corrections == "published":
            return PublishedPropagation(self.events, span, only)
        return LocalPropagation(self.events, self.tracks, span, only)

    def _follow_all(
        self, spans: Sequence[Range], only: ObjectId | None, stop_when_unsure: bool, *, short: bool
    ) -> Iterator[FrameResult]:
        for span in spans:
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
                if mine is None or self._under_way is not mine:
                    propagation = self._propagation(replace(span, first=frame), only)
                    mine, before, first = None, self.tracks, frame
                moved = self._follow_into(picture, span, propagation)
                event = Followed(first, frame, span.backward, only, span.apart)
                mine = self._extended(mine, event, before)
                yield self._result(picture)
                self._check_open()  # who takes the results may have closed it
                if short and not moved and propagation.ends(self.tracks, frame, self._last_frame()):
                    if self._under_way is mine:
                        self._extended(mine, replace(event, ended=True), before)
                    return
                frame += span.ahead
        finally:
            if self._under_way is mine:
                self._under_way = None

    def _extended(self, entry: LogEntry | None, event: Followed, before: Tracks) -> LogEntry:
        """A pass came farther: its event so far takes the place of its `entry`, or is recorded if it has none yet."""
        if entry is None:
            self._log(event, before)
        else:
            self._done[-1] = event, entry[1]
        self._under_way = self._done[-1]
        return self._under_way

    def _follow_into(self, picture: Frame, span: Range, propagation: PublishedPropagation | LocalPropagation) -> bool:
        """Whether an object was followed into a frame."""
        moving = propagation.moving(self.tracks, picture.index)
        if moving:
            self._reader.features()
            following = picture.index + span.ahead
            if following != span.end and len(moving) <= ENCODE_AHEAD:
                self._reader.encode_ahead(following)  # beside the objects of this one, if they are few
            found = with_doubts(self.tracks, self._step(picture, moving, backward=span.backward))
            self.tracks = propagation.joined(self.tracks, found)
        return bool(moving)
