"""J and F of all objects in all frames of a sequence: the raw values; the numbers of a table, which are mean, recall,
decay, J&F and the G of YouTube-VOS; and which frames and objects count by the rules of each data set."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from functools import partial
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from masklet.errors import EvaluationError, nearest
from masklet.metrics.jf import Mask, Values, adaptive_boundary_accuracy, area, boundary_accuracy, region_similarity
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


def measure_sequence(predicted: IndexMaps, truth: IndexMaps, boundary: Boundary = boundary_accuracy) -> Measured:
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


RECALL_THRESHOLD = 0.5
"""A frame counts for recall if its value is above this."""


@dataclass(frozen=True)
class Summary:
    """What a run of values per frame comes to."""

    mean: float  # mean over frames, 0..1
    recall: float  # share of frames above 0.5, 0..1
    decay: float  # mean of the first quarter less the mean of the last, -1..1; above 0 if the values fall


@dataclass(frozen=True)
class RegionAndBoundary:
    """J and F side by side."""

    region: Summary  # of J
    boundary: Summary  # of F

    @property
    def mean(self) -> float:
        """J&F: the mean of both means, 0..1."""
        return (self.region.mean + self.boundary.mean) / 2

    def values(self) -> tuple[float, ...]:
        """J&F, mean, recall and decay of J, and of F: the numbers that DAVIS reports."""
        return (self.mean, *astuple(self.region), *astuple(self.boundary))


@dataclass(frozen=True)
class SeenAndUnseen:
    """The numbers of YouTube-VOS: means over the objects of categories that training has, and that it lacks.

    A number without objects is NaN, and so is G then.
    """

    region_seen: float
    region_unseen: float
    boundary_seen: float
    boundary_unseen: float

    @property
    def overall(self) -> float:
        """G, the mean of the four."""
        return float(np.mean(astuple(self)))

    def named(self) -> dict[str, float]:
        return dict(zip(("G", "J seen", "J unseen", "F seen", "F unseen"), (self.overall, *astuple(self)), strict=True))


def summarise(per_frame: Values | Sequence[float]) -> Summary:
    """Mean, recall and decay of the values of one object, (T,), in the order of frames.

    The quarters of the decay share their border frames, so a single value falls into all four. Raises
    EvaluationError if there is no value.

    Source: Perazzi et al., CVPR 2016, section 5; quarters as in the published DAVIS 2017 evaluation. That program
    holds the border frames in 8 bits, so its decay is meaningless beyond 256 frames; here it is not.
    """
    values = np.asarray(per_frame, np.float64)
    if values.ndim != 1 or not len(values):
        raise EvaluationError(f"values of the shape {values.shape} have no mean; give one value per frame, (T,)")
    borders = np.round(np.linspace(1, len(values), 5) + 1e-10).astype(np.int64) - 1
    first, last = values[: borders[1] + 1], values[borders[3] :]
    return Summary(
        mean=float(values.mean()),
        recall=float((values > RECALL_THRESHOLD).mean()),
        decay=float(first.mean() - last.mean()),
    )


def average(summaries: Iterable[Summary]) -> Summary:
    """Plain mean over objects: the numbers of a whole data set. Every object counts alike, however long it is seen."""
    rows = np.array([astuple(summary) for summary in summaries], np.float64)
    if not len(rows):
        raise EvaluationError("there is no object to average over; give at least one sequence with an object")
    return Summary(*(float(value) for value in rows.mean(axis=0)))


def seen_and_unseen(means: Iterable[tuple[float, float]], unseen: Iterable[bool]) -> SeenAndUnseen:
    """J and F of seen and unseen categories.

    means   of each object: mean J and mean F
    unseen  of each object: whether its category is one that training lacks

    Source: Xu et al., "YouTube-VOS: A Large-Scale Video Object Segmentation Benchmark", 2018, section 4.
    """
    rows = np.array(list(means), np.float64).reshape(-1, 2)
    new = np.array(list(unseen), np.bool_)
    (region_seen, boundary_seen), (region_unseen, boundary_unseen) = (
        (float(column.mean()) if len(column) else float("nan") for column in rows[which].T) for which in (~new, new)
    )
    return SeenAndUnseen(region_seen, region_unseen, boundary_seen, boundary_unseen)


EVERY, INNER = slice(None), slice(1, -1)
"""Of the frames of a sequence: all; all but the first and the last."""


def every_frame(measured: Measured) -> Mask:
    """All."""
    return np.ones(measured.region.shape, np.bool_)


def inner_frames(measured: Measured) -> Mask:
    """All but the first, whose mask is given, and the last (DAVIS)."""
    counted = np.zeros(measured.region.shape, np.bool_)
    counted[:, INNER] = True
    return counted


def since_seen(measured: Measured) -> Mask:
    """Inner frames from the first of them on in which truth or prediction show the object (SA-V)."""
    inner = inner_frames(measured)
    seen = inner & ((measured.truth_area > 0) | (measured.predicted_area > 0))
    return inner & np.logical_or.accumulate(seen, axis=1)


def after_first_seen(measured: Measured) -> Mask:
    """Frames after the first in which truth shows the object: there its mask is given (YouTube-VOS)."""
    seen = np.logical_or.accumulate(measured.truth_area > 0, axis=1)
    return np.pad(seen, ((0, 0), (1, 0)))[:, :-1]


def in_truth(measured: Measured, frames: slice = EVERY) -> tuple[ObjectId, ...]:
    """Those that truth shows in any of these frames; what is only predicted is passed over."""
    shown = np.count_nonzero(measured.truth_area[:, frames], axis=1)
    return tuple(name for name, seen in zip(measured.objects, shown, strict=True) if seen)


def numbered(measured: Measured) -> tuple[ObjectId, ...]:
    """1 to the highest number of the truth, also numbers that it leaves out (DAVIS)."""
    highest = max((name for name in in_truth(measured) if isinstance(name, int)), default=0)
    if not highest:
        raise EvaluationError(
            "the truth shows no object, which has a number from 1 to 254; if its masks are 0 and 255, as those of "
            "DAVIS-2016, give the protocol davis2016"
        )
    further = [str(name) for name in measured.objects if not isinstance(name, int) or not 1 <= name <= highest]
    if further:
        raise EvaluationError(
            f"there are the objects {', '.join(further)}, and those of the truth are 1 to {highest}; "
            "give each predicted object the number that it has in the truth"
        )
    return tuple(range(1, highest + 1))


@dataclass(frozen=True)
class Protocol:
    """How one data set is scored."""

    name: str  # what people type
    objects: Callable[[Measured], tuple[ObjectId, ...]]  # which of the measured objects are scored
    counted: Callable[[Measured], Mask]  # which frames count for each object, bool (N, T)
    boundary: Boundary = boundary_accuracy  # how outlines are compared
    # whether all but the background of an index map is object 1, 255 as well (DAVIS-2016 has masks of 0 and 255)
    one_object: bool = False

    def prepare(self, maps: IndexMaps) -> IndexMaps:
        """Index maps as they are compared."""
        return (maps != 0).astype(np.uint8) if self.one_object else maps


@dataclass(frozen=True)
class ObjectScores:
    """The values of one object that count."""

    object: ObjectId  # its name
    frames: NDArray[np.int64]  # places in the sequence, from 0, int64 (K,)
    region: Values  # J, float64 (K,)
    boundary: Values  # F, float64 (K,)

    def summary(self) -> RegionAndBoundary:
        return RegionAndBoundary(summarise(self.region), summarise(self.boundary))


def score_sequence(predicted: IndexMaps, truth: IndexMaps, protocol: str = "davis2017") -> tuple[ObjectScores, ...]:
    """J and F of each object of one sequence, by the rules of a data set.

    predicted  index maps, uint8 or uint16 (T, H, W): 0 background, 1 to 254 objects
    truth      the same; 255 is unknown
    protocol   a name of `PROTOCOLS`

    Raises EvaluationError for maps of unequal shapes, for an unknown protocol, and as `select` does.
    """
    rules = find_protocol(protocol)
    return select(measure_sequence(rules.prepare(predicted), rules.prepare(truth), rules.boundary), rules)


def select(measured: Measured, protocol: Protocol) -> tuple[ObjectScores, ...]:
    """What counts of a sequence's values. Objects without any frame that counts are left out.

    Raises EvaluationError if nothing counts at all, and, for DAVIS, if the prediction has an object that the truth
    has not, as the published tool does.
    """
    chosen = with_objects(measured, protocol.objects(measured))
    counted = protocol.counted(chosen)
    scores = tuple(
        ObjectScores(name, np.flatnonzero(which), region[which], boundary[which])
        for name, which, region, boundary in zip(chosen.objects, counted, chosen.region, chosen.boundary, strict=True)
        if which.any()
    )
    if not scores:
        raise EvaluationError(
            f"nothing counts by the protocol {protocol.name} among {measured.frame_count} frames and "
            f"{len(chosen.objects)} objects; give a longer sequence, or the protocol 'all'"
        )
    return scores


def find_protocol(name: str) -> Protocol:
    """The protocol of that name. Raises EvaluationError, with the nearest name, if there is none."""
    if name not in PROTOCOLS:
        raise EvaluationError(f"unknown protocol {name!r}{nearest(name, PROTOCOLS)}; there are {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


PROTOCOLS: Mapping[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol("davis2016", numbered, inner_frames, one_object=True),  # Perazzi et al., CVPR 2016
        Protocol("davis2017", numbered, inner_frames),  # Pont-Tuset et al., 2017, semi-supervised
        Protocol("ytvos", in_truth, after_first_seen),  # Xu et al., 2018; G from seen and unseen categories
        Protocol("sav", partial(in_truth, frames=INNER), since_seen),  # Ravi et al., 2024
        Protocol("mose", in_truth, inner_frames),  # Ding et al., ICCV 2023
        Protocol("mosev2", in_truth, inner_frames, adaptive_boundary_accuracy),  # Ding et al., 2025
        Protocol("lvos", in_truth, inner_frames),  # Hong et al., ICCV 2023
        Protocol("all", in_truth, every_frame),
    )
}
"""The protocols, by name."""
