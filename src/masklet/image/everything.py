"""Everything in a picture: a grid of clicks in it and in crops of it, and of their many masks one for each thing (SAM:
Kirillov et al., 2023, appendix B)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from os import PathLike
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from masklet.engines.arrays import Array, as_float, concat, in_precision, sigmoid, to_numpy
from masklet.engines.base import Engine
from masklet.engines.rules import MIN_STABILITY, decode_in_picture, pad_prompts, single
from masklet.errors import PromptError, is_within, need
from masklet.image.picture import PictureLike, as_picture, file_name, in_batches, picture_tensor
from masklet.image.predictor import no_memories, objects_at_once, ready_predictor
from masklet.image.result import MaskSet, join_masks
from masklet.masks.rle import Patch, cut_patch, patch_of, stretch, trace
from masklet.masks.shape import Box, small_holes, suppress, without_small_regions
from masklet.nn import Decoded, Levels
from masklet.prompts import INCLUDE, MAX_LOGIT, Prompt

OPTION_RANGES = {
    "points_per_side": (1, 1024),
    "points_per_batch": (1, 4096),
    "stability_offset": (0, 1e6),
    "min_region": (0, 1 << 31),
    "min_cells": (0, 1 << 31),
    "crop_layers": (0, 5),
    "crop_points_divisor": (1, 1024),
    **dict.fromkeys(("least_iou", "least_stability", "most_overlap", "crop_most_overlap", "crop_overlap"), (0, 1)),
}
"""Numbers beyond these are slips: a million clicks at a time, or 4,096 crops, are more than a computer's memory or an
evening."""


@dataclass(frozen=True)
class EverythingOptions:
    """How everything is looked for; the defaults are the published ones, but for thresholds that depend on the model.

    Attributes:
        points_per_side: Clicks along each axis of a grid over the picture.
        points_per_batch: Clicks that are decoded together: more need more memory.
        grids: Clicks of your own in place of the grid: for the picture and for each layer of crops an array (P, 2) of x
            and y in 0..1.
        least_iou: A mask stays if its predicted intersection over union is above this, 0..1. None, as for the next two:
            what is usual for the model, see `MODEL_THRESHOLDS`.
        least_stability: A mask stays if its stability is at least this, 0..1: its pixels at a higher threshold as a
            share of those at a lower one.
        stability_offset: How far these two thresholds lie from that of the mask, in logits.
        threshold: A pixel belongs to a mask if its logit lies above this.
        most_overlap: Of masks whose boxes overlap by more than this (intersection over union), the best stays.
        multimask: Whether each click gets three masks, or one.
        refine: Whether each mask is given to the decoder once more, with its click, before it is judged.
        fall_back: Whether a single mask (without `multimask`, or by `refine`) that is not stable gives way to the best
            of three.
        min_region: Holes and islands of a mask with fewer pixels are filled and removed; 0 leaves them. Where that
            makes two masks alike, one stays.
        min_cells: The same with at most this many cells of the low-resolution logits, around the logit 0, before
            anything is judged: what the reference's option for small regions does where it has its CUDA kernel.
        crop_layers: Layers of crops in which everything is looked for again: the first has 2 x 2, the next 4 x 4.
        crop_overlap: Overlap of the crops of the first layer, as a share of the picture's shorter side.
        crop_most_overlap: As `most_overlap`, between crops; masks of smaller crops stay.
        crop_points_divisor: Each layer has so many times fewer points along each axis than the one before.
    """

    points_per_side: int = 32
    points_per_batch: int = 64
    grids: Sequence[ArrayLike] | None = None
    least_iou: float | None = None
    least_stability: float | None = None
    stability_offset: float | None = None
    threshold: float = 0.0
    most_overlap: float = 0.7
    multimask: bool = True
    refine: bool = False
    fall_back: bool = True
    min_region: int = 0
    min_cells: int = 0
    crop_layers: int = 0
    crop_overlap: float = 512 / 1500
    crop_most_overlap: float = 0.7
    crop_points_divisor: int = 1

    def __post_init__(self) -> None:
        for name, (least, most) in OPTION_RANGES.items():
            if (value := getattr(self, name)) is not None and not is_within(value, least, most):
                raise PromptError(f"{name} is {value!r}; give a number from {least} to {most}")
        if self.grids is not None and len(self.grids) != self.crop_layers + 1:
            raise PromptError(
                f"grids has {len(self.grids)} entries for the picture and {self.crop_layers} layers of crops; "
                f"give {self.crop_layers + 1}"
            )

    def grid(self, layer: int) -> NDArray[np.float64]:
        """(P, 2): the clicks of a layer, x and y in 0..1."""
        if self.grids is None:
            return point_grid(max(1, self.points_per_side // self.crop_points_divisor**layer))
        points = np.asarray(self.grids[layer], np.float64)
        if points.ndim != 2 or points.shape[1] != 2:
            raise PromptError(f"grid {layer} has the shape {points.shape}; give points x, y: (P, 2)")
        if not ((points >= 0) & (points <= 1)).all():
            raise PromptError(f"grid {layer} holds numbers outside 0..1; give x and y as shares of the picture's sides")
        return points


@dataclass(frozen=True)
class SettledOptions(EverythingOptions):
    """The same with the thresholds of a model, at their published values."""

    least_iou: float = 0.8
    least_stability: float = 0.95
    stability_offset: float = 1.0


MODEL_THRESHOLDS = {"nano": {"least_iou": 0.4, "least_stability": 0.6, "stability_offset": 0.3}}
"""Thresholds of models for which the published ones are too strict, by the model's name: `nano` is less sure of itself,
and its logits are smaller."""


def settled(options: EverythingOptions, model: str) -> SettledOptions:
    """The options with thresholds for a model, where none are given."""
    given = {field.name: value for field in fields(options) if (value := getattr(options, field.name)) is not None}
    usual = MODEL_THRESHOLDS.get(model.partition(":")[0], {})  # in every speed mode
    return SettledOptions(**{**usual, **given})


CROP_EDGE_PIXELS = 20
"""A box whose side lies this near, in pixels, to the side of a crop is taken for a thing that the crop cuts through
(SAM release)."""

HOLE_LOGIT = 10.0
"""Logit of a filled hole (SAM 2 release)."""


@dataclass(frozen=True)
class CropBox:
    """A part of a picture."""

    box: Box  # in pixels of the picture
    layer: int  # 0 the whole picture, then finer ones

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)"""
        x0, y0, x1, y1 = self.box
        return y1 - y0, x1 - x0


