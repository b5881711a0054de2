"""Speed modes: a model as it was published, or on a smaller square, with less to compute at some cost in its masks.

Imports no torch, so that the modes can be listed at once.
"""

from __future__ import annotations

import dataclasses

from masklet.errors import ConfigError, nearest
from masklet.nn.config import COARSEST_STRIDE, ModelConfig

SPEEDS = {"exact": 1.0, "balanced": 0.75, "fast": 0.5}
"""Modes by name, the slowest first, and the side of the model's square in each as a share of its own. docs/speed.md
tells what each costs, and what was tried beside them."""


def with_speed(config: ModelConfig, speed: str, image_size: int | None) -> ModelConfig:
    """The configuration in a speed mode, or at an image size if one is given.

    Its name tells which, `nano:fast` or `nano:160`, so that `load_model` finds it again.

    Raises:
        ConfigError: Unknown mode, or an image size that the model cannot have.
    """
    check_speed(speed)
    if image_size is not None:
        name = config.name if image_size == config.image_size else f"{config.name}:{image_size}"
        return dataclasses.replace(config, name=name, image_size=image_size)
    if speed == "exact":
        return config
    side = round(config.image_size * SPEEDS[speed] / COARSEST_STRIDE) * COARSEST_STRIDE
    return dataclasses.replace(config, name=f"{config.name}:{speed}", image_size=side)


def check_speed(speed: str) -> None:
    """Raises ConfigError if there is no such mode."""
    if speed not in SPEEDS:
        raise ConfigError(f"speed is {speed!r}; give one of {', '.join(SPEEDS)}{nearest(speed, SPEEDS)}")


def split_name(name: str) -> tuple[str, str, int | None]:
    """A model's name without the mark that `with_speed` gave it, and the mode and image size that the mark tells."""
    plain, _, mark = name.partition(":")
    return (plain, "exact", int(mark)) if mark.isdecimal() else (plain, mark or "exact", None)
