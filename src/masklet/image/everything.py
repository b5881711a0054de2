"""Everything in a picture: a grid of clicks, and of their many masks one for each thing (SAM: Kirillov et al., 2023,
appendix B)."""

from __future__ import annotations

from os import PathLike

import numpy as np
import torch
from numpy.typing import NDArray

from masklet.engines.base import Engine
from masklet.image.crops import Crop, is_cut, plan_crops
from masklet.image.everything_options import EverythingOptions, SettledOptions, settled
from masklet.image.finds import Finds, join_finds
from masklet.image.found import FoundMasks
from masklet.image.looks import Look, Sight, look
from masklet.image.one_liner import ready_predictor
from masklet.image.picture import Picture, as_picture, picture_tensor
from masklet.image.predictor import in_batches, nothing
from masklet.masks.components import small_holes, without_small_regions
from masklet.masks.nms import suppress
from masklet.masks.patch import Patch, cut_patch
from masklet.masks.trace import runs_patch, stretch, trace
from masklet.nn import Levels

MENDED = 10.0
"""Logit of a filled hole (SAM 2 release)."""


def segment_everything(
    image: Picture, model: str | PathLike[str] | Engine = "nano", options: EverythingOptions | None = None
) -> FoundMasks:
    """A mask of everything in a picture.

        masks = masklet.segment_everything("photo.jpg")
        masks.overlay()

    Args:
        image: A path, a PIL picture, an array (H, W, 3) or a tensor (3, H, W).
        model: Name, path, `Model`, or any engine; what a name or a path gave stays loaded.
        options: How it is looked for; the way that is usual for the model if not given.

    Returns:
        `Masks`, the surest first (those of crops before those of the whole picture). They are kept as run lengths:
        `masks.mask(i)` makes one, `masks.masks` all.

    Raises:
        MediaError: The picture cannot be read.
        CheckpointError: The model cannot be loaded.
    """
    engine = ready_predictor(model).engine
    picture = as_picture(image)
    finds = find_everything(engine, picture, options or EverythingOptions())
    count = len(finds)
    side = engine.config.mask_size
    return FoundMasks(
        logits=np.zeros((0, side, side), np.float32),
        scores=finds.scores,
        presence=finds.presence,
        objects=np.arange(count),
        candidates=finds.candidates,
        image=picture,
        patches=finds.patches,
        stability=finds.stability,
        points=finds.points,
        crops=finds.crops,
    )


@torch.inference_mode()
def find_everything(engine: Engine, image: NDArray[np.uint8], options: EverythingOptions) -> Finds:
    """Everything in a picture, uint8 (H, W, 3), and in crops of it."""
    height, width = image.shape[:2]
    crops = plan_crops((height, width), options.crop_layers, options.crop_overlap)
    finds = join_finds([find_in_crop(engine, image, crop, options) for crop in crops])
    if len(crops) > 1:
        finds = finds.rows(suppress(finds.spans, 1 / finds.looked_at, options.crop_most_overlap))
    return tidied(finds, options) if options.min_region else finds


def find_in_crop(engine: Engine, image: NDArray[np.uint8], crop: Crop, options: EverythingOptions) -> Finds:
    """Everything in a part of a picture."""
    x0, y0, x1, y1 = crop.box
    levels = engine.encode_image(picture_tensor(image[y0:y1, x0:x1], engine))
    height, width = image.shape[:2]
    return find_encoded(engine, levels, crop, (height, width), options)


def find_encoded(
    engine: Engine, levels: Levels, crop: Crop, size: tuple[int, int], options: EverythingOptions
) -> Finds:
    """Everything in a part of a picture, of which the engine's levels are there already.

    Args:
        engine: What decodes.
        levels: The part, encoded by this engine.
        crop: Where it lies in the picture; `Crop((0, 0, width, height), 0)` for all of it.
        size: (height, width) of the picture.
        options: How it is looked for.

    Returns:
        Finds in pixels of the picture, the surest first.
    """
    options = settled(options, engine.config.name)
    sight = Sight(engine, levels, engine.attend_memory(levels.stride16, nothing(engine)), crop.size, options)
    height, width = crop.size
    points = options.grid(crop.layer) * (width, height)
    looks = [
        sifted(look(sight, np.array(batch)), crop, size, options)
        for batch in in_batches(points, options.points_per_batch)
    ]
    finds = join_finds(looks)
    return finds.rows(suppress(finds.spans, finds.scores, options.most_overlap))


def sifted(found: Look, crop: Crop, size: tuple[int, int], options: SettledOptions) -> Finds:
    """The stable masks that the crop does not cut through, in pixels of the picture."""
    rows, patches, stability = [], [], []
    for row, logits in enumerate(found.logits.float().cpu().numpy()):
        if options.min_cells:
            mend(logits, options.min_cells)
        if (traced := traced_if_stable(logits, crop, options)) and not is_cut(traced[0].box, crop.box, size):
            rows.append(row)
            patches.append(traced[0])
            stability.append(traced[1])
    return Finds(
        patches=tuple(patches),
        scores=found.iou[rows].float().cpu().numpy(),
        stability=np.array(stability, np.float32),
        presence=found.presence[rows].float().sigmoid().cpu().numpy(),
        candidates=found.candidates[rows].cpu().numpy(),
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


def mend(logits: NDArray[np.float32], most: int) -> None:
    """Fill holes of at most so many cells, and remove such islands, in place."""
    mask = logits > 0
    logits[small_holes(mask, most)] = MENDED
    logits[small_holes(~mask, most)] = -MENDED


def tidied(finds: Finds, options: EverythingOptions) -> Finds:
    """Without small holes and islands. Where that makes two masks alike, one that was clean before stays."""
    patches = [tidy(patch, options.min_region) for patch in finds.patches]
    clean = [after == before for after, before in zip(patches, finds.patches, strict=True)]
    finds = finds.with_patches(patches)
    return finds.rows(suppress(finds.spans, clean, max(options.most_overlap, options.crop_most_overlap)))


def tidy(patch: Patch, least: int) -> Patch:
    """One mask without its small holes and islands."""
    # A margin: what touches the box's side from outside is background there, as it is in the picture.
    mask = without_small_regions(np.pad(patch.inside, 1), least)
    x0, y0, *_ = patch.box
    after = cut_patch(mask[1:-1, 1:-1], (x0, y0))
    assert after is not None, "the largest part of a mask always stays"
    return after
