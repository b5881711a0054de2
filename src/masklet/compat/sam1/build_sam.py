"""The builders of the first Segment Anything, and its registry of them."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from masklet.checkpoints.load import load_torch_model
from masklet.checkpoints.registry import list_models
from masklet.compat.failures import WeightsMissing, WeightsRefused, as_reference
from masklet.compat.sam1.modeling import Sam
from masklet.compat.sam2.settings import IMAGE_POSTPROCESSING, Settings
from masklet.errors import CheckpointError

Checkpoint = str | os.PathLike[str] | None


def _built(name: str, checkpoint: Checkpoint = None) -> Sam:
    """What a file of weights holds, of the first Segment Anything or of SAM 2, of any size; without one the model of a
    name.

    Raises:
        WeightsMissing: There is no such file (a FileNotFoundError).
        WeightsRefused: A file of something else (a RuntimeError).
    """
    if checkpoint is not None and not Path(checkpoint).exists():
        raise WeightsMissing(f"there is no file of weights at {os.fspath(checkpoint)}")
    try:
        with as_reference():
            model = load_torch_model(name if checkpoint is None else Path(checkpoint))
    except CheckpointError as error:
        raise WeightsRefused(f"{error}; leave checkpoint out for {name}") from error
    # Models of the first Segment Anything know no rule by which an unstable mask gives way.
    return Sam(model, Settings(**({} if model.config.version == "1" else IMAGE_POSTPROCESSING)))


build_sam = build_sam_vit_h = partial(_built, "sam2.1-large")
build_sam_vit_l = partial(_built, "sam2.1-base-plus")
build_sam_vit_b = partial(_built, "sam2.1-small")
build_sam_vit_t = partial(_built, "mobile-sam")
"""Models of their files, such as `sam_vit_h_4b8939.pth`; without a file these take the place of ViT-H, L and B."""

sam_model_registry: dict[str, Callable[..., Sam]] = {
    "default": build_sam_vit_h,
    "vit_h": build_sam_vit_h,
    "vit_l": build_sam_vit_l,
    "vit_b": build_sam_vit_b,
    "vit_t": build_sam_vit_t,
    **{info.name: partial(_built, info.name) for info in list_models()},
}
"""Builders by name: those of the first Segment Anything, and all names of masklet."""
