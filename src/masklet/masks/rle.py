"""Masks as run lengths, in the compressed form of COCO: what JSON files of the field hold.

Runs go down the columns and begin with the background; `counts` is the ASCII string that pycocotools writes.

A `Patch` knows only its own box: run lengths inside it, and where it lies in the picture. So a mask of a hundred pixels
costs the same in a picture of any size, and nothing of the picture's size is in memory.

Masks come straight from low-resolution logits: stretched bilinearly, these run in straight lines down a column, from
one of their cells to the next. So it is enough to solve for the places where a line crosses the threshold: the same
mask as by stretching, comparing and searching through every pixel, at a cost that grows with the border of a mask and
not with its area.

Letters: h x w cells of the logits, H x W pixels that they are stretched to.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import rlemasklib  # type: ignore[import-untyped]
from numpy.typing import ArrayLike, NDArray

from masklet.errors import FormatError
from masklet.masks.shape import Box, common_box, mask_box

MAX_MASK_PIXELS = 1 << 28
"""Masks of more pixels (16384 x 16384) are refused: a few bytes of a file could otherwise fill the memory."""


@dataclass(frozen=True)
class Rle:
    """One mask.

    size    (height, width)
    counts  the run lengths, compressed to ASCII
    """

    size: tuple[int, int]
    counts: str

    def to_json(self) -> dict[str, Any]:
        """`{"size": [height, width], "counts": "..."}`, as pycocotools reads it."""
        return {"size": list(self.size), "counts": self.counts}


def encode_rle(mask: NDArray[np.bool_]) -> Rle:
    """The run lengths of a mask, bool (H, W), neither side 0."""
    assert mask.ndim == 2, f"mask has the shape {mask.shape}; expected (H, W)"
    return from_plain(rlemasklib.encode(mask))


def decode_rle(rle: Rle) -> NDArray[np.bool_]:
    """The mask, bool (H, W). Raises FormatError if the runs do not fill the size, or the size is beyond reason."""
    with _checked(rle) as encoded:
        mask: NDArray[np.uint8] = rlemasklib.decode(encoded)
    return mask.astype(np.bool_, order="C")


def rle_area(rle: Rle) -> int:
    """Number of pixels in the mask. Raises FormatError as `decode_rle` does."""
    with _checked(rle) as encoded:
        return int(rlemasklib.area(encoded))


def rle_box(rle: Rle) -> tuple[int, int, int, int]:
    """(x, y, width, height) of the smallest box around the mask, all 0 if it is empty; as COCO writes boxes.

    Raises FormatError as `decode_rle` does.
    """
    with _checked(rle) as encoded:
        x, y, width, height = (int(edge) for edge in rlemasklib.to_bbox(encoded))
    return x, y, width, height


def rle_from_json(value: object, size: tuple[int, int]) -> Rle:
    """A COCO segmentation of a picture of this (height, width), in any of its three forms.

    Those are `{"size": [h, w], "counts": "..."}`, the same with a list of run lengths, and a list of
    polygons `[[x0, y0, x1, y1, ...], ...]`. Raises FormatError for anything else and for another size.
    """
    check_mask_size(size)
    if isinstance(value, list):
        return _from_polygons(value, size)
    if not isinstance(value, dict) or "counts" not in value or "size" not in value:
        raise FormatError('a mask is neither {"size": [height, width], "counts": ...} nor a list of polygons')
    if value["size"] != list(size):
        raise FormatError(f"a mask has the size {value['size']!r:.40}; the picture has {list(size)}, (height, width)")
    counts = value["counts"]
    if isinstance(counts, str):
        return Rle(size, counts)
    if not isinstance(counts, list):
        kind = type(counts).__name__
        raise FormatError(f"the counts of a mask are of type {kind}; expected a string or a list of runs")
    if not all(isinstance(run, int) and run >= 0 for run in counts) or sum(counts) != size[0] * size[1]:
        raise FormatError(f"the run lengths of a mask do not add up to its size {size}; give another copy of the file")
    return from_plain(rlemasklib.RLEMask.from_counts(np.array(counts, np.uint32), size).to_dict())


def rle_union(one: Rle | None, other: Rle) -> Rle:
    """The union of two masks of one size; None is no mask. Raises FormatError as `decode_rle` does."""
    return other if one is None else encode_rle(decode_rle(one) | decode_rle(other))


def row_runs(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The run lengths along the rows of a mask, bool (H, W), the background first; they add up to H x W."""
    flat = np.ascontiguousarray(mask).reshape(-1)
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    lengths = np.diff(np.concatenate(([0], edges, [flat.size])))
    return np.concatenate(([0], lengths)) if flat[0] else lengths


