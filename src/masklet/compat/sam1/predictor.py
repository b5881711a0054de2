"""The predictor of the first Segment Anything."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from masklet.compat.failures import as_reference
from masklet.compat.prompts import numbers
from masklet.compat.sam1.modeling import Sam
from masklet.compat.sam1.utils.transforms import ResizeLongestSide
from masklet.compat.sam2.sam2_image_predictor import SAM2ImagePredictor, as_tensors
from masklet.engines.arrays import in_precision
from masklet.image.predictor import EncodedImage
from masklet.nn import Levels


class SamPredictor(SAM2ImagePredictor):
    """Set a picture, then ask for masks; these come as bool. Low-resolution logits are those of the model's square.

    Attributes:
        transform: From pixels of the picture to the frame of `predict_torch`'s coordinates.
        original_size: (height, width) of the picture, None before one is set.
        input_size: The same in that frame.
    """

    model: Sam

    def __init__(self, sam_model: Sam) -> None:
        super().__init__(sam_model)
        self.transform = ResizeLongestSide(sam_model.image_size)
        self.original_size: tuple[int, int] | None = None
        self.input_size: tuple[int, int] | None = None
        self.is_image_set = False

    def set_image(self, image: NDArray[np.uint8], image_format: Literal["RGB", "BGR"] = "RGB") -> None:  # type: ignore[override]
        """Look at a picture (H, W, 3) of uint8."""
        if image_format not in ("RGB", "BGR"):
            raise ValueError(f"image_format is {image_format!r}; give 'RGB' or 'BGR'")
        with as_reference():
            seen = self._predictor.encode(image if image_format == "RGB" else image[..., ::-1])
        self._see(seen.levels, seen.size)

    def set_torch_image(self, transformed_image: Tensor, original_image_size: tuple[int, int]) -> None:
        """Look at a picture (1, 3, h, w) of 0..255 in the frame of `transform`, of which masks of the size of the
        original come."""
        engine, colors = self.model.engine, self.model.preprocess(transformed_image)
        self._see(engine.encode_image(in_precision(engine, colors)), original_image_size)

    def predict(  # type: ignore[override]  # masks are bool
        self,
        point_coords: Any = None,
        point_labels: Any = None,
        box: Any = None,
        mask_input: Any = None,
        multimask_output: bool = True,
        return_logits: bool = False,
    ) -> tuple[NDArray[Any], NDArray[np.float32], NDArray[np.float32]]:
        """As `SAM2ImagePredictor.predict`, but masks are bool (C, H, W), and logits go beyond -32..32."""
        size = self.original_size
        places = self._shares(point_coords, size), point_labels, self._shares(box, size)
        return self._answer(*places, mask_input, multimask_output, return_logits)

    def predict_torch(
        self,
        point_coords: Tensor | None,
        point_labels: Tensor | None,
        boxes: Tensor | None = None,
        mask_input: Tensor | None = None,
        multimask_output: bool = True,
        return_logits: bool = False,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """For N prompts at once: points (N, P, 2), labels (N, P), boxes (N, 4), in the frame of `transform`.

        Returns:
            Masks (N, C, H, W), predicted IoU (N, C) and low-resolution logits (N, C, S/4, S/4), on the model's device.
        """
        size = self.input_size
        places = self._shares(point_coords, size), point_labels, self._shares(boxes, size)
        return as_tensors(self._answer(*places, mask_input, multimask_output, return_logits), self.device)

    @property
    def features(self) -> Tensor:
        """As `get_image_embedding`."""
        return self.get_image_embedding()

    def reset_image(self) -> None:
        """Forget the picture."""
        self.reset_predictor()
        self.is_image_set = False
        self.original_size = self.input_size = None

    def _see(self, levels: Levels, size: Sequence[int]) -> None:
        """Keep features of a picture of the size as those of its square, a cell of logits for each pixel."""
        config = self.model.engine.config
        square = np.zeros((config.mask_size, config.mask_size, 3), np.uint8)
        self._pictures = [EncodedImage(square, levels, config)]
        self.original_size = height, width = size[0], size[1]
        self.input_size = self.transform.get_preprocess_shape(height, width, self.transform.target_length)
        self.is_image_set = True

    def _shares(self, coords: Any, frame: Sequence[int] | None) -> NDArray[np.float64] | None:
        """Points (..., 2), or corners of boxes, in a frame of (height, width) that the picture fills: in shares of the
        square."""
        if coords is None or frame is None or self.original_size is None:
            return None
        part = np.divide(self.model.engine.config.placed(self.original_size), frame) / self.model.image_size
        return (numbers(coords, (-1, 2)) * part[::-1]).reshape(np.shape(coords))

    def _answer(
        self, points: Any, labels: Any, boxes: Any, masks: Any, several: bool, as_logits: bool
    ) -> tuple[NDArray[Any], NDArray[np.float32], NDArray[np.float32]]:
        """Masks of the picture for prompts in shares of the square."""
        low, scores, _ = super().predict(points, labels, boxes, masks, several, True, normalize_coords=False)
        seen, size = self.input_size, self.original_size
        assert seen is not None, "a picture was set, as there is an answer"
        assert size is not None, "the two are set together"
        each = torch.from_numpy(low).reshape(-1, 1, 1, *low.shape[-2:])
        full = [self.model.postprocess_masks(one, seen, size)[0, 0].numpy() for one in each]
        found = np.stack([one if as_logits else one > self.model.mask_threshold for one in full])
        return found.reshape(*low.shape[:-2], *size), scores, low
