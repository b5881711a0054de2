"""Everything in a picture: a grid of clicks, and of their many masks one for each thing (SAM: Kirillov et al., 2023,
appendix B)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from os import PathLike
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from masklet.engines.arrays import Array, as_float, concat, in_precision, sigmoid, to_numpy
from masklet.engines.base import Engine
from masklet.engines.rules import LEAST_STABILITY, decode_in_picture, pad_prompts, single
from masklet.image.grid import Crop, EverythingOptions, SettledOptions, is_cut_by_crop, plan_crops, settled
from masklet.image.picture import PictureLike, as_picture, file_name, in_batches, picture_tensor
from masklet.image.predictor import no_memories, objects_at_once, ready_predictor
from masklet.image.prompts import HIGHEST_LOGIT
from masklet.image.result import MaskSet, join_masks
from masklet.masks.patch import Patch, cut_patch
from masklet.masks.shape import small_holes, suppress, without_small_regions
from masklet.masks.trace import runs_patch, stretch, trace
from masklet.nn import Decoded, Levels
from masklet.prompts import INCLUDE, Prompt

HOLE_LOGIT = 10.0
"""Logit of a filled hole (SAM 2 release)."""


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
    found = find_everything(engine, picture, options or EverythingOptions())
    return replace(found, image=picture, name=file_name(image))


def find_everything(engine: Engine, image: NDArray[np.uint8], options: EverythingOptions) -> MaskSet:
    """Everything in a picture, uint8 (H, W, 3), and in crops of it."""
    height, width = image.shape[:2]
    crops = plan_crops((height, width), options.crop_layers, options.crop_overlap)
    found = join_masks([find_in_crop(engine, image, crop, options) for crop in crops])
    if len(crops) > 1:
        sides = found.crops[:, 2:] - found.crops[:, :2]
        found = best_of_overlapping(found, 1 / sides.prod(axis=1), options.crop_most_overlap)
    found = remove_small_regions(found, options) if options.min_region else found
    return replace(found, objects=np.arange(len(found)))


def find_in_crop(engine: Engine, image: NDArray[np.uint8], crop: Crop, options: EverythingOptions) -> MaskSet:
    x0, y0, x1, y1 = crop.box
    levels = engine.encode_image(picture_tensor(image[y0:y1, x0:x1], engine))
    height, width = image.shape[:2]
    return find_encoded(engine, levels, crop, (height, width), options)


def find_encoded(
    engine: Engine, levels: Levels, crop: Crop, size: tuple[int, int], options: EverythingOptions
) -> MaskSet:
    """Everything in a part of a picture of (height, width) = `size`, whose levels the engine has encoded already: masks
    in pixels of the picture, the surest first. `Crop((0, 0, width, height), 0)` is all of it."""
    options = settled(options, engine.config.name)
    features = engine.attend_memory(levels.stride16, no_memories(engine))
    grid_pass = GridPass(engine, levels, features, crop.size, options)
    height, width = crop.size
    points = options.grid(crop.layer) * (width, height)
    parts = [
        filter_stable(grid_pass.candidates(np.array(batch)), crop, size, options)
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
        decoded = self.decode(points)
        if not self.options.multimask:
            found = self.one_each(decoded, points)
        else:
            rows, candidates = np.repeat(np.arange(len(points)), 3), np.tile(np.arange(1, 4), len(points))
            found = self.rows_of(decoded, rows, candidates, points[rows])
        found = self.again(found) if self.options.refine else found
        sure: list[Any] = [column[found.iou > self.options.least_iou] for column in found]
        return Candidates(*sure)

    def again(self, found: Candidates) -> Candidates:
        """The same clicks once more, each with the mask that it gave."""
        earlier = in_precision(self.engine, as_float(found.logits).clip(-HIGHEST_LOGIT, HIGHEST_LOGIT)[:, None])
        return self.one_each(self.decode(found.points, earlier), found.points)

    def one_each(self, decoded: Decoded, points: NDArray[np.float64]) -> Candidates:
        least = LEAST_STABILITY if self.options.fall_back else 0.0
        return self.rows_of(decoded, np.arange(len(points)), to_numpy(single(decoded, least=least)), points)

    def rows_of(
        self, decoded: Decoded, rows: NDArray[np.int64], candidates: NDArray[np.int64], points: NDArray[np.float64]
    ) -> Candidates:
        iou, presence = to_numpy(decoded.iou)[rows, candidates], to_numpy(sigmoid(as_float(decoded.presence)))[rows]
        return Candidates(decoded.logits[rows, candidates], iou, presence, candidates, points)

    def decode(self, points: NDArray[np.float64], earlier: Array | None = None) -> Decoded:
        """All candidate masks of one click at each of the points, perhaps with an earlier mask of each."""
        parts = []
        for begin in range(0, len(points), step := objects_at_once(self.engine)):
            rows = slice(begin, begin + step)
            clicks = [Prompt(points=((float(x), float(y)),), labels=(INCLUDE,)) for x, y in points[rows]]
            prompts = pad_prompts(self.engine, clicks, self.size)
            if earlier is not None:
                prompts = prompts._replace(masks=earlier[rows])
            parts.append(decode_in_picture(self.engine, self.features, self.levels, prompts, self.size))
        return parts[0] if len(parts) == 1 else Decoded(*(concat(each) for each in zip(*parts, strict=True)))


def filter_stable(found: Candidates, crop: Crop, size: tuple[int, int], options: SettledOptions) -> MaskSet:
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


def traced_if_stable(logits: NDArray[np.float32], crop: Crop, options: SettledOptions) -> tuple[Patch, float] | None:
    """A mask and its stability; None if it is not stable, or empty."""
    lowest, highest = options.threshold - options.stability_offset, options.threshold + options.stability_offset
    stretched = stretch(logits, crop.size, lowest)
    outer = trace(stretched, lowest).area
    stability = trace(stretched, highest).area / outer if outer else 0.0
    if not outer or stability < options.least_stability:
        return None
    patch = runs_patch(trace(stretched, options.threshold), crop.box[:2])
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
