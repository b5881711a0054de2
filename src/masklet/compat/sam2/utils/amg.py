"""The small functions around automatic masks that clients of the reference import."""

from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from masklet.engines.rules import stability
from masklet.image.grid import plan_crops, point_grid
from masklet.masks.rle import rle_from_json
from masklet.masks.shape import mask_box, small_holes, without_islands

Runs = dict[str, Any]
"""Run lengths of a mask down its columns, beginning with the background: `{"size": [H, W], "counts": [...]}`."""


def mask_to_runs(mask: NDArray[np.bool_]) -> Runs:
    """The run lengths of a mask, bool (H, W)."""
    height, width = mask.shape
    flat = mask.T.ravel()
    ends = np.flatnonzero(np.diff(flat, prepend=False))  # where the background's first run ends, and so on
    counts = np.diff(np.concatenate([[0], ends, [flat.size]]))
    return {"size": [height, width], "counts": counts.tolist()}


def mask_to_rle_pytorch(tensor: Tensor) -> list[Runs]:
    """The run lengths of masks, bool (N, H, W)."""
    return [mask_to_runs(mask) for mask in tensor.bool().cpu().numpy()]


def rle_to_mask(rle: Runs) -> NDArray[np.bool_]:
    """The mask, bool (H, W)."""
    height, width = rle["size"]
    inside = np.arange(len(rle["counts"])) % 2 == 1
    return np.repeat(inside, rle["counts"]).reshape(width, height).T


def area_from_rle(rle: Runs) -> int:
    """Pixels of the mask."""
    return int(sum(rle["counts"][1::2]))


def coco_encode_rle(uncompressed_rle: Runs) -> Runs:
    """The run lengths in the compressed form of COCO."""
    height, width = uncompressed_rle["size"]
    return rle_from_json(
        {"size": [height, width], "counts": list(uncompressed_rle["counts"])}, (height, width)
    ).to_json()


def batched_mask_to_box(masks: Tensor) -> Tensor:
    """Boxes (..., 4) of masks, bool (..., H, W): x0, y0, x1, y1 of the first and the last pixel; 0 for empty masks."""
    flat = masks.bool().cpu().numpy().reshape(-1, *masks.shape[-2:])
    boxes = [mask_box(mask) - ((0, 0, 1, 1) if mask.any() else 0) for mask in flat]
    return torch.as_tensor(np.array(boxes, np.int64).reshape(*masks.shape[:-2], 4), device=masks.device)


def box_xyxy_to_xywh(box_xyxy: Tensor) -> Tensor:
    """Boxes of two corners as corner, width and height, (..., 4)."""
    corner, end = box_xyxy[..., :2], box_xyxy[..., 2:]
    return torch.cat([corner, end - corner], dim=-1)


def remove_small_regions(
    mask: NDArray[np.bool_], area_thresh: float, mode: Literal["holes", "islands"]
) -> tuple[NDArray[np.bool_], bool]:
    """The mask, bool (H, W), without holes or islands of fewer pixels than `area_thresh`, and whether it changed."""
    if mode not in ("holes", "islands"):
        raise ValueError(f"mode is {mode!r}; give 'holes' or 'islands'")
    least = int(np.ceil(area_thresh))
    whole = mask.astype(np.bool_)
    after = whole | small_holes(whole, least - 1) if mode == "holes" else without_islands(whole, least)
    return after, bool((after != whole).any())


def calculate_stability_score(masks: Tensor, mask_threshold: float, threshold_offset: float) -> Tensor:
    """Pixels above the higher threshold as a share of those above the lower one, for logits (..., H, W)."""
    flat = masks.reshape(-1, *masks.shape[-2:]) - mask_threshold
    return stability(flat, threshold_offset).reshape(masks.shape[:-2])


def build_point_grid(n_per_side: int) -> NDArray[np.float64]:
    """(n * n, 2): x and y in 0..1, evenly spread."""
    return point_grid(n_per_side)


def build_all_layer_point_grids(n_per_side: int, n_layers: int, scale_per_layer: int) -> list[NDArray[np.float64]]:
    """A grid for the picture and for each layer of crops."""
    return [point_grid(int(n_per_side / scale_per_layer**layer)) for layer in range(n_layers + 1)]


def generate_crop_boxes(
    im_size: tuple[int, ...], n_layers: int, overlap_ratio: float
) -> tuple[list[list[int]], list[int]]:
    """Boxes x0, y0, x1, y1 of the crops of a picture (height, width), and the layer of each."""
    crops = plan_crops((im_size[0], im_size[1]), n_layers, overlap_ratio)
    return [list(crop.box) for crop in crops], [crop.layer for crop in crops]
