"""Which mask files belong to which sequence: a folder of index PNGs, or a folder of folders, one for each object."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from masklet.datasets.files import listed
from masklet.errors import EvaluationError
from masklet.formats.base import ObjectId
from masklet.formats.davis import numbered_files, object_name


@dataclass(frozen=True)
class IndexFolder:
    """A PNG for each frame; the values of pixels are objects."""

    folder: Path  # where they lie
    files: Mapping[int, Path]  # by frame

    @property
    def frames(self) -> tuple[int, ...]:
        return tuple(self.files)


@dataclass(frozen=True)
class ObjectFolder:
    """A folder for each object, with a black and white PNG for each frame."""

    folder: Path  # where they lie
    objects: Mapping[ObjectId, Mapping[int, Path]]  # by name, then by frame

    @property
    def frames(self) -> tuple[int, ...]:
        return tuple(sorted({frame for files in self.objects.values() for frame in files}))


MaskFolder = IndexFolder | ObjectFolder


@dataclass(frozen=True)
class Pair:
    """One sequence in both folders."""

    name: str  # its folder's
    predicted: MaskFolder  # with all frames that the truth has, and perhaps more
    truth: MaskFolder  # of the same layout


def pair_folders(
    predicted: Path, truth: Path, names: Sequence[str] | None = None
) -> tuple[tuple[Pair, ...], tuple[str, ...]]:
    """The sequences of two folders, which are checked to fit together, by name; and the names of predicted ones that
    the truth has not, or that were not asked for.

    names  the sequences that are meant; all of the truth's if None

    Raises EvaluationError for folders without masks, sequences or frames that are missing, and unequal layouts.
    """
    theirs, ours = find_sequences(truth), find_sequences(predicted)
    wanted = list(theirs) if names is None else list(names)
    _none_missing([name for name in wanted if name not in theirs], truth, "is in the list, and has no true masks")
    _none_missing([name for name in wanted if name not in ours], predicted, "is in the truth, and was not predicted")
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
        return {".": IndexFolder(root, files)}
    found = {folder.name: masks for folder in _subfolders(root) if (masks := _masks_in(folder))}
    if not found:
        raise EvaluationError(
            f"{root} holds no masks; expected SEQUENCE/00000.png, or SEQUENCE/OBJECT/00000.png as SA-V has it"
        )
    return found


def frame_ranges(frames: Iterable[int]) -> str:
    """Frame numbers for a message, whole: `3, 7 to 12`."""
    runs = [list(run) for _, run in groupby(enumerate(sorted(frames)), lambda item: item[1] - item[0])]
    ends = [(run[0][1], run[-1][1]) for run in runs]
    return ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in ends)


def _masks_in(folder: Path) -> MaskFolder | None:
    if files := numbered_files(folder):
        return IndexFolder(folder, files)
    objects = {object_name(inner.name): files for inner in _subfolders(folder) if (files := numbered_files(inner))}
    return ObjectFolder(folder, objects) if objects else None


def _subfolders(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _none_missing(names: list[str], folder: Path, what: str) -> None:
    if names:
        raise EvaluationError(
            f"{folder} lacks {len(names)} of the sequences: {listed(names)}. Each {what}; "
            "add them, or name the sequences that are meant in a --sequences file"
        )


def _check(pair: Pair) -> None:
    if type(pair.predicted) is not type(pair.truth):
        raise EvaluationError(
            f"{pair.predicted.folder} and {pair.truth.folder} differ in layout: one has a PNG for each frame, "
            "the other a folder for each object; write both in one layout"
        )
    if missing := sorted(set(pair.truth.frames) - set(pair.predicted.frames)):
        raise EvaluationError(
            f"{pair.predicted.folder} lacks {len(missing)} of {len(pair.truth.frames)} frames: "
            f"{frame_ranges(missing)}; predict them, with empty masks where nothing is seen"
        )
    if isinstance(pair.predicted, ObjectFolder) and isinstance(pair.truth, ObjectFolder):
        for name, files in pair.predicted.objects.items():
            if missing := sorted(set(pair.truth.objects.get(name, ())) - set(files)):
                raise EvaluationError(
                    f"object {name} in {pair.predicted.folder} lacks {len(missing)} of its frames: "
                    f"{frame_ranges(missing)}; predict them, with empty masks where it is not seen"
                )
