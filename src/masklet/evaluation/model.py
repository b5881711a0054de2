"""A model as a method: video tracker, image predictor and mask generator."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from masklet.engines.base import Engine
from masklet.formats.base import FrameLike, ObjectLike, mask_only
from masklet.image import EncodedImage, EverythingOptions, ImagePredictor, MaskSet, segment_everything
from masklet.media.source import FrameSource
from masklet.prompts import Prompt
from masklet.video import TrackingOptions, VideoTracker


class TrackerSession:
    """A video under way, by masklet's tracker."""

    def __init__(self, tracker: VideoTracker) -> None:
        self.tracker = tracker

    def prompt(self, frame: int, object: int, prompt: Prompt) -> NDArray[np.bool_]:
        return self.tracker.add_prompt(frame=frame, object=object, prompt=prompt).objects[object].mask

    def follow(self, start: int) -> Iterator[FrameLike]:
        return self.tracker.propagate(start=start)


class ModelMethod:
    """An engine, such as a loaded model, with fields of `TrackingOptions` that are not the default, plain JSON. Raises
    ConfigError for options that do not exist."""

    estimates = True

    def __init__(self, engine: Engine, tracking: Mapping[str, Any] | None = None) -> None:
        self.engine, self.tracking = engine, dict(tracking or {})
        self.options = TrackingOptions(**self.tracking)
        self.options.policy_for(engine.config)  # raises for an unknown policy
        self.name = ", ".join([engine.config.name, *(f"{name} {value}" for name, value in self.tracking.items())])

    @cached_property
    def facts(self) -> dict[str, Any]:
        """Name, fingerprint of the weights, size, precision, and how it tracks if not by default."""
        return {
            "model": self.engine.config.name,
            "weights": self.engine.digest,
            "image_size": self.engine.config.image_size,
            "dtype": str(self.engine.dtype).removeprefix("torch."),
            "device": str(self.engine.device),
            **({"tracking": self.tracking} if self.tracking else {}),
        }

    @contextmanager
    def track(self, source: FrameSource) -> Iterator[TrackerSession]:
        with VideoTracker(source, self.engine, options=self.options) as tracker:
            yield TrackerSession(tracker)

    def look(self, image: NDArray[np.uint8]) -> Callable[[Sequence[Prompt]], Sequence[ObjectLike]]:
        predictor = ImagePredictor(self.engine)
        return look_at(predictor, predictor.encode(image))

    def everything(self, image: NDArray[np.uint8], options: EverythingOptions) -> MaskSet:
        return segment_everything(image, self.engine, options)


def look_at(predictor: ImagePredictor, picture: EncodedImage) -> Callable[[Sequence[Prompt]], Sequence[ObjectLike]]:
    """Answers about a picture; after the first its logits go in with the prompts."""
    logits = None

    def answer(prompts: Sequence[Prompt]) -> Sequence[ObjectLike]:
        nonlocal logits
        best = predictor.predict(
            picture,
            points=[prompt.points or None for prompt in prompts],
            labels=[prompt.labels or None for prompt in prompts],
            boxes=[prompt.box for prompt in prompts],
            masks=logits,
        ).best
        logits = list(best.logits)
        scores = zip(best, best.iou, best.presence, strict=True)
        return [mask_only(mask, float(iou), float(presence)) for mask, iou, presence in scores]

    return answer
