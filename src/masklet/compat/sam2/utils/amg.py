"""The small functions around automatic masks that clients of the reference import."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import rlemasklib  # type: ignore[import-untyped]
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from masklet.engines.rules import stability
from masklet.image.everything import plan_crops, point_grid
from masklet.masks.rle import from_plain
from masklet.masks.shape import small_holes, without_islands
from masklet.nn.layers import tight_box

Runs = dict[str, Any]
"""Run lengths of a mask down its columns, beginning with the background: `{"size": [H, W], "counts": [...]}`."""


class MaskData(dict[str, Any]):
    """Columns of equal length, each a list, an array or a tensor, under names: an entry for each mask."""

    def filter(self, keep: Tensor) -> None:
        """Keep the entries that a tensor of bool, or of their numbers, names."""
        rows = (torch.nonzero(keep)[:, 0] if keep.dtype == torch.bool else keep).cpu()
        for name, column in self.items():
            if isinstance(column, list):
                self[name] = [column[row] for row in rows.tolist()]
            elif column is not None:
                self[name] = column[rows.to(column.device) if isinstance(column, Tensor) else rows.numpy()]

    def cat(self, new_stats: "MaskData") -> None:
        """Put the entries of another behind."""
        for name, column in new_stats.items():
            before = self.get(name)
            if before is None:
                self[name] = column
            elif isinstance(column, Tensor):
                self[name] = torch.cat([before, column])
            else:
                self[name] = before + column if isinstance(column, list) else np.concatenate([before, column])

    def to_numpy(self) -> None:
        """Tensors become arrays."""
        for name, column in self.items():
            if isinstance(column, Tensor):
                self[name] = column.float().detach().cpu().numpy()


def batch_iterator(batch_size: int, *args: Any) -> Iterator[list[Any]]:
    """Slices of at most so many entries, of each of the columns."""
    if len({len(column) for column in args}) != 1:
        raise ValueError(f"columns have {', '.join(str(len(column)) for column in args)} entries; give equal numbers")
    for first in range(0, len(args[0]), batch_size):
        yield [column[first : first + batch_size] for column in args]


def is_box_near_crop_edge(
    boxes: Tensor, crop_box: Sequence[int], orig_box: Sequence[int], atol: float = 20.0
) -> Tensor:
    """(N,): whether boxes (N, 4) of a crop reach its edge within `atol` pixels, where this is not the picture's."""

    def near(edges: Sequence[int]) -> Tensor:
        distances = uncrop_boxes_xyxy(boxes, crop_box).float() - boxes.new_tensor(edges, dtype=torch.float32)
        return distances.abs() <= atol

    return (near(crop_box) & ~near(orig_box)).any(dim=1)


def uncrop_boxes_xyxy(boxes: Tensor, crop_box: Sequence[int]) -> Tensor:
    """Boxes (N, 4) of a crop in pixels of the picture."""
    return boxes + boxes.new_tensor([*crop_box[:2], *crop_box[:2]])


def uncrop_points(points: Tensor, crop_box: Sequence[int]) -> Tensor:
    """Points (..., 2) of a crop in pixels of the picture."""
    return points + points.new_tensor(crop_box[:2])


def uncrop_masks(masks: Tensor, crop_box: Sequence[int], orig_h: int, orig_w: int) -> Tensor:
    """Masks (..., h, w) of a crop in the picture (..., orig_h, orig_w), with nothing around them."""
    left, top, right, bottom = crop_box
    return F.pad(masks, (left, orig_w - right, top, orig_h - bottom))


def mask_to_runs(mask: NDArray[np.bool_]) -> Runs:
    """The run lengths of a mask, bool (H, W)."""
    return {"size": list(mask.shape), "counts": rlemasklib.encode(mask, compressed=False)["ucounts"].tolist()}


def mask_to_rle_pytorch(tensor: Tensor) -> list[Runs]:
    """The run lengths of masks, bool (N, H, W)."""
    return [mask_to_runs(mask) for mask in tensor.bool().cpu().numpy()]


def rle_to_mask(rle: Runs) -> NDArray[np.bool_]:
    """The mask, bool (H, W)."""
    return np.asarray(rlemasklib.decode({"size": rle["size"], "ucounts": rle["counts"]}), np.bool_)


def area_from_rle(rle: Runs) -> int:
    """Pixels of the mask."""
    return int(sum(rle["counts"][1::2]))


def coco_encode_rle(uncompressed_rle: Runs) -> Runs:
    """The run lengths in the compressed form of COCO."""
    size, runs = uncompressed_rle["size"], uncompressed_rle["counts"]
    return from_plain(rlemasklib.compress({"size": size, "ucounts": runs})).to_json()


def batched_mask_to_box(masks: Tensor) -> Tensor:
    """Boxes (..., 4) of masks, bool (..., H, W): x0, y0, x1, y1 of the first and the last pixel; 0 for empty masks."""
    boxes = tight_box(masks.bool().reshape(-1, *masks.shape[-2:]))
    return torch.where(boxes[:, 2:3] < 0, 0, boxes).reshape(*masks.shape[:-2], 4)


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
