"""Alpha mattes by a guided filter: a mask's edge follows what is seen in the picture, down to hair and fur.

Sources: He, Sun and Tang, "Guided Image Filtering", TPAMI 2013: sections 3.1 and 3.4 (colour guides), 4.4 (feathering);
He and Sun, "Fast Guided Filter", 2015: what a window says is found on a smaller picture, and used at full resolution.
"""

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from masklet.errors import PromptError
from masklet.masks.shape import mask_box

RADIUS, REACH = 1 / 20, 1 / 64
"""Radius of the filter where none is given, as a share of the longer side of the mask's box; at most this share of the
picture's longer side, as farther from the edge masks of networks are right."""

HAZE = 0.1
"""An alpha within this of 0 or 1 is taken for 0 or 1: where thing and surroundings share a colour, the filter spreads a
faint veil."""

FINER = 3
"""The matte is filtered a second time, with a radius so many times smaller."""

CELLS = 9
"""Cells of the smaller picture in a radius."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class SoftEdges:
    """How soft an edge is made.

    Attributes:
        radius: How far from the mask's edge the matte may follow the picture, in pixels: the length of hair. If not
            given, a twentieth of the longer side of the mask's box, at most a sixty-fourth of the picture's, and at
            least 2.
        epsilon: Differences of colour whose square (colours in 0..1) is far below this are smoothed over; over 0.
            Smaller values keep finer hair, and more noise.
    """

    radius: int | None = None
    epsilon: float = 1e-4

    def __post_init__(self) -> None:
        if self.radius is not None and self.radius < 1:
            raise PromptError(f"radius is {self.radius!r}; give at least 1 pixel, or None")
        if not self.epsilon > 0:
            raise PromptError(f"epsilon is {self.epsilon!r}; give a number over 0, such as 1e-4")


Edges = Literal["hard", "soft"] | SoftEdges
"""How a mask ends: at once, or softly with the usual options or with others."""


def mask_alpha(image: NDArray[Any], mask: NDArray[np.bool_], edges: Edges = "soft") -> Floats:
    """float32 (H, W) in 0..1: how much of each pixel of a picture, uint8 or uint16 (H, W, 3), is the thing.

    Raises PromptError for edges that there are not.
    """
    if edges == "hard":
        return mask.astype(np.float32)
    if edges == "soft":
        edges = SoftEdges()
    if not isinstance(edges, SoftEdges):
        raise PromptError(f"edges is {edges!r}; give 'hard', 'soft' or SoftEdges(radius=..., epsilon=...)")
    x0, y0, x1, y1 = mask_box(mask).tolist()
    radius = edges.radius or max(2, round(min(RADIUS * max(x1 - x0, y1 - y0), REACH * max(mask.shape))))
    # Windows at the edge reach two radii beyond the mask, and those of the second pass a little more.
    margin = 3 * radius + 1
    part = slice(max(0, y0 - margin), y1 + margin), slice(max(0, x0 - margin), x1 + margin)
    alpha = np.zeros(mask.shape, np.float32)
    if x0 < x1:
        guide: Floats = np.divide(image[part], np.iinfo(image.dtype).max, dtype=np.float32)
        matte = guided(guide, mask[part].astype(np.float32), radius, edges.epsilon)
        matte = guided(guide, np.clip(matte, 0, 1), max(1, radius // FINER), edges.epsilon)
        alpha[part] = np.clip((matte - HAZE) / (1 - 2 * HAZE), 0, 1)
    return alpha


def guided(guide: Floats, values: Floats, radius: int, epsilon: float) -> Floats:
    """Values (H, W) that are, in every window, the linear function of the guide's colours (H, W, 3) nearest to those
    given."""
    height, width = values.shape
    step = max(1, radius // CELLS)
    small = (max(1, width // step), max(1, height // step))
    side = 2 * (radius // step) + 1

    def shrunk(array: Floats) -> Floats:
        return np.asarray(cv2.resize(array, small, interpolation=cv2.INTER_AREA), np.float32) if step > 1 else array

    def mean(array: Floats) -> Floats:
        return np.asarray(cv2.blur(array, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)

    colours, given = shrunk(guide), shrunk(values)
    means, level = mean(colours), mean(given)
    products = mean((colours[..., :, None] * colours[..., None, :]).reshape(*given.shape, 9))
    spread = products.reshape(*given.shape, 3, 3) - means[..., :, None] * means[..., None, :]
    shared = mean(colours * given[..., None]) - means * level[..., None]
    slopes = np.linalg.solve(spread + np.float32(epsilon) * np.eye(3, dtype=np.float32), shared[..., None])[..., 0]
    offset = level - (slopes * means).sum(axis=2)
    line = np.dstack((mean(slopes), mean(offset)))
    if step > 1:
        line = np.asarray(cv2.resize(line, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    return np.asarray((line[..., :3] * guide).sum(axis=2) + line[..., 3], np.float32)
