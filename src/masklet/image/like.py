"""One example, many pictures: what is marked in one picture is remembered, and looked for in others as a tracker looks
for it in the next frame (SAM 2: Ravi et al., 2024, sec. 4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import tee
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from masklet.engines import rules
from masklet.engines.arrays import concat, given
from masklet.engines.base import Engine
from masklet.errors import MediaError, PromptError
from masklet.image.names import appearances
from masklet.image.picture import Crop, PictureLike, as_picture, crop_of, file_name, is_batch
from masklet.image.predictor import EncodedImage, ImagePredictor, answered, check_encoded, ready_predictor
from masklet.image.result import Masks
from masklet.nn import MemoryBank
from masklet.prompts import make_prompt

MIN_LIKENESS = 0.88
"""What is less like an example is not what was looked for; docs/scale.md has what that finds."""

EXAMPLE_AGE = 1 / 15
"""Age of every example's pointer: as if it were the frame before, of the 15 frames that the published rule attends."""


def segment_like(
    picture: PictureLike | EncodedImage | Sequence[PictureLike | EncodedImage],
    mask: ArrayLike | Sequence[ArrayLike],
    others: Iterable[PictureLike | EncodedImage],
    model: str | PathLike[str] | Engine = "nano",
) -> list[Masks]:
    """Find the thing that is marked in one picture in other pictures.

        found = masklet.segment_like("dog-1.jpg", mask, ["dog-2.jpg", "beach.jpg"])
        found[1].presence  # 0.02: not in this picture

    Args:
        picture: The picture with the example, as `ImagePredictor.encode` takes it or gives it; or a list of such
            pictures.
        mask: (H, W) bool, or integers with one value besides 0: the thing in that picture; for several pictures a list
            of masks, each of its picture's size.
        others: Pictures in which it is looked for, of the same kinds.
        model: Name, path, `Model`, or any engine; what a name or a path gave stays loaded.

    Returns:
        For each of the others `Masks` with one mask. `presence[0]` is the probability that the thing is in the picture;
        up to 0.5 the mask is empty.

    Raises:
        PromptError: A mask is empty, or not of its picture's size; there are not as many masks as examples; or another
            model encoded a picture.
        MediaError: A picture cannot be read, or `others` is no list.
        CheckpointError: The model cannot be loaded.
    """
    if not is_batch(others):
        raise MediaError("others is one picture; give a list of pictures, such as [picture]")
    predictor = ready_predictor(model)
    given: Any = mask
    bank = remembered(predictor, *((picture, given) if is_batch(picture) else ([picture], [given])))
    return [recognised(predictor.engine, seen, bank) for seen in encoded(predictor, others, "picture")]


def encoded(predictor: ImagePredictor, images: Iterable[Any], name: str) -> Iterator[EncodedImage]:
    """Pictures as the predictor sees them, in their order; `name` is what errors call them."""
    images, ahead = tee(enumerate(images))
    new = ((n, image) for n, image in ahead if not isinstance(image, EncodedImage))
    fresh = predictor.encode_arrays((as_picture(image, f"{name} {n}"), file_name(image)) for n, image in new)
    for _, image in images:
        if isinstance(image, EncodedImage):
            check_encoded(image, predictor.engine)
        yield image if isinstance(image, EncodedImage) else next(fresh)


def remembered(predictor: ImagePredictor, examples: Iterable[Any], marks: Iterable[Any]) -> MemoryBank:
    """The bank of one object that was marked in each of the examples."""
    examples, masks = list(examples), list(marks)
    if len(examples) != len(masks) or not masks:
        raise PromptError(
            f"there are {len(examples)} pictures with an example and {len(masks)} masks; give a mask for each picture"
        )
    engine, entries = predictor.engine, []
    for number, (seen, mask) in enumerate(zip(encoded(predictor, examples, "example"), masks, strict=True)):
        pixels = make_prompt(seen.size, mask=mask).mask
        if pixels is None or not pixels.any():
            raise PromptError(f"the mask of example {number} is empty; mark the thing that is to be found")
        squares = rules.as_squares([pixels], engine)
        presence = given(engine, np.full(1, rules.GIVEN_LOGIT, np.float32))
        memory = rules.remember(engine, seen.levels, rules.given_logits(engine, squares), [True], presence)
        entries.append((memory, rules.point_at(engine, seen.levels, squares).pointers[:, 0]))
    memories, pointers = (concat(parts)[None] for parts in zip(*entries, strict=True))
    count = len(entries)
    return MemoryBank(
        memories=memories,
        slots=given(engine, np.full((1, count), engine.config.memory_frames - 1)),
        pointers=pointers,
        ages=given(engine, np.full((1, count), EXAMPLE_AGE, np.float32)),
    )


def recognised(engine: Engine, picture: EncodedImage, bank: MemoryBank) -> Masks:
    """The remembered thing in another picture."""
    features = engine.attend_memory(picture.levels.stride16, bank)
    decoded = rules.decode_in_picture(engine, features, picture.levels, rules.no_prompts(engine, 1), picture.size)
    found = answered(picture, decoded, [(0, int(rules.best_of_three(decoded)[0]))])
    return found if decoded.presence[0] > 0 else replace(found, logits=np.full_like(found.logits, rules.ABSENT_LOGIT))


@dataclass(frozen=True, eq=False)
class Example:
    """A thing that is looked for: its memories, and what it looks like, float32 (C,), in each picture."""

    bank: MemoryBank
    appearances: NDArray[np.float32]


def learn_example(engine: Engine, marked_in: Sequence[tuple[NDArray[np.uint8], NDArray[np.bool_]]]) -> Example:
    """A thing to look for, from pictures, uint8 (H, W, 3), with its mask in each, bool (H, W), not empty."""
    predictor = ImagePredictor(engine)
    bank = remembered(predictor, [image for image, _ in marked_in], [mask for _, mask in marked_in])
    return Example(bank, mean_features(predictor, [crop_of(image, mask, "the example") for image, mask in marked_in]))


def find_like(engine: Engine, picture: EncodedImage, example: Example) -> tuple[NDArray[np.bool_], float]:
    """The mask, bool (H, W), of what is most like an example in a picture, and its likeness, 0..1.

    It is looked for as a tracker looks for it in the next frame. Likeness is the cosine between the mean features in
    the mask, of a crop around it, and those of the example that is nearest; 0 if nothing is found.
    """
    mask = recognised(engine, picture, example.bank)[0]
    if not mask.any():
        return mask, 0.0
    (look,) = mean_features(ImagePredictor(engine), [crop_of(picture.image, mask, "what is found")])
    return mask, float((example.appearances @ look).max().clip(0, 1))


def mean_features(predictor: ImagePredictor, crops: Iterable[Crop]) -> NDArray[np.float32]:
    """float32 (M, C), of length 1: the mean features in the masks of M crops."""
    return appearances(predictor, crops)[:, : predictor.engine.config.width]
