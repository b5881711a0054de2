"""The masks of one picture: answers to prompts, whose low-resolution logits are kept, and what was found without.

Letters: M masks of N objects, S side of the model's square, H x W the picture.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from io import BytesIO
from itertools import chain
from operator import index
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from masklet.errors import FormatError, PromptError
from masklet.formats import coco
from masklet.formats.base import Facts, FrameLike, ObjectId, ObjectLike, RleMask, argmax_object_map
from masklet.formats.description import NO_LABEL, Description
from masklet.formats.registry import find_format, format_of
from masklet.formats.writer import Writer
from masklet.geometry import Ground
from masklet.image.picture import Crop, captioned, compared, crop_of, naming
from masklet.masks.draw import draw_overlay, draw_regions
from masklet.masks.finish import Edges, cut_out, mask_alpha
from masklet.masks.polygons import Polygon, mask_polygons
from masklet.masks.rle import Patch, Rle, encode_rle, padded_rle, part_in, paste, resize_logits, slices_within
from masklet.masks.shape import Box, mask_box
from masklet.media.large import LargePicture
from masklet.words import Captioner, Namer

if TYPE_CHECKING:
    from typing_extensions import Self

NOTEBOOK_SIDE = 1024
"""Longer side, in pixels, of the picture that a notebook shows."""


PICTURE_FIELDS = ("picture_size", "image", "name", "ground")
"""The fields of the two classes below that are of the picture; all others have a row for each mask."""


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class PictureMasks(ABC):
    """M masks of one picture: a sequence, `masks[0]` is the first, bool (H, W), made when it is asked for.

    Attributes:
        iou: (M,) float32, predicted intersection over union, 0..1.
        presence: (M,) float32, probability that the object is in the picture, 0..1.
        objects: (M,) int64, number of the object, from 0.
        candidates: (M,) int64 in 0..3, which of the network's masks it is: 0 is meant for clear prompts, 1 to 3 for
            ambiguous ones.
        name: The picture's file name; empty if it is no file.
        ground: Where the picture lies on the ground; None if nothing says.
        labels: What each of the M masks is called; empty if nothing says.
    """

    iou: NDArray[np.float32]
    presence: NDArray[np.float32]
    objects: NDArray[np.int64]
    candidates: NDArray[np.int64]
    name: str = ""
    ground: Ground | None = None
    labels: tuple[str, ...] = ()

    @property
    @abstractmethod
    def size(self) -> tuple[int, int]:
        """(height, width) of the picture and of every mask."""

    @property
    def _whole(self) -> Box:
        """The box of the whole picture."""
        return 0, 0, self.size[1], self.size[0]

    @property
    @abstractmethod
    def picture(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8. Raises PromptError if it is too large for memory."""

    @abstractmethod
    def __getitem__(self, i: int) -> NDArray[np.bool_]: ...

    def rle(self, i: int = 0) -> Rle:
        """The run lengths of mask `i`, as COCO writes them: `rle.to_json()`."""
        return encode_rle(self[i])

    @cached_property
    def boxes(self) -> NDArray[np.int64]:
        """(M, 4): x0, y0, x1, y1 around each mask in pixels, x1 and y1 one past the last; all 0 for an empty mask."""
        return np.array([mask_box(mask) for mask in self], np.int64).reshape(-1, 4)

    @cached_property
    def areas(self) -> NDArray[np.int64]:
        """(M,): pixels in each mask."""
        return np.array([np.count_nonzero(mask) for mask in self], np.int64)

    @abstractmethod
    def overlay(self) -> Image.Image:
        """The picture with the best mask of each object drawn in."""

    @abstractmethod
    def index_map(self) -> NDArray[np.unsignedinteger]:
        """(H, W): the object's number, from 1, at each pixel, 0 where there is none; uint16 if there are more than 255
        objects, uint32 if more than 65,535."""

    def __len__(self) -> int:
        return len(self.iou)

    def __iter__(self) -> Iterator[NDArray[np.bool_]]:
        return map(self.__getitem__, range(len(self)))

    def __repr__(self) -> str:
        iou = ", ".join(f"{value:.2f}" for value in self.iou[:8]) + (", ..." if len(self) > 8 else "")
        height, width = self.size
        return f"{type(self).__name__}({len(self)} of {width} x {height} pixels, iou {iou})"

    @cached_property
    def masks(self) -> NDArray[np.bool_]:
        """bool (M, H, W), all at once."""
        return np.stack(list(self)) if len(self) else np.zeros((0, *self.size), np.bool_)

    def rows(self, rows: NDArray[np.intp]) -> Self:
        """Some of the masks, in this order."""
        chosen: dict[str, Any] = {}
        for name in rowed_fields(self):
            column = getattr(self, name)
            chosen[name] = column[rows] if isinstance(column, np.ndarray) else tuple(column[i] for i in rows if column)
        return replace(self, **chosen)

    def of(self, object: int) -> Self:
        """The masks of one object, by its number from 0, best first."""
        return self.rows(np.flatnonzero(self.objects == object))

    @property
    def best(self) -> Self:
        """The best mask of each object: (N, H, W), one after another in the order of the prompts."""
        return self.rows(np.unique(self.objects, return_index=True)[1])

    def named(
        self, names: Sequence[str], *, namer: str | PathLike[str] | Namer = "siglip2", least: float = 0.0
    ) -> Self:
        """The same masks with `labels`: of each the name that fits it best, by a model that knows words.

        Args:
            names: Such as ["cat", "dog"].
            namer: A name of `masklet.words.NAMERS`, a folder that transformers wrote, or any `Namer`.
            least: A mask that no name fits so well, 0..1, has none; an empty mask has none either.

        Raises:
            PromptError: There is no name, `least` is no such number, or the picture is too large for memory.
            CheckpointError: The model cannot be loaded.
        """
        if not 0 <= least <= 1:
            raise PromptError(f"least is {least!r}; give a number from 0 to 1")
        seen = np.flatnonzero(self.areas).tolist()
        rows = compared(self._crops(seen), names, namer)
        labels = dict(zip(seen, (naming(row, names, least).name for row in rows), strict=True))
        return replace(self, labels=tuple(labels.get(i, "") for i in range(len(self))))

    def captions(self, captioner: str | PathLike[str] | Captioner = "florence2") -> list[str]:
        """A sentence about each mask, by a model that says what a picture shows; empty for an empty mask.

        Args:
            captioner: A name of `masklet.words.CAPTIONERS`, a folder that transformers wrote, or any `Captioner`.

        Raises:
            PromptError: The picture is too large for memory.
            CheckpointError: The model cannot be loaded.
        """
        seen = np.flatnonzero(self.areas).tolist()
        said = dict(zip(seen, captioned(self._crops(seen), captioner), strict=True))
        return [said.get(i, "") for i in range(len(self))]

    def _crops(self, rows: Sequence[int]) -> Iterator[Crop]:
        return (crop_of(self.picture, self[i], f"mask {i}") for i in rows)

    def alpha(self, i: int = 0, edges: Edges = "soft") -> NDArray[np.float32]:
        """(H, W) float32 in 0..1: how much of each pixel is the thing of mask `i`.

        Args:
            i: Number of the mask.
            edges: "soft": the edge follows the picture, into hair and fur (a guided filter); "hard": 0 and 1 only; or
                `SoftEdges` with another radius and epsilon.

        Raises:
            PromptError: Other edges.
        """
        return mask_alpha(self.picture, self[i], edges)

    def cutout(self, i: int = 0, edges: Edges = "hard") -> Image.Image:
        """Mask `i` cut out: RGBA of the picture's size, transparent and black outside the mask.

        With soft edges, as in `alpha`, colours at the edge are the thing's own, without what shines through.
        """
        return Image.fromarray(cut_out(self.picture, self.alpha(i, edges)))

    def polygons(self, i: int = 0, *, tolerance: float = 0.0) -> list[Polygon]:
        """The parts of mask `i`, the largest first, each with its `outer` border and its `holes`: (P, 2), x and y.

        They run along the edges of pixels, so that nothing is lost; with a `tolerance` in pixels corners are left out
        that lie no farther from the line.
        """
        return mask_polygons(self[i], tolerance)

    def to_coco(self, file_name: str | None = None) -> dict[str, Any]:
        """All masks as the content of a COCO JSON file: compressed run lengths, boxes (x, y, width, height), areas,
        scores, and the object's number as `track_id` and `object_id`. Empty masks have no annotation.

        `file_name` is the picture's; its own if not given.
        """
        labels = [label or NO_LABEL for label in self.labels] or [NO_LABEL] * len(self)
        classes = {label: number for number, label in enumerate(dict.fromkeys(labels), start=1)}
        annotations = [
            {"id": i + 1, **coco.annotation(0, int(self.objects[i]) + 1, classes[labels[i]], self.item(i))}
            for i in np.flatnonzero(self.areas).tolist()
        ]
        name = self.name if file_name is None else file_name
        return {
            "images": [coco.image(0, name, self.size)],
            "annotations": annotations,
            "categories": coco.categories(classes),
        }

    def save(self, path: str | PathLike[str], format: str | None = None, *, tolerance: float = 0.0) -> None:
        """Write the best mask of each object to a file, which appears when it is whole.

        Args:
            path: Where to; an earlier file is replaced.
            format: "davis" (PNG: a pixel's value is the object's number), "cutout" (PNG: the objects, transparent
                around them), "soft-cutout" (the same with soft edges), "overlay" (PNG: the picture with the masks drawn
                in), "coco" (JSON), "labelme" (JSON, the picture inside), "yolo" (text: a polygon for each part), or any
                other of docs/formats.md for pictures. If not given, by the ending: .png is "davis", .json is "coco",
                .txt is "yolo".
            tolerance: Of polygons on maps: corners that lie no farther from the line, in pixels, are left out.

        Raises:
            FormatError: Unknown format or another ending than its own, too many objects for it, or a path that cannot
                be written.
        """
        path = Path(path)
        entry = find_format(format) if format else format_of(path, picture=True)
        if entry.picture is None or path.suffix.lower() != entry.picture:
            wanted = f"is a file that ends in {entry.picture}" if entry.picture else "is not for pictures"
            raise FormatError(f"{path.name} came, and {entry.name} {wanted}; give another path or format")
        best = self.best
        image = best.picture if entry.shows_pictures or entry.finishes else None
        facts = Facts(
            self.size, frame_count=1, names=(self.name or "picture.png",), ground=self.ground, tolerance=tolerance
        )
        with Writer(entry.open, path, facts) as sink:
            sink.write(picture_frame(best, image))

    def item(self, i: int) -> ObjectLike:
        """Mask `i` with its scores, as writers take it."""
        return RleMask(self.rle(i), float(self.iou[i]), float(self.presence[i]))

    def _repr_png_(self) -> bytes | None:
        """The overlay for a notebook, at a size that fits; None if the picture is too large for memory."""
        try:
            shown, png = self.overlay(), BytesIO()
        except PromptError:
            return None
        shown.thumbnail((NOTEBOOK_SIDE, NOTEBOOK_SIDE))
        shown.save(png, format="PNG")
        return png.getvalue()

    @property
    def scores(self) -> NDArray[np.float32]:
        """Deprecated: the earlier name of `iou`."""
        warnings.warn("Masks.scores is called Masks.iou now", DeprecationWarning, stacklevel=2)
        return self.iou

    def mask(self, i: int = 0) -> NDArray[np.bool_]:
        """Deprecated: `masks.mask(i)` is `masks[i]`."""
        warnings.warn("masks.mask(i) is masks[i] now", DeprecationWarning, stacklevel=2)
        return self[i]