def point_grid(side: int) -> NDArray[np.float64]:
    """(side * side, 2): x and y in 0..1, in the middle of as many cells, row after row."""
    places = (np.arange(side) + 0.5) / side
    y, x = np.meshgrid(places, places, indexing="ij")
    return np.stack((x, y), axis=-1).reshape(-1, 2)


def plan_crops(size: tuple[int, int], layers: int, overlap: float) -> list[CropBox]:
    """The whole picture of (height, width) = `size`, and for each layer l = 1, 2, ... 2**l crops along each axis.
    Neighbours of the first layer overlap by that share of the picture's shorter side, those of the next by half."""
    height, width = size
    crops = [CropBox((0, 0, width, height), 0)]
    for layer in range(1, layers + 1):
        count = 2**layer
        shared = int(overlap * min(size) * 2 / count)
        across, down = (math.ceil((shared * (count - 1) + length) / count) for length in (width, height))
        begins = product(*([(side - shared) * n for n in range(count)] for side in (across, down)))
        crops += [CropBox((x, y, min(x + across, width), min(y + down, height)), layer) for x, y in begins]
    return [crop for crop in crops if min(crop.size) > 0]


def is_cut_by_crop(box: Box, crop: Box, size: tuple[int, int]) -> bool:
    """Whether a mask's box ends at a side of the crop that is no side of the picture, so that a crop beside it will
    show more of the thing."""
    height, width = size
    sides = zip(box, crop, (0, 0, width, height), strict=True)
    return any(
        abs(edge - end) <= CROP_EDGE_PIXELS and abs(edge - border) > CROP_EDGE_PIXELS for edge, end, border in sides
    )


