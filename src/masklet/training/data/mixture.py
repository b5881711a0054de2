"""Which item comes next: pictures and videos of several collections, mixed by weight."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from masklet.errors import FormatError
from masklet.training.data.items import Collection, Item


class Mixture:
    """Items drawn by the weight of their collection, all of one collection alike.

    Args:
        collections: Where items come from.
        balance: Weights are taken to this power: 1 as they are, 0 gives all collections the same.
    """

    def __init__(self, collections: Sequence[Collection], balance: float = 1.0) -> None:
        self.pictures = _Draw(collections, balance, lambda item: item.frames == 1)
        self.videos = _Draw(collections, balance, lambda item: item.frames > 1)
        self._labelled = _Draw(collections, balance, lambda item: item.frames == 1 and item.is_labelled)

    def picture(self, rng: np.random.Generator) -> Item:
        """A picture; a frame's worth of a video where there are no pictures."""
        return (self.pictures if self.pictures.items else self.videos)(rng)

    def labelled(self, rng: np.random.Generator) -> Item:
        """A picture with masks; a frame's worth of a video where there are none, a picture without where neither is."""
        labelled = next((draw for draw in (self._labelled, self.videos) if draw.items), self.pictures)
        return labelled(rng)

    def video(self, rng: np.random.Generator) -> Item:
        """A video. There must be one; see `videos.items`."""
        return self.videos(rng)

    def __len__(self) -> int:
        return len(self.pictures.items) + len(self.videos.items)


class _Draw:
    def __init__(self, collections: Sequence[Collection], balance: float, wanted: Callable[[Item], bool]) -> None:
        self.items: list[Item] = []
        shares: list[float] = []
        for collection in collections:
            chosen = [item for item in collection.items if wanted(item)]
            if not chosen:
                continue
            share = collection.weight * len(chosen) / len(collection.items)
            self.items += chosen
            shares += [share**balance / len(chosen)] * len(chosen)
        self.ends = np.cumsum(shares)

    def __call__(self, rng: np.random.Generator) -> Item:
        if not self.items:
            raise FormatError("the training data has neither pictures nor videos; give --data with some of them")
        place = np.searchsorted(self.ends, rng.random() * self.ends[-1], side="right")
        return self.items[min(int(place), len(self.items) - 1)]
