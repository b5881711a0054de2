"""The masks of one frame, predicted and true, from files: read, checked against each other, and measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from masklet.errors import EvaluationError, FormatError
from masklet.evaluation.scoring.folders import IndexFolder, MaskFolder, ObjectFolder, Pair
from masklet.formats.base import ObjectId
from masklet.formats.davis import read_index_png
from masklet.metrics.protocols import Protocol
from masklet.metrics.sequence import VOID, Measured, measure, measure_masks


def measure_frame(pair: Pair, frame: int, protocol: Protocol) -> Measured:
    """J and F of all objects in one frame.

    Raises EvaluationError, naming the file, for what cannot be read, masks of another size than the truth, and
    a prediction that says "unknown".
    """
    if isinstance(pair.predicted, IndexFolder) and isinstance(pair.truth, IndexFolder):
        ours, theirs = (protocol.prepare(_read(folder.files[frame])) for folder in (pair.predicted, pair.truth))
        _same_size(ours, theirs, pair.predicted.files[frame])
        if (ours == VOID).any():
            raise EvaluationError(
                f"{pair.predicted.files[frame]} holds the value {VOID}, which stands for unknown in the truth; "
                "number predicted objects from 1 to 254"
            )
        return measure(ours[None], theirs[None], protocol.boundary)
    predicted, truth = _object_masks(pair.predicted, frame), _object_masks(pair.truth, frame)
    size = next(iter(truth.values()))
    for name, mask in [*predicted.items(), *truth.items()]:
        _same_size(mask, size, pair.predicted.folder / f"{name}, frame {frame}")
    return measure_masks(predicted, truth, protocol.boundary)


def _object_masks(folder: MaskFolder, frame: int) -> dict[ObjectId, NDArray[np.bool_]]:
    assert isinstance(folder, ObjectFolder), "both folders of a pair are of one layout"
    return {name: _read(files[frame]) > 0 for name, files in folder.objects.items() if frame in files}


def _read(path: Path) -> NDArray[np.uint8]:
    try:
        return read_index_png(path)
    except FormatError as error:
        raise EvaluationError(f"in {path.parent}: {error}") from error


def _same_size(ours: NDArray[np.generic], theirs: NDArray[np.generic], path: Path) -> None:
    if ours.shape != theirs.shape:
        raise EvaluationError(
            f"{path} is {ours.shape[0]} x {ours.shape[1]} pixels (height x width) and the truth "
            f"{theirs.shape[0]} x {theirs.shape[1]}; write masks of the truth's size"
        )
