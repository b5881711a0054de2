"""What pictures and videos share of the published rules around the four functions: how colours are normalised, where a
picture lies on the network's square, which of the four candidate masks counts, how prompts become tokens, and how a
mask is given to be remembered.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from masklet.engines import arrays
from masklet.engines.arrays import Array, as_float, beside, given, in_precision, resize
from masklet.engines.base import Engine
from masklet.nn import Decoded, Levels, PromptTokens
from masklet.prompts import BOX_BOTTOM_RIGHT, BOX_TOP_LEFT, NOT_A_POINT, Prompt

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""Mean and standard deviation of ImageNet's colours, red, green, blue in 0..1, as published."""

STABILITY_DELTA = 0.05
"""A mask is stable if it hardly changes when its threshold moves this far up or down, as published."""

MIN_STABILITY = 0.98
"""A single mask that is less stable gives way to the best of three, as published."""

ABSENT_LOGIT = -1024.0
"""Logits of an object that is not in the frame, as published."""

GIVEN_LOGIT = 10.0
"""Logits of a mask that a person gave: this inside, its negative outside, as published."""

MASK_SCALE, MASK_SHIFT = 20.0, -10.0
"""A mask of 0..1 is scaled so before it is remembered, as published."""


def normalise(colors: Array) -> Array:
    """float32 (B, 3, H, W), RGB in 0..1 -> the same with mean 0 and deviation 1 over ImageNet."""
    mean, std = (beside(colors, np.array(values, np.float32)[:, None, None]) for values in (MEAN, STD))
    return (colors - mean) / std


def padded_square(colors: Array, engine: Engine) -> Array:
    """Normalised pictures (B, 3, H, W) on the network's square, (B, 3, S, S), from its upper left corner on; what is
    left is zeros."""
    side = engine.config.image_size
    height, width = colors.shape[-2:]
    if height == width == side:
        return colors
    square = given(engine, np.zeros((len(colors), 3, side, side), np.float32))
    square[..., :height, :width] = colors
    return square


def decode_in_picture(
    engine: Engine, features: Array, levels: Levels, prompts: PromptTokens, size: tuple[int, int]
) -> Decoded:
    """The four candidate masks of N objects in a picture of a size (height, width).

    Points and masks are those of the picture, stretched over the square, as everywhere above the engine; where the
    network sees the picture in a part of its square, they are brought there and back.
    """
    height, width = engine.config.placed(size)
    part = np.array([width, height], np.float32) / engine.config.image_size
    if (part == 1).all():
        return engine.decode_masks(features, levels, prompts)
    prompts = prompts._replace(points=prompts.points * beside(prompts.points, part))
    if prompts.masks is not None:
        prompts = prompts._replace(masks=in_precision(engine, zoomed(prompts.masks, 1 / part)))
    decoded = engine.decode_masks(features, levels, prompts)
    return decoded._replace(logits=zoomed(decoded.logits, part))


def zoomed(logits: Array, part: NDArray[np.floating]) -> Array:
    """A part of logits (N, C, h, w), so much (x, y) of their sides from the upper left corner on, stretched over all of
    them; what lies beyond them is outside."""
    sides = [(np.arange(cells, dtype=np.float32) + 0.5) / cells for cells in reversed(logits.shape[-2:])]
    places = np.stack(np.meshgrid(*sides), axis=-1) * part
    found = arrays.sample(as_float(logits), beside(logits, np.repeat(2 * places[None] - 1, len(logits), axis=0)))
    beyond: NDArray[np.bool_] = np.asarray((places > 1).any(axis=-1))
    return arrays.where(beside(logits, beyond), -GIVEN_LOGIT, found)


def best_of_three(decoded: Decoded) -> Array:
    """(N,) int64 in 1..3: the candidate for an ambiguous prompt with the highest predicted IoU."""
    return decoded.iou[:, 1:].argmax(1) + 1


def single(decoded: Decoded, delta: float = STABILITY_DELTA, least: float = MIN_STABILITY) -> Array:
    """(N,) int64 in 0..3: the candidate for a clear prompt, or the best of three where it is not stable."""
    unstable = stability(decoded.logits[:, 0], delta) < least
    return arrays.where(unstable, best_of_three(decoded), 0)


def stability(logits: Array, delta: float) -> Array:
    """Pixels above +delta as a share of those above -delta, (N, h, w) -> (N,); 1 for a mask without any.

    Source: SAM (Kirillov et al., 2023, appendix B), as the released decoder computes it.
    """
    inner, outer = (as_float((logits > threshold).sum((1, 2))) for threshold in (delta, -delta))
    return arrays.where(outer > 0, inner / outer.clip(1), 1.0)


