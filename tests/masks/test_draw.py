from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from masklet.errors import PromptError
from masklet.masks.draw import PALETTE, bright_color, color, draw_overlay, draw_regions

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]


def grey(height: int = 120, width: int = 160) -> Image:
    return np.full((height, width, 3), 90, np.uint8)


def square(y0: int, x0: int, side: int, height: int = 120, width: int = 160) -> Mask:
    mask = np.zeros((height, width), bool)
    mask[y0 : y0 + side, x0 : x0 + side] = True
    return mask


def test_inside_is_tinted_outside_is_left_alone() -> None:
    image = grey()
    drawn = draw_overlay(image, {1: square(40, 40, 30)}, alpha=0.5)
    expected = [round(90 + 0.5 * (channel - 90)) for channel in bright_color(1)]
    np.testing.assert_allclose(drawn[55, 55], expected, atol=1)
    assert (drawn[:35] == 90).all()
    assert (image == 90).all()
    assert drawn.dtype == np.uint8


def test_contour_is_paler_than_the_fill_and_fits_the_border() -> None:
    drawn = draw_overlay(grey(), {1: square(40, 40, 30)})
    assert drawn[40, 55].sum() > drawn[55, 55].sum()
    assert drawn[69, 55].sum() > drawn[55, 55].sum()
    assert (drawn[38, 55] == 90).all()


def test_no_contour_along_the_edge_of_the_picture() -> None:
    drawn = draw_overlay(grey(), {1: square(0, 40, 30)})
    np.testing.assert_array_equal(drawn[0, 55], drawn[15, 55])


def test_contour_grows_with_the_picture() -> None:
    def line(height: int, width: int) -> int:
        drawn = draw_overlay(grey(height, width), {1: square(height // 4, width // 4, height // 2, height, width)})
        column = drawn[height // 4 - 5 : height // 4 + 5, width // 2].astype(int).sum(axis=1)
        inside = drawn[height // 2, width // 2].sum()
        return int((column > (inside + column.max()) / 2).sum())  # its smooth flanks are darker

    assert line(120, 160) == 1
    assert line(1080, 1440) == 3


def test_later_masks_lie_on_top() -> None:
    below, above = square(20, 20, 40), square(30, 30, 40)
    drawn = draw_overlay(grey(), [(1, below), (2, above)], alpha=1.0)
    assert tuple(drawn[45, 45]) == bright_color(2)


@pytest.mark.parametrize("left", [5, 60, 125])
def test_tag_stands_beside_its_mask_in_its_colour(left: int) -> None:
    masks = {3: square(60, left, 30)}
    bare, tagged = draw_overlay(grey(), masks), draw_overlay(grey(), masks, labels={3: "dog"})
    changed = (bare != tagged).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert not changed[60:90, left : left + 30].any()
    assert rows.min() == 60
    assert min(abs(columns.min() - left - 30), abs(left - 1 - columns.max())) <= 4
    assert (tagged[changed] == bright_color(3)).all(axis=1).any()


def test_tags_hide_no_other_object_and_no_other_tag() -> None:
    masks = [(1, square(40, 30, 30)), (2, square(40, 64, 30)), (3, square(40, 98, 30))]
    bare = draw_overlay(grey(), masks)
    changed = [
        (bare != draw_overlay(grey(), masks, labels=labels)).any(axis=2)
        for labels in ({1: "one"}, {1: "one", 2: "two"}, {1: "one", 2: "two", 3: "three"})
    ]
    covered = np.any([mask for _, mask in masks], axis=0)
    assert not (covered & changed[2]).any()
    areas = [int(found.sum()) for found in changed]
    assert areas[0] < areas[1] < areas[2]
    assert not (changed[0] & ~changed[2]).any()


@pytest.mark.parametrize("corner", [(0, 0), (0, 150), (110, 0), (110, 150)])
def test_tags_stay_in_the_picture(corner: tuple[int, int]) -> None:
    masks = {1: square(*corner, 10)}
    changed = (draw_overlay(grey(), masks) != draw_overlay(grey(), masks, labels={1: "tag"})).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert np.ptp(rows) >= 10
    assert np.ptp(columns) >= 10


def test_any_letters_and_tiny_pictures_are_drawn() -> None:
    assert draw_overlay(grey(), {1: square(40, 40, 9)}, labels={1: "kočka 猫"}).shape == (120, 160, 3)
    assert draw_overlay(grey(3, 2), {1: np.ones((3, 2), bool)}, labels={1: "wider than all"}).shape == (3, 2, 3)


def test_empty_mask_and_no_masks_leave_the_picture() -> None:
    empty = np.zeros((120, 160), bool)
    np.testing.assert_array_equal(draw_overlay(grey(), {1: empty}, labels={1: "gone"}), grey())
    np.testing.assert_array_equal(draw_overlay(grey(), {}), grey())


def test_mask_of_another_size_is_named() -> None:
    with pytest.raises(PromptError, match=r"mask of object 7 has the shape \(9, 9\).*\(120, 160\)"):
        draw_overlay(grey(), {7: np.ones((9, 9), bool)})


def test_regions_are_tinted_and_parted_by_a_pale_line() -> None:
    """The last pixel of a region before another, or before none, to the right and downward."""
    numbers = np.zeros((12, 16), np.uint8)
    numbers[2:8, 3:9], numbers[2:8, 9:13] = 1, 2
    image = grey(12, 16)
    drawn = draw_regions(image, numbers)
    line = np.zeros((12, 16), bool)
    line[2:8, [2, 8, 12]] = True
    line[[1, 7], 3:13] = True
    inside = (numbers > 0) & ~line
    assert (drawn[(numbers == 0) & ~line] == 90).all()
    for region in (1, 2):
        (tint,) = {tuple(pixel) for pixel in drawn[inside & (numbers == region)].tolist()}
        assert tint != (90, 90, 90)
        bordering = drawn[line & (numbers == region)].astype(int)
        assert (bordering.sum(axis=1) > sum(tint)).all()
    assert (drawn[1, 3:13] > 90).all()
    assert (image == 90).all()


def test_colours_are_those_of_voc_and_come_again_without_black() -> None:
    known = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 3: (128, 128, 0), 4: (0, 0, 128), 8: (64, 0, 0)}
    known |= {20: (0, 64, 128), 255: (224, 224, 192)}
    assert {index: color(index) for index in known} == known
    assert len({color(index) for index in range(256)}) == 256
    assert (color(256), color(510)) == (color(1), color(255))
    with pytest.raises(ValueError, match="read-only"):
        PALETTE[0, 0] = 1
