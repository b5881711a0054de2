"""Transformers' calls for pictures, `Sam2Model`, `Sam2Processor` and `pipeline("mask-generation")`, answered by any
model of masklet; transformers need not be installed.

Letters: B pictures, N objects, P points, C candidates, S side of the model's square, H x W a picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from os import PathLike, fspath
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from masklet.checkpoints import Model, load_engine
from masklet.checkpoints.registry import config_of, is_known
from masklet.compat.border import SettingRefused, prompt_of
from masklet.compat.sam2.utils import SAM2Transforms, Size, mask_to_runs
from masklet.engines.arrays import Array, concat, is_numpy, to_numpy
from masklet.engines.base import Engine
from masklet.engines.rules import pad_prompts, single
from masklet.errors import PromptError
from masklet.image import EverythingOptions, segment_everything
from masklet.image.picture import PictureLike, as_picture, is_batch
from masklet.image.predictor import no_memories
from masklet.nn import Levels
from masklet.prompts import NOT_A_POINT, Prompt

PADDING = -10
"""The label, and the coordinates, of points that only fill a list up to the length of the longest."""


class Inputs(dict[str, Any]):
    """What a processor returns: `model(**inputs)`, `inputs["original_sizes"]`, `inputs.pixel_values`."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"{name}; there are {', '.join(self)}") from None

    def to(self, *place: Any, **named: Any) -> Inputs:
        """With its tensors on a device, those of floats in a precision."""
        for name, value in self.items():
            moved = value.to(*place, **named)
            self[name] = moved if value.is_floating_point() else value.to(moved.device)
        return self


class Sam2ImageSegmentationOutput(NamedTuple):
    """The answer of `Sam2Model`.

    iou_scores           (B, N, C), C is 3, or 1 without `multimask_output`
    pred_masks           (B, N, C, S/4, S/4), logits
    object_score_logits  (B, N, 1)
    image_embeddings     strides 4, 8 and 16: (B, C/8, S/4, S/4), (B, C/4, S/8, S/8), (B, C, S/16, S/16)
    """

    iou_scores: Tensor
    pred_masks: Tensor
    object_score_logits: Tensor
    image_embeddings: tuple[Tensor, ...]

    def __getitem__(self, key: Any) -> Any:  # by name too, as there
        return getattr(self, key) if isinstance(key, str) else tuple(self)[key]


class Sam2Processor:
    """Pictures and prompts in pixels to what `Sam2Model` takes, and masks back to the picture's size; `placed` is
    `ModelConfig.placed` of a model that does not stretch pictures over the square of side S."""

    def __init__(self, side: int, placed: Callable[[Size], Size] | None = None) -> None:
        self._square = SAM2Transforms(side, placed=placed)

    @classmethod
    def from_pretrained(cls, model_id: str | PathLike[str], **_: Any) -> Sam2Processor:
        """The processor of a model: a name of masklet, of the hub, or a path. Of names no weights are loaded."""
        name = fspath(model_id)
        config = config_of(name) if is_known(name) else load_engine(name).config
        return cls(config.image_size, config.placed)

    def __call__(
        self,
        images: PictureLike | Sequence[PictureLike] | None = None,
        *,
        input_points: Any = None,
        input_labels: Any = None,
        input_boxes: Any = None,
        original_sizes: Any = None,
        return_tensors: str = "pt",
        **others: Any,
    ) -> Inputs:
        """Tensors for the model.

        Args:
            images: One or B pictures.
            input_points: (B, N, P, 2), x and y in pixels, in nested lists, which may be of unequal lengths.
            input_labels: (B, N, P): 1 include, 0 exclude, -1 no point.
            input_boxes: (B, N, 4): x0, y0, x1, y1.
            original_sizes: (height, width) of each picture, where no pictures come.
            return_tensors: "pt".

        Raises:
            SettingRefused: Other tensors are wanted, or an argument is unknown (a ValueError).
            PromptError: The nesting is another one (a ValueError).
        """
        if return_tensors != "pt" or others:
            raise SettingRefused(f"{next(iter(others), return_tensors)!r} is not understood; tensors are 'pt'")
        found = Inputs()
        if images is not None:
            pictures = [as_picture(image) for image in (images if is_batch(images) else [images])]
            original_sizes = [picture.shape[:2] for picture in pictures]
            found["pixel_values"] = self._square.forward_batch(pictures)
        if original_sizes is None:
            raise PromptError("there are neither images nor original_sizes; give the pictures")
        sizes = found["original_sizes"] = torch.as_tensor(original_sizes).reshape(-1, 2)
        if input_points is not None:
            found["input_points"] = self._scaled(filled(input_points, 4, "input_points"), sizes)
        if input_labels is not None:
            found["input_labels"] = filled(input_labels, 3, "input_labels").long()
        if input_boxes is not None:
            boxes = filled(input_boxes, 3, "input_boxes")
            found["input_boxes"] = self._scaled(boxes.unflatten(2, (2, 2)), sizes).flatten(2)
        return found

    def _scaled(self, places: Tensor, sizes: Tensor) -> Tensor:
        """(B, ..., 2) in pixels of pictures of the sizes (B, 2) -> in those of the square; padding stays."""
        pairs = zip(places, map(tuple, sizes.tolist()), strict=True)
        scaled = torch.stack([self._square.transform_coords(each, True, size) for each, size in pairs])
        return torch.where(places == PADDING, places, scaled)

    def post_process_masks(
        self, masks: Tensor | Sequence[Tensor], original_sizes: Any, mask_threshold: float = 0.0, binarize: bool = True
    ) -> list[Tensor]:
        """For each picture its masks (N, C, H, W), bool, or logits if not to `binarize`, of (B, N, C, S/4, S/4)."""
        sizes = torch.as_tensor(original_sizes).reshape(-1, 2).tolist()
        full = [self._square.postprocess_masks(one, tuple(size)) for one, size in zip(masks, sizes, strict=True)]
        return [one > mask_threshold for one in full] if binarize else full


