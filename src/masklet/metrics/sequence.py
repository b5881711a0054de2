"""J and F of all objects in all frames of a sequence: the raw values that every protocol chooses from."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from masklet.errors import EvaluationError
from masklet.metrics.boundary import boundary_accuracy
from masklet.metrics.region import Mask, Values, area, region_similarity
from masklet.prompts import ObjectId as ObjectId

IndexMaps = NDArray[np.uint8] | NDArray[np.uint16]
Name = TypeVar("Name", bound=ObjectId)
Boundary = Callable[[Mask, Mask, Mask | None], Values]

VOID = 255
"""Value of pixels in a true index map of which nobody knows what they are."""


@dataclass(frozen=True)
class Measured:
    """Values of N objects in T frames, before a protocol leaves out any."""

    objects: tuple[ObjectId, ...]  # their names, N
    region: Values  # J, float64 (N, T)
    boundary: Values  # F, float64 (N, T)
    truth_area: NDArray[np.int64]  # pixels of the true masks, int64 (N, T)
    predicted_area: NDArray[np.int64]  # pixels of the predicted masks, int64 (N, T)

    @property
    def frame_count(self) -> int:
        """T"""
        return self.region.shape[1]


def measure(predicted: IndexMaps, truth: IndexMaps, boundary: Boundary = boundary_accuracy) -> Measured:
    """Compare index maps: pixels hold the number of an object, 0 is the background.

    predicted  uint8 or uint16 (T, H, W)
    truth      the same; 255 stands for unknown, pixels that count neither for nor against anybody
    boundary   how outlines are compared, with the arguments and values of `boundary_accuracy`

    The objects are those with a pixel in either; 255 in the prediction is no object. One that is missing from the
    prediction, in a frame or in all, has an empty mask there. Raises EvaluationError for maps of another type and
    of unequal shapes.
    """
    check_maps(predicted, truth)
    return join_measures(
        [_measure_frame(ours, theirs, boundary) for ours, theirs in zip(predicted, truth, strict=True)]
    )


def measure_masks(
    predicted: Mapping[Name, Mask],
    truth: Mapping[Name, Mask],
    boundary: Boundary = boundary_accuracy,
    void: Mask | None = None,
) -> Measured:
    """Compare one mask for each object in one frame, where masks may overlap: Measured with T = 1.

    predicted, truth  bool (H, W) by object, all of one size; an object that is in one of them only is empty in the
                      other
    void              bool (H, W): unknown pixels
    """
    objects = tuple(dict.fromkeys([*truth, *predicted]))
    empty = np.zeros_like(next(iter([*truth.values(), *predicted.values()]), np.zeros((1, 1), np.bool_)))
    ours, theirs = (
        np.array([masks.get(name, empty) for name in objects], np.bool_).reshape(-1, *empty.shape)
        for masks in (predicted, truth)
    )
    return Measured(
        objects=objects,
        region=region_similarity(ours, theirs, void)[:, None],
        boundary=boundary(ours, theirs, void)[:, None],
        truth_area=area(theirs)[:, None],
        predicted_area=area(ours)[:, None],
    )


def join_measures(parts: Sequence[Measured]) -> Measured:
    """Frames that were measured apart, one after another: the same as if all had been measured at once.

    An object that a part does not know is absent from its frames, in prediction and truth: J and F are 1 there.
    """
    if not parts:
        values, areas = np.zeros((0, 0)), np.zeros((0, 0), np.int64)
        return Measured((), values, values, areas, areas)
    names = {name for part in parts for name in part.objects}
    objects = sorted(names, key=lambda name: (isinstance(name, str), name))  # numbers by size, then texts
    tables = zip(*(_tables(with_objects(part, objects)) for part in parts), strict=True)
    return Measured(tuple(objects), *(np.concatenate(table, axis=1) for table in tables))


def with_objects(measured: Measured, objects: Iterable[ObjectId]) -> Measured:
    """The same frames with these objects, in this order; those that were never seen are absent throughout."""
    wanted = tuple(objects)
    rows = [measured.objects.index(name) if name in measured.objects else -1 for name in wanted]
    absent = [np.full((1, measured.frame_count), value) for value in (1.0, 1.0, 0, 0)]
    tables = (np.concatenate(pair)[rows] for pair in zip(_tables(measured), absent, strict=True))
    return Measured(wanted, *tables)


def _tables(measured: Measured) -> tuple[Any, ...]:
    return measured.region, measured.boundary, measured.truth_area, measured.predicted_area


def check_maps(predicted: IndexMaps, truth: IndexMaps) -> None:
    """Raise EvaluationError for index maps of another type, and of unequal shapes."""
    for name, maps in (("predicted", predicted), ("true", truth)):
        if maps.dtype not in (np.uint8, np.uint16):
            raise EvaluationError(f"{name} maps of the type {maps.dtype}; give uint8 or uint16")
    if predicted.shape != truth.shape or predicted.ndim != 3:
        raise EvaluationError(
            f"predicted maps of the shape {predicted.shape} and true ones of {truth.shape}; "
            "give two of one shape (frames, height, width)"
        )


def values_in(index_map: IndexMaps) -> set[int]:
    """The values that occur in an index map. Counting them is quicker than sorting."""
    most = int(np.iinfo(index_map.dtype).max) + 1
    counts = cv2.calcHist([np.ascontiguousarray(index_map)], [0], None, [most], [0, most])
    return set(np.flatnonzero(counts).tolist())


def _measure_frame(predicted: IndexMaps, truth: IndexMaps, boundary: Boundary) -> Measured:
    found = values_in(predicted) | values_in(truth)
    numbers = sorted(found - {0, VOID})
    return measure_masks(
        {number: predicted == number for number in numbers},
        {number: truth == number for number in numbers},
        boundary,
        truth == VOID if VOID in found else None,
    )
