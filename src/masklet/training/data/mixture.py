"""The training data: clips of the data sets that were asked for, mixed by weight."""

import math
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from masklet import plugins
from masklet.datasets.base import Clip
from masklet.datasets.registry import DATASETS, find_dataset, recognise_dataset
from masklet.errors import FormatError, MaskletError


class Wanted(NamedTuple):
    """Data as the user wrote it: `[KIND:]PATH[@WEIGHT]`."""

    path: Path
    kind: str | None
    weight: float | None = None


@dataclass(frozen=True)
class Collection:
    """Clips of one origin."""

    name: str  # for messages
    clips: Sequence[Clip]  # pictures and videos
    weight: float  # how often they are drawn, beside other collections
    licence: str | None = None  # the only one that was taken; None if nobody asked for one


def parse_wanted(text: str) -> Wanted:
    """Read what was typed; KIND is the name of a reader of data sets, or `module:Name`."""
    head, _, tail = text.partition(":")
    own = re.fullmatch(r"([\w.]+:[A-Za-z_]\w*):(.+)", text)
    kind, rest = (head, tail) if head in plugins.names("datasets", DATASETS) else own.groups() if own else (None, text)
    place, _, share = rest.rpartition("@")
    if not place:
        return Wanted(Path(rest), kind)
    try:
        weight = float(share)
    except ValueError:
        return Wanted(Path(rest), kind)  # an @ in the name
    if not 0 < weight < math.inf:
        raise FormatError(f"the weight of {place} is {share}; give a finite number over 0")
    return Wanted(Path(place), kind, weight)


def read_data(places: Sequence[str | Wanted], *, licence: str | None = None, split: str = "train") -> list[Collection]:
    """The collections of several data sets, each `[KIND:]PATH[@WEIGHT]`, one for each source. A given weight is that of
    the whole set beside others. A licence such as "open" takes only clips that have it: an index has licences, other
    kinds have none. Data sets without splits are taken whole.

    Raises:
        FormatError: Nothing at a path, nothing that is understood, no masks in it, a path twice, or a weight that is no
            finite number over 0.
        ConfigError: A kind that is not known.
    """
    collections, wanted = [], [parse_wanted(place) if isinstance(place, str) else place for place in places]
    resolved = [one.path.resolve() for one in wanted]
    if twice := next((one.path for one, path in zip(wanted, resolved, strict=True) if resolved.count(path) > 1), None):
        raise FormatError(f"{twice} is given twice; give it once, with a weight if it counts for more: {twice}@2")
    for one in wanted:
        sources: dict[str, list[Clip]] = {}
        for clip in _clips(one, licence, split):
            sources.setdefault(clip.source, []).append(clip)
        count = sum(map(len, sources.values()))
        scale = 1.0 if one.weight is None else one.weight / count
        collections += [Collection(name, clips, len(clips) * scale, licence) for name, clips in sources.items()]
    return collections


def _clips(one: Wanted, licence: str | None, split: str) -> list[Clip]:
    """The training data at a path: clips with masks, and pictures without."""
    path = one.path
    if not os.path.exists(path):
        raise FormatError(f"there is nothing at {path}; give a folder with training data")
    reader = recognise_dataset(path) if one.kind is None else find_dataset(one.kind)
    if reader.holds is not None and not reader.holds(path):
        raise FormatError(f"{path} is no data of the kind {one.kind} ({reader.help}); give another path or kind")
    found = [clip for clip in reader.read(path, split).clips if clip.annotations or clip.kind == "image"]
    if not found:
        raise FormatError(f"{path} holds no masks of the split {split!r}; give a folder with pictures and their masks")
    if licence is None:
        return found
    licences = sorted({clip.licence for clip in found if clip.licence is not None})
    if not licences:
        raise FormatError(f"{path} names no licences; leave --licence out")
    if licence not in licences:
        raise FormatError(f"{path} has no rows of the licence {licence!r}; it has {', '.join(licences)}")
    return [clip for clip in found if clip.licence == licence]


