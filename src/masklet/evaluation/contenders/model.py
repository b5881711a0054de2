"""A model as a contender: video tracker, image predictor and mask generator, with the published settings."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from masklet.checkpoints import Model, load_model
from masklet.formats.base import FrameLike
from masklet.image import EverythingOptions, ImagePredictor, MaskSet, segment_everything
from masklet.media.source import FrameSource
from masklet.prompts import Prompt
from masklet.video import VideoTracker


class ModelContender:
    """A model of masklet's.

    Args:
        model: The model, or its name or file.
        device: Where to run one that is loaded; the best there is if not given.

    Raises CheckpointError if the model cannot be loaded.
    """

    def __init__(self, model: str | Model, device: str | None = None) -> None:
        self.model = model if isinstance(model, Model) else load_model(model, device=device)
        self.name = self.model.name

    @cached_property
    def facts(self) -> dict[str, Any]:
        """Name, digest of the weights, size and precision."""
        network = self.model.network
        return {
            "model": self.model.name,
            "weights_sha256": weights_digest(self.model),
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
            "image_size": self.model.config.image_size,
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "device": str(self.model.device),
        }

    @contextmanager
    def track(self, source: FrameSource) -> Iterator[TrackerSession]:
        with VideoTracker(source, self.model) as tracker:
            yield TrackerSession(tracker)

    def look(self, image: NDArray[np.uint8]) -> PredictorLook:
        return PredictorLook(self.model, image)

    def everything(self, image: NDArray[np.uint8], options: EverythingOptions) -> MaskSet:
        return segment_everything(image, self.model, options)


class TrackerSession:
    """A video under way, by masklet's tracker."""

    def __init__(self, tracker: VideoTracker) -> None:
        self.tracker = tracker

    def prompt(self, frame: int, object: int, prompt: Prompt) -> NDArray[np.bool_]:
        """All that is in the prompt, and the mask after it."""
        if prompt.mask is not None:
            result = self.tracker.add_mask(frame=frame, object=object, mask=prompt.mask)
        if prompt.box is not None:
            result = self.tracker.add_box(frame=frame, object=object, box=prompt.box)
        if prompt.points:
            result = self.tracker.add_points(frame=frame, object=object, points=prompt.points, labels=prompt.labels)
        return result.objects[object].mask

    def follow(self, start: int) -> Iterator[FrameLike]:
        """Forward to the end."""
        return self.tracker.propagate(start=start)


class PredictorLook:
    """A picture under way, by masklet's image predictor: after the first answer its logits go in with the prompts."""

    def __init__(self, model: Model, image: NDArray[np.uint8]) -> None:
        self.predictor = ImagePredictor(model)
        self.picture = self.predictor.encode(image)
        self.logits: NDArray[np.float32] | None = None

    def answer(self, prompts: Sequence[Prompt]) -> list[NDArray[np.bool_]]:
        """The surest mask of each object."""
        best = self.predictor.predict(
            self.picture,
            points=[prompt.points or None for prompt in prompts],
            labels=[prompt.labels or None for prompt in prompts],
            boxes=[prompt.box for prompt in prompts],
            masks=None if self.logits is None else list(self.logits),
        ).best
        self.logits = best.logits
        return list(best)


def weights_digest(model: Model) -> str:
    """SHA-256 over the names and values of all tensors: the same however the weights were stored."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
