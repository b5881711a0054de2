"""Tracking of many objects, where numbers of truth and prediction need not agree: MOTA, IDF1 and HOTA, by TrackEval."""

import contextlib
import io
from collections.abc import Mapping
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from masklet.errors import EvaluationError
from masklet.metrics.jf import Values
from masklet.metrics.sequence import VOID, IndexMaps, check_maps

TRACKING = ("HOTA", "DetA", "AssA", "MOTA", "IDF1", "switches")
"""The measures. All are shares, at most 1, but for the last: times that a true object is followed under another number.

HOTA      geometric mean of detection and association, mean over IoU thresholds 0.05 to 0.95
DetA      its first part
AssA      its second part
MOTA      1 less misses, false masks and switches over true masks; may be below 0
IDF1      F1 of masks that keep one identity
"""


def tracking_scores(sequences: Mapping[str, tuple[IndexMaps, IndexMaps]]) -> dict[str, float]:
    """The measures of `TRACKING`, for predicted and true index maps, uint8 or uint16 (T, H, W), by name of the
    sequence.

    Masks match at an IoU of 0.5 and more for MOTA and IDF1. Pixels that are 255 in the truth count for nobody.
    Frames without objects, in one or both, are allowed; an object without a pixel does not exist. Without any object
    in truth, or in prediction, every share is 0, as TrackEval has it. Raises EvaluationError if TrackEval is missing,
    for no sequence, and for maps of other types and of unequal shapes.

    Source: Bernardin and Stiefelhagen, 2008 (MOTA); Ristani et al., ECCV workshops 2016 (IDF1); Luiten et al., IJCV
    2021 (HOTA); the IoU of masks in place of boxes: Voigtlaender et al., "MOTS", CVPR 2019.
    """
    if not sequences:
        raise EvaluationError("there is no sequence to score; give at least one")
    with contextlib.redirect_stdout(io.StringIO()):  # it says which of its data sets cannot be imported
        try:
            from trackeval.metrics import CLEAR, HOTA, Identity
        except ImportError as error:
            # without its dependencies, because it asks for another build of OpenCV, which would replace masklet's
            raise EvaluationError(
                "MOTA, IDF1 and HOTA are computed by TrackEval; install it with: "
                'pip install "masklet[eval]" && pip install --no-deps trackeval'
            ) from error
        quiet = {"THRESHOLD": 0.5, "PRINT_CONFIG": False}
        scored = [_facts(*maps) for maps in sequences.values()]
        clear, identity, hota = (
            metric.combine_sequences({str(place): metric.eval_sequence(facts) for place, facts in enumerate(scored)})
            for metric in (CLEAR(quiet), Identity(quiet), HOTA())
        )
    found = {name: float(np.mean(hota[name])) for name in TRACKING[:3]}
    return {**found, "MOTA": float(clear["MOTA"]), "IDF1": float(identity["IDF1"]), "switches": float(clear["IDSW"])}


def mask_ious(predicted: IndexMaps, truth: IndexMaps) -> tuple[list[int], list[int], Values]:
    """IoU of each true with each predicted mask of one frame: their numbers, N and M, and float64 (N, M)."""
    known = truth != VOID
    ours, theirs = np.where(known, predicted, 0), np.where(known, truth, 0)
    true_numbers, rows = np.unique(theirs, return_inverse=True)
    numbers, columns = np.unique(ours, return_inverse=True)
    cells = rows.ravel() * len(numbers) + columns.ravel()
    common = np.bincount(cells, minlength=len(true_numbers) * len(numbers)).reshape(len(true_numbers), len(numbers))
    union = common.sum(axis=1, keepdims=True) + common.sum(axis=0, keepdims=True) - common
    ious = (common / np.maximum(union, 1))[true_numbers > 0][:, numbers > 0]
    return true_numbers[true_numbers > 0].tolist(), numbers[numbers > 0].tolist(), ious


def _facts(predicted: IndexMaps, truth: IndexMaps) -> dict[str, Any]:
    """One sequence as TrackEval takes it: numbers from 0 without gaps, and IoUs frame by frame."""
    check_maps(predicted, truth)
    frames = [mask_ious(ours, theirs) for ours, theirs in zip(predicted, truth, strict=True)]
    true_count, true_ids = _ids([numbers for numbers, _, _ in frames])
    count, ids = _ids([numbers for _, numbers, _ in frames])
    return {
        "num_timesteps": len(frames),
        "num_gt_ids": true_count,
        "num_tracker_ids": count,
        "num_gt_dets": sum(map(len, true_ids)),
        "num_tracker_dets": sum(map(len, ids)),
        "gt_ids": true_ids,
        "tracker_ids": ids,
        "similarity_scores": [ious for _, _, ious in frames],
    }


def _ids(frames: list[list[int]]) -> tuple[int, list[NDArray[np.int64]]]:
    """How many numbers there are, and those of each frame without gaps."""
    known = sorted(set(chain(*frames)))
    return len(known), [np.searchsorted(known, numbers) for numbers in frames]