class Mixture:
    """Clips drawn by the weight of their collection, all of one collection alike. Weights are taken to the power of
    `balance`: 1 as they are, 0 gives all collections the same."""

    def __init__(self, collections: Sequence[Collection], balance: float = 1.0) -> None:
        self.pictures = _Draw(collections, balance, lambda clip: len(clip.annotations) < 2)
        self.videos = _Draw(collections, balance, lambda clip: len(clip.annotations) > 1)
        self._labelled = _Draw(collections, balance, lambda clip: len(clip.annotations) == 1)

    def picture(self, rng: np.random.Generator) -> Clip:
        """A picture; a frame's worth of a video where there are no pictures."""
        return (self.pictures if self.pictures.clips else self.videos)(rng)

    def labelled(self, rng: np.random.Generator) -> Clip:
        """A picture with masks; a frame's worth of a video where there are none, a picture without where neither is."""
        labelled = next((draw for draw in (self._labelled, self.videos) if draw.clips), self.pictures)
        return labelled(rng)

    def video(self, rng: np.random.Generator) -> Clip:
        """A video. There must be one; see `videos.clips`."""
        return self.videos(rng)

    def __len__(self) -> int:
        return len(self.pictures.clips) + len(self.videos.clips)


class _Draw:
    def __init__(self, collections: Sequence[Collection], balance: float, wanted: Callable[[Clip], bool]) -> None:
        self.clips: list[Clip] = []
        shares: list[float] = []
        for collection in collections:
            chosen = [clip for clip in collection.clips if wanted(clip)]
            if not chosen:
                continue
            share = collection.weight * len(chosen) / len(collection.clips)
            self.clips += chosen
            shares += [share**balance / len(chosen)] * len(chosen)
        self.ends = np.cumsum(shares)

    def __call__(self, rng: np.random.Generator) -> Clip:
        if not self.clips:
            raise FormatError("the training data has neither pictures nor videos; give --data with some of them")
        place = np.searchsorted(self.ends, rng.random() * self.ends[-1], side="right")
        return self.clips[min(int(place), len(self.clips) - 1)]


CELLS = 16
"""A picture is shrunk to so many rows, and to one column more."""

MOST_BITS = 12
"""Pictures are the same if at most so many of the 256 bits differ: other sizes and compression, not other pictures."""

LEAST_CONTRAST = 8.0
"""Pictures whose small copy has a lower standard deviation, in grey values, all look alike; they are left out."""

MOST_CLIPS = 20_000
"""Of more clips than these, so many are looked at, evenly apart."""


def find_duplicates(training: Sequence[Collection], validation: Sequence[Collection]) -> list[tuple[str, str]]:
    """Names of clips of both that look the same in their first annotated frame: (in training, in validation)."""
    (learned, ours), (judged, theirs) = _hashes(training), _hashes(validation)
    if not learned or not judged:
        return []
    matcher = cv2.BFMatcher(cv2.NORM_HAMMING)
    near = matcher.radiusMatch(np.stack(theirs), np.stack(ours), MOST_BITS + 0.5)
    return [(learned[match.trainIdx], judged[match.queryIdx]) for matches in near for match in matches]


def _hashes(collections: Sequence[Collection]) -> tuple[list[str], list[NDArray[np.uint8]]]:
    clips = [clip for collection in collections for clip in collection.clips if clip.annotations]
    found = ((clip.name, _hash(clip)) for clip in clips[:: len(clips) // MOST_CLIPS + 1])
    kept = [(name, own) for name, own in found if own is not None]
    return [name for name, _ in kept], [own for _, own in kept]


def _hash(clip: Clip) -> NDArray[np.uint8] | None:
    """uint8 (32,), 256 bits; None for a picture that has too little in it, or that cannot be read."""
    try:
        (image,) = clip.images(clip.annotated[:1])
    except MaskletError:
        return None  # the training says so
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (CELLS + 1, CELLS), interpolation=cv2.INTER_AREA).astype(np.int16)
    return np.packbits(small[:, 1:] < small[:, :-1]) if small.std() >= LEAST_CONTRAST else None