def of_row_runs(runs: ArrayLike, size: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask, bool (H, W), of run lengths along its rows. Raises ValueError, which says what these are or do."""
    try:
        lengths = np.array(runs, np.int64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("are no whole numbers") from None
    height, width = size
    if lengths.ndim != 1 or (lengths < 0).any() or (lengths > height * width).any() or lengths.sum() != height * width:
        raise ValueError(f"do not fill its box of {width} x {height} pixels")
    return np.repeat(np.arange(lengths.size) % 2 == 1, lengths).reshape(size)


def checked_rle(size: tuple[int, int], counts: object) -> Rle:
    """A mask of a file. Raises FormatError unless the counts are a text of run lengths that fill the size."""
    if not isinstance(counts, str):
        raise FormatError(f"the counts of a mask are {counts!r:.40}; expected a text")
    rle = Rle(size, counts)
    rle_area(rle)
    return rle


def check_mask_size(size: Sequence[int]) -> None:
    """Raises FormatError unless both sides are positive and the pixels not more than MAX_MASK_PIXELS."""
    height, width = size
    if not (height > 0 and width > 0 and height * width <= MAX_MASK_PIXELS):
        raise FormatError(
            f"a mask of {height} x {width} pixels (height, width); "
            f"expected sides over 0 and at most {MAX_MASK_PIXELS} pixels"
        )


def check_near(points: NDArray[np.float64], size: tuple[int, int], what: str) -> None:
    """Raises FormatError, which calls it `what`, for a shape far outside its picture: every edge is walked along, pixel
    by pixel, so that this bounds the time."""
    if np.abs(points).max(initial=0) > 2 * sum(size):
        raise FormatError(f"{what} lies far outside its picture of {size} pixels (height, width)")


def plain(rle: Rle) -> dict[str, Any]:
    """As rlemasklib takes it."""
    return {"size": list(rle.size), "counts": rle.counts.encode("utf-8")}


def from_plain(encoded: dict[str, Any]) -> Rle:
    """From what rlemasklib gives."""
    height, width = encoded["size"]
    return Rle((int(height), int(width)), encoded["counts"].decode("ascii"))


@contextmanager
def _checked(rle: Rle) -> Iterator[dict[str, Any]]:
    """As rlemasklib takes it, whose complaints become those of this package."""
    check_mask_size(rle.size)
    try:
        yield plain(rle)
    except ValueError as error:
        raise FormatError(
            f"a mask of {rle.size} pixels (height, width) is damaged: {error}; give another copy of the file"
        ) from error


def _from_polygons(polygons: list[object], size: tuple[int, int]) -> Rle:
    """The union of polygons, filled by COCO's own rule."""
    filled = [rlemasklib.zeros(size)]
    for polygon in polygons:
        try:
            points = np.asarray(polygon, np.float64)
        except (TypeError, ValueError) as error:
            raise FormatError("a polygon is not a list of numbers x0, y0, x1, y1, ...") from error
        if points.ndim != 1 or points.size < 6 or points.size % 2 or not np.isfinite(points).all():
            raise FormatError(f"a polygon has {points.size} numbers; expected x0, y0, x1, y1, ... of 3 or more corners")
        check_near(points, size, "a polygon")
        filled.append(rlemasklib.from_polygon(points, imshape=size))
    return from_plain(rlemasklib.union(filled))


@dataclass(frozen=True)
class Patch:
    """One mask, not empty.

    box  the smallest around it, in pixels of the picture
    rle  what is inside, of the box's size
    """

    box: Box
    rle: Rle

    @property
    def area(self) -> int:
        return rle_area(self.rle)

    @property
    def inside(self) -> NDArray[np.bool_]:
        """bool of the box's size."""
        return decode_rle(self.rle)


def cut_patch(mask: NDArray[np.bool_], corner: tuple[int, int] = (0, 0)) -> Patch | None:
    """The patch of a mask, bool (H, W), whose pixel (0, 0) lies at `corner` (x, y); None if it is empty."""
    x0, y0, x1, y1 = mask_box(mask).tolist()
    if x0 == x1:
        return None
    x, y = corner
    return Patch((x0 + x, y0 + y, x1 + x, y1 + y), encode_rle(mask[y0:y1, x0:x1]))


def from_rle(rle: Rle) -> Patch | None:
    """The patch of a mask that is kept as run lengths of the whole picture, without its pixels ever being in memory;
    None if it is empty."""
    with _checked(rle) as encoded:
        return patch_of(rlemasklib.RLEMask.from_dict(encoded))


def patch_of(mask: Any, corner: tuple[int, int] = (0, 0)) -> Patch | None:
    """The patch of an RLEMask of rlemasklib, whose pixel (0, 0) lies at `corner` (x, y); None if it is empty."""
    inner, box = mask.tight_crop()
    (x, y), (x0, y0, width, height) = corner, box.tolist()
    return Patch((x0 + x, y0 + y, x0 + x + width, y0 + y + height), from_plain(inner.to_dict())) if width else None


def paste(patch: Patch, view: Box) -> NDArray[np.bool_]:
    """The mask as it is seen in a part of the picture, bool of the part's size."""
    left, top, right, bottom = view
    mask = np.zeros((bottom - top, right - left), np.bool_)
    if shared := common_box(patch.box, view):
        mask[slices_within(shared, view)] = rlemasklib.decode(cropped(patch, shared))
    return mask


def part_in(patch: Patch, view: Box) -> Patch | None:
    """What of a mask lies in a part of the picture; None if nothing does."""
    shared = common_box(patch.box, view)
    if shared is None or shared == patch.box:
        return patch if shared else None
    return cut_patch(paste(patch, shared), shared[:2])


def union(patches: Sequence[Patch]) -> Patch:
    """One patch of several, without their pixels ever being in memory."""
    if len(patches) == 1:
        return patches[0]
    x0, y0, x1, y1 = zip(*(patch.box for patch in patches), strict=True)
    box = (min(x0), min(y0), max(x1), max(y1))
    return Patch(box, from_plain(rlemasklib.union([plain(padded_rle(patch, box)) for patch in patches])))


def padded_rle(patch: Patch, outer: Box) -> Rle:
    """The run lengths of the outer box, which holds the patch, without its pixels ever being in memory."""
    x0, y0, x1, y1 = patch.box
    left, top, right, bottom = outer
    return from_plain(rlemasklib.pad(plain(patch.rle), (x0 - left, right - x1, y0 - top, bottom - y1)))


def agreement(one: Patch, other: Patch, view: Box) -> float:
    """Intersection over union of two masks in a part of the picture; 0 if neither is seen there."""
    a, b = paste(one, view), paste(other, view)
    either = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / either if either else 0.0


def shared_area(one: Patch, other: Patch) -> int:
    """Pixels that two masks have in common, by their run lengths."""
    if not (shared := common_box(one.box, other.box)):
        return 0
    return int(rlemasklib.area(rlemasklib.intersection([cropped(one, shared), cropped(other, shared)])))


def cropped(patch: Patch, view: Box) -> dict[str, Any]:
    """The run lengths of a part of the patch's box, as rlemasklib takes them."""
    x0, y0, x1, y1 = view
    x, y = patch.box[:2]
    cut: dict[str, Any] = rlemasklib.crop(plain(patch.rle), (x0 - x, y0 - y, x1 - x0, y1 - y0))
    return cut


def slices_within(box: Box, outer: Box) -> tuple[slice, slice]:
    """A box's rows and columns in an array of the outer box."""
    x0, y0, x1, y1 = box
    left, top, *_ = outer
    return slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)


