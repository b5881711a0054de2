"""The names of the first Segment Anything (`segment_anything`), with its models or those of SAM 2 behind: builders, the
model as its clients take it apart, train it and ask it, the predictor, and the generator of automatic masks.

Letters: B prompts of one picture, C channels, K masks of a prompt, S side of the model's square, H x W the picture.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from masklet.checkpoints import Model, names
from masklet.checkpoints.load import load_torch_model
from masklet.checkpoints.registry import list_models
from masklet.compat.border import CallRefused, WeightsMissing, WeightsRefused, as_reference, numbers
from masklet.compat.sam2.automatic_mask_generator import SAM2AutomaticMaskGenerator
from masklet.compat.sam2.modeling import MaskDecoderFace, SAM2Base
from masklet.compat.sam2.sam2_image_predictor import SAM2ImagePredictor, as_tensors
from masklet.compat.sam2.settings import IMAGE_POSTPROCESSING, Settings
from masklet.engines.arrays import in_precision, resize
from masklet.engines.rules import MEAN, STD
from masklet.errors import CheckpointError
from masklet.image.everything import MODEL_THRESHOLDS
from masklet.image.predictor import EncodedImage
from masklet.nn import Levels

__all__ = [
    "SamAutomaticMaskGenerator",
    "SamPredictor",
    "build_sam",
    "build_sam_vit_b",
    "build_sam_vit_h",
    "build_sam_vit_l",
    "sam_model_registry",
]

Size = tuple[int, int]
"""(height, width)"""


class FirstMaskDecoderFace(MaskDecoderFace):
    """Features and prompts to masks, without finer levels and presence."""

    def forward(  # type: ignore[override]  # their signature
        self,
        image_embeddings: Tensor,
        image_pe: Tensor,
        sparse_prompt_embeddings: Tensor,
        dense_prompt_embeddings: Tensor,
        multimask_output: bool,
    ) -> tuple[Tensor, Tensor]:
        """Features (1, C, h, w), codes and prompts -> logits (B, K, S/4, S/4), IoU (B, K)."""
        width, side = image_embeddings.shape[1], image_embeddings.shape[-1]
        finer = [
            image_embeddings.new_zeros(1, width // part, size, size) for part, size in ((8, 4 * side), (4, 2 * side))
        ]
        prompts = sparse_prompt_embeddings, dense_prompt_embeddings
        return super().forward(image_embeddings, image_pe, *prompts, multimask_output, True, finer)[:2]


class Sam(SAM2Base):
    """What the builders return: the parts under the names of `segment_anything`, and those of `SAM2Base`."""

    mask_threshold = 0.0
    image_format = "RGB"
    prompt_encoder = property(lambda self: self.sam_prompt_encoder)
    mask_decoder = property(lambda self: self.sam_mask_decoder)
    pixel_mean = property(lambda self: 255 * torch.tensor(MEAN, device=self.device)[:, None, None])
    pixel_std = property(lambda self: 255 * torch.tensor(STD, device=self.device)[:, None, None])

    def __init__(self, model: Model, settings: Settings | None = None) -> None:
        super().__init__(model, settings)
        if model.config.version == "1":
            self.sam_mask_decoder = FirstMaskDecoderFace(model.network.sam_mask_decoder, Settings())

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Other weights, by the names of the published files or of `state_dict`."""
        state = names.from_first(state_dict) if names.is_first(state_dict) else state_dict
        return super().load_state_dict(state, strict=strict, assign=assign)

    def preprocess(self, x: Tensor) -> Tensor:
        """Colours 0..255, (B, 3, h, w) or (3, h, w) with sides up to S -> normalised and filled up to (..., 3, S, S);
        for a model of SAM 2 stretched."""
        (height, width), side = x.shape[-2:], self.image_size
        colors = (x - self.pixel_mean) / self.pixel_std
        if not self.engine.config.keeps_ratio:
            return resize(colors.reshape(-1, 3, height, width), (side, side), antialias=True).reshape(
                *x.shape[:-2], side, side
            )
        return F.pad(colors, (0, side - width, 0, side - height))

    def postprocess_masks(self, masks: Tensor, input_size: tuple[int, int], original_size: tuple[int, int]) -> Tensor:
        """Logits (B, K, S/4, S/4) -> (B, K, H, W), of the part of the square that a picture takes, `input_size`;
        for a model of SAM 2 all of it."""
        if self.engine.config.keeps_ratio:
            whole = F.interpolate(masks, (self.image_size,) * 2, mode="bilinear", align_corners=False)
            masks = whole[..., : input_size[0], : input_size[1]]
        return F.interpolate(masks, tuple(original_size), mode="bilinear", align_corners=False)

    def forward(self, batched_input: Sequence[Mapping[str, Any]], multimask_output: bool) -> list[dict[str, Tensor]]:
        """Ask about several pictures, each a dict of the reference: "image" (3, h, w) of 0..255, its longer side S,
        "original_size" (H, W), and "point_coords" (B, P, 2) with "point_labels" (B, P), "boxes" (B, 4) or "mask_inputs"
        (B, 1, S/4, S/4).

        Returns:
            For each picture "masks" bool (B, K, H, W), "iou_predictions" (B, K), "low_res_logits" (B, K, S/4, S/4).

        Raises:
            CallRefused: A model of SAM 2 is behind (a RuntimeError).
        """
        if not isinstance(self.sam_mask_decoder, FirstMaskDecoderFace):
            raise CallRefused(f"{self.engine.name} is a model of SAM 2; ask it by SamPredictor, or build a file of ViT")
        answers = []
        with torch.no_grad():
            for asked in batched_input:
                features = self.image_encoder(self.preprocess(asked["image"])[None])
                points = (asked["point_coords"], asked["point_labels"]) if "point_coords" in asked else None
                sparse, dense = self.sam_prompt_encoder(points, asked.get("boxes"), asked.get("mask_inputs"))
                low, iou = self.sam_mask_decoder(
                    features, self.sam_prompt_encoder.get_dense_pe(), sparse, dense, multimask_output
                )
                size = asked["image"].shape[-2], asked["image"].shape[-1]
                masks = self.postprocess_masks(low, size, asked["original_size"]) > self.mask_threshold
                answers.append({"masks": masks, "iou_predictions": iou, "low_res_logits": low})
        return answers


