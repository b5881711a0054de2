"""The predictor for cameras that copies of the reference have, on `masklet.StreamTracker`.

Letters: N objects, P points, H x W the frame.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from masklet.checkpoints import Model
from masklet.compat.border import CallRefused, as_reference, click_or_box_of, mask_of
from masklet.compat.sam2.modeling import SAM2Base
from masklet.compat.sam2.sam2_video_predictor import logits_of
from masklet.compat.sam2.settings import Settings, tracking_options
from masklet.video import FrameResult, StreamTracker

Seen = tuple[list[Any], Tensor]
"""The objects, and their logits (N, 1, H, W)."""


class SAM2CameraPredictor(SAM2Base):
    """Objects through frames as they come: `load_first_frame`, prompts, then `track` for each further frame."""

    def __init__(self, model: Model, settings: Settings | None = None) -> None:
        super().__init__(model, settings or Settings())
        self._stream: StreamTracker | None = None
        self._size = (0, 0)

    def load_first_frame(self, img: NDArray[np.uint8]) -> None:
        """Begin with a frame, uint8 (H, W, 3), RGB; objects of an earlier stream are forgotten."""
        with as_reference():
            stream = StreamTracker(self.engine, options=tracking_options(self.settings, self.engine.config))
            stream.step(np.asarray(img))
        self._stream, self._size = stream, np.asarray(img).shape[:2]

    def add_new_prompt(
        self,
        frame_idx: int,
        obj_id: Any,
        points: Any = None,
        labels: Any = None,
        bbox: Any = None,
        clear_old_points: bool = True,
        normalize_coords: bool = True,
    ) -> tuple[int, list[Any], Tensor]:
        """As `SAM2VideoPredictor.add_new_points_or_box`, in the newest frame, whatever number is given.

        Raises:
            PromptError: Prompts that make no sense (a ValueError).
            CallRefused: No frame came yet (a RuntimeError).
        """
        with as_reference():
            stream = self._begun()
            prompt = click_or_box_of(points, labels, bbox, self._size, in_pixels=normalize_coords)
            return frame_idx, *self._seen(stream.add_prompt(object=obj_id, prompt=prompt, replace=clear_old_points))

    add_new_points = add_new_prompt

    def add_new_mask(self, frame_idx: int, obj_id: Any, mask: Any) -> tuple[int, list[Any], Tensor]:
        """Give an object's mask in the newest frame, (H, W), bool or 0 and 1; one of another size is scaled."""
        with as_reference():
            return frame_idx, *self._seen(self._begun().add_mask(object=obj_id, mask=mask_of(mask, self._size)))

    def track(self, img: NDArray[np.uint8]) -> Seen:
        """Follow all objects into the next frame."""
        with as_reference():
            return self._seen(self._begun().step(np.asarray(img)))

    def reset_state(self) -> None:
        """Forget all objects and frames."""
        self._stream = None

    def _begun(self) -> StreamTracker:
        if self._stream is None:
            raise CallRefused("no frame came yet; call load_first_frame")
        return self._stream

    def _seen(self, result: FrameResult) -> Seen:
        tracks = self._begun().tracks
        return list(tracks), logits_of(tracks, result, self._size).to(self.device)