AnyMasks = TypeVar("AnyMasks", bound=PictureMasks)


@dataclass(frozen=True, eq=False)
class PictureFrame(FrameLike):
    """A picture with one mask of each object, as writers take frames."""

    masks: PictureMasks = field(kw_only=True)

    def index_map(self) -> NDArray[np.unsignedinteger]:
        return self.masks.index_map()

    def overlay(self) -> Image.Image:
        return self.masks.overlay()


def picture_frame(
    masks: PictureMasks, image: NDArray[np.uint8] | None = None, *, frame: int = 0, before: int = 0
) -> PictureFrame:
    """One mask of each object of a picture. Objects are named by their numbers, from 1; in a file of many pictures
    those `before` are counted."""
    names: dict[ObjectId, int] = {n: n for n in range(before + 1, before + len(masks) + 1)}
    objects = {name: masks.item(i) for i, name in enumerate(names)}
    said = {name: Description(category=label) for name, label in zip(names, masks.labels, strict=False) if label}
    return PictureFrame(frame, 0.0, masks.size, objects, names, image, said, masks=masks)


@dataclass(frozen=True, eq=False)
class LogitMask:
    """One of the masks that prompts were answered with."""

    masks: Masks
    row: int
    iou: float
    presence: float

    @property
    def mask(self) -> NDArray[np.bool_]:
        return self.masks[self.row]

    def full_logits(self) -> NDArray[np.float32]:
        return self.masks.full_logits(self.row)


