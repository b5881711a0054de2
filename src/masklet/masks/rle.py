"""Masks as run lengths, in the compressed form of COCO: what JSON files of the field hold.

Runs go down the columns and begin with the background; `counts` is the ASCII string that pycocotools writes.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import rlemasklib  # type: ignore[import-untyped]
from numpy.typing import NDArray

from masklet.errors import FormatError

MOST_PIXELS = 1 << 28
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
    check_size(size)
    if isinstance(value, list):
        return _from_polygons(value, size)
    if not isinstance(value, dict) or "counts" not in value or "size" not in value:
        raise FormatError('a mask is neither {"size": [height, width], "counts": ...} nor a list of polygons')
    if value["size"] != list(size):
        raise FormatError(f"a mask has the size {value['size']!r:.40}; the picture has {list(size)}, (height, width)")
    counts = value["counts"]
    if isinstance(counts, str):
        return Rle(size, counts)
    if isinstance(counts, list):
        return _from_runs(counts, size)
    raise FormatError(f"the counts of a mask are of type {type(counts).__name__}; expected a string or a list of runs")


def check_size(size: Sequence[int]) -> None:
    """Raises FormatError unless both sides are positive and the pixels not more than MOST_PIXELS."""
    height, width = size
    if not (height > 0 and width > 0 and height * width <= MOST_PIXELS):
        raise FormatError(
            f"a mask of {height} x {width} pixels (height, width); "
            f"expected sides over 0 and at most {MOST_PIXELS} pixels"
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
    check_size(rle.size)
    try:
        yield plain(rle)
    except ValueError as error:
        raise FormatError(
            f"a mask of {rle.size} pixels (height, width) is damaged: {error}; give another copy of the file"
        ) from error


def _from_runs(runs: list[object], size: tuple[int, int]) -> Rle:
    if not all(isinstance(run, int) and run >= 0 for run in runs) or sum(runs) != size[0] * size[1]:  # type: ignore[arg-type]
        raise FormatError(f"the run lengths of a mask do not add up to its size {size}; give another copy of the file")
    lengths = np.array(runs, np.uint32)
    flat = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    return encode_rle(flat.reshape(size[::-1]).T)


def _from_polygons(polygons: list[object], size: tuple[int, int]) -> Rle:
    """The union of polygons, filled by COCO's own rule."""
    filled = np.zeros(size, np.bool_)
    for polygon in polygons:
        try:
            points = np.asarray(polygon, np.float64)
        except (TypeError, ValueError) as error:
            raise FormatError("a polygon is not a list of numbers x0, y0, x1, y1, ...") from error
        if points.ndim != 1 or points.size < 6 or points.size % 2 or not np.isfinite(points).all():
            raise FormatError(f"a polygon has {points.size} numbers; expected x0, y0, x1, y1, ... of 3 or more corners")
        check_near(points, size, "a polygon")
        filled |= rlemasklib.decode(rlemasklib.from_polygon(points, imshape=size)).astype(np.bool_)
    return encode_rle(filled)
