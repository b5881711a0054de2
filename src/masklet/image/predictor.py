"""The image predictor: encode a picture once, then ask for as many masks as you like; and the one-liner."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from os import PathLike
from typing import TYPE_CHECKING, overload

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from masklet.atomic import changed_at
from masklet.checkpoints import load_engine
from masklet.engines.arrays import as_float, concat, copied, given, sigmoid, to_numpy
from masklet.engines.base import Engine, kind_of_device
from masklet.engines.rules import MIN_STABILITY, decode_in_picture, pad_prompts, single
from masklet.errors import PromptError
from masklet.image.picture import PictureLike, as_picture, file_name, in_batches, is_batch, picture_tensor
from masklet.image.result import Detail, Masks, join_masks
from masklet.masks.shape import Box, mask_box, square_around
from masklet.nn import Decoded, Levels, MemoryBank, ModelConfig
from masklet.prompts import Prompt, prompts_per_object
from masklet.words import MIN_SCORE, Grounder, find_boxes

if TYPE_CHECKING:
    import torch

PICTURES_AT_ONCE = 4
"""Pictures of a batch that are encoded together; more need more memory and gain nothing."""

DECODED_AT_ONCE = {"cpu": 8}
"""Objects that are decoded together, by the kind of device: on a processor more spill its caches and are slower, each
taking some 30 MB at 1024 pixels."""

OTHERWISE = 64
"""On any other device."""

CROP_SCALE = 3
"""A crop's side, as a multiple of the longer side of the object's box."""

MIN_SIDE = 32
"""The least side of a crop, in pixels."""

MIN_GAIN = 1.5
"""A crop that shows the object less than so many times larger is not worth a look."""

MODELS_KEPT = 2
"""Models that stay loaded from one call to the next."""


@dataclass(frozen=True, eq=False)
class EncodedImage:
    """A picture that was seen by the network. It never changes: keep as many as you like.

    Attributes:
        image: uint8 (H, W, 3) RGB, read-only, as it is shown.
        levels: Its features, one picture.
        config: What the network is made of; only such a network understands the features.
        name: The picture's file name; empty if it is no file.
    """

    image: NDArray[np.uint8]
    levels: Levels = field(repr=False)
    config: ModelConfig = field(repr=False)
    name: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)"""
        return self.image.shape[0], self.image.shape[1]

    def __repr__(self) -> str:
        height, width = self.size
        return f"EncodedImage({width} x {height} pixels, {self.config.name})"


