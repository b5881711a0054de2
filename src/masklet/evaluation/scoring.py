"""Folders of masks that any tool wrote, scored against the truth: in several processes, some frames at a time."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from masklet.atomic import write_whole
from masklet.datasets.frame_folders import read_meta
from masklet.errors import EvaluationError, FormatError
from masklet.evaluation.mask_folders import IndexFolder, MaskFolder, ObjectFolder, Pair, pair_folders
from masklet.evaluation.report import write_csv
from masklet.executors import Failure, Pool, Serial
from masklet.formats.base import ObjectId
from masklet.formats.davis import read_index_png
from masklet.formats.json_file import entry
from masklet.metrics.protocols import ObjectScores, Protocol, as_they_are, find_protocol, select
from masklet.metrics.sequence import VOID, Measured, join, measure, measure_masks
from masklet.metrics.summary import RegionAndBoundary, SeenAndUnseen, average, seen_and_unseen

SCORE_COLUMNS = ("J&F", "J mean", "J recall", "J decay", "F mean", "F recall", "F decay")
"""The numbers of a row, as DAVIS names them."""

CHUNK = 32
"""Frames that a process measures before it takes others: small, so that all are busy to the end."""


@dataclass(frozen=True)
class SequenceScores:
    """One sequence."""

    name: str  # of its folder
    objects: tuple[ObjectScores, ...]  # their values; `frames` holds frame numbers

    def summary(self) -> RegionAndBoundary:
        return _mean(self.objects)

    @property
    def frames(self) -> int:
        """Values of its objects that went into the mean."""
        return sum(len(item.frames) for item in self.objects)


@dataclass(frozen=True)
class FolderScores:
    """The scores of a folder of masks."""

    protocol: str  # by whose rules
    sequences: tuple[SequenceScores, ...]  # in the order of names
    extra: tuple[str, ...] = ()  # predicted sequences that were passed over

    def summary(self) -> RegionAndBoundary:
        return _mean([item for sequence in self.sequences for item in sequence.objects])


def score_folders(
    predicted: Path,
    truth: Path,
    protocol: str | None = None,
    *,
    names: Sequence[str] | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> FolderScores:
    """Score the masks of one folder against those of another.

    predicted, truth  SEQUENCE/00000.png ..., index PNGs; or SEQUENCE/OBJECT/00000.png ..., not 0 on the object
    protocol          a name of `metrics.protocols.PROTOCOLS`; for index PNGs "davis2017", else "sav" if not given
    names             the sequences that count; all of the truth's if not given
    workers           processes; as many as there are cores if not given
    progress          called every few frames with how many are done, and of how many

    Only frames of the truth are looked at. Raises EvaluationError for whatever does not fit together.
    """
    pairs, extra = pair_folders(predicted, truth, names)
    chosen = protocol or ("davis2017" if isinstance(pairs[0].truth, IndexFolder) else "sav")
    _check_protocol(chosen, pairs)
    chunks = [
        Chunk(place, pair, pair.truth.frames[start : start + CHUNK], chosen)
        for place, pair in enumerate(pairs)
        for start in range(0, len(pair.truth.frames), CHUNK)
    ]
    total, done = sum(len(chunk.frames) for chunk in chunks), 0
    count = min(workers or os.cpu_count() or 1, len(chunks))
    measured: dict[tuple[int, int], Measured] = {}
    for chunk, part in (Serial() if count == 1 else Pool(count)).run(measure_chunk, chunks):
        if isinstance(part, Failure):
            raise EvaluationError(part.reason)
        measured[chunk.place, chunk.frames[0]] = part
        done += len(chunk.frames)
        progress(done, total)
    sequences = (
        _sequence(pairs[place], join([measured[key] for key in keys]), chosen)
        for place, keys in groupby(sorted(measured), key=lambda key: key[0])
    )
    return FolderScores(chosen, tuple(sequences), extra)


@dataclass(frozen=True)
class Chunk:
    """Some frames of a sequence, for one process: the place of the sequence, itself, frames, and the protocol."""

    place: int
    pair: Pair
    frames: tuple[int, ...]
    protocol: str


def measure_chunk(chunk: Chunk) -> Measured:
    protocol = find_protocol(chunk.protocol)
    return join([measure_frame(chunk.pair, frame, protocol) for frame in chunk.frames])


def _sequence(pair: Pair, measured: Measured, protocol: str) -> SequenceScores:
    try:
        objects = select(measured, find_protocol(protocol))
    except EvaluationError as error:
        raise EvaluationError(f"sequence {pair.name}: {error}") from error
    numbers = np.array(pair.truth.frames)
    return SequenceScores(pair.name, tuple(replace(item, frames=numbers[item.frames]) for item in objects))


def _check_protocol(name: str, pairs: Sequence[Pair]) -> None:
    if find_protocol(name).prepare is not as_they_are:
        for pair in pairs:
            if not isinstance(pair.truth, IndexFolder):
                raise EvaluationError(
                    f"the protocol {name} takes index PNGs, and {pair.truth.folder} has a folder for each object; "
                    "give the protocol sav"
                )


def _mean(objects: Sequence[ObjectScores]) -> RegionAndBoundary:
    summaries = [item.summary() for item in objects]
    return RegionAndBoundary(average(item.region for item in summaries), average(item.boundary for item in summaries))


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


def read_categories(meta: Path) -> dict[tuple[str, str], str]:
    """(sequence, object) -> category, of a meta.json of YouTube-VOS. Raises FormatError for another file."""
    return {
        (name, number): entry(item, "category", str, meta.name)
        for name, video in read_meta(meta).items()
        for number, item in video["objects"].items()
    }


def split_scores(scores: FolderScores, meta: Path, training: Path) -> SeenAndUnseen:
    """J, F and G by category: unseen is what the meta.json of the training split does not have.

    Raises EvaluationError if the meta.json of the truth lacks a scored object.
    """
    categories, known = read_categories(meta), set(read_categories(training).values())
    means, unseen = [], []
    for sequence in scores.sequences:
        for item in sequence.objects:
            key = sequence.name, str(item.object)
            if key not in categories:
                raise EvaluationError(
                    f"{meta} says nothing of object {key[1]} in {key[0]}; give the meta.json that belongs to the truth"
                )
            summary = item.summary()
            means.append((summary.region.mean, summary.boundary.mean))
            unseen.append(categories[key] not in known)
    return seen_and_unseen(means, unseen)


def write_scores_csv(scores: FolderScores, path: Path) -> None:
    """One row for each object, then one for each sequence and one for all, whose object is "all".

    Raises FormatError if the file cannot be written.
    """
    rows: list[tuple[object, ...]] = [("sequence", "object", "frames", *SCORE_COLUMNS)]
    for sequence in scores.sequences:
        for item in sequence.objects:
            rows.append((sequence.name, item.object, len(item.frames), *item.summary().values()))
    for sequence in scores.sequences:
        rows.append((sequence.name, "all", sequence.frames, *sequence.summary().values()))
    rows.append(("all", "all", sum(each.frames for each in scores.sequences), *scores.summary().values()))
    write_csv(path, rows)


def write_scores_json(scores: FolderScores, path: Path, split: SeenAndUnseen | None = None) -> None:
    """Everything, with the values of each frame. Raises FormatError if the file cannot be written."""
    content: dict[str, Any] = {
        "protocol": scores.protocol,
        "overall": _named(scores.summary()),
        "sequences": {
            sequence.name: {
                "overall": _named(sequence.summary()),
                "objects": {
                    str(item.object): {
                        **_named(item.summary()),
                        "frames": item.frames.tolist(),
                        "J": item.region.tolist(),
                        "F": item.boundary.tolist(),
                    }
                    for item in sequence.objects
                },
            }
            for sequence in scores.sequences
        },
        "passed over": list(scores.extra),
    }
    if split is not None:
        content["seen and unseen"] = {**asdict(split), "overall": split.overall}
    write_whole(path, json.dumps(content, indent=1) + "\n")


def _named(summary: RegionAndBoundary) -> dict[str, float]:
    return dict(zip(SCORE_COLUMNS, summary.values(), strict=True))
