"""Scene cuts, noticed by the colours of consecutive frames.

A signature holds a histogram of each colour channel in each quarter of the picture. A cut moves much of it at once:
more than any two neighbouring frames of one scene do, and more than the frames just before did.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

import cv2
import numpy as np
from numpy.typing import NDArray

from masklet.video.policies.base import recent
from masklet.video.state import FrameStats, ObjectTrack

SMALL = (64, 36)
"""Width and height of the picture that is counted."""

SAMPLED = (256, 144)
"""Width and height of the pixels that it is made of: all of a frame would take ten times as long to count."""

BINS = 8
"""Bins of each histogram."""

LEAST_CHANGE = 0.21
"""Share of the pixels that change their bin at a cut. Frames of one scene stayed under 0.2, see docs/policies.md."""

SUDDEN = 3.0
"""A cut changes so many times more than the frames before it."""

BEFORE = 8
"""Frames before, whose median change that is."""


def signature(image: NDArray[np.uint8]) -> bytes:
    """The colours of a frame, uint8 (H, W, 3): 96 numbers, 4 quarters x 3 channels x 8 bins, each a share of 255."""
    width, height = SMALL
    sampled = cv2.resize(image, SAMPLED, interpolation=cv2.INTER_NEAREST)
    small = cv2.resize(sampled, SMALL, interpolation=cv2.INTER_AREA)
    quarters = small.reshape(2, height // 2, 2, width // 2, 3).transpose(0, 2, 4, 1, 3).reshape(12, -1)
    bins = (quarters // (256 // BINS)).astype(np.int64) + BINS * np.arange(12)[:, None]
    shares = np.bincount(bins.ravel(), minlength=12 * BINS) / quarters.shape[1]
    return np.rint(shares * 255).astype(np.uint8).tobytes()


def change(a: bytes, b: bytes) -> float:
    """0..1: the share of pixels that lie in another bin, mean over quarters and channels; 0 for a missing signature."""
    if not a or not b:
        return 0.0
    one, other = (np.frombuffer(colours, np.uint8).astype(np.float64) for colours in (a, b))
    return float(np.abs(one - other).sum()) / (2 * 12 * 255)


def is_cut(track: ObjectTrack, entry: FrameStats) -> bool:
    """Whether a scene cut lies between a new frame and the frame from which it was followed."""
    seen = recent(track, entry.frame, BEFORE + 1, backward=entry.backward)
    if not seen or abs(seen[0].frame - entry.frame) != 1:
        return False
    return is_cut_of(entry.colours, [past.colours for past in seen])


def is_cut_of(colours: bytes, earlier: Sequence[bytes]) -> bool:
    """Whether a scene begins with a frame; `earlier` are the signatures of frames before it, newest first."""
    now = change(earlier[0], colours)
    if now < LEAST_CHANGE:
        return False
    changes = [change(older, newer) for newer, older in pairwise(earlier)]
    return not changes or now >= SUDDEN * median(changes)