def filled(values: Any, axes: int, name: str) -> Tensor:
    """Nested lists of unequal lengths as one float32 tensor, filled up. Raises PromptError for other nesting."""

    def numbers(part: Any, place: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], float]]:
        if len(place) == axes:
            yield place, float(part)
        else:
            for number, one in enumerate(part):
                yield from numbers(one, (*place, number))

    try:
        found = dict(numbers(values, ()))
        tensor = torch.full((np.max([*found], axis=0) + 1).tolist(), float(PADDING))
    except (TypeError, ValueError):  # numbers too early, lists too late, nothing at all
        raise PromptError(
            f"{name} is not nested {axes} deep; give lists of pictures, of their objects, of numbers"
        ) from None
    for place, number in found.items():
        tensor[place] = number
    return tensor


class Sam2Model:
    """A model of masklet, by name, path, `Model` or any engine, with the calls of transformers' `Sam2Model`."""

    def __init__(self, model: str | PathLike[str] | Engine = "nano") -> None:
        self.engine = load_engine(model)

    @classmethod
    def from_pretrained(cls, model_id: str | PathLike[str], **_: Any) -> Sam2Model:
        """A model of a name of masklet, of the hub, such as "facebook/sam2.1-hiera-tiny", or of a path."""
        return cls(model_id)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return torch.device(self.engine.device)

    def to(self, device: str | torch.device) -> Sam2Model:
        """The model itself, on another device."""
        if isinstance(self.engine, Model):
            self.engine.move(device)
        return self

    def eval(self) -> Sam2Model:
        """The model itself, which is never trained by this face."""
        return self

    def get_image_embeddings(self, pixel_values: Tensor) -> tuple[Tensor, ...]:
        """Features of pictures (B, 3, S, S), at strides 4, 8 and 16, to be kept and given to the model."""
        levels, empty = self.engine.encode_image(self._given(pixel_values)), no_memories(self.engine)
        alone = [self.engine.attend_memory(level[None], empty) for level in levels.stride16]
        return tuple(map(torch.as_tensor, (levels.stride4, levels.stride8, concat(alone))))

    def __call__(
        self,
        pixel_values: Tensor | None = None,
        input_points: Tensor | None = None,
        input_labels: Tensor | None = None,
        input_boxes: Tensor | None = None,
        input_masks: Tensor | None = None,
        image_embeddings: Sequence[Tensor] | None = None,
        multimask_output: bool = True,
        **_: Any,
    ) -> Sam2ImageSegmentationOutput:
        """Masks of N objects in each of B pictures.

        Args:
            pixel_values: (B, 3, S, S) of a processor, or in their place `image_embeddings`.
            input_points: (B, N, P, 2) in pixels of the square, as a processor makes them.
            input_labels: (B, N, P); 1 if not given.
            input_boxes: (B, N, 4).
            input_masks: (N or 1, 1, S/4, S/4): logits of an earlier answer, as there, for one picture.
            image_embeddings: From `get_image_embeddings`.
            multimask_output: Whether three candidates or one are wanted.

        Raises:
            PromptError: Neither a picture nor features came, or both; or prompts of different counts (a ValueError).
        """
        if (pixel_values is None) == (image_embeddings is None):
            raise PromptError("give exactly one of pixel_values and image_embeddings")
        seen = self.get_image_embeddings(pixel_values) if pixel_values is not None else tuple(image_embeddings or ())
        size, columns = (self.engine.config.image_size,) * 2, []
        asked = self._prompts(len(seen[0]), input_points, input_labels, input_boxes, input_masks)
        for row, prompts in enumerate(asked):
            levels = Levels(*(self._given(level[[row]]) for level in seen))
            decoded = self.engine.decode_masks(levels.stride16, levels, pad_prompts(self.engine, prompts, size))
            objects, three = np.arange(len(prompts))[:, None], np.arange(1, 4)[None]
            chosen = three if multimask_output else to_numpy(single(decoded))[:, None]
            answer = decoded.iou[objects, chosen], decoded.logits[objects, chosen], decoded.presence[:, None]
            columns.append([torch.as_tensor(part) for part in answer])
        iou, masks, presence = (torch.stack(column) for column in zip(*columns, strict=True))
        return Sam2ImageSegmentationOutput(iou, masks, presence, seen)

    def _given(self, tensor: Tensor) -> Array:
        """A tensor as an array of the engine."""
        own = self.engine.absent_pointer
        return to_numpy(tensor) if is_numpy(own) else tensor.to(own)

    def _prompts(
        self, pictures: int, points: Tensor | None, labels: Tensor | None, boxes: Tensor | None, masks: Tensor | None
    ) -> list[list[Prompt]]:
        """The prompts of each picture's objects; padding is left out."""
        if points is not None and labels is None:
            labels = torch.ones(points.shape[:-1])
        given = [one for one in (points, labels, boxes) if one is not None]
        objects, side = given[0].shape[1] if given else 1, self.engine.config.image_size
        if any(one.shape[:2] != (pictures, objects) for one in given):
            shapes = ", ".join(str(tuple(one.shape)) for one in given)
            raise PromptError(f"prompts have the shapes {shapes} for {pictures} pictures; give (picture, object, ...)")
        earlier = [None] * objects if masks is None else list(to_numpy(masks.reshape(-1, *masks.shape[-2:])))
        if len(earlier) not in (1, objects):
            raise PromptError(f"there are {len(earlier)} input_masks for {objects} objects; give one for each, or one")

        def prompt(place: tuple[int, int]) -> Prompt:
            clicks = kinds = box = None
            if points is not None and labels is not None:
                real = labels[place] != PADDING
                clicks, kinds = points[place][real], labels[place][real]
            if boxes is not None and (boxes[place] != PADDING).any():
                box = boxes[place]
            found, logits = prompt_of(clicks, kinds, box, (side, side)), earlier[place[1] % len(earlier)]
            if logits is not None and not found.labels and found.box is None:  # as there: no point is a point too
                found = Prompt(((0.0, 0.0),), (NOT_A_POINT,))
            return replace(found, logits=logits)

        return [[prompt((row, number)) for number in range(objects)] for row in range(pictures)]


