"""Small parts of the reference's network that its clients build their own on."""

from collections.abc import Mapping
from typing import TypeVar

from torch import Tensor

from masklet.nn.layers import MLP, LayerNorm2d
from masklet.nn.positions import sine_ages
from masklet.video.recall import nearest_prompted

__all__ = ["MLP", "LayerNorm2d", "get_1d_sine_pe", "select_closest_cond_frames"]

Output = TypeVar("Output")


def get_1d_sine_pe(pos_inds: Tensor, dim: int) -> Tensor:
    """Sine code of numbers: (...) -> (..., dim), all sines before all cosines."""
    return sine_ages(pos_inds, dim)


def select_closest_cond_frames(
    frame_idx: int, cond_frame_outputs: Mapping[int, Output], max_cond_frame_num: int
) -> tuple[dict[int, Output], dict[int, Output]]:
    """The outputs of the prompted frames nearest to a frame, and the others; all are taken with -1."""
    most = None if max_cond_frame_num == -1 else max_cond_frame_num
    chosen = nearest_prompted(frame_idx, [*cond_frame_outputs], most)
    others = {frame: output for frame, output in cond_frame_outputs.items() if frame not in chosen}
    return {frame: cond_frame_outputs[frame] for frame in chosen}, others
