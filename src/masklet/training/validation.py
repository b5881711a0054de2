"""Figures of a model on what it was not trained on, by the predictors that people use: quick, to choose by meanwhile.

Mean IoU of objects in pictures from their box and from one click in their middle, and along videos from the first mask.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from masklet.checkpoints import Model
from masklet.formats.base import ObjectId
from masklet.image import ImagePredictor
from masklet.masks.boxes import mask_box
from masklet.media.source import open_video
from masklet.training.data.items import Collection, Item, Labelled
from masklet.training.data.samples import PickOptions, draw_objects
from masklet.video import VideoTracker


@dataclass(frozen=True)
class ValidationOptions:
    """How much is looked at; the choice is the same at every time.

    Attributes:
        pictures: At most so many.
        objects: At most so many of each.
        videos: At most so many.
        frames: At most so many labelled frames of each.
        pick: Which objects.
    """

    pictures: int = 60
    objects: int = 3
    videos: int = 4
    frames: int = 20
    pick: PickOptions = field(default_factory=lambda: PickOptions(least=0.003))


def held_out(
    collections: Sequence[Collection], options: ValidationOptions | None = None
) -> Callable[[Model], dict[str, float]]:
    """What judges a model by items of these collections, as `train` takes it: `box` and `click`, and `video`."""
    options = options or ValidationOptions()
    items = [item for part in collections for item in part.items]
    order = np.random.default_rng(0).permutation(len(items))
    pictures = [items[place] for place in order if items[place].frames == 1][: options.pictures]
    videos = [items[place] for place in order if items[place].frames > 1][: options.videos]
    return partial(judge, pictures=pictures, videos=videos, options=options)


def judge(
    model: Model, pictures: Sequence[Item], videos: Sequence[Item], options: ValidationOptions
) -> dict[str, float]:
    """Mean IoU by kind of prompt; a kind without items is left out."""
    scores: dict[str, list[float]] = {"box": [], "click": [], "video": []}
    predictor, rng = ImagePredictor(model), np.random.default_rng(1)
    for item in pictures:
        (picture,) = item.read([0])
        names = draw_objects(picture, rng, options.pick)[: options.objects]
        if names:
            boxes, clicks = answers(predictor, picture, names)
            scores["box"] += boxes
            scores["click"] += clicks
    for item in videos:
        scores["video"] += follow(model, item, rng, options)
    return {kind: float(np.mean(found)) for kind, found in scores.items() if found}


def answers(predictor: ImagePredictor, picture: Labelled, names: Sequence[ObjectId]) -> tuple[list[float], list[float]]:
    """IoU of the objects from their boxes, and from a click each."""
    encoded = predictor.encode(picture.image)
    masks = [picture.masks[name] for name in names]
    boxed = predictor.predict(encoded, boxes=np.stack([mask_box(mask) for mask in masks]).astype(np.float64))
    clicked = predictor.predict(encoded, points=[[middle(mask)] for mask in masks], labels=[[1]] * len(masks))
    unknown = picture.masks.unknown
    found = (
        [iou(a, mask, unknown) for a, mask in zip(given.best.masks, masks, strict=True)] for given in (boxed, clicked)
    )
    boxes, clicks = found
    return boxes, clicks


def follow(model: Model, item: Item, rng: np.random.Generator, options: ValidationOptions) -> list[float]:
    """IoU of one object on the frames after the first, from its first mask."""
    step = max(1, -(-item.frames // options.frames))
    clip = item.read(range(0, item.frames, step))
    names = draw_objects(clip[0], rng, options.pick)[:1]
    if not names:
        return []
    with VideoTracker(open_video([frame.image for frame in clip]), model) as tracker:
        tracker.add_mask(frame=0, object=1, mask=clip[0].masks[names[0]])
        found = [result.objects[1].mask for result in tracker.propagate()]
    truths = [frame.masks.get(names[0], np.zeros(frame.masks.size, np.bool_)) for frame in clip]
    return [iou(a, truth, frame.masks.unknown) for a, truth, frame in zip(found, truths, clip, strict=True)][1:]


def middle(mask: NDArray[np.bool_]) -> tuple[float, float]:
    """(x, y): the pixel of a mask that is farthest from its edge and from the picture's."""
    depth = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), mask.shape)
    return float(x), float(y)


def iou(found: NDArray[np.bool_], truth: NDArray[np.bool_], unknown: NDArray[np.bool_] | None) -> float:
    """Intersection over union of what is known; 1 if both are empty."""
    known = True if unknown is None else ~unknown
    both, either = (found & truth & known).sum(), ((found | truth) & known).sum()
    return float(both / either) if either else 1.0
