"""Whether masks that nobody asked for cover the true ones: the overlap of every pair, and COCO's recall."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from masklet.errors import EvaluationError
from masklet.masks.rle import Patch, shared_area
from masklet.metrics.jf import Mask, Values

THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""COCO's IoUs: 0.5, 0.55, ... 0.95."""


def iou_table(found: Sequence[Patch], truth: Sequence[Patch]) -> Values:
    """IoU of each found mask with each true one: float64 (M, N), in 0..1, computed on run lengths.

    Masks of patches are never empty, so every IoU is defined. The largest of a column is the best overlap of an object,
    0 where nothing was found.

    Source: the mean over objects is the average best overlap of Uijlings et al., "Selective Search for Object
    Recognition", IJCV 2013, section 5, with masks in the place of boxes.
    """
    table = np.zeros((len(found), len(truth)))
    ours, theirs = [patch.area for patch in found], [patch.area for patch in truth]
    for row, one in enumerate(found):
        for column, other in enumerate(truth):
            if shared := shared_area(one, other):
                table[row, column] = shared / (ours[row] + theirs[column] - shared)
    return table


def is_found(ious: Values, scores: NDArray[np.floating], most: int, thresholds: Values = THRESHOLDS) -> Mask:
    """Whether each true mask is found, by IoU threshold: bool (T, N).

    ious        float64 (M, N), as `iou_table` gives them
    scores      float (M,), the surest highest; of equal ones the earlier counts as surer
    most        only the surest so many masks count
    thresholds  float64 (T,)

    One after another, the surest first, each found mask takes the true mask that it covers best of those that are left,
    if the IoU reaches the threshold. So a second mask of the same object adds nothing. The mean over true masks is
    the recall, over thresholds too COCO's average recall AR. Without true masks the result is (T, 0). Raises
    EvaluationError unless there is one score for each row.

    Source: Lin et al., "Microsoft COCO", ECCV 2014, and https://cocodataset.org/#detection-eval, all objects as one
    category; AR of Hosang et al., "What Makes for Effective Detection Proposals?", PAMI 2016.
    """
    if ious.ndim != 2 or len(ious) != len(scores):
        raise EvaluationError(f"IoUs of the shape {ious.shape} and {len(scores)} scores; give (M, N) and M scores")
    count = ious.shape[1]
    taken = np.zeros((len(thresholds), count), np.bool_)
    if not count:
        return taken
    least = np.minimum(thresholds, 1 - 1e-10)[:, None]  # COCO's own: a threshold of 1 can be reached
    levels = np.arange(len(thresholds))
    for row in np.argsort(-np.asarray(scores, np.float64), kind="stable")[:most]:
        open_to_it = np.where(~taken & (ious[row] >= least), ious[row], -1.0)
        column = count - 1 - open_to_it[:, ::-1].argmax(axis=1)  # of equal ones the last, as COCO's loop does
        hit = open_to_it[levels, column] >= 0
        taken[levels[hit], column[hit]] = True
    return taken
