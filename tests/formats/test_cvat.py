"""CVAT's XML: runs along rows, shapes of people, and damaged files."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from masklet.errors import FormatError
from masklet.formats.base import PlainFrame, mask_only
from masklet.formats.description import Description
from masklet.formats.registry import read_masks, recognise_format, writer
from masklet.masks.rle import row_runs

SIZE = (8, 11)

VIDEO = """<?xml version="1.0"?><annotations><version>1.1</version>
<meta><task><original_size><width>11</width><height>8</height></original_size></task></meta>
<track id="4" label="car" source="manual">
  <box frame="2" keyframe="1" outside="0" occluded="0" xtl="1.2" ytl="2" xbr="5" ybr="6.4"/>
  <polygon frame="3" keyframe="0" outside="0" occluded="1" points="1,2;5,2;5,6"/>
  <polygon frame="4" keyframe="1" outside="1" occluded="0" points="1,2;5,2;5,6"/>
  <points frame="5" keyframe="1" outside="0" occluded="0" points="1,2"/>
</track></annotations>"""

PICTURES = """<annotations><image id="0" name="a.jpg" width="4" height="3">
  <mask label="cat" source="manual" occluded="0" rle="1, 2, 1" left="1" top="0" width="2" height="2" z_order="0"/>
  <mask label="cat" occluded="0" rle="0, 2" left="0" top="2" width="2" height="1"/>
</image><image id="1" name="b.jpg" width="9" height="9"/></annotations>"""


def test_tracks_of_people(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(VIDEO)
    assert recognise_format(tmp_path / "a.xml").name == "cvat"
    frames = list(read_masks("cvat", tmp_path / "a.xml"))
    assert [frame.frame for frame in frames] == [2, 3]  # outside and points are no masks
    box = np.zeros(SIZE, bool)
    box[2:7, 1:6] = True
    np.testing.assert_array_equal(frames[0].masks[4], box)
    assert frames[1].masks[4].sum() == 15
    assert frames[0].descriptions == {4: Description(category="car")}


def test_a_polygon_that_reaches_out_of_its_frame_keeps_its_edges(tmp_path: Path) -> None:
    """A triangle with a corner at (30, 6): its edge crosses the frame where it was drawn."""
    text = VIDEO.replace('points="1,2;5,2;5,6"', 'points="0,0;30,6;0,6"', 1)
    (tmp_path / "a.xml").write_text(text)
    found = {frame.frame: frame for frame in read_masks("cvat", tmp_path / "a.xml")}[3].masks[4]
    wide = np.zeros((8, 40), np.uint8)
    cv2.fillPoly(wide, [np.array([(0, 0), (30, 6), (0, 6)])], 1)
    np.testing.assert_array_equal(found, wide[:, :11] > 0)
    (tmp_path / "a.xml").write_text(text.replace("30,6", "3000,6"))
    with pytest.raises(FormatError, match=r"a polygon in a\.xml lies far outside its picture of"):
        list(read_masks("cvat", tmp_path / "a.xml"))


def test_shapes_of_pictures(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(PICTURES)
    first, second = read_masks("cvat", tmp_path / "a.xml")
    assert (first.size, second.size) == ((3, 4), (9, 9))
    assert np.argwhere(first.masks[1]).tolist() == [[0, 2], [1, 1]]
    assert np.argwhere(first.masks[2]).tolist() == [[2, 0], [2, 1]]
    assert second.masks == {}


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_runs_along_rows(pixels: list[bool]) -> None:
    runs = row_runs(np.array([pixels]))
    assert [bool(n % 2) for n, run in enumerate(runs) for _ in range(run)] == pixels
    assert all(run > 0 for run in runs[1:])


def test_shapes_of_one_group_and_label_are_one_object(tmp_path: Path) -> None:
    """As CVAT has it: a person's group may have a helmet of its own label in it, and one thing several parts."""
    text = PICTURES.replace('<mask label="cat"', '<mask group_id="7" label="cat"')
    text = text.replace("</image>", '<box label="hat" group_id="7" xtl="3" ytl="2" xbr="3" ybr="2"/></image>', 1)
    (tmp_path / "a.xml").write_text(text)
    first, _ = read_masks("cvat", tmp_path / "a.xml")
    assert {name: int(mask.sum()) for name, mask in first.masks.items()} == {7: 4, 1: 1}
    assert {name: said.category for name, said in first.descriptions.items()} == {7: "cat", 1: "hat"}


