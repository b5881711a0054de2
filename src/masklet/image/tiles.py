"""Large pictures tile by tile: memory is that of a tile and of run lengths, however large the picture is.

Neighbouring tiles overlap. A thing on a seam is found in both, as two masks that agree where both tiles look; these
become one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from os import PathLike

import numpy as np
from numpy.typing import ArrayLike, NDArray

from masklet.engines.base import Engine
from masklet.errors import PromptError, is_within
from masklet.image.everything import EverythingOptions, find_everything
from masklet.image.predictor import in_crop, ready_predictor
from masklet.image.result import MaskSet, join_masks
from masklet.masks.rle import agreement, cut_patch, part_in, slices_within, union
from masklet.masks.shape import Box, common_box, mutual_matches, square_around
from masklet.media.large import LargePicture
from masklet.prompts import make_prompt


@dataclass(frozen=True)
class TileOptions:
    """How a large picture is cut into tiles.

    Attributes:
        side: Of a tile, in pixels. The network sees each tile at its own image size, so smaller tiles show
            smaller things.
        overlap: Of neighbouring tiles, in pixels. Things up to this size lie in one tile wholly.
        agreement: Two masks of neighbouring tiles are one thing if their intersection over union, where both tiles
            look, is at least this, 0..1.
    """

    side: int = 1024
    overlap: int = 256
    agreement: float = 0.5

    def __post_init__(self) -> None:
        known = is_within(self.side, 1, 1 << 31) and is_within(self.overlap, 0, self.side)
        if not known or self.overlap == self.side:
            raise PromptError(
                f"tiles have the side {self.side} and the overlap {self.overlap}; "
                "give an overlap from 0 to less than the side"
            )
        if not is_within(self.agreement, 0, 1) or not self.agreement:
            raise PromptError(f"agreement is {self.agreement!r}; give a number over 0 and up to 1")


def segment_tiles(
    picture: LargePicture,
    model: str | PathLike[str] | Engine = "nano",
    options: EverythingOptions | None = None,
    tiles: TileOptions | None = None,
) -> MaskSet:
    """A mask of everything in a picture that is too large for memory.

        with masklet.LargePicture("aerial.tif") as picture:
            masks = masklet.segment_tiles(picture)
        masks.save("aerial.json")

    Args:
        picture: The picture.
        model: Name, path, `Model`, or any engine; what a name or a path gave stays loaded.
        options: How everything is looked for in each tile; the way that is usual for the model if not given.
        tiles: How the picture is cut.

    Returns:
        `MaskSet`, the surest first.

    Raises:
        MediaError: A part of the picture cannot be read.
        CheckpointError: The model cannot be loaded.
    """
    tiles = tiles or TileOptions()
    engine = ready_predictor(model).engine
    found = list(find_by_tile(engine, picture, options or EverythingOptions(), tiles))
    return replace(merge_tiles(found, tiles.agreement), name=picture.name, ground=picture.ground)


def segment_near(
    picture: LargePicture,
    *,
    points: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    box: ArrayLike | None = None,
    model: str | PathLike[str] | Engine = "nano",
    side: int = 1024,
) -> MaskSet:
    """The masks of one thing in a picture that is too large for memory: only a tile around the prompt is looked at.

    Args:
        picture: The picture.
        points: (P, 2) clicks (x, y) in pixels of the whole picture.
        labels: (P,) 1 include, 0 exclude; all 1 if not given.
        box: (4,) x0, y0, x1, y1 in pixels of the whole picture.
        model: Name, path, `Model`, or any engine.
        side: Of the tile, in pixels; it grows where the prompt needs more than half of it.

    Returns:
        `MaskSet`: three for a single click, one otherwise, best first. Empty ones are left out.

    Raises:
        PromptError: The prompt makes no sense for the picture.
        MediaError: The part of the picture cannot be read.
    """
    prompt = make_prompt(picture.size, points=points, labels=labels, box=box)
    places = np.array([*prompt.points, *(np.reshape(prompt.box, (2, 2)) if prompt.box else ())])
    view = square_around(places, max(side, int(2 * np.ptp(places, axis=0).max())), picture.size)
    predictor = ready_predictor(model)
    masks = predictor.predict_prompts(predictor.encode(picture.read(view)), [in_crop(prompt, view)])
    masks = masks.rows(np.flatnonzero(masks.areas))
    return MaskSet(
        picture_size=picture.size,
        patches=tuple(filter(None, (cut_patch(mask, view[:2]) for mask in masks))),
        iou=masks.iou,
        presence=masks.presence,
        objects=masks.objects,
        candidates=masks.candidates,
        stability=np.ones(len(masks), np.float32),
        points=np.tile(places.mean(axis=0), (len(masks), 1)),
        crops=np.tile(np.array(view, np.int64), (len(masks), 1)),
        name=picture.name,
        ground=picture.ground,
    )


def plan_tiles(size: tuple[int, int], tiles: TileOptions, corner: tuple[int, int] | None = None) -> list[Box]:
    """Tiles that cover a picture, row after row; neighbours overlap by `overlap` at least.

    Of a picture alone they are spread evenly, all of the same size unless the picture is smaller. On a map, of which
    the picture begins at the pixel `corner` (x, y), they begin at multiples of what two neighbours do not share,
    counted on the whole map, and may reach beyond the picture: a thing is seen in the same tile in any part of the map.
    """
    step = tiles.side - tiles.overlap

    def begins(length: int, start: int | None) -> list[int]:
        if start is not None:
            first = -(start % step)
            return list(range(first, max(length - tiles.overlap, first + 1), step))
        count = max(-(-(length - tiles.overlap) // step), 1)
        return [round(n * (length - tiles.side) / max(count - 1, 1)) for n in range(count)]

    height, width = (min(tiles.side, length) if corner is None else tiles.side for length in size)
    rows, columns = (begins(length, corner and corner[axis]) for length, axis in zip(size, (1, 0), strict=True))
    return [(x, y, x + width, y + height) for y in rows for x in columns]


def find_by_tile(
    engine: Engine, picture: LargePicture, options: EverythingOptions, tiles: TileOptions
) -> Iterator[tuple[Box, MaskSet]]:
    """The part of the picture that each tile shows and what was found in it, in pixels of the whole picture; one tile
    is in memory at a time. What a tile has beyond the picture is black, and nothing is found there."""
    height, width = picture.size
    for tile in plan_tiles(picture.size, tiles, picture.corner):
        view = common_box(tile, (0, 0, width, height))
        assert view is not None, "a tile shows some of the picture"
        image = np.zeros((tile[3] - tile[1], tile[2] - tile[0], 3), np.uint8)
        image[slices_within(view, tile)] = picture.read(view)
        yield view, seen(find_everything(engine, image, options).moved(tile[:2], picture.size), view)


def seen(found: MaskSet, view: Box) -> MaskSet:
    """What lies in a part of the picture: of masks that were pointed at there, their pixels there."""
    inside = np.all((found.points >= view[:2]) & (found.points < view[2:]), axis=1).tolist()
    return found.kept(
        [part_in(patch, view) if in_it else None for patch, in_it in zip(found.patches, inside, strict=True)]
    )


def merge_tiles(parts: Sequence[tuple[Box, MaskSet]], least: float) -> MaskSet:
    """The masks of all tiles, those of neighbouring tiles that are one thing joined; the surest first."""
    found = join_masks([part for _, part in parts])
    begins = np.cumsum([0, *(len(part) for _, part in parts)])
    group = np.arange(len(found))
    for one in range(len(parts)):
        for other in range(one):
            if view := common_box(parts[one][0], parts[other][0]):
                for a, b in same_things(parts[one][1], parts[other][1], view, least):
                    group[group == group[begins[one] + a]] = group[begins[other] + b]
    return united(found, group)


def same_things(one: MaskSet, other: MaskSet, view: Box, least: float) -> list[tuple[int, int]]:
    """Pairs of masks of two tiles that are one thing in the part that both tiles show: each the other's best match."""
    values = np.zeros((len(one), len(other)))
    seen = [[row for row, patch in enumerate(found.patches) if common_box(patch.box, view)] for found in (one, other)]
    for a in seen[0]:
        for b in seen[1]:
            if common_box(one.patches[a].box, other.patches[b].box):
                values[a, b] = agreement(one.patches[a], other.patches[b], view)
    return mutual_matches(values, least)


def united(found: MaskSet, group: NDArray[np.int64]) -> MaskSet:
    """One mask for each group: the union of its masks, with the figures of its surest."""
    members: dict[int, list[int]] = {}
    for row in np.argsort(-found.iou, kind="stable").tolist():
        members.setdefault(int(group[row]), []).append(row)
    surest = found.rows(np.array([rows[0] for rows in members.values()], np.int64))
    patches = tuple(union([found.patches[row] for row in rows]) for rows in members.values())
    return replace(surest, patches=patches, objects=np.arange(len(patches)))
