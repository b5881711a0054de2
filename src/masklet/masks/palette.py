"""The colours of objects: the 256 of DAVIS and Pascal VOC, which every tool of the field shows alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def _palette() -> NDArray[np.uint8]:
    """Deal the bits of each index to red, green, blue in turn, the lowest to each colour's highest bit.

    The rule is that of `VOClabelcolormap` in the Pascal VOC development kit. Returns uint8 (256, 3).
    """
    indices = np.arange(256)
    colors = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        channel, significance = bit % 3, 7 - bit // 3
        colors[:, channel] |= ((indices >> bit & 1) << significance).astype(np.uint8)
    colors.flags.writeable = False
    return colors


PALETTE = _palette()
"""uint8 (256, 3), RGB, read-only; index 0 is the background's black."""


def color(object_index: int) -> tuple[int, int, int]:
    """The colour (red, green, blue) of an object, each in 0..255. After 255 the colours come again, without black."""
    assert object_index >= 0, f"object_index is {object_index}; indices count from 0, the background"
    entry = object_index if object_index < 256 else (object_index - 1) % 255 + 1
    red, green, blue = (int(channel) for channel in PALETTE[entry])
    return red, green, blue