OPTIONS = {
    "points_per_crop": "points_per_side",
    "points_per_batch": "points_per_batch",
    "pred_iou_thresh": "least_iou",
    "stability_score_thresh": "least_stability",
    "stability_score_offset": "stability_offset",
    "mask_threshold": "threshold",
    "crops_nms_thresh": "most_overlap",
    "crops_n_layers": "crop_layers",
    "crop_overlap_ratio": "crop_overlap",
    "crop_n_points_downscale_factor": "crop_points_divisor",
}
"""Arguments of the pipeline -> those of `EverythingOptions`."""

DEFAULTS = {"pred_iou_thresh": 0.88, "stability_score_thresh": 0.95, "stability_score_offset": 1}
"""Those that differ from masklet's own."""


def pipeline(
    task: str = "mask-generation",
    model: str | PathLike[str] | Engine | Sam2Model = "nano",
    *,
    device: str | torch.device | None = None,
    **_: Any,
) -> Callable[..., Any]:
    """`pipeline("mask-generation")`: what finds everything in a picture.

    Returns:
        A function from a picture to "masks", a list of bool (H, W), and "scores", float32 (M,); with `output_rle_mask`
        also "rle_mask", run lengths down the columns, with `output_bboxes_mask` also "bounding_boxes" (M, 4), of the
        first and the last pixels. Of a list of pictures it returns a list of these. Its other arguments are `OPTIONS`.

    Raises:
        SettingRefused: Another task, or by the function another argument (a ValueError).
    """
    if task != "mask-generation":
        raise SettingRefused(f"the task is {task!r}; masklet has 'mask-generation'")
    engine = model.engine if isinstance(model, Sam2Model) else load_engine(model, device=device)

    def generate(
        image: PictureLike | Sequence[PictureLike],
        *,
        output_rle_mask: bool = False,
        output_bboxes_mask: bool = False,
        **settings: Any,
    ) -> dict[str, Any] | list[dict[str, Any]]:
        if others := settings.keys() - OPTIONS:
            raise SettingRefused(f"{min(others)!r} is not understood; understood are {', '.join(OPTIONS)}")
        chosen: dict[str, Any] = {OPTIONS[name]: value for name, value in {**DEFAULTS, **settings}.items()}
        if "most_overlap" in chosen:
            chosen["crop_most_overlap"] = chosen["most_overlap"]
        options = EverythingOptions(**chosen)

        def of(picture: PictureLike) -> dict[str, Any]:
            found = segment_everything(picture, engine, options)
            answer: dict[str, Any] = {"masks": list(torch.from_numpy(found.masks))}
            answer["scores"] = torch.from_numpy(found.iou)
            if output_rle_mask:
                answer["rle_mask"] = [mask_to_runs(mask) for mask in found]
            if output_bboxes_mask:
                answer["bounding_boxes"] = torch.from_numpy(found.boxes - (0, 0, 1, 1))
            return answer

        given: Any = image
        return [of(picture) for picture in given] if is_batch(image) else of(given)

    return generate
