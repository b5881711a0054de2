"""Which of a picture's objects are learned: of clips that are read, and of those that are made up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from masklet.datasets.base import Labelled


@dataclass(frozen=True)
class PickOptions:
    """Which objects are learned.

    Attributes:
        least: Smaller ones are passed over, a share of the picture.
        most: Larger ones too, as published.
        size_power: An object is drawn by its area to this power: 0, as published, draws all alike.
    """

    least: float = 0.0
    most: float = 0.9
    size_power: float = 0.0


def draw_objects(frame: Labelled, rng: np.random.Generator, pick: PickOptions) -> list[int]:
    """The objects of a frame that are neither too small nor too large, in random order."""
    height, width = frame.masks.size
    areas = {
        name: area / (height * width)
        for name, area in frame.masks.areas().items()
        if pick.least <= area / (height * width) <= pick.most
    }
    names = list(areas)
    if not names:
        return []
    shares = np.array(list(areas.values())) ** pick.size_power
    return [names[place] for place in rng.choice(len(names), len(names), replace=False, p=shares / shares.sum())]
