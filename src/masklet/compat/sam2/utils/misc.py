"""Small helpers of the reference that clients call."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from masklet.compat.sam2.utils.amg import batched_mask_to_box
from masklet.masks.shape import small_holes
from masklet.media.source import open_video
from masklet.video.reader import scaled_frame

BARELY = 0.1
"""Logits of a hole that is filled: barely inside, as published."""


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
    holes = torch.from_numpy(np.stack([small_holes(each, max_area) for each in inside]))[:, None]
    return mask.masked_fill(holes.to(mask.device), BARELY)


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
