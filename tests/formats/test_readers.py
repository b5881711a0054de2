"""Files of others, and broken ones: each has its sentence."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from masklet.errors import FormatError
from masklet.formats.base import PlainFrame, RleMask
from masklet.formats.coco import picture_files
from masklet.formats.registry import read_masks, writer
from masklet.masks.rle import encode_rle
from tests.formats.conftest import box_mask, frame_of, write_all


def read(name: str, path: Path) -> list[PlainFrame]:
    return list(read_masks(name, path))


def json_file(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    return path


RLE = {"size": [2, 3], "counts": [1, 2, 3]}
COCO = {
    "images": [{"id": 8, "height": 2, "width": 3, "file_name": "x.jpg"}, {"id": 4, "height": 2, "width": 3}],
    "annotations": [{"id": 5, "image_id": 4, "segmentation": RLE}],
}
YTVIS = {
    "videos": [{"id": 3, "height": 2, "width": 3, "file_names": ["a", "b"]}],
    "annotations": [{"id": 5, "video_id": 3, "segmentations": [None, RLE]}],
}
SAV = {"video_height": 2.0, "video_width": 3.0, "masklet_id": [5], "masklet": [[RLE], [RLE]]}


def test_files_of_others_are_read(tmp_path: Path) -> None:
    expected = np.array([[0, 1, 0], [1, 0, 0]], np.bool_)
    first, second = read("coco", json_file(tmp_path, COCO))
    assert (first.frame, first.masks) == (0, {})
    np.testing.assert_array_equal(second.masks[5], expected)
    first, second = read("ytvis", json_file(tmp_path, YTVIS))
    assert first.masks == {}
    np.testing.assert_array_equal(second.masks[5], expected)
    first, second = read("sav", json_file(tmp_path, SAV))
    np.testing.assert_array_equal(first.masks[5], expected)
    assert second.frame == 1


def test_coco_of_cvat_keeps_its_tracks(tmp_path: Path) -> None:
    """CVAT writes them among the attributes; an annotation without one is an object of its own."""
    found = [{"id": n, "image_id": image, "segmentation": RLE} for n, image in enumerate((8, 4, 4), start=5)]
    for one in found[:2]:
        one["attributes"] = {"occluded": False, "track_id": 3}
    first, second = read("coco", json_file(tmp_path, {**COCO, "annotations": found}))
    assert ([*first.masks], [*second.masks]) == ([3], [3, 7])


def test_parts_of_an_object_in_coco_are_one_mask(tmp_path: Path) -> None:
    found = [
        {"id": n, "image_id": 8, "track_id": 5, "score": 0.5, "segmentation": {"size": [2, 3], "counts": runs}}
        for n, runs in enumerate(([1, 1, 4], [4, 2]))
    ]
    first, _ = read("coco", json_file(tmp_path, {**COCO, "annotations": found}))
    assert first.masks[5].tolist() == [[False, False, True], [True, False, True]]
    assert first.objects[5].iou == 0.5


def test_tracks_of_one_name_are_several_objects(tmp_path: Path) -> None:
    tracks = [{"id": n, "name": name} for n, name in ((5, "person"), (6, "person"), (7, "dog"))]
    found = [{"id": n, "image_id": 8, "track_id": n, "segmentation": RLE} for n in (5, 6, 7)]
    first, _ = read("coco", json_file(tmp_path, {**COCO, "annotations": found, "tracks": tracks}))
    assert [*first.masks] == [5, 6, "dog"]


def test_the_example_of_the_mots_challenge_is_read(tmp_path: Path) -> None:
    write_all(
        "mots", tmp_path / "a.txt", [frame_of(52, {k: box_mask((4, 9), 0, k, 4, k + 1) for k in range(1, 6)}, (4, 9))]
    )
    lines = (tmp_path / "a.txt").read_text().splitlines()
    assert lines[4].startswith("52 1005 1 4 9 ")
    ignored, pedestrian = lines[0].replace("1001 1", "10000 10"), lines[1].replace("1002 1", "2002 2")
    (tmp_path / "a.txt").write_text("\n".join([*lines, ignored, "", pedestrian]))
    found = read("mots", tmp_path / "a.txt")
    assert list(found[0].masks) == [1, 2, 3, 4, 5, 2002]


def test_pictures_of_others_are_read(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 3], [255, 3]], np.uint8)).save(tmp_path / "7.png")
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / ".00008.png.1.partial").write_text("half")
    (found,) = read("davis", tmp_path)
    assert found.frame == 7
    assert list(found.masks) == [3]
    folder = tmp_path / "objects" / "cat"
    folder.mkdir(parents=True)
    Image.fromarray(np.array([[0, 255], [255, 0]], np.uint8)).save(folder / "00000.png")
    np.testing.assert_array_equal(read("objects", tmp_path / "objects")[0].masks["cat"], [[False, True], [True, False]])


def test_frames_go_by_the_natural_order_of_names_whatever_an_object_lacks(tmp_path: Path) -> None:
    """shot-10.png comes after shot-9.png, and an object that begins there begins in the second frame."""
    for folder, names in (("cat", ("shot-9", "shot-10")), ("dog", ("shot-10",))):
        (tmp_path / folder).mkdir()
        for name in names:
            Image.new("1", (3, 2), int(name == "shot-10")).save(tmp_path / folder / f"{name}.png")
    first, second = read("objects", tmp_path)
    assert [*first.masks] == ["cat"]
    assert {name: mask.any() for name, mask in second.masks.items()} == {"cat": True, "dog": True}
    assert [frame.masks != {} for frame in read("davis", tmp_path / "cat")] == [False, True]


@pytest.mark.parametrize("name", ["davis", "objects"])
def test_colours_and_empty_folders_are_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="give one with"):
        read(name, tmp_path)
    with pytest.raises(FormatError, match="give one with"):
        read(name, tmp_path / "gone")
    folder = tmp_path / "1" if name == "objects" else tmp_path
    folder.mkdir(exist_ok=True)
    Image.new("RGB", (2, 2)).save(folder / "00000.png")
    with pytest.raises(
        FormatError, match=r"00000\.png is a picture of the kind RGB; a mask is a palette PNG or a grey"
    ):
        read(name, tmp_path)


def test_several_objects_in_a_mask_of_one_are_named(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    Image.fromarray(np.array([[0, 1, 2]], np.uint8)).save(tmp_path / "1/00000.png")
    with pytest.raises(FormatError, match=r"holds the values \[0 1 2\]; the mask of one object has 0 and one other"):
        read("objects", tmp_path)


@pytest.mark.parametrize("name", ["coco", "ytvis", "sav"])
def test_missing_and_truncated_json_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"gone\.json cannot be read: No such file .*; give the path of a JSON file"):
        read(name, tmp_path / "gone.json")
    path = tmp_path / "a.json"
    write_all(name, path, [frame_of(0, {1: box_mask((4, 5), 1, 1, 3, 3)}, (4, 5))])
    whole = path.read_bytes()
    for cut in range(0, len(whole), 29):
        path.write_bytes(whole[:cut])
        with pytest.raises(FormatError, match=r"a\.json is no whole JSON \(.*\); is it cut short\? Give another copy"):
            read(name, path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FormatError, match="is no whole JSON"):
        read(name, path)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("coco", [], "holds a list where an object"),
        ("coco", YTVIS, "a.json lacks 'images'; it is not of the format that it was opened as"),
        ("coco", COCO | {"images": []}, "annotations of the image 4, which is not in its list"),
        ("coco", COCO | {"images": [{"id": 4}]}, "lacks 'height'"),
        ("coco", COCO | {"images": [{"id": 4, "height": 9, "width": 3}]}, "a mask has the size [2, 3]; the"),
        ("coco", COCO | {"images": [{"id": "4", "height": 2, "width": 3}]}, "'id' in a.json is a text where"),
        ("coco", COCO | {"annotations": [{"id": 5, "image_id": 4}]}, "a mask is neither"),
        ("ytvis", YTVIS | {"videos": []}, "holds 0 videos; give a file of one"),
        (
            "ytvis",
            YTVIS | {"annotations": [{"id": 5, "segmentations": []}]},
            "has 0 masks of the object 5 for 2 frames",
        ),
        ("sav", SAV | {"masklet": [[]]}, "has 0 masks in frame 0 for 1 objects"),
        ("sav", SAV | {"masklet_name": ["a", "b"]}, "'masklet_name' in a.json is no list of 1 names"),
        ("sav", SAV | {"masklet_frames": [2]}, "has masks of 2 frames, and names frame 2"),
        ("sav", SAV | {"video_width": 1e12}, "at most"),
    ],
)
def test_what_is_wrong_in_json_is_said(name: str, content: Any, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=re.escape(sentence)):
        read(name, json_file(tmp_path, content))


@pytest.mark.parametrize(
    "text", ["52 1005 1 375 1242", "52 1005 1 375 wide abc", "-1 5 1 2 2 04", "9" * 40 + " 1 1 2 2 04"]
)
def test_a_line_that_is_no_mask_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("0 1001 1 2 2 04\n" + text)
    with pytest.raises(FormatError, match=r"line 2 of a\.txt is not `frame id class height width rle`"):
        read("mots", tmp_path / "a.txt")


def test_a_text_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"gone\.txt cannot be read"):
        read("mots", tmp_path / "gone.txt")
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(FormatError, match=r"a\.txt is no MOTS text"):
        read("mots", tmp_path / "a.txt")


def test_scores_of_coco_are_read(tmp_path: Path) -> None:
    whole = encode_rle(np.ones((4, 5), bool))
    masks = {1: RleMask(whole, 0.25, 0.75), 2: RleMask(whole)}
    with writer("coco", tmp_path / "a.json", size=(4, 5)) as sink:
        sink.write(PlainFrame(0, 0.0, (4, 5), masks, {1: 1, 2: 2}))
    content = json.loads((tmp_path / "a.json").read_text())
    content["annotations"][1]["score"] = "high"
    (tmp_path / "a.json").write_text(json.dumps(content))
    (frame,) = read_masks("coco", tmp_path / "a.json")
    assert [(item.iou, item.presence) for item in frame.objects.values()] == [(0.25, 0.75), (1, 1)]


def test_frames_of_several_videos_in_one_coco_file_are_not_mixed(tmp_path: Path) -> None:
    """As `masklet dataset build` writes them: the frames of each video count from 0."""
    images = [{"id": n, "height": 2, "width": 3, "file_name": f"{n}.jpg", "frame_index": 0} for n in (1, 2)]
    annotations = [{"id": n, "image_id": n, "category_id": n, "segmentation": RLE} for n in (1, 2)]
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    path = json_file(tmp_path, {"images": images, "annotations": annotations, "categories": categories})
    frames = read("coco", path)
    found = [(frame.frame, [said.category for said in frame.descriptions.values()]) for frame in frames]
    assert found == [(0, ["cat"]), (1, ["dog"])]
    assert picture_files(path) == {0: "1.jpg", 1: "2.jpg"}
