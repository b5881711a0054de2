"""LabelMe's files as people make them: every kind of shape, groups, and damaged ones."""

from __future__ import annotations

import base64
import json
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from masklet.errors import FormatError
from masklet.formats.description import Description
from masklet.formats.registry import read_masks, recognise_format, writer
from tests.formats.conftest import frame_of

SIZE = (20, 30)


def shape(label: str, points: list[list[float]], **others: Any) -> dict[str, Any]:
    return {"label": label, "points": points, "group_id": None, "shape_type": "polygon", "flags": {}, **others}


def write(path: Path, *shapes: dict[str, Any], **others: Any) -> None:
    content = {"version": "5.0.0", "imagePath": "a.jpg", "imageHeight": 20, "imageWidth": 30, "shapes": shapes}
    path.write_text(json.dumps({**content, **others}))


def png(mask: np.ndarray) -> str:
    file = BytesIO()
    Image.fromarray(mask).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def test_every_kind_of_shape(tmp_path: Path) -> None:
    part = np.eye(4, dtype=bool)
    write(
        tmp_path / "b.json",
        shape("dog", [[1, 1], [9, 1], [9, 9]], group_id=7),
        shape("dog", [[12, 1], [15, 1], [15, 4], [12, 4]], group_id=7),
        shape("ball", [[20, 10], [24, 14]], shape_type="rectangle"),
        shape("sun", [[6, 14], [9, 14]], shape_type="circle"),
        shape("tick", [[25, 2], [28, 5]], shape_type="mask", mask=png(part)),
        shape("eye", [[3, 3]], shape_type="point"),
    )
    write(tmp_path / "a.json")
    assert recognise_format(tmp_path).name == "labelme"
    empty, full = read_masks("labelme", tmp_path)
    assert (empty.frame, empty.masks, full.frame) == (0, {}, 1)
    assert sorted(full.masks) == [1, 2, 3, 7]
    assert full.descriptions[7] == Description(category="dog")
    assert [full.descriptions[n].category for n in (1, 2, 3)] == ["ball", "sun", "tick"]
    assert full.masks[7][1:5, 12:16].all()
    assert full.masks[7].sum() == 16 + 45  # a square, and half of one with its diagonal
    assert full.masks[1].sum() == 25
    assert abs(full.masks[2].sum() - np.pi * 9) < 10
    np.testing.assert_array_equal(full.masks[3][2:6, 25:29], part)


def test_a_group_is_no_shape_of_an_earlier_picture(tmp_path: Path) -> None:
    triangle = [[1.0, 1.0], [9.0, 1.0], [9.0, 9.0]]
    write(tmp_path / "0.json", shape("cat", triangle), shape("dog", triangle, group_id=3))
    write(tmp_path / "1.json", shape("bird", triangle), shape("cow", triangle, group_id=1))
    write(tmp_path / "2.json", shape("cow", triangle, group_id=1), shape("dog", triangle, group_id=3))
    found = [
        {said.category: name for name, said in frame.descriptions.items()} for frame in read_masks("labelme", tmp_path)
    ]
    assert found[0]["dog"] == found[2]["dog"] == 3
    assert found[1]["cow"] == found[2]["cow"]
    assert len({found[0]["cat"], found[0]["dog"], found[1]["bird"], found[1]["cow"]}) == 4


@given(st.lists(st.tuples(st.integers(0, 29), st.integers(0, 19)), min_size=3, max_size=9))
def test_polygons_are_those_that_labelme_draws(corners: list[tuple[int, int]]) -> None:
    """Written as masks and read back, they agree with the drawing by 99 %."""
    drawing = Image.new("1", SIZE[::-1])
    ImageDraw.Draw(drawing).polygon(corners, fill=1, outline=1)
    mask = np.array(drawing)
    with TemporaryDirectory() as folder:
        with writer("labelme", Path(folder), size=SIZE) as sink:
            sink.write(frame_of(0, {5: mask}, SIZE))
        (found,) = read_masks("labelme", folder)
    agreed = (found.masks[1] & mask).sum() / (found.masks[1] | mask).sum()
    assert agreed >= 0.99


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        ([shape("a", [[1, 1], [2, 2]])], r"a polygon in a.json has the corners .*; expected 3 or more"),
        ([shape("a", [[1, 1], [2, 2], [3, "x"]])], "a polygon in a.json has corners that are no pairs"),
        ([shape("a", [[1, 1], [2, 2], [3, 1e9]])], "lies far outside its picture"),
        ([shape("a", [[1, 1]], shape_type="circle")], "a circle in a.json has the corners"),
        ([shape("a", [[1, 1], [2, 2]], shape_type="mask", mask="????")], "cannot be read as a PNG"),
        ([shape("a", [[28, 1], [9, 9]], shape_type="mask", mask=png(np.ones((4, 4), bool)))], "does not lie in"),
        ([shape("a\x00", [[1, 1], [2, 2], [3, 1]])], "without control characters"),
        ([shape(5, [[1, 1], [2, 2], [3, 1]])], "'label' in a.json is a whole number where a text was expected"),  # type: ignore[arg-type]
    ],
)
def test_damaged_shapes(tmp_path: Path, shapes: list[dict[str, Any]], said: str) -> None:
    write(tmp_path / "a.json", *shapes)
    with pytest.raises(FormatError, match=said):
        list(read_masks("labelme", tmp_path / "a.json"))


def test_a_picture_without_a_size(tmp_path: Path) -> None:
    write(tmp_path / "a.json", imageHeight=None)
    with pytest.raises(FormatError, match=r"'height' in a\.json is None where a number was expected"):
        list(read_masks("labelme", tmp_path))
