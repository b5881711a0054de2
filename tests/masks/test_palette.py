from __future__ import annotations

import pytest

from masklet.masks.draw import PALETTE, color


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (0, (0, 0, 0)),
        (1, (128, 0, 0)),
        (2, (0, 128, 0)),
        (3, (128, 128, 0)),
        (4, (0, 0, 128)),
        (8, (64, 0, 0)),
        (20, (0, 64, 128)),
        (255, (224, 224, 192)),
    ],
)
def test_colours_of_the_voc_palette(index: int, expected: tuple[int, int, int]) -> None:
    assert color(index) == expected


def test_all_colours_differ() -> None:
    assert len({color(index) for index in range(256)}) == 256


def test_after_the_last_colour_the_first_comes_again_but_not_black() -> None:
    assert color(256) == color(1)
    assert color(510) == color(255)


def test_palette_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        PALETTE[0, 0] = 1
