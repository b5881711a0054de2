"""What clients of the reference import of its `utils`: the functions around automatic masks (`amg`), small helpers
(`misc`), and its picture of the way between pictures and the network's square (`transforms`).
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import rlemasklib  # type: ignore[import-untyped]
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from masklet.compat import stand_for
from masklet.engines.arrays import resize
from masklet.engines.rules import normalise, stability
from masklet.image.everything import plan_crops, point_grid
from masklet.image.picture import as_picture
from masklet.masks.rle import from_plain
from masklet.masks.shape import small_holes, without_islands
from masklet.media.source import open_video
from masklet.nn.layers import tight_box
from masklet.video.reader import scaled_frame

stand_for(__name__, "amg", "misc", "transforms")

Runs = dict[str, Any]
"""Run lengths of a mask down its columns, beginning with the background: `{"size": [H, W], "counts": [...]}`."""

Size = tuple[int, int]
"""(height, width)"""

BARELY = 0.1
"""Logits of a hole that is filled: barely inside, as published."""


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


def concat_points(
    old_point_inputs: Mapping[str, Tensor] | None, new_points: Tensor, new_labels: Tensor
) -> dict[str, Tensor]:
    """Points (B, P, 2) and labels (B, P) behind earlier ones, if there are any."""
    points, labels = [new_points], [new_labels]
    if old_point_inputs is not None:
        points.insert(0, old_point_inputs["point_coords"])
        labels.insert(0, old_point_inputs["point_labels"])
    return {"point_coords": torch.cat(points, dim=1), "point_labels": torch.cat(labels, dim=1)}


def mask_to_box(masks: Tensor) -> Tensor:
    """Masks (B, 1, H, W) -> boxes (B, 1, 4) of their first and last columns and rows; zeros for an empty mask."""
    return batched_mask_to_box(masks).float()


def fill_holes_in_mask_scores(mask: Tensor, max_area: int) -> Tensor:
    """Logits (N, 1, H, W) whose holes of at most `max_area` cells are barely inside."""
    if max_area <= 0:
        raise ValueError(f"max_area is {max_area}; give at least 1")
    inside = (mask[:, 0] > 0).cpu().numpy()
    holes = np.array([small_holes(each, max_area) for each in inside], np.bool_).reshape(mask.shape)
    return mask.masked_fill(torch.from_numpy(holes).to(mask.device), BARELY)


def load_video_frames(
    video_path: str | os.PathLike[str],
    image_size: int,
    offload_video_to_cpu: bool = False,
    *_: Any,
    compute_device: str | torch.device = "cpu",
    **__: Any,
) -> tuple[Tensor, int, int]:
    """All frames of a video, normalised, (T, 3, S, S), and its height and width."""
    with open_video(video_path) as source:
        images = [frame.image for frame in source]
    height, width = images[0].shape[:2]
    frames = torch.from_numpy(np.concatenate([scaled_frame(image, (image_size,) * 2) for image in images]))
    return (frames if offload_video_to_cpu else frames.to(compute_device)), height, width


class SAM2Transforms:
    """Pictures to the network's input, coordinates to its square of side S = `resolution`, masks back. `placed` is
    `ModelConfig.placed` of a model that does not stretch pictures; other arguments are passed over."""

    def __init__(
        self, resolution: int, mask_threshold: float = 0.0, *others: Any, placed: Callable[[Size], Size] | None = None
    ) -> None:
        self.resolution = resolution
        self.mask_threshold = mask_threshold
        self._placed = placed or (lambda size: (resolution, resolution))

    def __call__(self, x: Any) -> Tensor:
        """(3, S, S), normalised: of a picture by Pillow or an array (H, W, 3)."""
        colors = torch.from_numpy(as_picture(x).copy()).permute(2, 0, 1)[None].float() / 255
        height, width = self._placed((colors.shape[2], colors.shape[3]))
        seen = normalise(resize(colors, (height, width), antialias=True))[0]
        return F.pad(seen, (0, self.resolution - width, 0, self.resolution - height))

    def forward_batch(self, img_list: Sequence[Any]) -> Tensor:
        """(B, 3, S, S)"""
        return torch.stack([self(image) for image in img_list])

    def transform_coords(self, coords: Tensor, normalize: bool = False, orig_hw: Size | None = None) -> Tensor:
        """(..., 2), x and y, to the square: of shares of width and height, or with `normalize` of pixels."""
        if normalize:
            if orig_hw is None:
                raise ValueError("coordinates in pixels need orig_hw, the (height, width) of their picture")
            tall, wide = self._placed(orig_hw)
            height, width = orig_hw
            return coords / coords.new_tensor([width, height]) * coords.new_tensor([wide, tall])
        return coords * self.resolution

    def transform_boxes(self, boxes: Tensor, normalize: bool = False, orig_hw: Size | None = None) -> Tensor:
        """(N, 2, 2): the corners of boxes of any shape, to the square."""
        return self.transform_coords(boxes.reshape(-1, 2, 2), normalize, orig_hw)

    def postprocess_masks(self, masks: Tensor, orig_hw: Size) -> Tensor:
        """Logits (N, C, h, w) stretched to the picture, bilinear."""
        height, width = self._placed(orig_hw)
        if min(height, width) < self.resolution:
            whole = F.interpolate(masks.float(), (self.resolution,) * 2, mode="bilinear", align_corners=False)
            masks = whole[..., :height, :width]
        return F.interpolate(masks.float(), orig_hw, mode="bilinear", align_corners=False)
