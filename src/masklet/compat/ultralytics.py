"""Ultralytics' calls for pictures, `SAM("nano")(picture, ...)`, answered by any model of masklet.

ultralytics need not be installed.

Letters: N objects, P points, H x W the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from masklet.checkpoints import Model
from masklet.checkpoints.load import choose_device
from masklet.compat.border import SettingRefused, array_of, numbers
from masklet.compat.sam2.settings import CONFIGS
from masklet.engines.arrays import beside, to_numpy
from masklet.engines.base import Engine
from masklet.errors import PromptError
from masklet.image import EverythingOptions, segment_everything
from masklet.image.picture import PictureLike, as_picture, is_batch
from masklet.image.predictor import ImagePredictor
from masklet.image.result import PictureMasks
from masklet.masks.polygons import mask_polygons

if TYPE_CHECKING:
    from typing_extensions import Self

MODELS = {stem.replace("hiera_", "").rstrip("+"): model for stem, model in CONFIGS.items() if "hiera" in stem} | {
    "sam_b": "sam1-vit-b",
    "sam_l": "sam1-vit-l",
    "mobile_sam": "mobile-sam",
}
"""Stem of a file of weights there -> the model here."""

IGNORED = {"verbose", "imgsz", "half", "save", "show", "stream", "retina_masks", "project", "name"}
"""Settings of theirs that change nothing of what comes back; `result.save()` and `result.show()` do what they say."""

MIDDLE_AND_SIDES = np.array([[0.5, 0, -1, 0], [0, 0.5, 0, -1], [0.5, 0, 1, 0], [0, 0.5, 0, 1]], np.float32)
"""Two corners times this are the middle and the sides."""


class Rows:
    """Numbers with a row for each object, (N, ...), and the size of the picture they are of."""

    def __init__(self, data: Any, orig_shape: tuple[int, int]) -> None:
        self.data, self.orig_shape = data, orig_shape

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, rows: Any) -> Self:
        return type(self)(self.data[as_rows(rows)], self.orig_shape)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the data."""
        return tuple(self.data.shape)

    def cpu(self) -> Self:
        """With tensors of the processor."""
        return self.to("cpu")

    def to(self, *place: Any) -> Self:
        """With tensors on a device."""
        return type(self)(torch.as_tensor(self.data).to(*place), self.orig_shape)

    def numpy(self) -> Self:
        """With arrays."""
        return type(self)(to_numpy(self.data), self.orig_shape)

    def _sides(self) -> Any:
        return beside(self.data, np.array(self.orig_shape[::-1] * 2, np.float32))


class Boxes(Rows):
    """Boxes around masks: `data` is (N, 6), x0, y0, x1, y1, the predicted IoU, and the number of the mask, from 0.

    xyxy   (N, 4): the first column and row, and those of the last pixel
    xywh   (N, 4): middle, width and height
    xyxyn  as `xyxy`, in shares of width and height, and so is xywhn
    conf   (N,): predicted IoU
    cls    (N,): the number of the mask
    """

    id = None
    is_track = False
    xyxy = property(lambda self: self.data[:, :4])
    conf = property(lambda self: self.data[:, 4])
    cls = property(lambda self: self.data[:, 5])
    xywh = property(lambda self: self.xyxy @ beside(self.data, MIDDLE_AND_SIDES))
    xyxyn = property(lambda self: self.xyxy / self._sides())
    xywhn = property(lambda self: self.xywh / self._sides())


class Masks(Rows):
    """Masks: `data` is bool (N, H, W)."""

    @cached_property
    def xy(self) -> list[NDArray[np.float32]]:
        """Of each mask the outer borders of its parts, one after another: (P, 2), in pixels."""
        parts = [[part.outer for part in mask_polygons(mask, 0.0)] for mask in self.numpy().data]
        return [np.concatenate(outer).astype(np.float32) if outer else np.zeros((0, 2), np.float32) for outer in parts]

    @property
    def xyn(self) -> list[NDArray[np.float32]]:
        """The same, in shares of width and height."""
        return [(places / self.orig_shape[::-1]).astype(np.float32) for places in self.xy]


@dataclass(repr=False)
class Results:
    """What was found in one picture.

    Attributes:
        orig_img: uint8 (H, W, 3), BGR.
        path: Of the picture's file; "image0.jpg" and so on if it is none.
        boxes: Around the masks.
        masks: None if nothing was found.
        found: The same as masklet has it, with `save`, `polygons`, `to_coco`.
    """

    orig_img: NDArray[np.uint8]
    path: str
    boxes: Boxes
    masks: Masks | None
    found: PictureMasks

    probs = keypoints = obb = None

    @property
    def orig_shape(self) -> tuple[int, int]:
        """(H, W)"""
        return self.boxes.orig_shape

    @property
    def names(self) -> dict[int, str]:
        """The numbers of masks as texts; there are no classes."""
        return {number: str(number) for number in range(len(self))}

    def __len__(self) -> int:
        return len(self.boxes)

    def __repr__(self) -> str:
        return f"Results({self.path}, {self.found})"

    def __getitem__(self, rows: Any) -> Results:
        """Some of the objects."""
        chosen = np.arange(len(self))[as_rows(rows)]
        masks = None if self.masks is None else self.masks[chosen]
        return replace(self, boxes=self.boxes[chosen], masks=masks, found=self.found.rows(chosen))

    def cpu(self) -> Results:
        """With tensors of the processor."""
        return self.to("cpu")

    def to(self, *place: Any) -> Results:
        """With tensors on a device."""
        return replace(self, boxes=self.boxes.to(*place), masks=self.masks and self.masks.to(*place))

    def numpy(self) -> Results:
        """With arrays."""
        return replace(self, boxes=self.boxes.numpy(), masks=self.masks and self.masks.numpy())

    def plot(self, **_: Any) -> NDArray[np.uint8]:
        """The picture with the masks drawn in, uint8 (H, W, 3), BGR."""
        return np.ascontiguousarray(np.asarray(self.found.overlay())[..., ::-1])

    def show(self) -> None:
        """Show what `plot` draws."""
        self.found.overlay().show()

    def save(self, filename: str | PathLike[str] | None = None) -> str:
        """Write what `plot` draws to a picture file, results_NAME if none is given. Returns its name."""
        path = fspath(filename or f"results_{Path(self.path).name}")
        Image.fromarray(self.plot()[..., ::-1]).save(path)
        return path


