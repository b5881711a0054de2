"""Which numbers make sense in a recipe."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any

from masklet.errors import ConfigError
from masklet.training.synthesis.clip import MOST_THINGS

SHARE = (0, 1)
ONE_OR_MORE = (1, math.inf)
BOUNDS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("image_size", "frames", "stride", "picture_objects", "clip_objects"), ONE_OR_MORE),
    **dict.fromkeys(("first_frames", "corrected_frames"), ONE_OR_MORE),
    **dict.fromkeys(("clip_share", "made_up", "reverse", "whole", "least_area", "least", "most"), SHARE),
    **dict.fromkeys(("prompts.mask", "box", "from_truth", "flip", "grey", "drop_path", "dropout"), SHARE),
    **dict.fromkeys(("layer_decay", "warm_up", "end", "average"), SHARE),
    **dict.fromkeys(("leave", "look_alike", "pass_by", "cut"), SHARE),
    **dict.fromkeys(("light", "out_of_focus", "motion_blur", "jpeg", "sensor"), SHARE),
    "things": (0, MOST_THINGS),
}
"""The least and the most of fields, by the end of their path; all others are finite, and not below 0."""


def check_numbers(recipe: Any) -> None:
    """Raises ConfigError, with the path, for a number of a recipe that makes no sense."""
    for path, value in _numbers(recipe, ()):
        least, most = _bounds(path)
        if not (least <= value <= most and math.isfinite(value)):
            wanted = f"a number from {least} on" if math.isinf(most) else f"{least} to {most}"
            raise ConfigError(f"{'.'.join(path)} is {value}; give {wanted}")


def _bounds(path: tuple[str, ...]) -> tuple[float, float]:
    return BOUNDS.get(".".join(path[-2:])) or BOUNDS.get(path[-1]) or (0, math.inf)


def _numbers(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], float]]:
    """Every number in dataclasses, mappings and tuples, with its path; stages go by their names."""
    if isinstance(value, int | float):
        yield path, value
    elif dataclasses.is_dataclass(value):
        for part in dataclasses.fields(value):
            yield from _numbers(getattr(value, part.name), (*path, part.name))
    elif isinstance(value, Mapping):
        for name, part in value.items():
            yield from _numbers(part, (*path, name))
    elif isinstance(value, tuple):
        for part in value:
            yield from _numbers(part, (*path, part.name) if hasattr(part, "name") else path)
