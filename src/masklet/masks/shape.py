"""The shape of masks: boxes around them, connected parts (by OpenCV, the same on every device), and where an annotator
would click next, inside the region where a mask and the true one differ.

Boxes are (x0, y0, x1, y1) in pixels: x0 and y0 the first column and row, x1 and y1 one past the last. So a box's width
is x1 - x0, a mask of one pixel has a box of area 1, and any box of a mask is a prompt.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels, the last two one past the end; all 0 around nothing."""

Name = TypeVar("Name")

MIN_AREA, MAX_KNOWN = 0.002, 0.3
"""A new thing covers this share of the picture, outside of what is known, and at most that share of it is known."""


def mask_box(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(4,): the smallest box around a mask, bool (H, W); all 0 for an empty one."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return np.zeros(4, np.int64)
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.int64)


def common_box(one: Box, other: Box) -> Box | None:
    """Where two boxes overlap; None if they do not."""
    x0, y0 = max(one[0], other[0]), max(one[1], other[1])
    x1, y1 = min(one[2], other[2]), min(one[3], other[3])
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def square_around(places: ArrayLike, side: int, size: tuple[int, int]) -> Box:
    """A square with the middle of places, (P, 2) x and y, moved into the picture of (height, width); its sides end with
    those of a smaller picture."""
    corners, (height, width) = np.asarray(places, np.float64), size
    across, down = min(side, width), min(side, height)
    x, y = (corners.min(axis=0) + corners.max(axis=0) - (across, down)) / 2
    x0, y0 = int(np.clip(x, 0, width - across)), int(np.clip(y, 0, height - down))
    return x0, y0, x0 + across, y0 + down


def suppress(boxes: ArrayLike, scores: ArrayLike, most: float) -> NDArray[np.int64]:
    """Numbers of the boxes that stay, best first (greedy non-maximum suppression).

    Args:
        boxes: (M, 4) x0, y0, x1, y1.
        scores: (M,); of equal ones the earlier counts as better.
        most: A box stays if its intersection over union with every better one that stayed is not above this.
    """
    corners = np.asarray(boxes, np.float64).reshape(-1, 4)
    rest = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    kept = []
    while len(rest):
        best, rest = rest[0], rest[1:]
        kept.append(best)
        rest = rest[box_iou(corners[best], corners[rest]) <= most]
    return np.array(kept, np.int64)