class SAM:
    """A model with the calls of Ultralytics' `SAM`.

    Args:
        model: Their name of a file of weights, such as "sam2.1_t.pt", which stands for the published model; or a name
            of masklet, a path, a `Model`, or any engine.
    """

    def __init__(self, model: str | PathLike[str] | Engine = "sam2.1_b.pt") -> None:
        if isinstance(model, str | PathLike) and not Path(model).exists():
            model = MODELS.get(fspath(model).removesuffix(".pt"), model)
        self._predictor = ImagePredictor(model)

    def __call__(
        self,
        source: PictureLike | Sequence[PictureLike],
        *,
        points: Any = None,
        labels: Any = None,
        bboxes: Any = None,
        conf: float = 0.25,
        device: str | int | torch.device | None = None,
        **settings: Any,
    ) -> list[Results]:
        """Masks of what is pointed at, or of everything.

        Args:
            source: A picture or several: paths, pictures by Pillow, or arrays (H, W, 3) in BGR, as OpenCV reads them.
            points: (2,) or (N, 2), a click on each of N objects, or (N, P, 2).
            labels: In their shape: 1 include, 0 exclude; 1 if not given.
            bboxes: (4,) or (N, 4): x0, y0, x1, y1.
            conf: Masks of a lower predicted IoU are left out.
            device: Where to run from now on; a number is one of CUDA's.
            settings: `IGNORED`.

        Returns:
            `Results` of each picture.

        Raises:
            SettingRefused: Another setting (a ValueError).
            PromptError: Prompts that make no sense (a ValueError).
            MediaError: A picture cannot be read.
            EngineError: There is no such device.
        """
        if others := settings.keys() - IGNORED:
            raise SettingRefused(
                f"{min(others)} is not understood; understood are points, labels, bboxes, conf, device"
            )
        if device is not None and isinstance(self._predictor.engine, Model):
            self._predictor.engine.move(choose_device(f"cuda:{device}" if str(device).isdecimal() else str(device)))
        given: Any = source
        sources = list(given) if is_batch(source) else [given]
        return [self._of(image, number, points, labels, bboxes, conf) for number, image in enumerate(sources)]

    predict = __call__

    def _of(self, image: PictureLike, number: int, points: Any, labels: Any, bboxes: Any, conf: float) -> Results:
        """What is found in one picture."""
        shown = as_picture(image[..., 2::-1] if isinstance(image, np.ndarray) and image.ndim == 3 else image)
        if points is None and bboxes is None:
            options = EverythingOptions(least_iou=conf)
            found: PictureMasks = segment_everything(shown, self._predictor.engine, options)
        else:
            clicks, kinds = as_clicks(points, labels)
            corners = None if bboxes is None else numbers(bboxes, (-1, 4))
            picture = self._predictor.encode(shown)
            found = self._predictor.predict(picture, points=clicks, labels=kinds, boxes=corners, multimask=False)
        found = found.rows(np.flatnonzero((found.iou > conf) & (found.areas > 0)))
        count, size = len(found), found.size
        columns = (found.boxes - (0, 0, 1, 1), found.iou[:, None], np.arange(count)[:, None])
        boxes = Boxes(torch.from_numpy(np.concatenate(columns, axis=1).astype(np.float32)), size)
        masks = Masks(torch.from_numpy(found.masks), size) if count else None
        path = fspath(image) if isinstance(image, str | PathLike) else f"image{number}.jpg"
        return Results(np.ascontiguousarray(shown[..., ::-1]), path, boxes, masks, found)


def as_rows(rows: Any) -> Any:
    """What chooses rows of an array or a tensor; a single number leaves their axis."""
    return rows if rows is ... or isinstance(rows, slice) or np.ndim(rows) else [int(rows)]


def as_clicks(points: Any, labels: Any) -> tuple[NDArray[np.float64] | None, NDArray[np.int64] | None]:
    """(N, P, 2) and (N, P) of points and labels in any of their shapes."""
    if points is None:
        return None, None
    clicks = array_of(points)
    kinds = np.ones(clicks.shape[:-1]) if labels is None else array_of(labels)
    if clicks.shape[-1:] != (2,) or clicks.ndim > 3:
        raise PromptError(f"points have the shape {clicks.shape}; give (2,), (N, 2) or (N, P, 2)")
    if kinds.size != clicks.size // 2:
        raise PromptError(f"there are {kinds.size} labels for {clicks.size // 2} points; give one for each point")
    found = numbers(clicks, (-1, *clicks.shape[-2:]) if clicks.ndim == 3 else (-1, 1, 2))
    return found, numbers(kinds, found.shape[:-1]).astype(np.int64)
