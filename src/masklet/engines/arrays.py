"""What is computed beside the four functions, on the arrays of the engine: tensors where PyTorch runs the network,
NumPy's arrays where a graph does. Imports no torch unless a tensor came.

Both kinds are indexed, compared and added alike, and both have `sum`, `any`, `argmax`, `clip`, `reshape`, `tolist` and
`nbytes`; what they call by other names is here. NumPy's results equal PyTorch's but for rounding.
"""

import sys
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from masklet.engines.base import Array as Array
from masklet.engines.base import Engine

MAX_POWER = 80.0
"""float32 has e to this power and its inverse."""


def is_numpy(array: Array) -> bool:
    """Whether an array is NumPy's."""
    return isinstance(array, np.ndarray | np.generic)


def is_tensor(value: object) -> bool:
    """Whether something is a tensor of PyTorch, which then was imported."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def library_of(array: Array) -> Any:
    """NumPy or PyTorch, whose array it is."""
    if is_numpy(array):
        return np
    import torch

    return torch


def given(engine: Engine, values: NDArray[Any]) -> Array:
    """NumPy's values as an array of an engine, where it computes."""
    return beside(engine.absent_pointer, values)


def beside(array: Array, values: NDArray[Any]) -> Array:
    """NumPy's values as an array of the kind and on the device of another one."""
    return values if is_numpy(array) else library_of(array).from_numpy(values).to(array.device)


def in_precision(engine: Engine, array: Array) -> Array:
    """An array in the precision of an engine's features."""
    dtype = engine.absent_pointer.dtype
    return array.astype(dtype, copy=False) if is_numpy(array) else array.to(dtype)


def to_numpy(array: Array) -> NDArray[Any]:
    """An array as NumPy's; floats in float32."""
    if is_numpy(array):
        return np.asarray(array)
    array = array.detach()
    return np.asarray((array.float() if array.is_floating_point() else array).cpu().numpy())


def as_float(array: Array) -> Array:
    """An array in float32."""
    return array.astype(np.float32, copy=False) if is_numpy(array) else array.float()


def copied(array: Array) -> Array:
    """A copy that keeps nothing else in memory."""
    return array.copy() if is_numpy(array) else array.clone()


def where(condition: Array, one: Array | float, other: Array | float) -> Array:
    """One where a condition holds, else the other; two numbers give float32."""
    chosen = library_of(condition).where(condition, one, other)
    return chosen.astype(np.float32) if is_numpy(chosen) and chosen.dtype == np.float64 else chosen


def stack(arrays: Sequence[Array]) -> Array:
    """Arrays of one shape along a new first dimension."""
    return library_of(arrays[0]).stack(list(arrays))


def concat(arrays: Sequence[Array]) -> Array:
    """Arrays one after another along their first dimension."""
    return library_of(arrays[0]).concatenate(list(arrays))


def maximum(one: Array, other: Array) -> Array:
    """The larger number of each place."""
    return where(one > other, one, other)


def sigmoid(array: Array) -> Array:
    """1 / (1 + exp(-x))."""
    if is_numpy(array):
        return 1 / (1 + np.exp(-array.clip(-MAX_POWER, MAX_POWER)))
    return array.sigmoid()


def resize(array: Array, size: tuple[int, int], antialias: bool = False) -> Array:
    """float32 (B, C, H, W) -> (B, C, *size), bilinear, cells' centres as PyTorch has them without `align_corners`.

    With `antialias` a smaller map is made of all cells, not of the nearest four.
    """
    if not is_numpy(array):
        import torch.nn.functional as F

        return F.interpolate(array, size=size, mode="bilinear", antialias=antialias, align_corners=False)
    height, width = size
    maps = np.ascontiguousarray(array.reshape(-1, *array.shape[-2:]), np.float32)
    if antialias:
        whole = [np.asarray(Image.fromarray(one).resize((width, height), Image.Resampling.BILINEAR)) for one in maps]
    else:
        whole = [cv2.resize(one, (width, height), interpolation=cv2.INTER_LINEAR) for one in maps]
    return np.asarray(whole, np.float32).reshape(*array.shape[:2], height, width)


def sample(array: Array, places: Array) -> Array:
    """float32 (N, C, H, W) at places (N, h, w, 2), x and y from -1 to 1 across the map: (N, C, h, w), bilinear; outside
    is what is at the edge."""
    if not is_numpy(array):
        import torch.nn.functional as F

        grid = places.to(array.device, array.dtype)
        return F.grid_sample(array, grid, padding_mode="border", align_corners=False)
    return np.stack([_sampled(*pair) for pair in zip(array, places, strict=True)])


def _sampled(maps: NDArray[np.float32], places: NDArray[np.float32]) -> NDArray[np.float32]:
    height, width = maps.shape[-2:]
    x = (((places[..., 0] + 1) * width - 1) / 2).clip(0, width - 1)
    y = (((places[..., 1] + 1) * height - 1) / 2).clip(0, height - 1)
    left, top = x.astype(np.int64), y.astype(np.int64)
    right, bottom = (left + 1).clip(max=width - 1), (top + 1).clip(max=height - 1)
    across, down = x - left, y - top
    upper = maps[:, top, left] * (1 - across) + maps[:, top, right] * across
    lower = maps[:, bottom, left] * (1 - across) + maps[:, bottom, right] * across
    return np.asarray(upper * (1 - down) + lower * down, np.float32)


def as_memory(array: Array) -> Array:
    """Memories as they are kept, in bfloat16; NumPy, which has no such type, keeps rounded float32."""
    return from_bits(to_bits(array)) if is_numpy(array) else array.bfloat16()


def to_bits(memory: Array) -> NDArray[np.uint16]:
    """Memories in bfloat16, as the bits of each number: the upper half of float32, rounded to the nearest even."""
    whole = np.ascontiguousarray(to_numpy(memory), np.float32).view(np.uint32)
    return ((whole + np.uint32(0x7FFF) + ((whole >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)).astype(np.uint16)


def from_bits(bits: NDArray[np.uint16]) -> NDArray[np.float32]:
    """The numbers that `to_bits` gave the bits of."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)
