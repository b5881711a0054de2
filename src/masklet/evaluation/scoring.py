"""Folders of masks that any tool wrote, scored against the truth: in several processes, some frames at a time."""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from masklet.atomic import write_whole
from masklet.datasets.frame_folders import first_names, read_meta
from masklet.errors import EvaluationError, FormatError
from masklet.evaluation.report import write_csv
from masklet.evaluation.run import json_number
from masklet.executors import Failure, Pool, Serial
from masklet.formats.base import ObjectId
from masklet.formats.davis import numbered_files, object_name, read_index_png
from masklet.formats.json_file import entry
from masklet.metrics.sequence import (
    VOID,
    Measured,
    ObjectScores,
    Protocol,
    RegionAndBoundary,
    SeenAndUnseen,
    average,
    find_protocol,
    join_measures,
    measure_masks,
    measure_sequence,
    seen_and_unseen,
    select,
)

SCORE_COLUMNS = ("J&F", "J mean", "J recall", "J decay", "F mean", "F recall", "F decay")
"""The numbers of a row, as DAVIS names them."""

FRAMES_AT_A_TIME = 32
"""Frames that a process measures before it takes others: small, so that all are busy to the end."""


@dataclass(frozen=True)
class MaskFolder:
    """The masks of one sequence: index PNGs, or a folder for each object with a black and white PNG for each frame."""

    folder: Path  # where they lie
    files: Mapping[ObjectId | None, Mapping[int, Path]]  # by object, None for index PNGs, which hold all; then by frame

    @property
    def is_index(self) -> bool:
        return None in self.files

    @property
    def frames(self) -> tuple[int, ...]:
        return tuple(sorted({frame for files in self.files.values() for frame in files}))


@dataclass(frozen=True)
class Pair:
    """One sequence in both folders."""

    name: str  # its folder's
    predicted: MaskFolder  # with all frames that the truth has, and perhaps more
    truth: MaskFolder  # of the same layout


@dataclass(frozen=True)
class SequenceScores:
    """One sequence."""

    name: str  # of its folder
    objects: tuple[ObjectScores, ...]  # their values; `frames` holds frame numbers

    def summary(self) -> RegionAndBoundary:
        each = [item.summary() for item in self.objects]
        return RegionAndBoundary(average(item.region for item in each), average(item.boundary for item in each))


