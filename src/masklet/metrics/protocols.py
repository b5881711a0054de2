"""Which frames and objects of a sequence count, by the rules of each data set: the choices, and who makes which."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from masklet.errors import EvaluationError, nearest
from masklet.metrics.boundary import adaptive_boundary_accuracy, boundary_accuracy
from masklet.metrics.region import Mask, Values
from masklet.metrics.sequence import Boundary, IndexMaps, Measured, ObjectId, measure, with_objects
from masklet.metrics.summary import RegionAndBoundary, summarise

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
    return select(measure(rules.prepare(predicted), rules.prepare(truth), rules.boundary), rules)


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
