"""How values are shown: shares in percent, counts as they are."""

from __future__ import annotations

import math

COUNTS = ("clicks", "alone", "switches", "NoC@", "masks/", "seconds/")
"""How the names of measures begin that are numbers of something, not shares; fewer are better."""


def is_count(measure: str) -> bool:
    """Whether a measure counts something; everything else is a share, 0..1."""
    return measure.startswith(COUNTS)


def rises(measure: str) -> bool:
    """Whether more of a measure is better."""
    return not is_count(measure) and not measure.endswith("decay")


def shown(measure: str, value: float) -> str:
    """A value for people: shares in percent with one decimal, counts with two, a dash for what is not known."""
    if math.isnan(value):
        return "-"
    return f"{value:.2f}" if is_count(measure) else f"{100 * value:.1f}"