def segment_everything(
    image: PictureLike, model: str | PathLike[str] | Engine = "nano", options: EverythingOptions | None = None
) -> MaskSet:
    """A mask of everything in a picture.

        masks = masklet.segment_everything("photo.jpg")
        masks.overlay()

    Args:
        image: A path, a PIL picture, an array (H, W, 3) or a tensor (3, H, W).
        model: Name, path, `Model`, or any engine; what a name or a path gave stays loaded.
        options: How it is looked for; the way that is usual for the model if not given.

    Returns:
        `MaskSet`, the surest first (those of crops before those of the whole picture). Masks are kept as run lengths:
        `masks[i]` makes one, `masks.masks` all.

    Raises:
        MediaError: The picture cannot be read.
        CheckpointError: The model cannot be loaded.
    """
    engine = ready_predictor(model).engine
    picture = as_picture(image)
    found = find_everything(engine, picture, EverythingOptions() if options is None else options)
    return replace(found, image=picture, name=file_name(image))


def find_everything(engine: Engine, image: NDArray[np.uint8], options: EverythingOptions) -> MaskSet:
    """Everything in a picture, uint8 (H, W, 3), and in crops of it."""
    need(options, EverythingOptions, "options", PromptError)
    height, width = image.shape[:2]
    crops = plan_crops((height, width), options.crop_layers, options.crop_overlap)
    found = join_masks([find_in_crop(engine, image, crop, options) for crop in crops])
    if len(crops) > 1:
        sides = found.crops[:, 2:] - found.crops[:, :2]
        found = best_of_overlapping(found, 1 / sides.prod(axis=1), options.crop_most_overlap)
    found = remove_small_regions(found, options) if options.min_region else found
    return replace(found, objects=np.arange(len(found)))


def find_in_crop(engine: Engine, image: NDArray[np.uint8], crop: CropBox, given: EverythingOptions) -> MaskSet:
    """Everything in a part of a picture: masks in pixels of the picture, the surest first."""
    x0, y0, x1, y1 = crop.box
    height, width = image.shape[:2]
    options = settled(given, engine.config.name)
    levels = engine.encode_image(picture_tensor(image[y0:y1, x0:x1], engine))
    features = engine.attend_memory(levels.stride16, no_memories(engine))
    grid_pass = GridPass(engine, levels, features, crop.size, options)
    points = options.grid(crop.layer) * (x1 - x0, y1 - y0)
    parts = [
        filter_stable(grid_pass.candidates(np.array(batch)), crop, (height, width), options)
        for batch in in_batches(points, options.points_per_batch)
    ]
    found = join_masks(parts)
    return best_of_overlapping(found, found.iou, options.most_overlap)


class Candidates(NamedTuple):
    """K candidate masks of some clicks, before anybody judges them."""

    logits: Array  # float (K, S/4, S/4), an array of the engine
    iou: NDArray[np.float32]  # float32 (K,) predicted
    presence: NDArray[np.float32]  # float32 (K,) 0..1
    candidates: NDArray[np.int64]  # int64 (K,) in 0..3, which of the network's masks each is
    points: NDArray[np.float64]  # float64 (K, 2) each mask's click, in pixels of the picture


@dataclass(frozen=True, eq=False)
class GridPass:
    """A picture that is clicked at."""

    engine: Engine  # what decodes
    levels: Levels  # the picture, encoded by the engine
    features: Array  # (1, C, h, w), its stride-16 features, conditioned on nothing
    size: tuple[int, int]  # (height, width) of the picture
    options: SettledOptions  # which masks are wanted

    def candidates(self, points: NDArray[np.float64]) -> Candidates:
        """The masks of one click at each of the points, (N, 2), whose predicted IoU is high enough."""
        found = self.decode(points, three=self.options.multimask)
        if self.options.refine:  # the same clicks once more, each with the mask that it gave
            earlier = in_precision(self.engine, as_float(found.logits).clip(-MAX_LOGIT, MAX_LOGIT)[:, None])
            found = self.decode(found.points, earlier=earlier)
        sure: list[Any] = [column[found.iou > self.options.least_iou] for column in found]
        return Candidates(*sure)

    def decode(self, points: NDArray[np.float64], *, three: bool = False, earlier: Array | None = None) -> Candidates:
        """`three` masks of one click at each of the points, or one; perhaps with an earlier mask of each."""
        parts = []
        for begin in range(0, len(points), step := objects_at_once(self.engine)):
            rows = slice(begin, begin + step)
            clicks = [Prompt(points=((float(x), float(y)),), labels=(INCLUDE,)) for x, y in points[rows]]
            prompts = pad_prompts(self.engine, clicks, self.size)
            if earlier is not None:
                prompts = prompts._replace(masks=earlier[rows])
            parts.append(decode_in_picture(self.engine, self.features, self.levels, prompts, self.size))
        decoded = parts[0] if len(parts) == 1 else Decoded(*(concat(each) for each in zip(*parts, strict=True)))
        if three:
            each, candidates = np.repeat(np.arange(len(points)), 3), np.tile(np.arange(1, 4), len(points))
        else:
            least = MIN_STABILITY if self.options.fall_back else 0.0
            each, candidates = np.arange(len(points)), to_numpy(single(decoded, least=least))
        iou, presence = to_numpy(decoded.iou)[each, candidates], to_numpy(sigmoid(as_float(decoded.presence)))[each]
        return Candidates(decoded.logits[each, candidates], iou, presence, candidates, points[each])