def box_iou(box: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of one box, (4,), with M others, (M, 4) -> (M,); 0 where neither has an area."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = sides.clip(0).prod(axis=1)
    either = box_area(box) + box_area(others) - shared
    return np.divide(shared, either, out=np.zeros_like(shared), where=either > 0)


def box_area(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., 4) -> (...)"""
    return np.asarray((boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1]))


def small_holes(mask: NDArray[np.bool_], largest: int) -> NDArray[np.bool_]:
    """Background parts of at most `largest` pixels, 8-connected, also at the border: bool (H, W)."""
    background = (~mask).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(background, connectivity=8)
    small = stats[:, cv2.CC_STAT_AREA] <= largest
    small[0] = False  # the mask itself
    return np.asarray(small[labels], np.bool_)


def without_islands(mask: NDArray[np.bool_], least: int) -> NDArray[np.bool_]:
    """The mask without its parts of fewer than `least` pixels, 8-connected; the largest part stays in any case."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count <= 2:
        return mask
    areas = stats[:, cv2.CC_STAT_AREA]
    keep = areas >= least
    keep[0] = False  # the background
    if not keep.any():
        keep[1 + int(areas[1:].argmax())] = True
    return np.asarray(keep[labels], np.bool_)


def without_small_regions(mask: NDArray[np.bool_], least: int) -> NDArray[np.bool_]:
    """The mask with holes of fewer than `least` pixels filled, then without islands of fewer."""
    return without_islands(mask | small_holes(mask, least - 1), least)


def mutual_matches(values: NDArray[np.float64], least: float) -> list[tuple[int, int]]:
    """Pairs (row, column) of which each is the other's best match.

    Args:
        values: (A, B), how far each of A masks agrees with each of B others, such as by intersection over union.
        least: A pair agrees at least so far.
    """
    if not values.size:
        return []
    best, best_back = values.argmax(axis=1), values.argmax(axis=0)
    return [(a, int(b)) for a, b in enumerate(best) if values[a, b] >= least and best_back[b] == a]


def new_things(
    masks: Iterable[NDArray[np.bool_]], known: NDArray[np.bool_], least: float, most_known: float, room: int | None
) -> dict[int, NDArray[np.bool_]]:
    """Those masks, best first, that are large enough and mostly outside of what is known and of better ones: by their
    place in `masks`, of each what lies outside.

    Args:
        masks: bool (H, W) each.
        known: bool (H, W), where there is something already.
        least: Pixels that a thing has at least, outside of what is known.
        most_known: Share of a mask that may be known.
        room: So many at most; None for any number.
    """
    taken = known.copy()
    fresh: dict[int, NDArray[np.bool_]] = {}
    for place, mask in enumerate(masks):
        if len(fresh) == room:
            break
        area, outside = int(mask.sum()), mask & ~taken
        if outside.sum() >= max(least, (1 - most_known) * area, 1):
            fresh[place] = outside
            taken |= mask
    return fresh


def same_thing(mask: NDArray[np.bool_], known: Mapping[Name, NDArray[np.bool_]]) -> Name | None:
    """The name of the known mask that agrees best with this one by intersection over union; None if all lie apart."""
    common = {name: int((mask & other).sum()) for name, other in known.items()}
    agreed = {name: both / int((mask | known[name]).sum()) for name, both in common.items() if both}
    return max(agreed, key=lambda name: agreed[name], default=None)


class Click(NamedTuple):
    """A point on a pixel."""

    x: int  # column, from 0
    y: int  # row, from 0
    label: int  # 1 includes: the pixel was missed; 0 excludes: it was taken by mistake


def central_click(predicted: NDArray[np.bool_] | None, truth: NDArray[np.bool_]) -> Click | None:
    """The centre of the largest error: the wrong pixel that lies farthest from everything that is not of its kind.

    predicted  bool (H, W), or None before the first answer
    truth      bool (H, W)

    Of missed and of mistaken pixels apart, the distance to the nearest other pixel or to the picture's border is taken;
    the largest wins, a mistaken pixel if both are equal, the first in reading order. This is the evaluation click of
    the SAM 2 release. None if there is no error.
    """
    missed, mistaken = errors(predicted, truth)
    if not (missed.any() or mistaken.any()):
        return None
    inward, outward = depth(missed), depth(mistaken)
    label = int(inward.max() > outward.max())
    y, x = np.unravel_index(int(np.argmax(inward if label else outward)), truth.shape)
    return Click(int(x), int(y), label)


def random_click(
    predicted: NDArray[np.bool_] | None, truth: NDArray[np.bool_], random: np.random.Generator
) -> Click | None:
    """A wrong pixel, each as likely as any other; None if there is no error. Arguments as in `central_click`."""
    missed, mistaken = errors(predicted, truth)
    wrong = np.flatnonzero(missed | mistaken)
    if not len(wrong):
        return None
    y, x = np.unravel_index(int(random.choice(wrong)), truth.shape)
    return Click(int(x), int(y), int(missed[y, x]))


def errors(
    predicted: NDArray[np.bool_] | None, truth: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The pixels that were missed, and those that were taken by mistake: two bool (H, W)."""
    if predicted is None:
        return truth, np.zeros_like(truth)
    assert predicted.shape == truth.shape, f"masks of {predicted.shape} and {truth.shape} were compared"
    return truth & ~predicted, predicted & ~truth


def signed_distance(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """float32 (H, W): the distance to the edge of a mask that is neither empty nor whole, in pixels: 0.5 just inside,
    -0.5 just outside."""
    inside, outside = (cv2.distanceTransform(part.astype(np.uint8), cv2.DIST_L2, 5) for part in (mask, ~mask))
    return np.where(mask, inside - 0.5, 0.5 - outside).astype(np.float32, copy=False)


def depth(region: NDArray[np.bool_]) -> NDArray[np.float32]:
    """float32 (H, W): pixels from each pixel of a region to the nearest one outside it, beyond the picture included."""
    padded = cv2.copyMakeBorder(region.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    distances = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distances[1:-1, 1:-1], np.float32)
