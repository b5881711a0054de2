"""The registry of the first Segment Anything."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from masklet.checkpoints import load_model
from masklet.checkpoints.registry import list_models
from masklet.compat.failures import WeightsMissing, WeightsRefused, as_reference
from masklet.compat.sam2.configs import Settings
from masklet.compat.sam2.modeling.sam2_base import SAM2Base
from masklet.errors import CheckpointError

INSTEAD = {
    "default": "sam2.1-large",
    "vit_h": "sam2.1-large",
    "vit_l": "sam2.1-base-plus",
    "vit_b": "sam2.1-small",
}
"""Model of the first Segment Anything -> the one of SAM 2 that takes its place."""


def build_sam(name: str, checkpoint: str | os.PathLike[str] | None = None) -> SAM2Base:
    """A model.

    Args:
        name: A name of masklet.
        checkpoint: A file of weights of SAM 2, of any size; None for those of the name.

    Raises:
        WeightsMissing: There is no such file (a FileNotFoundError).
        WeightsRefused: A file of the first Segment Anything, or of something else (a RuntimeError).
    """
    if checkpoint is not None and not Path(checkpoint).exists():
        raise WeightsMissing(f"there is no file of weights at {os.fspath(checkpoint)}")
    try:
        with as_reference():
            model = load_model(name if checkpoint is None else Path(checkpoint))
    except CheckpointError as error:
        raise WeightsRefused(
            f"{error}; weights of the first Segment Anything do not fit: leave checkpoint out for {name}, or give a "
            "file of SAM 2"
        ) from error
    return SAM2Base(model, Settings())


sam_model_registry: dict[str, Callable[..., SAM2Base]] = {
    **{old: partial(build_sam, new) for old, new in INSTEAD.items()},
    **{info.name: partial(build_sam, info.name) for info in list_models()},
}
"""Builders by name: those of the first Segment Anything, and all names of masklet."""
