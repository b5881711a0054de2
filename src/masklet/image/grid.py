"""How everything in a picture is looked for: options, and a grid of points in the picture and in crops of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from masklet.errors import PromptError
from masklet.masks.shape import Box

RANGES = {
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
        for name, (least, most) in RANGES.items():
            if (value := getattr(self, name)) is not None and not least <= value <= most:
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


EDGE = 20
"""A box whose side lies this near, in pixels, to the side of a crop is taken for a thing that the crop cuts through
(SAM release)."""


@dataclass(frozen=True)
class Crop:
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


def plan_crops(size: tuple[int, int], layers: int, overlap: float) -> list[Crop]:
    """The whole picture of (height, width) = `size`, and for each layer l = 1, 2, ... 2**l crops along each axis.
    Neighbours of the first layer overlap by that share of the picture's shorter side, those of the next by half."""
    height, width = size
    crops = [Crop((0, 0, width, height), 0)]
    for layer in range(1, layers + 1):
        count = 2**layer
        shared = int(overlap * min(size) * 2 / count)
        across, down = (math.ceil((shared * (count - 1) + length) / count) for length in (width, height))
        begins = product(*([(side - shared) * n for n in range(count)] for side in (across, down)))
        crops += [Crop((x, y, min(x + across, width), min(y + down, height)), layer) for x, y in begins]
    return [crop for crop in crops if min(crop.size) > 0]


def is_cut_by_crop(box: Box, crop: Box, size: tuple[int, int]) -> bool:
    """Whether a mask's box ends at a side of the crop that is no side of the picture, so that a crop beside it will
    show more of the thing."""
    height, width = size
    sides = zip(box, crop, (0, 0, width, height), strict=True)
    return any(abs(edge - end) <= EDGE and abs(edge - border) > EDGE for edge, end, border in sides)
