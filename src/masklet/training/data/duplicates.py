"""Pictures that are learned from and judged by as well, found by a perceptual hash.

Source of the hash: the difference hash (Krawetz, "Kind of Like That", 2013): whether each cell of a small grey picture
is brighter than its right neighbour.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from masklet.datasets.base import Clip
from masklet.errors import MaskletError
from masklet.training.data.mixture import Collection

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
