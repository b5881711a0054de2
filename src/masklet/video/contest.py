"""Who has a pixel that several objects claim: the surest of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from masklet.masks.rle import Rle, decode_rle
from masklet.masks.stretch import stretched
from masklet.video.state import ObjectId


@dataclass(frozen=True, eq=False)
class Contest:
    """All objects of a frame that claim pixels.

    Attributes:
        logits: (S/4, S/4) each, positive inside.
        exact: Objects whose mask is final: its pixels are sure.
        size: (height, width) of the frame.
    """

    logits: Mapping[ObjectId, NDArray[np.float32]]
    exact: Mapping[ObjectId, Rle]
    size: tuple[int, int]

    def rival(self, name: ObjectId) -> NDArray[np.float32]:
        """(H, W) float32: the highest logit of all other objects; -inf where there is none."""
        highest = two_highest(self)
        return np.where(highest.place == list(self.logits).index(name), highest.second, highest.first)


@dataclass(frozen=True, eq=False)
class Highest:
    """At each pixel of a frame, (H, W): the two highest logits, and the place of the object with the first."""

    first: NDArray[np.float32]
    second: NDArray[np.float32]
    place: NDArray[np.int32]


@lru_cache(maxsize=1)
def two_highest(contest: Contest) -> Highest:
    """Sought once for all objects of a frame. That of the last frame is kept, as its objects are asked one by one."""
    first, second = (np.full(contest.size, -np.inf, np.float32) for _ in range(2))
    place = np.full(contest.size, -1, np.int32)
    for number, logits in enumerate(claims(contest)):
        place[logits > first] = number
        np.maximum(second, np.minimum(first, logits), out=second)
        np.maximum(first, logits, out=first)
    return Highest(first, second, place)


def claims(contest: Contest) -> Iterator[NDArray[np.float32]]:
    """(H, W) float32 of each object, those of which logits are known first."""
    yield from (stretched(logits, contest.size) for logits in contest.logits.values())
    for mask in contest.exact.values():
        yield np.where(decode_rle(mask), np.float32(np.inf), np.float32(-np.inf))