def as_squares(masks: Sequence[NDArray[np.bool_]], engine: Engine) -> Array:
    """Masks that a person gave, N of one size, on the model's square: bool (N, 1, S, S)."""
    side = engine.config.image_size
    return resize(given(engine, np.stack(masks)[:, None].astype(np.float32)), (side, side), antialias=True) >= 0.5


def point_at(engine: Engine, levels: Levels, squares: Array) -> Decoded:
    """The decoder's answer to given masks (N, 1, S, S); only its pointers, of the first candidate, count."""
    tokens = no_prompts(engine, len(squares))._replace(masks=in_precision(engine, squares))
    return engine.decode_masks(levels.stride16, levels, tokens)


def pad_prompts(engine: Engine, prompts: Sequence[Prompt | None], size: tuple[int, int]) -> PromptTokens:
    """The tokens of N prompts, padded to the longest, and the masks of those that have logits.

    An object's tokens are its box's corners, its points, and one "not a point". An object without points and box (None:
    nothing is said in this frame; or only a mask) has two of these, one with the logits of an earlier answer alone has
    none. So it is in the published predictors, whose networks were trained with these tokens.

    Args:
        engine: For which they are.
        prompts: Of each object.
        size: (height, width) of the picture in whose pixels they are; each axis is scaled to the model's square alone.
    """
    tokens = [tokens_of(prompt) for prompt in prompts]
    longest = max((max(2, len(labels)) for _, labels in tokens), default=0)  # room for no point at all
    points = np.zeros((len(tokens), longest, 2), np.float32)
    labels = np.full((len(tokens), longest), NOT_A_POINT, np.int64)
    keep = np.zeros((len(tokens), longest), np.bool_)
    for slot, (object_points, object_labels) in enumerate(tokens):
        count = len(object_labels)
        points[slot, :count] = np.reshape(object_points, (count, 2))
        labels[slot, :count], keep[slot, :count] = object_labels, True
    # First divided, then multiplied, in float32: the order of the published code, so equal to the last bit.
    height, width = size
    points /= np.array([width, height], np.float32)
    points *= engine.config.image_size
    padded = PromptTokens(
        given(engine, points),
        given(engine, labels),
        None if keep.all() else given(engine, keep),
    )
    logits = [None if prompt is None else prompt.logits for prompt in prompts]
    if all(mask is None for mask in logits):
        return padded
    blank = np.zeros((engine.config.mask_size,) * 2, np.float32)
    masks = given(engine, np.stack([blank if mask is None else mask for mask in logits])[:, None])
    has_mask = given(engine, np.array([mask is not None for mask in logits]))
    return padded._replace(masks=in_precision(engine, masks), keep_masks=None if has_mask.all() else has_mask)


def tokens_of(prompt: Prompt | None) -> tuple[list[tuple[float, float]], list[int]]:
    """The tokens of one object, in pixels of the picture: points and their labels."""
    points: list[tuple[float, float]] = []
    labels: list[int] = []
    if prompt is not None and prompt.box is not None:
        x0, y0, x1, y1 = prompt.box
        points, labels = [(x0, y0), (x1, y1)], [BOX_TOP_LEFT, BOX_BOTTOM_RIGHT]
    if prompt is not None:
        points, labels = [*points, *prompt.points], [*labels, *prompt.labels]
        if not labels and prompt.logits is not None:
            return points, labels
    more = 1 if labels else 2
    return [*points, *[(0.0, 0.0)] * more], [*labels, *[NOT_A_POINT] * more]


def no_prompts(engine: Engine, count: int) -> PromptTokens:
    """The tokens of N objects of which nothing is said in a frame."""
    return pad_prompts(engine, [None] * count, (1, 1))


def given_logits(engine: Engine, squares: Array) -> Array:
    """The logits of given masks (N, 1, S, S), which are the answer themselves: (N, S/4, S/4)."""
    side = engine.config.mask_size
    full = as_float(squares) * (2 * GIVEN_LOGIT) - GIVEN_LOGIT
    return resize(full, (side, side), antialias=True)[:, 0]


def remember(engine: Engine, levels: Levels, logits: Array, binary: Sequence[bool], presence: Array) -> Array:
    """Memories (N, M, h, w) as they are kept, in bfloat16 as published: of a binary mask where `binary` (N) says so,
    else of a soft one."""
    side = engine.config.image_size
    full = resize(logits[:, None], (side, side))
    masks = arrays.sigmoid(full)
    if any(binary):
        masks = arrays.where(given(engine, np.array(binary))[:, None, None, None], as_float(full > 0), masks)
    scaled = in_precision(engine, masks * MASK_SCALE + MASK_SHIFT)
    return arrays.as_memory(engine.encode_memory(levels.stride16, scaled, presence))
