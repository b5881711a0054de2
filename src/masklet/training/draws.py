"""Random numbers of a training, by what they are for: every draw follows from the seed and the number of its step, so
that a run that was cut off goes on exactly, and no two uses share a stream.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Use(IntEnum):
    """What random numbers are drawn for."""

    KIND = 1
    """Whether a step learns from clips"""
    SAMPLE = 2
    """A picture or clip of a step"""
    SEED = 3
    """The seed of a sample's augmentation"""
    PLAN = 4
    """How a step is prompted"""


def draws(use: Use, seed: int, *numbers: int) -> np.random.Generator:
    """The stream of a use, by the seed of a stage and what is counted, such as step and place in the batch.

    The use stands in front: NumPy takes missing numbers for zeros, so that (seed, step) and (seed, step, 0) are one.
    """
    return np.random.default_rng((int(use), seed, *numbers))