class ImagePredictor:
    """Points, boxes or earlier answers in, masks out.

        predictor = masklet.ImagePredictor()
        picture = predictor.encode("photo.jpg")
        masks = predictor.predict(picture, points=[(320, 240)])
        masks.best[0]  # bool, height x width

    Args:
        model: Name, path, `Model`, or any engine.
        device: Where to run; the best there is if not given. Only for a name or a path.

    Raises:
        CheckpointError: The model cannot be loaded.
        EngineError: What was given is no model.
    """

    def __init__(
        self, model: str | PathLike[str] | Engine = "nano", *, device: str | torch.device | None = None
    ) -> None:
        self.engine: Engine = load_engine(model, device=device)

    @overload
    def encode(self, images: PictureLike) -> EncodedImage: ...  # type: ignore[overload-overlap]  # a str is iterable too
    @overload
    def encode(self, images: Iterable[PictureLike]) -> list[EncodedImage]: ...
    def encode(self, images: PictureLike | Iterable[PictureLike]) -> EncodedImage | list[EncodedImage]:
        """Look at a picture, or at several.

        Args:
            images: A path, a PIL picture, an array (H, W, 3) or a tensor (3, H, W); or several of these in a list.
                Arrays and tensors hold uint8, or floats in 0..1. Grey, palettes, 16 bits, transparency and rotation by
                EXIF are understood.

        Returns:
            An `EncodedImage`, or a list of them if several pictures came.

        Raises:
            MediaError: A picture cannot be read, is empty, or of another shape, type or range.
        """
        if not is_batch(images):
            return next(self.encode_arrays([(as_picture(images), file_name(images))]))
        pictures = ((as_picture(image, f"picture {n}"), file_name(image)) for n, image in enumerate(images))
        return list(self.encode_arrays(pictures))

    def predict(
        self,
        picture: EncodedImage,
        *,
        points: ArrayLike | Sequence[ArrayLike | None] | None = None,
        labels: ArrayLike | Sequence[ArrayLike | None] | None = None,
        boxes: ArrayLike | Sequence[ArrayLike | None] | None = None,
        masks: ArrayLike | Sequence[ArrayLike | None] | None = None,
        multimask: bool | None = None,
        refine: bool = False,
    ) -> Masks:
        """The masks of one object, or of N objects in one pass.

        Args:
            picture: From this predictor's `encode`.
            points: (P, 2) clicks (x, y) on one object, in pixels of the picture; for N objects a list of N of these, of
                any lengths. None in the list: no clicks on that object.
            labels: 1 include, 0 exclude, in the shape of `points`; all 1 if not given.
            boxes: (4,) a box (x0, y0, x1, y1) around one object, or N of these. None in a list: no box.
            masks: (S/4, S/4) logits of an earlier answer, or N of these. None in a list: no such answer.
            multimask: Whether each object gets three candidates or one mask. None, as the reference recommends: three
                for an object with a single click and nothing else, which may mean a thing or a part of it; one for
                others.
            refine: Whether small objects are looked at a second time, each in a crop around its first mask, with the
                same prompts: finer edges for one more encoding of each mask. Where a crop would show the object less
                than one and a half times larger, the first answer stays.

        Returns:
            `Masks`: of one object, one or three, best first. Of N objects the masks follow each other in the order of
            the prompts, the best first within an object; `result.best.masks` is (N, H, W), one for each.

        Raises:
            PromptError: The prompts make no sense for the picture, or it was encoded by another model.
        """
        check_encoded(picture, self.engine)
        prompts = prompts_per_object(
            picture.size, self.engine.config.mask_size, points=points, labels=labels, boxes=boxes, masks=masks
        )
        return self.predict_prompts(picture, prompts, multimask=multimask, refine=refine)

    def predict_prompts(
        self,
        picture: EncodedImage,
        prompts: Sequence[Prompt],
        *,
        multimask: bool | None = None,
        refine: bool = False,
        fall_back: bool = True,
    ) -> Masks:
        """As `predict`, for prompts of `masklet.prompts.make_prompt`, one for each object; `fall_back` is whether a
        single mask that is not stable gives way to the best of three, as published."""
        wanted = [prompt.is_ambiguous if multimask is None else multimask for prompt in prompts]
        features = self.engine.attend_memory(picture.levels.stride16, no_memories(self.engine))
        parts = []
        for first in range(0, len(prompts), step := objects_at_once(self.engine)):
            tokens = pad_prompts(self.engine, prompts[first : first + step], picture.size)
            decoded = decode_in_picture(self.engine, features, picture.levels, tokens, picture.size)
            rows = chosen_masks(decoded, wanted[first:], fall_back)
            parts.append(answered(picture, decoded, rows, first))
        found = join_masks(parts) if parts else no_masks(picture, self.engine.config.mask_size)
        return refine_in_crops(found, prompts, self._of_crop) if refine else found

    def _of_crop(self, crop: NDArray[np.uint8], prompt: Prompt) -> Masks:
        """One mask of one object in a part of a picture."""
        return self.predict_prompts(next(self.encode_arrays([(crop, "")])), [prompt], multimask=False)

    def encode_arrays(self, pictures: Iterable[tuple[NDArray[np.uint8], str]]) -> Iterator[EncodedImage]:
        """Look at pictures, some at once: uint8 (H, W, 3) RGB each, with the names of their files."""
        for batch in in_batches(pictures, PICTURES_AT_ONCE):
            levels = self.engine.encode_image(concat([picture_tensor(image, self.engine) for image, _ in batch]))
            # Copies, so that one picture does not keep the whole batch in memory.
            alone = [Levels(*(copied(level[i : i + 1]) for level in levels)) for i in range(len(batch))]
            for (image, name), seen in zip(batch, alone, strict=True):
                yield EncodedImage(image, seen, self.engine.config, name)


def check_encoded(picture: EncodedImage, engine: Engine) -> None:
    """Raises `PromptError` if the picture was encoded by another model, or is no `EncodedImage`."""
    if not isinstance(picture, EncodedImage):
        raise PromptError(f"the picture is of type {type(picture).__name__}; give what encode gave for one picture")
    if picture.config != engine.config:
        raise PromptError(
            f"the picture was encoded by {picture.config.name}, and this predictor runs {engine.config.name}; "
            "encode it with this predictor"
        )