@dataclass(frozen=True, eq=False)
class Stretch:
    """The columns of stretched logits in which anything may lie above some threshold.

    columns  float32 (C, h): cells of the columns, already stretched sideways
    first    number of the first of these columns
    size     (H, W)
    """

    columns: NDArray[np.float32]
    first: int
    size: tuple[int, int]


def stretch(logits: NDArray[np.float32], size: tuple[int, int], lowest: float) -> Stretch:
    """Logits (h, w), stretched sideways to `size` (H, W), where a column holds anything above `lowest`.

    Cells' centres lie as in OpenCV and torch with `align_corners=False`.
    """
    width, cells = size[1], logits.shape[1]
    hot = np.flatnonzero((logits > lowest).any(axis=0))
    if not len(hot):
        return Stretch(np.zeros((0, len(logits)), np.float32), 0, size)
    first = max(0, int((hot[0] - 0.5) * width / cells - 0.5))
    last = min(width, int((hot[-1] + 1.5) * width / cells + 0.5) + 1)
    place = np.clip((np.arange(first, last) + 0.5) * (cells / width) - 0.5, 0, cells - 1)
    left = place.astype(np.int64)
    share = (place - left).astype(np.float32)[:, None]
    upright = np.ascontiguousarray(logits.T)
    columns = upright[left]
    columns += share * (upright[np.minimum(left + 1, cells - 1)] - columns)
    return Stretch(columns, first, size)


