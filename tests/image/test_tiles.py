"""Large pictures by tiles: covered wholly, joined across seams, and near a prompt the same as without tiles."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from masklet.errors import PromptError
from masklet.image import EverythingOptions, ImagePredictor, MaskSet, TileOptions, segment_near, segment_tiles
from masklet.image.result import join_masks
from masklet.image.tiles import merge_tiles, plan_tiles
from masklet.masks.rle import cut_patch, decode_rle, paste
from masklet.masks.shape import Box, square_around
from masklet.media.large import LargePicture

WILLING = EverythingOptions(
    points_per_side=3, least_iou=0.1, least_stability=0.2, stability_offset=0.5, threshold=8, most_overlap=0.9
)


class PictureInMemory:
    """What tiles need of a large picture."""

    ground = None

    def __init__(self, image: NDArray[np.uint8], corner: tuple[int, int] | None = None) -> None:
        self.image, self.size, self.seen, self.name = image, image.shape[:2], list[Box](), "cat.tif"
        self.corner = corner

    def read(self, box: Box) -> NDArray[np.uint8]:
        x0, y0, x1, y1 = box
        self.seen.append(box)
        return self.image[y0:y1, x0:x1]


@given(st.integers(1, 300), st.integers(1, 300), st.integers(8, 200), st.integers(0, 100))
def test_tiles_cover_the_picture_and_overlap(height: int, width: int, side: int, overlap: int) -> None:
    tiles = TileOptions(side, min(overlap, side // 2))
    seen = np.zeros((height, width), int)
    planned = plan_tiles((height, width), tiles)
    for x0, y0, x1, y1 in planned:
        assert (x1 - x0, y1 - y0) == (min(side, width), min(side, height))
        assert x0 >= 0
        assert y0 >= 0
        seen[y0:y1, x0:x1] += 1
    assert (seen > 0).all()
    columns = sorted({box[0] for box in planned})
    assert all(later - earlier <= side - tiles.overlap for earlier, later in pairwise(columns))


@given(*[st.integers(-500, 500)] * 2, st.integers(1, 300), st.integers(1, 300), st.integers(0, 60))
def test_tiles_of_a_map_lie_on_its_grid_and_cover_its_part(x: int, y: int, height: int, width: int, over: int) -> None:
    planned = plan_tiles((height, width), TileOptions(100, over), (x, y))
    seen = np.zeros((height, width), int)
    for x0, y0, x1, y1 in planned:
        assert (x1 - x0, y1 - y0) == (100, 100)
        assert ((x + x0) % (100 - over), (y + y0) % (100 - over)) == (0, 0)
        seen[max(y0, 0) : y1, max(x0, 0) : x1] += 1
    assert (seen > 0).all()


def test_a_thing_far_from_the_border_is_the_same_in_any_part_of_a_map(
    predictor: ImagePredictor, cat: NDArray[np.uint8]
) -> None:
    """Beyond a tile's side; and nothing is found beyond a part."""
    common = np.array((33 + 40, 21 + 40, 226 - 40, 150 - 40))
    found = []
    for x, y in ((0, 0), (33, 21)):
        part: Any = PictureInMemory(cat[y:, x:], (x, y))
        masks = segment_tiles(part, predictor.engine, WILLING, TileOptions(40, 10))
        assert (masks.boxes >= 0).all()
        assert (masks.boxes <= (226 - x, 150 - y) * 2).all()
        boxes = masks.boxes + np.array((x, y, x, y))
        inner = (boxes[:, :2] >= common[:2]).all(axis=1) & (boxes[:, 2:] <= common[2:]).all(axis=1)
        found.append({(*boxes[i].tolist(), str(masks.patches[i].rle)) for i in np.flatnonzero(inner)})
    assert len(found[0]) > 3
    assert found[0] == found[1]


@given(st.floats(0, 1000), st.floats(0, 700), st.integers(2, 900))
def test_the_tile_around_a_prompt_lies_in_the_picture_and_holds_it(x: float, y: float, side: int) -> None:
    x0, y0, x1, y1 = square_around([(x, y)], side, (700, 1000))
    assert 0 <= x0 <= x <= x1 <= 1000
    assert 0 <= y0 <= y <= y1 <= 700
    assert (x1 - x0, y1 - y0) == (min(side, 1000), min(side, 700))


def found_in(mask: NDArray[np.bool_], tile: Box, iou: float) -> MaskSet:
    """What a tile shows of a mask, if anything."""
    x0, y0, x1, y1 = tile
    patch = cut_patch(mask[y0:y1, x0:x1], (x0, y0))
    count = 0 if patch is None else 1
    return MaskSet(
        picture_size=mask.shape,
        patches=() if patch is None else (patch,),
        iou=np.full(count, iou, np.float32),
        presence=np.ones(count, np.float32),
        objects=np.zeros(count, np.int64),
        candidates=np.zeros(count, np.int64),
        stability=np.ones(count, np.float32),
        points=np.zeros((count, 2)),
        crops=np.tile(np.array([0, 0, 1, 1]), (count, 1)),
    )