@dataclass(frozen=True, eq=False)
class Detail:
    """A part of the picture that was looked at again for one mask."""

    box: Box  # x0, y0, x1, y1 in pixels of the picture
    logits: NDArray[np.float32]  # float32 (S/4, S/4), of the box


@dataclass(frozen=True, eq=False, repr=False)
class Masks(PictureMasks):
    """The answers to prompts.

    One object has one mask, or three candidates if its prompt was ambiguous, best first. Of several objects the masks
    follow each other in the order of the prompts; `objects` has the object of each, `of(n)` takes out those of one, and
    `best` the best one of each, so that `best[n]` is object n's.

    Attributes:
        logits: (M, S/4, S/4) float32, positive inside; as a mask prompt they refine the answer.
        iou, presence, objects, candidates, name: See `PictureMasks`.
        image: (H, W, 3) uint8, the picture.
        details: Of each mask, what a crop around it showed; None, or empty, where the first answer stands.
    """

    logits: NDArray[np.float32]
    image: NDArray[np.uint8]
    details: tuple[Detail | None, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        return self.image.shape[0], self.image.shape[1]

    @property
    def picture(self) -> NDArray[np.uint8]:
        return self.image

    def __getitem__(self, i: int) -> NDArray[np.bool_]:
        return self.full_logits(i) > 0

    def full_logits(self, i: int = 0) -> NDArray[np.float32]:
        """(H, W) float32: the logits of mask `i`, stretched to the picture, bilinear; where a crop was looked at again,
        those of the crop."""
        logits = resize_logits(self.logits[index(i)], self.size)
        if self.details and (detail := self.details[i]):
            x0, y0, x1, y1 = detail.box
            logits[slices_within(detail.box, self._whole)] = resize_logits(detail.logits, (y1 - y0, x1 - x0))
        return logits

    def item(self, i: int) -> ObjectLike:
        return LogitMask(self, i, float(self.iou[i]), float(self.presence[i]))

    def overlay(self) -> Image.Image:
        """The picture with the best mask of each object tinted, numbered from 1 if there are several."""
        best = self.best
        numbers = range(1, len(best) + 1)
        labels = {number: str(number) for number in numbers} if len(best) > 1 else None
        return Image.fromarray(draw_overlay(self.image, list(zip(numbers, best, strict=True)), labels=labels))

    def index_map(self) -> NDArray[np.unsignedinteger]:
        """(H, W): the object's number, from 1, at each pixel, 0 where there is none; where the best masks of two
        objects overlap, the surer one. uint8, or uint16 if there are more than 255 objects."""
        best = self.best
        numbers = argmax_object_map(picture_frame(best))
        return numbers.astype(np.min_scalar_type(len(best)))


@dataclass(frozen=True, eq=False, repr=False)
class MaskSet(PictureMasks):
    """Masks that were found without prompts, each an object of its own, or in a picture that is too large for memory.

    They are kept as run lengths, each in its own box, and a mask of the picture's size is made when it is asked for. So
    thousands of masks of a large picture fit into memory. Logits are not kept.

    Attributes:
        picture_size: (height, width) of the picture, as `size`.
        patches: The masks.
        iou, presence, objects, candidates, name: See `PictureMasks`.
        stability: (M,) float32, pixels at a higher threshold as a share of those at a lower one, 0..1.
        points: (M, 2) the click that found each, x and y in pixels.
        crops: (M, 4) the part of the picture in which each was found, x0, y0, x1, y1 in pixels.
        image: (H, W, 3) uint8, the picture; None if it is too large for memory.
    """

    picture_size: tuple[int, int]
    patches: tuple[Patch, ...]
    stability: NDArray[np.float32]
    points: NDArray[np.float64]
    crops: NDArray[np.int64]
    image: NDArray[np.uint8] | None = None

    @property
    def size(self) -> tuple[int, int]:
        return self.picture_size

    @property
    def picture(self) -> NDArray[np.uint8]:
        if self.image is None:
            raise PromptError("the picture is too large to be drawn; take a part of it: masks.window(picture, box)")
        return self.image

    def __getitem__(self, i: int) -> NDArray[np.bool_]:
        return paste(self.patches[index(i)], self._whole)

    def rle(self, i: int = 0) -> Rle:
        return padded_rle(self.patches[i], self._whole)

    @cached_property
    def boxes(self) -> NDArray[np.int64]:
        return np.array([patch.box for patch in self.patches], np.int64).reshape(-1, 4)

    @cached_property
    def areas(self) -> NDArray[np.int64]:
        return np.array([patch.area for patch in self.patches], np.int64)

    def window(self, picture: LargePicture, box: Box) -> MaskSet:
        """A part of a large picture with the masks in it, to be drawn, cut out or saved like any other; `objects` holds
        their numbers here.

        Raises:
            MediaError: The window does not lie in the picture, or cannot be read.
        """
        image, ground, (x0, y0, x1, y1) = picture.read(box), self.ground, box
        here = replace(self, image=image, ground=ground and ground.moved(x0, y0), objects=np.arange(len(self)))
        return here.kept([part_in(patch, box) for patch in self.patches]).moved((-x0, -y0), (y1 - y0, x1 - x0))

    def kept(self, patches: Sequence[Patch | None]) -> MaskSet:
        """Other masks in the place of these; those that are None are left out."""
        rows = np.flatnonzero([patch is not None for patch in patches])
        return replace(self.rows(rows), patches=tuple(filter(None, patches)))

    def moved(self, corner: tuple[int, int], size: tuple[int, int]) -> MaskSet:
        """The masks in a picture of (height, width) = `size`, in which pixel (0, 0) of this one lies at `corner`."""
        x, y = corner
        boxes = ((x0 + x, y0 + y, x1 + x, y1 + y) for x0, y0, x1, y1 in self.boxes.tolist())
        patches = tuple(replace(patch, box=box) for patch, box in zip(self.patches, boxes, strict=True))
        points, crops = self.points + corner, self.crops + 2 * corner
        return replace(self, picture_size=size, patches=patches, points=points, crops=crops)

    def index_map(self) -> NDArray[np.unsignedinteger]:
        """(H, W): the mask's number, from 1, at each pixel, 0 where there is none; where masks overlap, the smaller
        one, which is a part of the larger. uint8; uint16 if there are more than 255, uint32 if more than 65,535."""
        numbers = np.zeros(self.size, np.min_scalar_type(len(self)))
        for i in np.argsort(-self.areas, kind="stable"):
            numbers[slices_within(self.patches[i].box, self._whole)][self.patches[i].inside] = i + 1
        return numbers

    def overlay(self) -> Image.Image:
        """The picture with every mask tinted; where masks overlap, the smaller one lies on top."""
        return Image.fromarray(draw_regions(self.picture, self.index_map()))


def rowed_fields(masks: PictureMasks) -> list[str]:
    """The fields that have a row for each mask."""
    return [field.name for field in fields(masks) if field.name not in PICTURE_FIELDS]


def join_masks(parts: Sequence[AnyMasks]) -> AnyMasks:
    """The masks of one picture, one part after another; there must be one part at least."""
    joined: dict[str, Any] = {}
    for name in rowed_fields(parts[0]):
        columns = [getattr(part, name) for part in parts]
        joined[name] = np.concatenate(columns) if isinstance(columns[0], np.ndarray) else tuple(chain(*columns))
    return replace(parts[0], **joined)