def trace(stretched: Stretch, threshold: float) -> Any:
    """The mask where stretched logits lie above a threshold, as rlemasklib's RLEMask of (H, W)."""
    columns, (height, width) = stretched.columns, stretched.size
    count, cells = columns.shape
    inside = np.zeros((count, cells + 2), np.bool_)  # outside above and below, so that every run ends in its column
    np.greater(columns, threshold, out=inside[:, 1:-1])
    column, crossing = np.divmod(np.flatnonzero(inside[:, 1:] != inside[:, :-1]), cells + 1)
    row = np.where(crossing == 0, 0, height)
    inner = (crossing > 0) & (crossing < cells)
    row[inner] = crossed(columns, column[inner], crossing[inner] - 1, threshold, height)
    borders = (column + stretched.first) * height + row
    # Runs of no pixels, where two borders lie in one place, are taken out there.
    return rlemasklib.RLEMask.from_counts(np.diff(np.r_[0, borders, height * width]).astype(np.uint32), (height, width))


def crossed(
    columns: NDArray[np.float32],
    column: NDArray[np.int64],
    above: NDArray[np.int64],
    threshold: float,
    height: int,
) -> NDArray[np.int64]:
    """The first pixel on the other side of the threshold, between the cells `above` and `above` + 1 of the columns."""
    a, b = columns[column, above].astype(np.float64), columns[column, above + 1].astype(np.float64)
    cell = above + (threshold - a) / (b - a)
    pixel = (cell + 0.5) * (height / columns.shape[1]) - 0.5
    beyond = np.where(b > threshold, np.floor(pixel) + 1, np.ceil(pixel))  # on the threshold is outside
    return np.clip(beyond, 0, height).astype(np.int64)


def resize_logits(logits: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """(S/4, S/4) -> (H, W) = `size`, bilinear: every pixel, where the whole is wanted."""
    height, width = size
    return np.asarray(cv2.resize(logits, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