def chosen_masks(decoded: Decoded, three: Sequence[bool], fall_back: bool) -> list[tuple[int, int]]:
    """Object and candidate of each mask of the answer: of an object that gets three the best first."""
    best_first = (np.argsort(-to_numpy(decoded.iou[:, 1:]), axis=1, kind="stable") + 1).tolist()
    alone = single(decoded, least=MIN_STABILITY if fall_back else 0.0).tolist()
    return [(n, candidate) for n, best in enumerate(best_first) for candidate in (best if three[n] else [alone[n]])]


def answered(picture: EncodedImage, decoded: Decoded, rows: Sequence[tuple[int, int]], first: int = 0) -> Masks:
    """Masks of an answer, of each its object and candidate; `first` is the number of the first object."""
    objects, candidates = (list(column) for column in zip(*rows, strict=True))
    return Masks(
        logits=to_numpy(decoded.logits[objects, candidates]),
        iou=to_numpy(decoded.iou[objects, candidates]),
        presence=to_numpy(sigmoid(as_float(decoded.presence[objects]))),
        objects=np.array(objects) + first,
        candidates=np.array(candidates),
        image=picture.image,
        name=picture.name,
    )


def no_masks(picture: EncodedImage, side: int) -> Masks:
    """The answer to no prompts, such as the boxes of a detector that found nothing."""
    none, nobody = np.zeros(0, np.float32), np.zeros(0, np.int64)
    logits = np.zeros((0, side, side), np.float32)
    return Masks(logits, picture.image, iou=none, presence=none, objects=nobody, candidates=nobody, name=picture.name)


def segment(
    image: PictureLike,
    *,
    points: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    box: ArrayLike | None = None,
    text: str | None = None,
    model: str | PathLike[str] | Engine = "nano",
    refine: bool = False,
    grounder: str | PathLike[str] | Grounder = "grounding-dino-tiny",
    least: float = MIN_SCORE,
) -> Masks:
    """The masks of one thing in a picture, or of all that a text names.

        masks = masklet.segment("photo.jpg", points=[(320, 240)])
        masks.save("mask.png")
        cars = masklet.segment("photo.jpg", text="red car . dog")
        cars.labels  # ("red car", "red car", "dog")

    For several things, or several looks at one picture, an `ImagePredictor` encodes it only once.

    Args:
        image: A path, a PIL picture, an array (H, W, 3) or a tensor (3, H, W).
        points: (P, 2) clicks (x, y) in pixels.
        labels: (P,) 1 include, 0 exclude; all 1 if not given.
        box: (4,) x0, y0, x1, y1 in pixels.
        text: What to find, in place of clicks and boxes: words, phrases with a dot between them.
        model: Name, path, `Model`, or any engine; what a name or a path gave stays loaded.
        refine: Whether a small thing is looked at a second time, in a crop around it; see `ImagePredictor.predict`.
        grounder: What finds boxes for a text: a name of `masklet.words.GROUNDERS`, a folder, or any `Grounder`.
        least: The lowest score of a box for a text, 0..1.

    Returns:
        `Masks`: three for a single click, which may mean a thing or a part of it; one otherwise. Best first. For a text
        one of each thing, the surest box first, with the phrases as `labels`; none if nothing is found.

    Raises:
        MediaError: The picture cannot be read.
        PromptError: The prompt makes no sense for the picture, or a text comes with clicks or boxes.
        CheckpointError: The model, or what finds boxes, cannot be loaded.
    """
    predictor = ready_predictor(model)
    if text is not None:
        if points is not None or labels is not None or box is not None:
            raise PromptError("a text comes with points or a box; give one or the other")
        return segment_text(predictor, predictor.encode(image), text, grounder, least, refine)
    return predictor.predict(predictor.encode(image), points=points, labels=labels, boxes=box, refine=refine)


