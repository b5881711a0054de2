"""The reference's predictor for pictures, on `masklet.ImagePredictor`.

Letters: N objects, C candidates, P points, S side of the model's square, H x W the picture.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from masklet.compat.border import CallRefused, NothingAsked, array_of, as_reference, numbers, prompt_of
from masklet.compat.sam2.build_sam import build_sam2_hf
from masklet.compat.sam2.modeling import SAM2Base
from masklet.compat.sam2.utils import SAM2Transforms
from masklet.engines.arrays import to_numpy
from masklet.errors import PromptError
from masklet.image.picture import PictureLike
from masklet.image.predictor import EncodedImage, ImagePredictor, no_memories
from masklet.masks.shape import small_holes
from masklet.prompts import Prompt, check_logits

Answer = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]
"""Masks (C, H, W) or (N, C, H, W), float32 of 0 and 1 or logits; predicted IoU (C,) or (N, C); low-resolution logits
(C, S/4, S/4) or (N, C, S/4, S/4) in -32..32."""

CLEAR = 10.0
"""By how much the logits of filled holes and removed islands differ from the threshold."""


class SAM2ImagePredictor:
    """Set a picture, then ask for masks.

    Args:
        sam_model: What `build_sam2` returns.
        mask_threshold: Logits over it are inside.
        max_hole_area: Holes of at most so many cells of the low-resolution mask are filled; on every device.
        max_sprinkle_area: Islands of at most so many cells go.
        others: Taken and passed over, as the reference does.
    """

    def __init__(
        self,
        sam_model: SAM2Base,
        mask_threshold: float = 0.0,
        max_hole_area: float = 0.0,
        max_sprinkle_area: float = 0.0,
        **others: Any,
    ) -> None:
        self.model = sam_model
        self.mask_threshold = mask_threshold
        self.max_hole_area, self.max_sprinkle_area = max_hole_area, max_sprinkle_area
        self._pictures: list[EncodedImage] = []
        self._is_batch = False

    @classmethod
    def from_pretrained(cls, model_id: str, **arguments: Any) -> "SAM2ImagePredictor":
        """A predictor with a model from the hub. Takes the arguments of `build_sam2`, and those of the class."""
        return cls(build_sam2_hf(model_id, **arguments), **arguments)

    @property
    def _predictor(self) -> ImagePredictor:
        return ImagePredictor(self.model.engine)  # with the present weights

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.model.device

    def set_image(self, image: PictureLike) -> None:
        """Look at a picture: an array (H, W, 3), or one by Pillow."""
        self.reset_predictor()
        with as_reference():
            self._pictures = [self._predictor.encode(image)]

    def set_image_batch(self, image_list: Sequence[PictureLike]) -> None:
        """Look at several pictures."""
        self.reset_predictor()
        with as_reference():
            self._pictures = self._predictor.encode(list(image_list))
        self._is_batch = True

    def predict(
        self,
        point_coords: Any = None,
        point_labels: Any = None,
        box: Any = None,
        mask_input: Any = None,
        multimask_output: bool = True,
        return_logits: bool = False,
        normalize_coords: bool = True,
    ) -> Answer:
        """Masks for one prompt, or for N of them: boxes (N, 4), points (N, P, 2) with labels (N, P).

        Args:
            point_coords: (P, 2), x and y in pixels, or in 0..1 with `normalize_coords=False`.
            point_labels: (P,): 1 include, 0 exclude.
            box: (4,): x0, y0, x1, y1.
            mask_input: (1, S/4, S/4): logits of an earlier answer, for all prompts; or (N, 1, S/4, S/4).
            multimask_output: Whether three candidates or one are wanted.
            return_logits: Whether masks come as logits.
            normalize_coords: Whether coordinates are pixels.

        Raises:
            CallRefused: No picture was set (a RuntimeError).
            PromptError: Prompts that make no sense (a ValueError), or none (an AssertionError too).
        """
        asked = point_coords, point_labels, box, mask_input
        return self._ask(self._picture(), asked, multimask_output, return_logits, normalize_coords)

    def predict_batch(
        self,
        point_coords_batch: Sequence[Any] | None = None,
        point_labels_batch: Sequence[Any] | None = None,
        box_batch: Sequence[Any] | None = None,
        mask_input_batch: Sequence[Any] | None = None,
        multimask_output: bool = True,
        return_logits: bool = False,
        normalize_coords: bool = True,
    ) -> tuple[list[NDArray[np.float32]], list[NDArray[np.float32]], list[NDArray[np.float32]]]:
        """As `predict`, an entry for each picture of `set_image_batch`."""
        if not self._is_batch:
            raise CallRefused("no batch of pictures was set; call set_image_batch before predict_batch")
        lists = point_coords_batch, point_labels_batch, box_batch, mask_input_batch
        columns = [[None] * len(self._pictures) if entries is None else entries for entries in lists]
        answers = [
            self._ask(picture, asked, multimask_output, return_logits, normalize_coords)
            for picture, *asked in zip(self._pictures, *columns, strict=True)
        ]
        masks, scores, logits = ([answer[part] for answer in answers] for part in range(3))
        return masks, scores, logits

    @torch.inference_mode()
    def get_image_embedding(self) -> Tensor:
        """(1, C, S/16, S/16): the features that masks are decoded from."""
        engine = self._predictor.engine
        return engine.attend_memory(self._picture().levels.stride16, no_memories(engine))

    # What clients of the reference read of its insides, as it is now.

    @property
    def _is_image_set(self) -> bool:
        return bool(self._pictures)

    @property
    def _orig_hw(self) -> list[tuple[int, int]]:
        return [picture.size for picture in self._pictures]

    @property
    def _transforms(self) -> SAM2Transforms:
        return SAM2Transforms(self.model.image_size, self.mask_threshold, placed=self.model.engine.config.placed)

    @property
    def _features(self) -> dict[str, Any] | None:
        """ "image_embed" (B, C, S/16, S/16), and "high_res_feats" at strides 4 and 8; None before a picture is set."""
        if not self._pictures:
            return None
        levels = [picture.levels for picture in self._pictures]
        engine = self._predictor.engine
        with torch.no_grad():  # copies that a decoder may be trained on
            embedded = [engine.attend_memory(level.stride16.clone(), no_memories(engine)) for level in levels]
            finer = [torch.cat([getattr(level, name).clone() for level in levels]) for name in ("stride4", "stride8")]
            return {"image_embed": torch.cat(embedded), "high_res_feats": finer}

    def _prep_prompts(
        self,
        point_coords: Any,
        point_labels: Any,
        box: Any,
        mask_logits: Any,
        normalize_coords: bool,
        img_idx: int = -1,
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None]:
        """Logits, points, labels and boxes as `sam_prompt_encoder` takes them, in pixels of the model's square."""
        transforms, size, device = self._transforms, self._orig_hw[img_idx], self.device

        def tensor(values: Any, axes: int) -> Tensor:
            found = torch.as_tensor(values, dtype=torch.float32, device=device)
            return found[None] if found.ndim < axes else found

        points = labels = corners = logits = None
        if point_coords is not None:
            points = transforms.transform_coords(tensor(point_coords, 3), normalize_coords, size)
            labels = tensor(point_labels, 2).int()
        if box is not None:
            corners = transforms.transform_boxes(tensor(box, 2), normalize_coords, size)
        if mask_logits is not None:
            logits = tensor(mask_logits, 4)
        return logits, points, labels, corners

    def _predict(
        self,
        point_coords: Tensor | None,
        point_labels: Tensor | None,
        boxes: Tensor | None = None,
        mask_input: Tensor | None = None,
        multimask_output: bool = True,
        return_logits: bool = False,
        img_idx: int = -1,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Masks (N, M, H, W), scores (N, M), logits (N, M, h, w) of prompts as `_prep_prompts` gives them."""
        picture = self._picture(img_idx)
        height, width = picture.config.placed(picture.size)
        points, corners = (
            None if places is None else places.cpu().reshape(len(places), -1, 2) / torch.tensor([width, height])
            for places in (point_coords, boxes)
        )
        found = self._ask(picture, (points, point_labels, corners, mask_input), multimask_output, return_logits, False)
        masks, scores, logits = as_tensors(found, self.device)
        return masks if return_logits else masks.bool(), scores, logits

    def reset_predictor(self) -> None:
        """Forget the picture."""
        self._pictures, self._is_batch = [], False

    def _picture(self, number: int | None = None) -> EncodedImage:
        """The picture that was set, or one of a batch."""
        if not self._pictures:
            raise CallRefused("an image must be set with set_image(...) before mask prediction")
        if number is None and self._is_batch:
            raise CallRefused("a batch of pictures was set; call predict_batch, or set one with set_image")
        return self._pictures[number or 0]

    def _ask(
        self, picture: EncodedImage, asked: Sequence[Any], several: bool, as_logits: bool, in_pixels: bool
    ) -> Answer:
        """Masks for points, labels, boxes and earlier logits: candidates in the network's order, as the reference gives
        them; without the axis N if it is 1."""
        points, labels, boxes, masks = asked
        prompts = _objects(points, labels, boxes, masks, picture, in_pixels)
        fall_back = self.model.settings.dynamic_multimask_via_stability
        answer = self._predictor.predict_prompts(picture, prompts, multimask=several, fall_back=fall_back)
        order = np.lexsort((answer.candidates, answer.objects))
        shown = answer
        if self.max_hole_area > 0 or self.max_sprinkle_area > 0:
            shown = replace(answer, logits=np.stack([self._cleaned(logits) for logits in answer.logits]))
        found = np.empty((len(order), *answer.size), np.float32)
        for mask, i in zip(found, order, strict=True):
            logits = shown.full_logits(i)
            np.copyto(mask, logits) if as_logits else np.greater(logits, self.mask_threshold, out=mask)
        arrays = found, answer.iou[order], answer.logits[order].clip(-32, 32)
        shaped = (array.reshape(len(prompts), -1, *array.shape[1:]) for array in arrays)
        full, scores, low = (array[0] if len(prompts) == 1 else array for array in shaped)
        return full, scores, low

    def _cleaned(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits (h, w) without small holes and islands."""
        found, mask = logits.copy(), logits > self.mask_threshold
        found[small_holes(mask, int(self.max_hole_area))] = self.mask_threshold + CLEAR
        found[small_holes(~mask, int(self.max_sprinkle_area))] = self.mask_threshold - CLEAR
        return found


def as_tensors(answer: Answer, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """An answer with the axis of prompts: masks (N, C, H, W), scores (N, C), logits (N, C, S/4, S/4)."""
    alone = answer[1].ndim == 1
    masks, scores, logits = (torch.from_numpy(array[None] if alone else array).to(device) for array in answer)
    return masks, scores, logits


def _objects(points: Any, labels: Any, boxes: Any, masks: Any, picture: EncodedImage, in_pixels: bool) -> list[Prompt]:
    """The prompts of N objects in a picture."""
    if (points is None) != (labels is None):
        raise PromptError("point_coords and point_labels must be given together, one label for each point")
    columns: dict[str, list[Any]] = {
        "points": _rows(points, 2),
        "labels": _rows(labels, 1),
        "boxes": [] if boxes is None else list(numbers(boxes, (-1, 4))),
        "mask_input": [] if masks is None else _earlier(masks, picture.config.mask_size),
    }
    counts = {name: len(column) for name, column in columns.items() if column}
    count = max(counts.values(), default=0)
    if not count:
        raise NothingAsked("there is no prompt; give points with labels, a box, or the logits of an earlier answer")
    if any(found not in (1 if name == "mask_input" else count, count) for name, found in counts.items()):
        told = ", ".join(f"{name} of {found}" for name, found in counts.items())
        raise PromptError(f"the prompts are of different numbers of objects: {told}; give an entry for each object")
    filled = (column * count if len(column) == 1 else column or [None] * count for column in columns.values())
    return [
        replace(prompt_of(clicks, kinds, box, picture.size, in_pixels=in_pixels), logits=mask)
        for clicks, kinds, box, mask in zip(*filled, strict=True)
    ]


def _rows(values: Any, axes: int) -> list[Any]:
    """One entry for each object: an array of `axes` axes is of one object."""
    if values is None:
        return []
    array = array_of(values)
    return [array] if array.ndim <= axes else list(array)


def _earlier(masks: Any, side: int) -> list[NDArray[np.float32]]:
    """The logits of earlier answers, (h, w) each."""
    array = np.asarray(to_numpy(masks) if isinstance(masks, Tensor) else masks, np.float32)
    if array.ndim < 2:
        raise PromptError(f"mask_input has the shape {array.shape}; give the logits of an earlier answer")
    return [check_logits(each, side) for each in array.reshape(-1, *array.shape[-2:])]
