"""What nobody annotated yet is annotated by the model, for people to correct, and ordered, so that the next hour of
clicking teaches most.

What a video or picture may teach is its doubt (how wrong the model expects to be) times its variety (how unlike it is
to all that was annotated, and to what stands before it in the queue). What it costs are seconds of a person. The queue
takes what teaches most a second, one after another.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from masklet.app.items import Item, items_in, place_of
from masklet.atomic import make_folder
from masklet.discovery import DiscoveryOptions, track_everything
from masklet.engines.base import Engine
from masklet.errors import FormatError, MaskletError, SessionError
from masklet.image import EverythingOptions, ImagePredictor
from masklet.image.names import MIN_NAME_LIKENESS, Prototypes, appearances, likenesses, prototypes, unit
from masklet.image.picture import Crop, crop_of, naming
from masklet.loop.collect import PRELABELED, Tell, annotated_clips, of_sessions, path_of
from masklet.loop.project import Loop
from masklet.masks.shape import central_click
from masklet.video import VideoTracker
from masklet.video.review import DOUBTFUL_IOU

DISCOVERY = DiscoveryOptions(most=24, masks=EverythingOptions(points_per_side=12))
"""How things are looked for."""

FRAMES_COMPARED = 3
"""Frames of a video by which it is compared with others."""

MAX_EXAMPLES = 200
"""Things that have a category by which others are named."""

QUEUE_FILE = "queue.json"
"""The file in the folder of a loop."""

LOOK, CHECK, CORRECT, WATCH = 4.0, 1.0, 4.0, 0.1
"""Seconds of a person: to begin on a video or picture; to look at a thing; to correct a doubtful mask; to watch a
frame. Guesses, of which the ratios matter."""

MIN_VARIETY = 0.02
"""Of what looks like something annotated already: doubt counts there too."""


@dataclass(frozen=True)
class Estimate:
    """What the model makes of a video or picture that nobody annotated."""

    id: str
    path: str
    weights: str  # the digest of the model's
    frames: int
    things: int  # objects that were found
    # 1 less the IoU that the model predicts of its masks, in the mean, 0..1: after a click on the middle of each thing,
    # and in the frames into which it was followed; 1 if nothing was found
    doubt: float
    doubtful: int  # masks at which a person should look
    sight: tuple[float, ...]  # what it looks like, a vector of length 1


@dataclass(frozen=True)
class Queued:
    """A video or picture in the queue."""

    id: str
    path: str
    doubt: float  # 0..1
    # 1 less the cosine to what is most like it, of what was annotated and what stands before it, 0..1
    variety: float
    seconds: float  # that a person will need, roughly


def unlabelled(loop: Loop) -> list[Item]:
    """What was asked for, and nobody began on it. Raises MediaError if there is nothing at a path."""
    items = {item.id: item for source in loop.asked.sources for item in items_in(Path(source))}
    known = {path_of(clip).resolve() for clip in annotated_clips(loop)}
    new = (item for item in items.values() if item.path not in known)
    return [item for item in new if not (place_of(loop.project, item) / "session.masklet").exists()]


def annotate(loop: Loop, engine: Engine, tell: Tell) -> list[Estimate]:
    """Annotate what nobody began on, as far as the model in use has not done it, with sessions that the annotator opens
    in place of empty ones. A video that cannot be read is told, and stops no other."""
    kinds = _categories(loop, engine)
    found = []
    for item in islice(unlabelled(loop), loop.asked.ahead):
        known = estimate_of(loop, item, engine.digest)
        try:
            found.append(known or _annotate(loop, item, engine, kinds))
        except MaskletError as error:
            tell(f"{item.name} is left out: {error}")
    return found


def estimate_of(loop: Loop, item: Item, weights: str) -> Estimate | None:
    """The estimate of an item by a model; None if it made none."""
    session = loop.folder / "ahead" / f"{item.id}.masklet"
    try:
        estimate = loop.read(f"ahead/{item.id}.json", lambda told: Estimate(**{**told, "sight": tuple(told["sight"])}))
    except FormatError:
        return None  # it is made again
    return estimate if estimate.weights == weights and session.exists() else None


def seconds_of(estimate: Estimate) -> float:
    """What a person needs for a video or picture, roughly."""
    return LOOK + CHECK * estimate.things + CORRECT * estimate.doubtful + WATCH * estimate.frames


def ordered(estimates: Sequence[Estimate], seen: Sequence[NDArray[np.float32]]) -> list[Queued]:
    """The queue.

    Args:
        estimates: Of what nobody annotated yet, all by one model.
        seen: What that looks like which was annotated, float32 (C,) each.
    """
    if not estimates:
        return []
    sights = np.array([one.sight for one in estimates], np.float32)
    near = (sights @ np.stack(seen).T).max(axis=1, initial=0.0) if len(seen) else np.zeros(len(estimates))
    rates = np.array([one.doubt / seconds_of(one) for one in estimates])
    left, found = list(range(len(estimates))), []
    while left:
        values = rates[left] * np.maximum(1 - near[left], MIN_VARIETY)
        place = left.pop(int(values.argmax()))
        one = estimates[place]
        variety = float(np.clip(1 - near[place], 0, 1))
        found.append(Queued(one.id, one.path, one.doubt, variety, seconds_of(one)))
        near = np.maximum(near, sights @ sights[place])
    return found


def make_queue(loop: Loop, engine: Engine, estimates: Sequence[Estimate]) -> list[Queued]:
    """Write the queue; what was not estimated stands at its end."""
    predictor = ImagePredictor(engine)
    seen = [sight_of(predictor, clip.images(some(clip.annotated))) for clip in annotated_clips(loop)]
    queue = ordered(estimates, seen)
    known = {one.id for one in queue}
    rest = [Queued(item.id, str(item.path), 1.0, 1.0, LOOK) for item in unlabelled(loop) if item.id not in known]
    loop.write(QUEUE_FILE, [vars(one) for one in (*queue, *rest)])
    return [*queue, *rest]


def read_queue(loop: Loop) -> list[Queued]:
    """The queue as it was made last. Raises SessionError if it never was, and FormatError if it is damaged."""
    if not (loop.folder / QUEUE_FILE).exists():
        raise SessionError(f"there is no queue yet; first run masklet loop annotate {loop.project}")
    return loop.read(QUEUE_FILE, lambda told: [Queued(**one) for one in told])


def _annotate(loop: Loop, item: Item, engine: Engine, kinds: Prototypes | None) -> Estimate:
    with VideoTracker(item.path, engine) as tracker:
        for _ in track_everything(tracker, options=DISCOVERY):
            pass
        predictor = ImagePredictor(engine)
        sure = _name_and_click(tracker, predictor, kinds)
        for name in list(tracker.tracks):
            tracker.describe(name, attributes={PRELABELED: engine.digest[:12]})
        stats = [one for track in tracker.tracks.values() for one in track.tracked.every()]
        ious = [*sure, *(one.iou for one in stats if one.presence > 0)]
        frames = max(tracker.known_frames(), default=0) + 1
        weak = sum(iou < DOUBTFUL_IOU for iou in sure)
        estimate = Estimate(
            item.id,
            str(item.path),
            engine.digest,
            frames,
            len(tracker.tracks),
            float(np.clip(1 - np.mean(ious), 0, 1)) if ious else 1.0,
            weak + sum(map(len, tracker.needs_prompt().values())),
            tuple(map(float, sight_of(predictor, [tracker.result(frame).image for frame in some(range(frames))]))),
        )
        place = loop.folder / "ahead" / f"{item.id}.masklet"
        make_folder(place.parent)
        tracker.save(place)
    loop.write(f"ahead/{item.id}.json", asdict(estimate))
    return estimate


def _name_and_click(tracker: VideoTracker, predictor: ImagePredictor, kinds: Prototypes | None) -> list[float]:
    """Name the things that were found, where names are known; those that are like none go. Of each that stays, the IoU
    that is predicted after a click on its middle."""
    frames: dict[int, list[object]] = {}
    for name, track in tracker.tracks.items():
        frames.setdefault(min(track.prompts), []).append(name)
    ious: list[float] = []
    for frame in sorted(frames):
        shown = tracker.result(frame)
        masks = {name: shown.objects[name].mask for name in shown.objects if name in frames[frame]}
        masks = {name: mask for name, mask in masks.items() if mask.any()}
        if kinds is not None and masks:
            seen = appearances(predictor, (crop_of(shown.image, mask, str(name)) for name, mask in masks.items()))
            for name, row in zip(list(masks), likenesses(seen, kinds), strict=True):
                called = naming(row, kinds.names, MIN_NAME_LIKENESS).name
                if called:
                    tracker.describe(name, category=called)
                else:
                    tracker.remove(name)
                    del masks[name]
        if masks:
            clicks = [central_click(None, mask) for mask in masks.values()]
            points = [[(click.x, click.y)] for click in clicks if click is not None]
            best = predictor.predict(predictor.encode(shown.image), points=points).best
            ious += [float(iou) for iou in best.iou]
    return ious


def sight_of(predictor: ImagePredictor, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """float32 (C,) of length 1: what a video or picture looks like, the mean over some of its frames."""
    whole = (Crop(image, np.ones(image.shape[:2], np.bool_)) for image in images)
    return unit(appearances(predictor, whole).mean(axis=0))


def some(frames: Sequence[int]) -> list[int]:
    """A few frames of a video, the first and the last among them."""
    return sorted({frames[round(share * (len(frames) - 1))] for share in np.linspace(0, 1, FRAMES_COMPARED)})


def _categories(loop: Loop, engine: Engine) -> Prototypes | None:
    """What people called the things that they annotated; None if they gave fewer than two names."""
    crops: list[Crop] = []
    names: list[str] = []
    examples = of_sessions(loop, engine, _examples, lambda sentence: None)  # collecting says what is left out
    for crop, name in islice(examples, MAX_EXAMPLES):
        crops.append(crop)
        names.append(name)
    if len(set(names)) < 2:
        return None
    return prototypes(appearances(ImagePredictor(engine), crops), names, engine.config)


def _examples(tracker: VideoTracker) -> Iterator[tuple[Crop, str]]:
    """Things in a session that a person gave a category, each in the first frame that was prompted."""
    for name, track in tracker.tracks.items():
        said = track.description
        if said.category and PRELABELED not in said.attributes and track.prompted:
            shown = tracker.result(min(track.prompted))
            if (mask := shown.objects[name].mask).any():
                yield crop_of(shown.image, mask, str(name)), said.category