@dataclass(frozen=True)
class FolderScores:
    """The scores of a folder of masks."""

    protocol: str  # by whose rules
    sequences: tuple[SequenceScores, ...]  # in the order of names
    extra: tuple[str, ...] = ()  # predicted sequences that were passed over

    @property
    def overall(self) -> SequenceScores:
        """All objects, as those of one sequence."""
        return SequenceScores("all", tuple(item for sequence in self.sequences for item in sequence.objects))


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
    protocol          a name of `metrics.sequence.PROTOCOLS`; for index PNGs "davis2017", else "sav" if not given
    names             the sequences that count; all of the truth's if not given
    workers           processes; as many as there are cores if not given
    progress          called every few frames with how many are done, and of how many

    Only frames of the truth are looked at. Raises EvaluationError for whatever does not fit together.
    """
    pairs, extra = pair_folders(predicted, truth, names)
    rules = find_protocol(protocol or ("davis2017" if pairs[0].truth.is_index else "sav"))
    if rules.one_object and (others := [pair.truth.folder for pair in pairs if not pair.truth.is_index]):
        raise EvaluationError(
            f"the protocol {rules.name} takes index PNGs, and {others[0]} has a folder for each object; "
            "give the protocol sav"
        )
    frames = {pair.name: pair.truth.frames for pair in pairs}
    jobs = [
        (pair, frames[pair.name][start : start + FRAMES_AT_A_TIME])
        for pair in pairs
        for start in range(0, len(frames[pair.name]), FRAMES_AT_A_TIME)
    ]
    total, done = sum(len(chunk) for _, chunk in jobs), 0
    count = min(workers or os.cpu_count() or 1, len(jobs))
    measured: dict[str, dict[int, Measured]] = {pair.name: {} for pair in pairs}
    for (pair, chunk), part in (Serial() if count == 1 else Pool(count)).run(partial(measure_frames, rules), jobs):
        if isinstance(part, Failure):
            raise EvaluationError(part.reason)
        measured[pair.name][chunk[0]] = part
        done += len(chunk)
        progress(done, total)
    sequences = []
    for pair in pairs:
        parts, numbers = measured[pair.name], np.array(frames[pair.name])
        try:
            objects = select(join_measures([parts[first] for first in sorted(parts)]), rules)
        except EvaluationError as error:
            raise EvaluationError(f"sequence {pair.name}: {error}") from error
        sequences.append(
            SequenceScores(pair.name, tuple(replace(item, frames=numbers[item.frames]) for item in objects))
        )
    return FolderScores(rules.name, tuple(sequences), extra)


def pair_folders(
    predicted: Path, truth: Path, names: Sequence[str] | None = None
) -> tuple[tuple[Pair, ...], tuple[str, ...]]:
    """The sequences of two folders, which are checked to fit together, by name; and the names of predicted ones that
    the truth has not, or that were not asked for.

    names  the sequences that are meant; all of the truth's if None

    Raises EvaluationError for folders without masks, sequences or frames that are missing, and unequal layouts.
    """
    theirs, ours = find_sequences(truth), find_sequences(predicted)
    wanted = list(theirs if names is None else names)
    for folder, known, what in (
        (truth, theirs, "is in the list, and has no true masks"),
        (predicted, ours, "is in the truth, and was not predicted"),
    ):
        if missing := [name for name in wanted if name not in known]:
            raise EvaluationError(
                f"{folder} lacks {len(missing)} of the sequences: {first_names(missing)}. Each {what}; "
                "add them, or name the sequences that are meant in a --sequences file"
            )
    pairs = tuple(Pair(name, ours[name], theirs[name]) for name in wanted)
    for pair in pairs:
        _check(pair)
    return pairs, tuple(name for name in ours if name not in wanted)


def find_sequences(root: Path) -> dict[str, MaskFolder]:
    """Sequence -> its files, by name. A folder that holds PNGs itself is one sequence, by the name ".".

    Raises EvaluationError if there is no folder, or no mask in it.
    """
    if not os.path.isdir(root):
        raise EvaluationError(f"there is no folder {root}; give one with a folder of masks for each sequence")
    if files := numbered_files(root):
        return {".": MaskFolder(root, {None: files})}
    found = {folder.name: masks for folder in _subfolders(root) if (masks := _masks_in(folder)).files}
    if not found:
        raise EvaluationError(
            f"{root} holds no masks; expected SEQUENCE/00000.png, or SEQUENCE/OBJECT/00000.png as SA-V has it"
        )
    return found


def _masks_in(folder: Path) -> MaskFolder:
    if files := numbered_files(folder):
        return MaskFolder(folder, {None: files})
    inside = ((object_name(inner.name), numbered_files(inner)) for inner in _subfolders(folder))
    return MaskFolder(folder, {name: files for name, files in inside if files})


def _subfolders(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _check(pair: Pair) -> None:
    if pair.predicted.is_index != pair.truth.is_index:
        raise EvaluationError(
            f"{pair.predicted.folder} and {pair.truth.folder} differ in layout: one has a PNG for each frame, "
            "the other a folder for each object; write both in one layout"
        )
    if missing := set(pair.truth.frames) - set(pair.predicted.frames):
        raise EvaluationError(
            f"{pair.predicted.folder} lacks {len(missing)} of {len(pair.truth.frames)} frames: "
            f"{frame_ranges(missing)}; predict them, with empty masks where nothing is seen"
        )
    for name, files in pair.predicted.files.items():
        if missing := set(pair.truth.files.get(name, ())) - set(files):
            raise EvaluationError(
                f"object {name} in {pair.predicted.folder} lacks {len(missing)} of its frames: "
                f"{frame_ranges(missing)}; predict them, with empty masks where it is not seen"
            )


def frame_ranges(frames: Iterable[int]) -> str:
    """Frame numbers for a message, whole: `3, 7 to 12`."""
    runs = [list(run) for _, run in groupby(enumerate(sorted(frames)), lambda item: item[1] - item[0])]
    ends = [(run[0][1], run[-1][1]) for run in runs]
    return ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in ends)


def measure_frames(rules: Protocol, job: tuple[Pair, Sequence[int]]) -> Measured:
    """J and F of all objects in some frames of a sequence.

    Raises EvaluationError, naming the file, for what cannot be read, masks of another size than the truth, and
    a prediction that says "unknown".
    """
    pair, frames = job
    return join_measures([_measure_frame(pair, frame, rules) for frame in frames])


def _measure_frame(pair: Pair, frame: int, rules: Protocol) -> Measured:
    ours, theirs = _read(pair.predicted, frame), _read(pair.truth, frame)
    size = next(iter(theirs.values())).shape
    for folder, masks in ((pair.predicted, ours), (pair.truth, theirs)):
        for name, mask in masks.items():
            if mask.shape != size:
                raise EvaluationError(
                    f"{folder.files[name][frame]} is {mask.shape[0]} x {mask.shape[1]} pixels (height x width) and the "
                    f"truth {size[0]} x {size[1]}; write masks of the truth's size"
                )
    if not pair.truth.is_index:
        predicted = {name: mask > 0 for name, mask in ours.items() if name is not None}
        truth = {name: mask > 0 for name, mask in theirs.items() if name is not None}
        return measure_masks(predicted, truth, rules.boundary)
    index_map = rules.prepare(ours[None])
    if (index_map == VOID).any():
        raise EvaluationError(
            f"{pair.predicted.files[None][frame]} holds the value {VOID}, which stands for unknown in the truth; "
            "number predicted objects from 1 to 254"
        )
    return measure_sequence(index_map[None], rules.prepare(theirs[None])[None], rules.boundary)


def _read(folder: MaskFolder, frame: int) -> dict[ObjectId | None, NDArray[np.uint8]]:
    """The masks of a frame by object."""
    found = {}
    for name, files in folder.files.items():
        if frame in files:
            try:
                found[name] = read_index_png(files[frame])
            except FormatError as error:
                raise EvaluationError(f"in {files[frame].parent}: {error}") from error
    return found


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
    for sequence in (*scores.sequences, scores.overall):
        frames = sum(len(item.frames) for item in sequence.objects)
        rows.append((sequence.name, "all", frames, *sequence.summary().values()))
    write_csv(path, rows)


def write_scores_json(scores: FolderScores, path: Path, split: SeenAndUnseen | None = None) -> None:
    """Everything, with the values of each frame. Raises FormatError if the file cannot be written."""
    content: dict[str, Any] = {
        "protocol": scores.protocol,
        "overall": _named(scores.overall.summary()),
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
        values = {**asdict(split), "overall": split.overall}
        content["seen and unseen"] = {name: json_number(value) for name, value in values.items()}
    write_whole(path, json.dumps(content, indent=1) + "\n")


def _named(summary: RegionAndBoundary) -> dict[str, float]:
    return dict(zip(SCORE_COLUMNS, summary.values(), strict=True))