def test_numbers_of_very_many_masks() -> None:
    dot, count = found_in(np.ones((1, 1), bool), (0, 0, 1, 1), 1.0), 65_537
    patches = tuple(replace(dot.patches[0], box=(n % 300, n // 300, n % 300 + 1, n // 300 + 1)) for n in range(count))
    many = replace(dot.rows(np.zeros(count, np.intp)), patches=patches, picture_size=(300, 300))
    assert many._repr_png_() is None, "a notebook shows a picture only where there is one"
    numbers = many.index_map()
    assert numbers.dtype == np.uint32
    assert numbers.ravel()[:count].tolist() == list(range(1, count + 1))


def test_a_thing_across_seams_becomes_one_mask() -> None:
    mask = np.zeros((100, 160), bool)
    mask[20:90, 10:150] = True
    tiles = plan_tiles((100, 160), TileOptions(64, 16))
    found = merge_tiles([(tile, found_in(mask, tile, 0.5 + n / 100)) for n, tile in enumerate(tiles)], 0.5)
    assert len(found) == 1
    assert (paste(found.patches[0], (0, 0, 160, 100)) == mask).all()
    assert found.iou[0] == pytest.approx(0.5 + (len(tiles) - 1) / 100)


def test_things_that_do_not_agree_on_the_seam_stay_apart() -> None:
    left, right = (0, 0, 64, 64), (48, 0, 112, 64)
    one, other = np.zeros((64, 112), bool), np.zeros((64, 112), bool)
    one[0:20, 30:64] = True
    other[30:50, 48:100] = True
    assert len(merge_tiles([(left, found_in(one, left, 0.9)), (right, found_in(other, right, 0.8))], 0.5)) == 2


def test_everything_in_tiles(predictor: ImagePredictor, cat: NDArray[np.uint8], tmp_path: Path) -> None:
    picture: Any = PictureInMemory(cat)
    masks = segment_tiles(picture, predictor.engine, WILLING, TileOptions(100, 20))
    assert picture.seen == plan_tiles((150, 226), TileOptions(100, 20))
    assert len(masks) > 3
    assert (np.diff(masks.iou) <= 0).all()
    masks.save(tmp_path / "cat.json")
    annotations = json.loads((tmp_path / "cat.json").read_text())["annotations"]
    assert [entry["area"] for entry in annotations] == masks.areas.tolist()
    for i in range(len(masks)):
        x0, y0, x1, y1 = masks.boxes[i]
        whole = decode_rle(masks.rle(i))
        assert whole.shape == (150, 226)
        assert whole.sum() == masks.areas[i]
        assert (whole[y0:y1, x0:x1] == masks.patches[i].inside).all()

    view = masks.window(picture, (50, 40, 130, 120))
    assert view.size == (80, 80)
    for mask, number in zip(view, view.objects, strict=True):
        assert (mask == decode_rle(masks.rle(int(number)))[40:120, 50:130]).all()
    with pytest.raises(PromptError, match=r"too large to be drawn; take a part of it: masks\.window"):
        masks.save(tmp_path / "cat.png", "overlay")
    masks.save(tmp_path / "cat.txt")
    assert len((tmp_path / "cat.txt").read_text().splitlines()) >= len(masks)


def test_near_a_prompt_it_is_as_in_the_part_alone(predictor: ImagePredictor, cat: NDArray[np.uint8]) -> None:
    picture: Any = PictureInMemory(cat)
    masks = segment_near(picture, points=[(120, 70)], model=predictor.engine, side=80)
    assert picture.seen == [(80, 30, 160, 110)]
    expected = predictor.predict(predictor.encode(cat[30:110, 80:160]), points=[(40, 40)])
    assert masks.iou.tolist() == expected.iou.tolist()
    for i, mask in enumerate(expected):
        assert (decode_rle(masks.rle(i))[30:110, 80:160] == mask).all()
        assert masks.areas[i] == mask.sum()
    boxed = segment_near(picture, box=(20, 30, 130, 110), model=predictor.engine, side=80)
    assert picture.seen[-1] == (0, 0, 220, 150)  # twice as wide as the box
    assert len(boxed) == 1


def test_a_thing_that_two_masks_of_a_tile_agree_with_is_joined_with_the_better_one_alone() -> None:
    """A whole and its part agree with the neighbour's whole; only the better match, each the other's best, is one."""
    left, right = (0, 0, 64, 64), (48, 0, 112, 64)
    whole, part = np.zeros((64, 112), bool), np.zeros((64, 112), bool)
    whole[10:50, 20:100] = True
    part[10:36, 20:100] = True
    both = join_masks([found_in(whole, left, 0.9), found_in(part, left, 0.8)])
    for tiles in (
        [(left, both), (right, found_in(whole, right, 0.7))],
        [(right, found_in(whole, right, 0.7)), (left, both)],
    ):
        found = merge_tiles(tiles, 0.5)
        assert len(found) == 2
        assert sorted(found.areas.tolist()) == [int(part[:, :64].sum()), int(whole.sum())]


def test_prompts_and_options_that_make_no_sense_are_told(predictor: ImagePredictor, cat: NDArray[np.uint8]) -> None:
    picture: Any = PictureInMemory(cat)
    with pytest.raises(PromptError, match="lies outside the picture, 226 wide and 150 high"):
        segment_near(picture, points=[(300, 10)], model=predictor.engine)
    with pytest.raises(PromptError, match="the prompt is empty"):
        segment_near(picture, model=predictor.engine)
    with pytest.raises(PromptError, match="tiles have the side 64 and the overlap 64"):
        TileOptions(64, 64)


def test_a_file_is_read_tile_by_tile(predictor: ImagePredictor, cat: NDArray[np.uint8], tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio", reason="needs rasterio: pip install 'masklet[geo]'")
    settings = {"driver": "GTiff", "dtype": "uint8", "transform": rasterio.transform.from_origin(10, 50, 0.1, 0.1)}
    with rasterio.open(tmp_path / "cat.tif", "w", height=150, width=226, count=3, **settings) as file:
        file.write(cat.transpose(2, 0, 1))
    in_memory: Any = PictureInMemory(cat)
    expected = segment_tiles(in_memory, predictor.engine, WILLING, TileOptions(120, 20))
    with LargePicture(tmp_path / "cat.tif") as picture:
        ours = segment_tiles(picture, predictor.engine, WILLING, TileOptions(120, 20))
    assert ours.patches == expected.patches