def segment_text(
    predictor: ImagePredictor,
    picture: EncodedImage,
    text: str,
    grounder: str | PathLike[str] | Grounder,
    least: float = MIN_SCORE,
    refine: bool = False,
) -> Masks:
    """One mask of each thing that a text names in a picture; see `segment`."""
    found = find_boxes(picture.image, text, grounder, least)
    if not found:
        return no_masks(picture, predictor.engine.config.mask_size)
    masks = predictor.predict(picture, boxes=[one.box for one in found], multimask=False, refine=refine)
    return replace(masks, labels=tuple(found[number].phrase for number in masks.objects.tolist()))


def ready_predictor(model: str | PathLike[str] | Engine) -> ImagePredictor:
    """A predictor of a model; what a name or a path gave stays loaded. Raises CheckpointError."""
    if not isinstance(model, str | PathLike):
        return ImagePredictor(model)
    return cached_predictor(os.fspath(model), changed_at(model))


@lru_cache(maxsize=MODELS_KEPT)
def cached_predictor(model: str, _: int) -> ImagePredictor:
    """The predictor of a name or path; loaded again when the file has changed."""
    return ImagePredictor(model)


def objects_at_once(engine: Engine) -> int:
    return DECODED_AT_ONCE.get(kind_of_device(engine), OTHERWISE)


def no_memories(engine: Engine) -> MemoryBank:
    """The bank of one object that remembers nothing: a picture has no past."""
    config = engine.config
    return MemoryBank(
        memories=given(engine, np.zeros((1, 0, *config.memory_shape), np.float32)),
        slots=given(engine, np.zeros((1, 0), np.int64)),
        pointers=given(engine, np.zeros((1, 0, config.width), np.float32)),
        ages=given(engine, np.zeros((1, 0), np.float32)),
    )


def refine_in_crops(
    first: Masks, prompts: Sequence[Prompt], predict: Callable[[NDArray[np.uint8], Prompt], Masks]
) -> Masks:
    """What the whole picture gave, with masks of small objects decoded once more in a crop, which the network sees at a
    higher resolution. `prompts` has what was said of each object; `predict` gives one mask in a crop."""
    details: list[Detail | None] = [None] * len(first)
    iou = first.iou.copy()
    for i in range(len(first)):
        logits = first.full_logits(i)
        prompt = prompts[first.objects[i]]
        if crop := crop_around(logits > 0, prompt):
            x0, y0, x1, y1 = crop
            side = first.logits.shape[1]
            earlier = cv2.resize(logits[y0:y1, x0:x1], (side, side), interpolation=cv2.INTER_AREA)
            inside = in_crop(prompt, crop, mask_box(logits > 0).tolist())
            inside = replace(inside, logits=np.asarray(earlier, np.float32))
            again = predict(first.image[y0:y1, x0:x1], inside)
            details[i], iou[i] = Detail(crop, again.logits[0]), again.iou[0]
    return replace(first, iou=iou, details=tuple(details)) if any(details) else first


def crop_around(mask: NDArray[np.bool_], prompt: Prompt) -> Box | None:
    """A square around a mask and what was said of it, inside the picture; None where looking at it gains nothing."""
    x0, y0, x1, y1 = mask_box(mask).tolist()
    if x0 == x1:
        return None
    clicks = [point for point, label in zip(prompt.points, prompt.labels, strict=True) if label]
    (height, width), places = mask.shape, np.array([(x0, y0), (x1, y1), *clicks])
    side = max(MIN_SIDE, int(CROP_SCALE * np.ptp(places, axis=0).max()))
    if max(min(side, width) / width, min(side, height) / height) * MIN_GAIN > 1:
        return None
    return square_around(places, side, (height, width))


def in_crop(prompt: Prompt, crop: Box, box: Sequence[float] | None = None) -> Prompt:
    """The prompt in pixels of the crop, without clicks beyond it; without a box of its own it gets this one."""
    x0, y0, x1, y1 = crop
    inside = [
        ((x - x0, y - y0), label)
        for (x, y), label in zip(prompt.points, prompt.labels, strict=True)
        if x0 <= x <= x1 and y0 <= y <= y1
    ]
    points, labels, edges = tuple(point for point, _ in inside), tuple(label for _, label in inside), None
    if told := prompt.box or box:
        left, top, right, bottom = told
        edges = (max(left, x0) - x0, max(top, y0) - y0, min(right, x1) - x0, min(bottom, y1) - y0)
    return Prompt(points, labels, edges if edges and edges[0] < edges[2] and edges[1] < edges[3] else None)