class ResizeLongestSide:
    """Scales pictures, points and boxes such that the longer side of the picture has a length in pixels."""

    def __init__(self, target_length: int) -> None:
        self.target_length = target_length

    @staticmethod
    def get_preprocess_shape(oldh: int, oldw: int, long_side_length: int) -> Size:
        """(height, width) of a picture whose longer side has the length."""
        scale = long_side_length / max(oldh, oldw)
        return int(oldh * scale + 0.5), int(oldw * scale + 0.5)

    def apply_image(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8 (H, W, 3) -> the same, scaled."""
        height, width = self._scaled(image.shape[:2])
        return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))

    def apply_coords(self, coords: NDArray[np.floating], original_size: Size) -> NDArray[np.float64]:
        """Points (..., 2) of a picture of the size -> the same, scaled."""
        return np.asarray(coords, np.float64) * self._factors(original_size)

    def apply_boxes(self, boxes: NDArray[np.floating], original_size: Size) -> NDArray[np.float64]:
        """Boxes (N, 4) of a picture of the size -> the same, scaled."""
        return self.apply_coords(np.reshape(boxes, (-1, 2, 2)), original_size).reshape(-1, 4)

    def apply_image_torch(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) -> the same, scaled."""
        size = self._scaled(image.shape[-2:])
        return F.interpolate(image.float(), size, mode="bilinear", align_corners=False, antialias=True)

    def apply_coords_torch(self, coords: Tensor, original_size: Size) -> Tensor:
        """As `apply_coords`, for tensors."""
        return coords.float() * torch.tensor(self._factors(original_size), device=coords.device, dtype=torch.float32)

    def apply_boxes_torch(self, boxes: Tensor, original_size: Size) -> Tensor:
        """As `apply_boxes`, for tensors."""
        return self.apply_coords_torch(boxes.reshape(-1, 2, 2), original_size).reshape(-1, 4)

    def _scaled(self, size: Size | torch.Size) -> Size:
        height, width = size
        return self.get_preprocess_shape(height, width, self.target_length)

    def _factors(self, size: Size) -> list[float]:
        """By how much x and y grow."""
        height, width = self._scaled(size)
        return [width / size[1], height / size[0]]


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
        self.original_size: Size | None = None
        self.input_size: Size | None = None
        self.is_image_set = False

    def set_image(self, image: NDArray[np.uint8], image_format: Literal["RGB", "BGR"] = "RGB") -> None:  # type: ignore[override]
        """Look at a picture (H, W, 3) of uint8."""
        if image_format not in ("RGB", "BGR"):
            raise ValueError(f"image_format is {image_format!r}; give 'RGB' or 'BGR'")
        with as_reference():
            seen = self._predictor.encode(image if image_format == "RGB" else image[..., ::-1])
        self._see(seen.levels, seen.size)

    def set_torch_image(self, transformed_image: Tensor, original_image_size: tuple[int, int]) -> None:
        """Look at a picture (1, 3, h, w) of 0..255 in the frame of `transform`; masks have the original's size."""
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
        asked = point_coords, point_labels, box, mask_input
        return self._answer(self.original_size, asked, multimask_output, return_logits)

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
        asked = point_coords, point_labels, boxes, mask_input
        return as_tensors(self._answer(self.input_size, asked, multimask_output, return_logits), self.device)

    features = property(SAM2ImagePredictor.get_image_embedding)

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
        self, frame: Size | None, asked: Sequence[Any], several: bool, as_logits: bool
    ) -> tuple[NDArray[Any], NDArray[np.float32], NDArray[np.float32]]:
        """Masks of the picture for points, labels, boxes and earlier logits; places are in the frame."""
        points, labels, boxes, masks = asked
        places = self._shares(points, frame), labels, self._shares(boxes, frame)
        low, scores, _ = self._ask(self._picture(), (*places, masks), several, as_logits=True, in_pixels=False)
        seen, size = self.input_size, self.original_size
        assert seen is not None, "a picture was set, as there is an answer"
        assert size is not None, "the two are set together"
        each = torch.from_numpy(low).reshape(-1, 1, 1, *low.shape[-2:])
        full = [self.model.postprocess_masks(one, seen, size)[0, 0].numpy() for one in each]
        found = np.stack([one if as_logits else one > self.model.mask_threshold for one in full])
        return found.reshape(*low.shape[:-2], *size), scores, low


class SamAutomaticMaskGenerator(SAM2AutomaticMaskGenerator):
    """Masks of everything in a picture. Arguments as those of `SAM2AutomaticMaskGenerator`; the default of
    `pred_iou_thresh` is 0.88, as it was, but for models that have thresholds of their own."""

    model: Sam

    def __init__(self, model: Sam, *arguments: Any, **named: Any) -> None:
        if len(arguments) < 3 and model.engine.config.name.partition(":")[0] not in MODEL_THRESHOLDS:
            named = {"pred_iou_thresh": 0.88, **named}
        super().__init__(model, *arguments, **named)

    @property
    def predictor(self) -> SamPredictor:
        """A predictor of the same model."""
        return SamPredictor(self.model)


def _built(name: str, checkpoint: str | os.PathLike[str] | None = None) -> Sam:
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