def filter_stable(found: Candidates, crop: CropBox, size: tuple[int, int], options: SettledOptions) -> MaskSet:
    """The stable masks that the crop does not cut through, in pixels of the picture."""
    rows, patches, stability = [], [], []
    for row, logits in enumerate(to_numpy(found.logits)):
        if options.min_cells:
            mask = logits > 0
            logits[small_holes(mask, options.min_cells)] = HOLE_LOGIT
            logits[small_holes(~mask, options.min_cells)] = -HOLE_LOGIT
        traced = traced_if_stable(logits, crop, options)
        if traced and not is_cut_by_crop(traced[0].box, crop.box, size):
            rows.append(row)
            patches.append(traced[0])
            stability.append(traced[1])
    return MaskSet(
        picture_size=size,
        patches=tuple(patches),
        iou=found.iou[rows],
        presence=found.presence[rows],
        objects=np.arange(len(rows)),
        candidates=found.candidates[rows],
        stability=np.array(stability, np.float32),
        points=found.points[rows] + crop.box[:2],
        crops=np.tile(np.array(crop.box, np.int64), (len(rows), 1)),
    )


def traced_if_stable(logits: NDArray[np.float32], crop: CropBox, options: SettledOptions) -> tuple[Patch, float] | None:
    """A mask and its stability; None if it is not stable, or empty."""
    lowest, highest = options.threshold - options.stability_offset, options.threshold + options.stability_offset
    stretched = stretch(logits, crop.size, lowest)
    outer = trace(stretched, lowest).area()
    stability = trace(stretched, highest).area() / outer if outer else 0.0
    if not outer or stability < options.least_stability:
        return None
    patch = patch_of(trace(stretched, options.threshold), crop.box[:2])
    return (patch, stability) if patch else None


def best_of_overlapping(found: MaskSet, scores: NDArray[np.floating], most: float) -> MaskSet:
    """Of masks whose boxes overlap by more than `most`, the one with the best score, best first.

    Boxes reach from the first to the last pixel, as the published generator measures them: a mask of one pixel's width
    has no area in that measure, and none is suppressed.
    """
    return found.rows(suppress(found.boxes - (0, 0, 1, 1), scores, most))


def remove_small_regions(found: MaskSet, options: EverythingOptions) -> MaskSet:
    """Without small holes and islands. Where that makes two masks alike, one that was clean before stays."""
    patches = tuple(cleaned(patch, options.min_region) for patch in found.patches)
    clean = np.array([after == before for after, before in zip(patches, found.patches, strict=True)], np.float64)
    most = max(options.most_overlap, options.crop_most_overlap)
    return best_of_overlapping(replace(found, patches=patches), clean, most)


def cleaned(patch: Patch, least: int) -> Patch:
    """One mask without its small holes and islands."""
    # A margin: what touches the box's side from outside is background there, as it is in the picture.
    mask = without_small_regions(np.pad(patch.inside, 1), least)
    x0, y0, *_ = patch.box
    after = cut_patch(mask[1:-1, 1:-1], (x0, y0))
    assert after is not None, "the largest part of a mask always stays"
    return after
