"""A picture with all of its masks at once: however many there are, the time is that of one."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from masklet.masks.draw import bright_color

ALPHA = 0.5
"""Strength of the tint."""


def draw_regions(image: NDArray[np.uint8], numbers: NDArray[np.uint8] | NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Tint every numbered region with a colour of its own and draw a pale line where one ends.

    image    uint8 (H, W, 3), RGB; left as it is
    numbers  (H, W): a region's number, 0 where there is none

    Returns uint8 (H, W, 3), RGB.
    """
    highest = int(numbers.max(initial=0))
    colors = np.array([(0, 0, 0), *(bright_color(number) for number in range(1, highest + 1))], np.uint8)
    mixed = np.asarray(cv2.addWeighted(image, 1 - ALPHA, colors[numbers], ALPHA, 0.5 - ALPHA), np.uint8)
    canvas = np.where(numbers[..., None] > 0, mixed, image)
    line = np.zeros(numbers.shape, np.bool_)
    line[:, :-1] |= numbers[:, :-1] != numbers[:, 1:]
    line[:-1] |= numbers[:-1] != numbers[1:]
    canvas[line] = (canvas[line].astype(np.uint16) + 3 * 255) // 4
    return canvas
