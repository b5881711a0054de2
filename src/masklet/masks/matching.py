"""Whether two masks are the same thing: of neighbouring tiles, and of what is found beside what is known."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def mutual_matches(values: NDArray[np.float64], least: float) -> list[tuple[int, int]]:
    """Pairs (row, column) of which each is the other's best match.

    Args:
        values: (A, B), how far each of A masks agrees with each of B others, such as by intersection over union.
        least: A pair agrees at least so far.
    """
    if not values.size:
        return []
    best, best_back = values.argmax(axis=1), values.argmax(axis=0)
    return [(a, int(b)) for a, b in enumerate(best) if values[a, b] >= least and best_back[b] == a]


def new_things(
    masks: Iterable[NDArray[np.bool_]], known: NDArray[np.bool_], least: float, most_known: float, room: int
) -> dict[int, NDArray[np.bool_]]:
    """Those masks, best first, that are large enough and mostly outside of what is known and of better ones: by their
    place in `masks`, of each what lies outside.

    Args:
        masks: bool (H, W) each.
        known: bool (H, W), where there is something already.
        least: Pixels that a thing has at least, outside of what is known.
        most_known: Share of a mask that may be known.
        room: So many at most.
    """
    taken = known.copy()
    fresh: dict[int, NDArray[np.bool_]] = {}
    for place, mask in enumerate(masks):
        if len(fresh) == room:
            break
        area, outside = int(mask.sum()), mask & ~taken
        if outside.sum() >= max(least, (1 - most_known) * area, 1):
            fresh[place] = outside
            taken |= mask
    return fresh
