"""The one-liner."""

from __future__ import annotations

import os
from functools import lru_cache
from os import PathLike

from numpy.typing import ArrayLike

from masklet.engines.base import Engine
from masklet.image.picture import Picture
from masklet.image.predictor import ImagePredictor
from masklet.image.result import Masks

LOADED = 2
"""Models that stay loaded from one call to the next."""


def segment(
    image: Picture,
    *,
    points: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    box: ArrayLike | None = None,
    model: str | PathLike[str] | Engine = "nano",
    refine: bool = False,
) -> Masks:
    """The masks of one thing in a picture.

        masks = masklet.segment("photo.jpg", points=[(320, 240)])
        masks.save("mask.png")

    For several things, or several looks at one picture, an `ImagePredictor` encodes it only once.

    Args:
        image: A path, a PIL picture, an array (H, W, 3) or a tensor (3, H, W).
        points: (P, 2) clicks (x, y) in pixels.
        labels: (P,) 1 include, 0 exclude; all 1 if not given.
        box: (4,) x0, y0, x1, y1 in pixels.
        model: Name, path, `Model`, or any engine; what a name or a path gave stays loaded.
        refine: Whether a small thing is looked at a second time, in a crop around it; see `ImagePredictor.predict`.

    Returns:
        `Masks`: three for a single click, which may mean a thing or a part of it; one otherwise. Best first.

    Raises:
        MediaError: The picture cannot be read.
        PromptError: The prompt makes no sense for the picture.
        CheckpointError: The model cannot be loaded.
    """
    predictor = ready_predictor(model)
    return predictor.predict(predictor.encode(image), points=points, labels=labels, boxes=box, refine=refine)


def ready_predictor(model: str | PathLike[str] | Engine) -> ImagePredictor:
    """A predictor of a model; what a name or a path gave stays loaded. Raises CheckpointError."""
    if isinstance(model, str | PathLike):
        return loaded(os.fspath(model), changed(model))
    return ImagePredictor(model)


@lru_cache(maxsize=LOADED)
def loaded(model: str, _: int) -> ImagePredictor:
    """The predictor of a name or path; loaded again when the file has changed."""
    return ImagePredictor(model)


def changed(model: str | PathLike[str]) -> int:
    """When a file was written, in nanoseconds; 0 for a name."""
    try:
        return os.stat(model).st_mtime_ns
    except OSError:  # a name, or a file that is missing, of which loading tells
        return 0
