"""How everything in a picture is looked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from masklet.errors import PromptError
from masklet.image.crops import point_grid


@dataclass(frozen=True)
class EverythingOptions:
    """How everything is looked for; the defaults are the published ones, but for thresholds that depend on the model.

    Attributes:
        points_per_side: Clicks along each axis of a grid over the picture.
        points_per_batch: Clicks that are decoded together: more need more memory.
        grids: Clicks of your own in place of the grid: for the picture and for each layer of crops an array (P, 2) of x
            and y in 0..1.
        least_iou: A mask stays if its predicted intersection over union is above this, 0..1. None, as for the next two:
            what is usual for the model, see `USUAL`.
        least_stability: A mask stays if its stability is at least this, 0..1: its pixels at a higher threshold as a
            share of those at a lower one.
        stability_offset: How far these two thresholds lie from that of the mask, in logits.
        threshold: A pixel belongs to a mask if its logit lies above this.
        most_overlap: Of masks whose boxes overlap by more than this (intersection over union), the best stays.
        multimask: Whether each click gets three masks, or one.
        refine: Whether each mask is given to the decoder once more, with its click, before it is judged.
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
    min_region: int = 0
    min_cells: int = 0
    crop_layers: int = 0
    crop_overlap: float = 512 / 1500
    crop_most_overlap: float = 0.7
    crop_points_divisor: int = 1

    def __post_init__(self) -> None:
        for name, least in (
            ("points_per_side", 1),
            ("points_per_batch", 1),
            ("stability_offset", 0),
            ("min_region", 0),
            ("min_cells", 0),
            ("crop_layers", 0),
            ("crop_points_divisor", 1),
        ):
            if (value := getattr(self, name)) is not None and not value >= least:
                raise PromptError(f"{name} is {value!r}; give a number of at least {least}")
        for name in ("least_iou", "least_stability", "most_overlap", "crop_most_overlap", "crop_overlap"):
            if (value := getattr(self, name)) is not None and not 0 <= value <= 1:
                raise PromptError(f"{name} is {value!r}; give a number from 0 to 1")
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


USUAL = {"nano": {"least_iou": 0.5, "least_stability": 0.6, "stability_offset": 0.3}}
"""Thresholds of models for which the published ones are too strict, by the model's name: `nano` is less sure of itself,
and its logits are smaller."""


def settled(options: EverythingOptions, model: str) -> SettledOptions:
    """The options with thresholds for a model, where none are given."""
    given = {field.name: value for field in fields(options) if (value := getattr(options, field.name)) is not None}
    usual = USUAL.get(model.partition(":")[0], {})  # in every speed mode
    return SettledOptions(**{**usual, **given})
