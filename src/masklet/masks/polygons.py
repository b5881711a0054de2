"""Masks as polygons along the edges of their pixels, so that nothing is lost: the corners of a mask of one pixel are
(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1), and a polygon's area is the number of its pixels.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from masklet.errors import FormatError, PromptError, is_within
from masklet.masks.rle import check_near
from masklet.masks.shape import mask_box

MIN_AGREEMENT = 0.99
"""Polygons for other programs have so few corners that, filled again, they agree with the mask by this at least
(intersection over union)."""

CORNER_TOLERANCES = (1.5, 1.0, 0.7)
"""How far corners that are left out may lie from the line, in pixels; tried in turn."""

Ring = NDArray[np.float64]
"""(P, 2): corners (x, y) in pixels, the last joined to the first."""


@dataclass(frozen=True, eq=False)
class Polygon:
    """One connected part of a mask.

    outer  its border
    holes  the borders of what is missing inside
    """

    outer: Ring
    holes: tuple[Ring, ...] = ()


def mask_polygons(mask: NDArray[np.bool_], tolerance: float = 0.0) -> list[Polygon]:
    """The parts of a mask, bool (H, W), 8-connected, the largest border first; none for an empty mask.

    tolerance  how far the corners that are left out may lie from the line, in pixels; 0 leaves out none
    """
    x0, y0, x1, y1 = mask_box(mask)
    # Every pixel becomes four. Of these the border that OpenCV walks along lies beside one edge of the pixel each,
    # and half of its coordinate, rounded up, is the edge's own.
    doubled = mask[y0:y1, x0:x1].astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    if not doubled.size:
        return []
    corner = np.array((x0, y0))

    def edges(ring: NDArray[Any]) -> Ring:
        return simplified(corners((ring + 1) // 2 + corner), tolerance)

    parts = [Polygon(edges(outer), tuple(map(edges, holes))) for outer, holes in borders(doubled)]
    return sorted(parts, key=lambda part: ring_area(part.outer), reverse=True)


def apart_polygons(mask: NDArray[np.bool_], tolerance: float = 0.0) -> list[Polygon]:
    """The same of the 4-connected parts, so that no border touches itself, as programs for maps want it (OGC Simple
    Features): two pixels that share a corner are two parts."""
    count, numbers, boxes, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    found = []
    for number in range(1, count):
        x, y, width, height = boxes[number, :4].tolist()
        corner = np.array((x, y))
        for part in mask_polygons(numbers[y : y + height, x : x + width] == number, tolerance):
            found.append(Polygon(part.outer + corner, tuple(hole + corner for hole in part.holes)))
    return sorted(found, key=lambda part: ring_area(part.outer), reverse=True)


def borders(mask: NDArray[np.uint8]) -> list[tuple[NDArray[Any], list[NDArray[Any]]]]:
    """The border of each 8-connected part and those of its holes, (P, 2) each: the pixels that OpenCV walks along."""
    found, tree = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    if not found:
        return []
    rings, parents = [ring[:, 0] for ring in found], tree[0][:, 3]
    return [(rings[n], [rings[hole] for hole in np.flatnonzero(parents == n)]) for n in np.flatnonzero(parents < 0)]


def ring_area(ring: Ring) -> float:
    """Pixels inside a ring (the shoelace formula)."""
    x, y = ring.T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def corners(ring: NDArray[Any]) -> Ring:
    """The ring without points that repeat the one before, and without those where it goes straight on; one at least."""
    different = (ring != np.roll(ring, 1, axis=0)).any(axis=1)
    ring = ring[different] if different.any() else ring[:1]
    before, after = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
    turns = (before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]) | ((before * after).sum(axis=1) <= 0)
    return ring[turns].astype(np.float64)


def simplified(ring: Ring, tolerance: float) -> Ring:
    """Fewer corners (Douglas and Peucker, 1973); the ring as it is where fewer than three would be left."""
    if not is_within(tolerance, -sys.float_info.max, sys.float_info.max):
        raise PromptError(f"tolerance is {tolerance!r}; give a number of pixels, 0 to leave out no corner")
    if tolerance <= 0:
        return ring
    fewer = cv2.approxPolyDP(ring.astype(np.float32), tolerance, closed=True)[:, 0]
    return ring if len(fewer) < 3 else fewer.astype(np.float64)


def drawn_rings(mask: NDArray[np.bool_], least: float = MIN_AGREEMENT) -> list[Ring]:
    """One ring for each connected part of a mask, bool (H, W), for programs that fill a polygon and draw its border.

    These are most annotation tools: LabelMe by Pillow, Ultralytics by OpenCV, on coordinates without their fractions.
    So a ring runs through the middles of the part's border pixels, (x + 0.5, y + 0.5), and not along their edges; to
    each hole it goes over the part's own pixels and back the same way. It has as few corners as an agreement of `least`
    allows (intersection over union, 0..1, by both rules), and three at least.

    Returns:
        (P, 2) each, the part with the longest border first.
    """
    x0, y0, x1, y1 = mask_box(mask)
    inside = np.pad(mask[y0:y1, x0:x1].astype(np.uint8), 1)
    outside = cv2.connectedComponents(1 - inside, connectivity=4)[1]
    found = sorted(borders(inside), key=lambda part: -len(part[0]))
    parts = [with_holes(outer, holes, outside) for outer, holes in found]
    return [fewest_corners(part, least) + np.array((x0 - 1, y0 - 1)) for part in parts]


def with_holes(
    outer: NDArray[np.int64], holes: Sequence[NDArray[np.int64]], background: NDArray[Any]
) -> NDArray[np.int64]:
    """The border pixels of a part as one ring. From the leftmost pixel beside each hole a bridge runs to the left, to
    the first pixel beside another part of the background: over pixels of the mask, as no hole lies between.

    Args:
        outer: (P, 2) the pixels of its outer border.
        holes: The same around each hole.
        background: Numbers of the 4-connected parts of the background, (H, W); 0 in the mask.
    """
    places = [(x, y) for ring in (outer, *holes) for x, y in ring.tolist()]
    following: list[int] = []  # of each place the next one: a ring of them for each border, joined one after another
    borders, ends = [], {}
    for ring in (outer, *holes):
        first, end = len(following), len(following) + len(ring)
        ends[first] = end - 1
        following += [*range(first + 1, end), first]
        borders.append({places[n]: n for n in range(first, end)})
    starts = {min(border): border for border in borders[1:]}
    beside = {int(background[y, x + 1]): border for (x, y), border in starts.items()}
    for (x, y), border in sorted(starts.items()):
        here = border[x, y]
        before = ends.get(here, here - 1)
        while not background[y, x - 1]:
            x -= 1
        there = beside.get(int(background[y, x - 1]), borders[0])[x, y]
        again = len(places)
        places += [places[here], places[there]]
        following += [again + 1, following[there]]
        following[there], following[before] = here, again
    node, ring_places = 0, []
    for _ in places:
        ring_places.append(places[node])
        node = following[node]
    return np.array(ring_places, np.int64)


def fewest_corners(ring: NDArray[np.int64], least: float) -> Ring:
    """As few corners of a ring of border pixels as an agreement of `least` allows, and three at least; all its turns if
    it takes these."""
    origin = ring.min(axis=0)
    local = ring - origin
    size = int(local[:, 1].max()) + 1, int(local[:, 0].max()) + 1
    exact = at_least_three(corners(local) + 0.5)
    wanted = drawn_by_opencv(exact, size)
    for tolerance in CORNER_TOLERANCES:
        fewer = at_least_three(cv2.approxPolyDP(local.astype(np.int32), tolerance, closed=True)[:, 0] + 0.5)
        if all(agreed(draw(fewer, size), wanted) >= least for draw in (drawn_by_opencv, drawn_by_pillow)):
            return fewer + origin
    return exact + origin


def at_least_three(ring: Ring) -> Ring:
    """The ring; with further corners in the same pixel where there are fewer than three, as a polygon has."""
    return np.concatenate((ring, (ring[-1] + ((0.25, 0.0), (0.0, 0.25)))[: max(0, 3 - len(ring))]))


def agreed(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float(np.count_nonzero(one & other) / np.count_nonzero(one | other))


def drawn_by_opencv(ring: Ring, size: tuple[int, int]) -> NDArray[np.bool_]:
    """bool (H, W): as Ultralytics fills a polygon."""
    mask = np.zeros(size, np.uint8)
    cv2.fillPoly(mask, [ring.astype(np.int32)], 1)
    return mask > 0


def drawn_by_pillow(ring: Ring, size: tuple[int, int]) -> NDArray[np.bool_]:
    """bool (H, W): as LabelMe fills a polygon."""
    picture = Image.new("1", size[::-1])
    ImageDraw.Draw(picture).polygon([(x, y) for x, y in ring.tolist()], outline=1, fill=1)
    return np.array(picture)


def ring_of(listed: Any, size: tuple[int, int], what: str, least: int = 3) -> Ring:
    """Corners, (P, 2), x and y in pixels of a picture of (height, width).

    Raises FormatError, which calls the shape `what`, unless these are at least so many pairs of finite numbers, not far
    outside of the picture.
    """
    try:
        ring = np.asarray(listed, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise FormatError(f"{what} has corners that are no pairs of numbers; give another copy") from error
    if ring.ndim != 2 or ring.shape[1] != 2 or len(ring) < least or not np.isfinite(ring).all():
        told = f"{ring.tolist()!r:.60}"
        raise FormatError(f"{what} has the corners {told}; expected {least} or more pairs of finite numbers")
    check_near(ring, size, what)
    return ring


def box_ring(x0: float, y0: float, x1: float, y1: float) -> Ring:
    """The corners of a box."""
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])


def pasted(part: NDArray[np.bool_], corner: tuple[int, int], size: tuple[int, int], what: str) -> NDArray[np.bool_]:
    """bool (H, W): a mask of which a part is given, whose pixel (0, 0) lies at `corner` (x, y).

    Raises FormatError if it does not lie in the picture.
    """
    (x, y), (height, width) = corner, part.shape
    if x < 0 or y < 0 or y + height > size[0] or x + width > size[1]:
        raise FormatError(f"{what} does not lie in its picture of {size} pixels (height, width)")
    mask = np.zeros(size, np.bool_)
    mask[y : y + height, x : x + width] = part
    return mask
