"""What is said of objects, in every format that has a place for it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from masklet.errors import FormatError, SessionError
from masklet.formats.description import Description
from masklet.formats.registry import read_masks
from tests.formats.conftest import SUFFIXES, box_mask, frame_of, write_all

SIZE = (32, 48)
CAR = Description("the red one", "car", "#ff0102", {"parked": True, "speed": 1.5, "plate": "unknown \u00e9"})
SAID = {1: CAR, "dog": Description(category="animal"), 3: Description(colour="#00ff00")}
FRAMES = [
    replace(
        frame_of(
            k, {name: box_mask(SIZE, 2, 10 * n, 20, 10 * n + 8) for n, name in enumerate((1, "dog", 3, "cat"))}, SIZE
        ),
        descriptions=SAID,
    )
    for k in range(2)
]


@pytest.mark.parametrize("name", ["coco", "ytvis", "project"])
def test_what_is_said_is_read_again(name: str, tmp_path: Path) -> None:
    write_all(name, tmp_path / SUFFIXES[name], FRAMES)
    for frame in read_masks(name, tmp_path / SUFFIXES[name]):
        assert frame.descriptions == SAID


def test_coco_has_the_classes(tmp_path: Path) -> None:
    write_all("coco", tmp_path / "a.json", FRAMES)
    content = json.loads((tmp_path / "a.json").read_text())
    classes = {found["id"]: found["name"] for found in content["categories"]}
    assert list(classes.values()) == ["car", "animal", "object", "cat"]
    by_track = {found["track_id"]: found for found in content["annotations"]}
    assert [classes[by_track[number]["category_id"]] for number in (1, 2, 3, 4)] == list(classes.values())
    assert by_track[1]["attributes"] == {**CAR.attributes, "track_id": 1}  # where CVAT looks for it


def test_classes_of_a_file_of_others_are_read(tmp_path: Path) -> None:
    polygon = {"image_id": 1, "segmentation": [[1, 1, 9, 1, 9, 9, 1, 9]]}
    content = {
        "images": [{"id": 1, "height": 32, "width": 48}],
        "annotations": [{"id": 7, "category_id": 3, **polygon}, {"id": 8, "category_id": None, **polygon}],
        "categories": [{"id": 3, "name": "person"}],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    (frame,) = read_masks("coco", tmp_path / "a.json")
    assert frame.descriptions == {7: Description(category="person")}


def test_labelme_and_yolo_have_the_classes(tmp_path: Path) -> None:
    write_all("labelme", tmp_path / "labelme", FRAMES)
    shapes = json.loads((tmp_path / "labelme/00000.json").read_text())["shapes"]
    assert [shape["label"] for shape in shapes] == ["car", "animal", "object", "cat"]
    assert shapes[0]["flags"] == {"parked": True}
    assert shapes[0]["description"] == "the red one\nspeed: 1.5\nplate: unknown \u00e9"
    write_all("yolo", tmp_path / "yolo", FRAMES)
    assert (tmp_path / "yolo/classes.txt").read_text("utf-8").split() == ["car", "animal", "object", "cat"]


def test_colours_are_shown(tmp_path: Path) -> None:
    write_all("davis", tmp_path / "davis", FRAMES)
    with Image.open(tmp_path / "davis/00000.png") as picture:
        assert np.asarray(picture.convert("RGB"))[5, 2].tolist() == [255, 1, 2]
        assert np.asarray(picture)[5, 2] == 1
    black = replace(FRAMES[0], image=np.zeros((*SIZE, 3), np.uint8), objects={3: FRAMES[0].objects[3]})
    red, green, blue = np.asarray(black.overlay())[18, 24]
    assert green > 100
    assert red == blue < 30


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"title": 3}, "title is 3; give a text"),
        ({"category": "a\nb"}, "category: .* give a text without control characters"),
        ({"category": "x" * 101}, "category: .* give at most 100"),
        ({"colour": "red"}, "colour is 'red'; give '#rrggbb'"),
        ({"attributes": [1]}, r"attributes is \[1\]; give a dict"),
        ({"attributes": {"a": [1]}}, r"the attribute 'a' is \[1\]; give a text"),
        ({"attributes": {"a": float("nan")}}, "the attribute 'a' is nan"),
        ({"attributes": {"a": 10**400}}, "the attribute 'a' is 1000"),
        ({"attributes": {1: "a"}}, "the name of an attribute is 1; give a text"),
        ({"attributes": {str(n): n for n in range(101)}}, "give a dict of at most 100"),
    ],
)
def test_what_is_no_description_is_refused(wrong: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(SessionError, match=said):
        Description(**wrong)
    if not any(isinstance(key, int) for key in wrong.get("attributes", ())) and "nan" not in said:
        write_all("coco", tmp_path / "a.json", FRAMES)
        content = json.loads((tmp_path / "a.json").read_text())
        content["tracks"][0] |= wrong
        (tmp_path / "a.json").write_text(json.dumps(content))
        with pytest.raises(FormatError):
            list(read_masks("coco", tmp_path / "a.json"))


TEXTS = st.text("aZ9 _.\u00e9\u4e2d\U0001f680", max_size=9).filter(lambda text: text == "" or text.strip())
VALUES = TEXTS | st.booleans() | st.floats(-1e9, 1e9) | st.integers(-9, 9)


@given(TEXTS, TEXTS, st.sampled_from(["", "#00ff7F"]), st.dictionaries(TEXTS.filter(bool), VALUES, max_size=3))
def test_descriptions_are_written_and_read(title: str, category: str, colour: str, attributes: dict[str, Any]) -> None:
    said = Description(title, category, colour, attributes)
    assert Description.from_json(json.loads(json.dumps(said.to_json()))) == said
    assert bool(said.to_json()) == bool(said)
