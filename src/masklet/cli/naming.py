"""What `masklet name` does with the objects of files of masks: their crops, and which name fits each best."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from masklet.datasets.own import ChooseFrames, evenly, looked_at, pictures_of
from masklet.errors import FormatError
from masklet.formats.base import Format, ObjectId
from masklet.formats.description import NO_LABEL, label_of
from masklet.formats.registry import recognise_format
from masklet.image.names import Prototypes, appearances, prototypes
from masklet.image.picture import Crop, crop_of, naming
from masklet.image.predictor import ImagePredictor

T = TypeVar("T")
Made = TypeVar("Made")

Compare = Callable[[Iterable[Crop]], NDArray[np.float32]]
"""Crops to how well each of the names fits, (M, K)."""

NameAndAttributes = tuple[str, Mapping[str, str | float]]
"""A name, empty if there is none, and attributes."""

EXAMPLES_AT_MOST = 100
"""So many examples of a name are learned from."""


def crops_of(
    path: Path, entry: Format, pictures: Path | None, pick: ChooseFrames = evenly, *, only_named: bool = False
) -> Iterator[tuple[Any, Crop]]:
    """Objects of a file of masks with crops of them, frame by frame: the objects themselves, or the names of those that
    have one."""
    with pictures_of(path, entry, pictures) as (frames, look):
        for frame, objects in looked_at(frames, pick):
            labels = {known: label_of(known, frame.descriptions.get(known)) for known in objects}
            wanted = [known for known in objects if not only_named or labels[known] != NO_LABEL]
            if not wanted:
                continue
            image = look(frame.frame)
            for known in wanted:
                crop = crop_of(image, frame.objects[known].mask, f"object {known!r} in frame {frame.frame}")
                yield labels[known] if only_named else known, crop


def largest(areas: Mapping[int, int]) -> Sequence[int]:
    """The place of the largest mask."""
    return [max(areas, key=areas.__getitem__)]


def split_names(
    seen: Iterable[tuple[T, Crop]], look: Callable[[Iterable[Crop]], Made], nothing: str
) -> tuple[list[T], Made]:
    """What the crops are of, and what a function makes of them. Raises FormatError, with this sentence, if there are
    none."""
    keys: list[T] = []

    def crops() -> Iterator[Crop]:
        for key, crop in seen:
            keys.append(key)
            yield crop

    made = look(crops())
    if not keys:
        raise FormatError(nothing)
    return keys, made


def learned(predictor: ImagePredictor, paths: Sequence[Path], pictures: Path | None) -> Prototypes:
    """The prototypes of all named masks of some files. Raises FormatError if none has a name."""

    def few() -> Iterator[tuple[str, Crop]]:
        count: Counter[str] = Counter()
        for path in paths:
            for name, crop in crops_of(path, recognise_format(path), pictures, only_named=True):
                count[name] += 1
                if count[name] <= EXAMPLES_AT_MOST:
                    yield name, crop

    nothing = f"no mask of {paths[0].name} has a name; give its objects classes first"
    names, vectors = split_names(few(), lambda crops: appearances(predictor, crops), nothing)
    return prototypes(vectors, names, predictor.engine.config)


def named(
    seen: Iterable[tuple[ObjectId, Crop]], compare: Compare, names: Sequence[str], least: float, nothing: str
) -> dict[ObjectId, NameAndAttributes]:
    """The name of each object, by the mean likeness of its masks."""
    places: dict[ObjectId, list[int]] = defaultdict(list)
    objects, rows = split_names(seen, compare, nothing)
    for place, known in enumerate(objects):
        places[known].append(place)
    best = {known: naming(rows[of].mean(axis=0), names, least) for known, of in places.items()}
    return {known: (one.name, {"likeness": round(one.likeness, 3)}) for known, one in best.items()}
