"""Which frames and which objects of a sequence may count: the choices that protocols are made of."""

from __future__ import annotations

import numpy as np

from masklet.errors import EvaluationError
from masklet.metrics.region import Mask
from masklet.metrics.sequence import IndexMaps, Measured, ObjectId

# --- which frames ----------------------------------------------------------------------------------


def every_frame(measured: Measured) -> Mask:
    """All."""
    return np.ones(measured.region.shape, np.bool_)


def inner_frames(measured: Measured) -> Mask:
    """All but the first, whose mask is given, and the last (DAVIS)."""
    counted = every_frame(measured)
    counted[:, [0, -1]] = False
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


# --- which objects ---------------------------------------------------------------------------------


def numbered(measured: Measured) -> tuple[ObjectId, ...]:
    """1 to the highest number of the truth, also numbers that it leaves out (DAVIS)."""
    shown = [name for name, areas in zip(measured.objects, measured.truth_area, strict=True) if areas.any()]
    highest = max((name for name in shown if isinstance(name, int)), default=0)
    further = [str(name) for name in measured.objects if not isinstance(name, int) or not 1 <= name <= highest]
    if further:
        raise EvaluationError(
            f"there are the objects {', '.join(further)}, and those of the truth are 1 to {highest}; "
            "give each predicted object the number that it has in the truth"
        )
    return tuple(range(1, highest + 1))


def in_truth(measured: Measured) -> tuple[ObjectId, ...]:
    """Those that truth shows in any frame; what is only predicted is passed over."""
    shown = np.count_nonzero(measured.truth_area, axis=1)
    return tuple(name for name, seen in zip(measured.objects, shown, strict=True) if seen)


def in_inner_truth(measured: Measured) -> tuple[ObjectId, ...]:
    """Those that truth shows in a frame other than the first and the last (SA-V)."""
    shown = np.count_nonzero(measured.truth_area[:, 1:-1], axis=1)
    return tuple(name for name, seen in zip(measured.objects, shown, strict=True) if seen)


# --- what is made of the maps ----------------------------------------------------------------------


def as_they_are(maps: IndexMaps) -> IndexMaps:
    """One object for each number."""
    return maps


def as_one_object(maps: IndexMaps) -> IndexMaps:
    """Everything but the background is object 1, 255 as well (DAVIS-2016 has masks of 0 and 255)."""
    return (maps != 0).astype(np.uint8)
