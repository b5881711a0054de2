"""Everything in a video: what is found on key frames is followed, and new things are taken up as they come."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from masklet.atomic import changed_at
from masklet.datasets.own import examples_in
from masklet.engines.base import Engine
from masklet.errors import SessionError, is_within, need
from masklet.image import EverythingOptions, ImagePredictor, segment_everything
from masklet.image.like import MIN_LIKENESS, Example, find_like, learn_example
from masklet.masks.shape import MAX_KNOWN, MIN_AREA
from masklet.video import FrameResult, VideoTracker
from masklet.words import MIN_SCORE, Grounder, find_boxes, phrases_of


@dataclass(frozen=True)
class DiscoveryOptions:
    """How new things are looked for in a video.

    Attributes:
        every: Frames from one key frame to the next.
        most: So many objects at most, in the whole video.
        least_area: A new thing covers at least this share of the picture, 0..1.
        most_known: A thing is new if at most this share of it is covered by what is followed already, 0..1.
        masks: How everything is looked for on a key frame.
        text: What is looked for in place of everything: words, phrases with a dot between them. Objects get the phrase
            as their category.
        grounder: What finds boxes for a text: a name of `masklet.words.GROUNDERS`, a folder, or any `Grounder`.
        least_score: The lowest score of a box for a text, 0..1.
        like: What is looked for in place of everything: a file in which it is marked (`datasets.own.examples_in`). Each
            thing that is marked there is looked for until it is found once, and its name there becomes its category.
        least_likeness: The lowest likeness to an example, 0..1 (`masklet.image.like.find_like`).
    """

    every: int = 15
    most: int = 32
    least_area: float = MIN_AREA
    most_known: float = MAX_KNOWN
    masks: EverythingOptions = field(default_factory=lambda: EverythingOptions(points_per_side=16))
    text: str = ""
    grounder: str | Grounder = "grounding-dino-tiny"
    least_score: float = MIN_SCORE
    like: str = ""
    least_likeness: float = MIN_LIKENESS

    def __post_init__(self) -> None:
        for name in ("every", "most"):
            if not is_within(getattr(self, name), 1, float("inf")):
                raise SessionError(f"{name} is {getattr(self, name)!r}; give a whole number of at least 1")
        if self.text:
            phrases_of(self.text)
        if self.text and self.like:
            raise SessionError(f"text is {self.text!r} and like {self.like!r}; give one of them")
        for name in ("least_area", "most_known", "least_score", "least_likeness"):
            if not is_within(getattr(self, name), 0, 1):
                raise SessionError(f"{name} is {getattr(self, name)!r}; give a number from 0 to 1")


def track_everything(
    tracker: VideoTracker,
    start: int = 0,
    stop: int | None = None,
    *,
    reached: int | None = None,
    options: DiscoveryOptions | None = None,
) -> Iterator[FrameResult]:
    """Follow everything through a video.

        with masklet.VideoTracker("clip.mp4") as tracker:
            for result in masklet.track_everything(tracker):
                result.overlay()

    Args:
        tracker: Where things are followed; objects that it has already stay, and are not found again. Afterwards it
            can be corrected, saved and exported like any other.
        start: First frame.
        stop: First frame that is left out; None for the end of the video.
        reached: To go on with a session that was saved: the last frame that is known from a call that began at the same
            `start`. Frames before it come as they are, and the rest as if nothing had been interrupted.
        options: How new things are looked for.

    Yields:
        One result for each frame. Key frames are counted from `start`. New things get the numbers 1, 2, 3... that are
        free, and keep them: a thing that was hidden and is followed again is the same object. Going forward, a thing
        has no mask before the key frame on which it was found.

    Raises:
        MediaError: The video has no frame `start`.
        SessionError: `stop` does not lie behind `start`, or `reached` not between them.
    """
    options, first = DiscoveryOptions() if options is None else options, start if reached is None else reached
    need(options, DiscoveryOptions, "options", SessionError)
    if stop is not None and stop <= start:
        raise SessionError(f"stop is {stop} and the first frame is {start}; give a stop after it")
    if first < start or (stop is not None and first >= stop):
        raise SessionError(
            f"reached is {reached}; give a frame from the first, {start}, on and before the stop, {stop}"
        )
    tracker.result(first)  # raises here, not at the first use of what is returned
    known = (tracker.result(frame) for frame in range(start, first))
    return chain(known, _follow(tracker, first, stop, options, start, reached))


def _follow(
    tracker: VideoTracker, first: int, stop: int | None, options: DiscoveryOptions, start: int, reached: int | None
) -> Iterator[FrameResult]:
    """Every frame from `first` on, and on key frames with what was found there, but for the one that is done."""
    done = reached if any(reached in track.prompted for track in tracker.tracks.values()) else None
    for result in _frames(tracker, first, stop):
        is_key = result.frame != done and (result.frame - start) % options.every == 0
        yield tracker.result(result.frame) if is_key and take_up(tracker, result, options) else result


def _frames(tracker: VideoTracker, first: int, stop: int | None) -> Iterator[FrameResult]:
    """Follow what there is; as long as there is no object, only look at the frames."""
    for frame in tracker.source.frames(first, stop):
        if any(track.prompted for track in tracker.tracks.values()):
            yield from tracker.propagate(frame.index, stop)
            return
        yield tracker.result(frame.index)


def take_up(tracker: VideoTracker, result: FrameResult, options: DiscoveryOptions) -> bool:
    """Begin an object with every new thing in a frame. Returns whether there was one."""
    before = len(tracker.tracks)
    if before < options.most:
        masks, labels = masks_found(tracker, result, options)
        room, known = options.most - before, options.most_known
        tracker.take_up(result, masks, labels, least_area=options.least_area, most_known=known, room=room)
    return len(tracker.tracks) > before


def masks_found(
    tracker: VideoTracker, result: FrameResult, options: DiscoveryOptions
) -> tuple[Iterable[NDArray[np.bool_]], Sequence[str]]:
    """What is found in a frame, the surest first, and what it is called: masks of everything, of what the text names,
    or of what is like the examples and was not found before."""
    if options.like:
        return like_examples(tracker, result, options)
    if options.text:
        boxes = find_boxes(result.image, options.text, options.grounder, options.least_score)
        return tracker.masks_in(result.frame, boxes), [one.phrase for one in boxes]
    found = segment_everything(result.image, tracker.engine, options.masks)
    return found.rows(np.argsort(-found.iou, kind="stable")), ()


def like_examples(
    tracker: VideoTracker, result: FrameResult, options: DiscoveryOptions
) -> tuple[list[NDArray[np.bool_]], list[str]]:
    """What is like the examples that were not found before, the most alike first, and their names."""
    known = {track.description.category for track in tracker.tracks.values()}
    sought = {name: it for name, it in examples_of(options.like, tracker.engine).items() if name not in known}
    if not sought:
        return [], []
    picture = ImagePredictor(tracker.engine).encode(result.image)
    found = [(name, *find_like(tracker.engine, picture, example)) for name, example in sought.items()]
    near = sorted((one for one in found if one[2] >= options.least_likeness), key=lambda one: -one[2])
    return [mask for _, mask, _ in near], [name for name, _, _ in near]


def examples_of(path: str, engine: Engine) -> dict[str, Example]:
    """The things that are marked in a file, by name; learned again when it, or the mask beside it, has changed."""
    return _learned(path, engine, changed_at(path), changed_at(f"{os.path.splitext(path)[0]}.png"))


@lru_cache(maxsize=1)
def _learned(path: str, engine: Engine, *_: int) -> dict[str, Example]:
    return {name: learn_example(engine, marked) for name, marked in examples_in(Path(path)).items()}