def test_an_object_that_goes_and_comes_back(tmp_path: Path) -> None:
    mask = np.zeros(SIZE, bool)
    mask[3, 4:6] = True
    said = {"a & b": Description(category="car <1>", attributes={"parked": True, "doors": 4})}
    with writer("cvat", tmp_path / "a.xml", size=SIZE, video="clips/clip.mp4", frame_count=9) as sink:
        for frame, shown in ((0, mask), (1, mask), (3, ~mask & False), (6, mask)):
            sink.write(PlainFrame(frame, 0.0, SIZE, {"a & b": mask_only(shown)}, {"a & b": 1}, None, said))
    pictures = ElementTree.parse(tmp_path / "a.xml").getroot().findall("image")
    assert [(picture.get("id"), len(picture)) for picture in pictures] == [("0", 1), ("1", 1), ("3", 0), ("6", 1)]
    shapes = [shape for picture in pictures for shape in picture]
    assert {(shape.get("label"), shape.get("group_id")) for shape in shapes} == {("car <1>", "1")}
    told = {found.get("name"): found.text for found in shapes[0]}
    assert (told["parked"], told["doors"]) == ("true", "4")
    found = {frame.frame: frame for frame in read_masks("cvat", tmp_path / "a.xml")}
    assert list(found) == [0, 1, 3, 6]
    np.testing.assert_array_equal(found[6].masks["a & b"], mask)
    assert found[6].descriptions["a & b"].category == "car <1>"


@pytest.mark.parametrize(
    ("turn", "wanted"), [("0.00", 0), ("30.00", 30), ("+90", 90), ("-45.00", -45), ("1e-05", 0), ("390.", 30), ("", 0)]
)
def test_a_box_that_is_turned(turn: str, wanted: int, tmp_path: Path) -> None:
    """Clockwise, around its middle."""
    box = f'<box label="hat" xtl="10" ytl="18" xbr="30" ybr="22" rotation="{turn}"/>'
    image = f'<image id="0" name="a.jpg" width="41" height="41">{box}</image>'
    (tmp_path / "a.xml").write_text(f"<annotations>{image}</annotations>")
    (found,) = read_masks("cvat", tmp_path / "a.xml")
    for degrees in (0, 30, 90, -45):
        x, y = 20 + 9 * np.cos(np.radians(degrees)), 20 + 9 * np.sin(np.radians(degrees))
        assert found.masks[1][round(y), round(x)] == (degrees == wanted)


def test_letters_that_xml_lacks(tmp_path: Path) -> None:
    """An attribute may hold any text, and the name of a picture any bytes: the file is an XML all the same."""
    said = {1: Description(attributes={"note": "a\x01b\uffff"})}
    with writer("cvat", tmp_path / "a.xml", size=SIZE, names=["caf\udce9.png"]) as sink:
        sink.write(PlainFrame(0, 0.0, SIZE, {1: mask_only(np.eye(*SIZE, dtype=bool))}, {1: 1}, None, said))
    (found,) = read_masks("cvat", tmp_path / "a.xml")
    assert found.masks[1].sum() == min(SIZE)
    assert ElementTree.parse(tmp_path / "a.xml").findtext(".//attribute[@name='note']") == "a\ufffdb\ufffd"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("<annotations>", "<annotation>", "no whole XML"),
        ("annotations>", "data>", "begins with <data>"),
        ("<?xml", '<!DOCTYPE a [<!ENTITY b "c">]><?xml', "declares entities"),
        ("<width>11</width>", "", "the size in a.xml is 8 x ; expected whole numbers"),
        ("<width>11</width>", "<width>999999999</width>", "a mask of 8 x 999999999 pixels"),
        ('frame="2"', 'frame="-2"', "'frame' of a <box> in a.xml is '-2'"),
        ('xtl="1.2"', 'rotation="steep" xtl="1.2"', "the rotation of a box in a.xml is steep; expected degrees"),
        ('xtl="1.2"', 'xtl="nan"', "a box in a.xml has the corners [[nan, 2.0]"),
        ('points="1,2;5,2;5,6"', 'points="1,2;x"', "a polygon in a.xml has corners that are no pairs of numbers"),
        ("<meta>.*</meta>", "", "does not say how large its frames are"),
        ("1, 2, 1", "1, 2, 9", "do not fill its box of 2 x 2"),
        ("1, 2, 1", "1, 4, -1", "do not fill its box"),
        ("1, 2, 1", "1, two", "are no whole numbers"),
        ('left="1"', 'left="3"', "does not lie in its picture of"),
    ],
)
def test_damaged_files(tmp_path: Path, old: str, new: str, said: str) -> None:
    whole = PICTURES if old in PICTURES and old not in VIDEO else VIDEO
    text = re.sub(old if "*" in old else re.escape(old), new.replace("\\", ""), whole, flags=re.DOTALL)
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(FormatError, match=re.escape(said)):
        list(read_masks("cvat", tmp_path / "a.xml"))
