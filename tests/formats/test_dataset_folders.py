"""Data sets of other tools that are read: Pascal VOC, Supervisely, YOLO; the files are made here by their rules."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from masklet.errors import FormatError
from masklet.formats.registry import read_masks, recognise_format, writer

SIZE = (40, 60)


def supervisely(root: Path, *objects: dict[str, Any]) -> Path:
    """A project of one data set and one picture."""
    (root / "street/ann").mkdir(parents=True)
    content = {"size": {"height": SIZE[0], "width": SIZE[1]}, "tags": [], "objects": list(objects)}
    (root / "street/ann/a.jpg.json").write_text(json.dumps(content))
    return root


def bitmap(part: np.ndarray, x: int, y: int) -> dict[str, Any]:
    png = BytesIO()
    rgba = np.zeros((*part.shape, 4), np.uint8)
    rgba[part] = 255
    Image.fromarray(rgba).save(png, format="PNG")
    data = base64.b64encode(zlib.compress(png.getvalue())).decode()
    return {"classTitle": "cat", "geometryType": "bitmap", "bitmap": {"data": data, "origin": [x, y]}}


def polygon(outer: list[list[float]], *holes: list[list[float]], kind: str = "polygon") -> dict[str, Any]:
    return {"classTitle": "car", "geometryType": kind, "points": {"exterior": outer, "interior": list(holes)}}


def test_supervisely_bitmaps_polygons_with_holes_and_boxes(tmp_path: Path) -> None:
    part = np.random.default_rng(0).random((7, 9)) > 0.4
    path = supervisely(
        tmp_path / "project",
        bitmap(part, 5, 30),
        polygon([[10, 5], [29, 5], [29, 24], [10, 24]], [[15, 10], [19, 10], [19, 14], [15, 14]]),
        polygon([[40, 2], [49, 11]], kind="rectangle"),
        polygon([[1, 1]], kind="point"),
    )
    assert recognise_format(path).name == "supervisely"
    (frame,) = read_masks("supervisely", path)
    assert [said.category for said in frame.descriptions.values()] == ["cat", "car", "car"]
    assert frame.masks[1].sum() == part.sum()
    assert (frame.masks[1][30:37, 5:14] == part).all()
    assert frame.masks[2].sum() == 400 - 25
    assert frame.masks[3].sum() == 100


def voc(root: Path) -> Path:
    for folder, values in (("SegmentationObject", (1, 2)), ("SegmentationClass", (15, 3))):
        (root / folder).mkdir(parents=True)
        index = np.zeros(SIZE, np.uint8)
        index[2:12, 3:23], index[20:30, 3:23] = values
        index[12, 3:23] = 255
        Image.fromarray(index).save(root / folder / "2007_000033.png")
    return root


def test_voc_as_it_is_published_has_the_classes_of_2012(tmp_path: Path) -> None:
    path = voc(tmp_path / "VOC2012")
    assert recognise_format(path).name == "voc"
    (frame,) = read_masks("voc", path)
    assert {n: said.category for n, said in frame.descriptions.items()} == {1: "person", 2: "bird"}
    assert {n: int(mask.sum()) for n, mask in frame.masks.items()} == {1: 200, 2: 200}


def yolo(root: Path, text: str) -> Path:
    (root / "labels/train").mkdir(parents=True)
    (root / "images/train").mkdir(parents=True)
    (root / "data.yaml").write_text("names: [cat, dog]\n")
    (root / "labels/train/a.txt").write_text(text)
    Image.new("RGB", (SIZE[1], SIZE[0])).save(root / "images/train/a.png")
    return root / "labels/train"


def test_yolo_polygons_and_boxes(tmp_path: Path) -> None:
    path = yolo(tmp_path / "set", "1 0.25 0.25 0.75 0.25 0.75 0.5\n0 0.5 0.5 0.5 0.5\n")
    assert recognise_format(path).name == "yolo"
    (frame,) = read_masks("yolo", path)
    assert [said.category for said in frame.descriptions.values()] == ["dog", "cat"]
    assert frame.masks[2].sum() == 31 * 21  # both ends of an edge are drawn
    assert frame.masks[1][11, 40]
    assert not frame.masks[1][19, 20]


@pytest.mark.parametrize("name", ["data.yaml", "classes.txt", "labelmap.txt"])
def test_a_byte_order_mark_is_no_part_of_a_class(tmp_path: Path, name: str) -> None:
    """Windows' Notepad writes it. The first line of VOC's list had counted as a class, and moved all others."""
    path = voc(tmp_path / "set") if name == "labelmap.txt" else yolo(tmp_path / "set", "0 0.5 0.5 0.5 0.5\n")
    (tmp_path / "set/data.yaml").unlink(missing_ok=True)
    fifteen = "".join(f"{n}:{n},0,0::\n" for n in range(15))
    text = {
        "data.yaml": "names: [cat]\n",
        "classes.txt": "cat\n",
        "labelmap.txt": f"# label:color\n{fifteen}cat:1,1,1::",
    }
    (tmp_path / "set" / name).write_text(text[name], "utf-8-sig")
    (frame,) = read_masks("voc" if name == "labelmap.txt" else "yolo", path)
    assert frame.descriptions[1].category == "cat"


def test_other_files_of_that_name_are_no_pictures(tmp_path: Path) -> None:
    path = yolo(tmp_path / "set", "1 0.25 0.25 0.75 0.25 0.75 0.5\n")
    (tmp_path / "set/images/train/a.json").write_text("{}")
    (frame,) = read_masks("yolo", path)
    assert frame.size == SIZE


def test_a_turned_photograph_has_the_size_that_is_shown(tmp_path: Path) -> None:
    path = yolo(tmp_path / "set", "0 0.5 0.5 0.5 0.5\n")
    (tmp_path / "set/images/train/a.png").unlink()
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", (SIZE[1], SIZE[0])).save(tmp_path / "set/images/train/a.jpg", exif=exif)
    assert next(iter(read_masks("yolo", path))).size == (SIZE[1], SIZE[0])


@pytest.mark.parametrize(
    ("name", "make", "told"),
    [
        ("yolo", lambda root: yolo(root, "1 0.1 0.2 0.3\n"), "line 1 of a.txt is not a class and pairs of numbers"),
        ("yolo", lambda root: yolo(root, "1 0.1 0.2 nan 0.3\n"), "line 1 of a.txt"),
        ("yolo", lambda root: yolo(root, "1 0.1 0.2 999 0.3\n"), "lies far outside its picture"),
        ("yolo", lambda root: yolo(root, "").parent, "holds no labels such as"),
        ("voc", lambda root: root, "holds no SegmentationObject"),
        ("supervisely", lambda root: root, r"holds no ann/\*\.json"),
        ("supervisely", lambda root: supervisely(root, bitmap(np.ones((9, 9), bool), 55, 0)), "does not lie in its"),
        ("supervisely", lambda root: supervisely(root, polygon([[0, 0], ["x", 1]])), "no pairs of numbers"),
    ],
)
def test_what_is_damaged_is_told(tmp_path: Path, name: str, make: Callable[[Path], Path], told: str) -> None:
    with pytest.raises(FormatError, match=told):
        list(read_masks(name, make(tmp_path / "set")))


def test_labels_without_their_picture_are_told(tmp_path: Path) -> None:
    path = yolo(tmp_path / "set", "1 0.1 0.2 0.3 0.4\n")
    (tmp_path / "set/images/train/a.png").unlink()
    with pytest.raises(FormatError, match=r"a\.txt has no picture, whose size its shares are of; put a\.jpg beside it"):
        list(read_masks("yolo", path))


def test_data_sets_are_not_written_as_one_file(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="masklet dataset build writes"), writer("voc", tmp_path / "x", size=SIZE):
        pass
    assert not (tmp_path / "x").exists()


def test_things_of_two_pictures_are_no_one_object(tmp_path: Path) -> None:
    """The first line of each text, and the first bitmap of each picture, is a thing of its own, with its own class."""
    labels = yolo(tmp_path / "yolo", "0 0.5 0.5 0.5 0.5\n")
    (labels / "b[1].txt").write_text("1 0.5 0.5 0.5 0.5\n")
    Image.new("RGB", (SIZE[1], SIZE[0])).save(tmp_path / "yolo/images/train/b[1].png")
    project = supervisely(tmp_path / "supervisely", bitmap(np.ones((2, 2), bool), 0, 0))
    other = {"size": {"height": SIZE[0], "width": SIZE[1]}, "objects": [polygon([[0, 0], [9, 9]], kind="rectangle")]}
    (project / "street/ann/b.jpg.json").write_text(json.dumps(other))
    labelme = tmp_path / "labelme"
    labelme.mkdir()
    for name, label in (("a", "cat"), ("b", "dog")):
        shape = {"label": label, "points": [[1, 1], [9, 1], [9, 9]], "shape_type": "polygon"}
        content = {"shapes": [shape], "imageHeight": SIZE[0], "imageWidth": SIZE[1]}
        (labelme / f"{name}.json").write_text(json.dumps(content))
    for path, expected in ((labels, ["cat", "dog"]), (project, ["cat", "car"]), (labelme, ["cat", "dog"])):
        frames = list(read_masks(recognise_format(path).name, path))
        with writer("coco", tmp_path / "all.json", size=SIZE, own_sizes=True) as sink:
            for frame in frames:
                sink.write(frame)
        content = json.loads((tmp_path / "all.json").read_text())
        classes = {kind["id"]: kind["name"] for kind in content["categories"]}
        assert [classes[found["category_id"]] for found in content["annotations"]] == expected
        assert [list(frame.indices.values()) for frame in frames] == [[1], [1]], "index maps count from 1 in each"


def test_names_of_classes_are_texts(tmp_path: Path) -> None:
    path = yolo(tmp_path / "set", "0 0.5 0.5 0.5 0.5\n")
    (tmp_path / "set/data.yaml").write_text("names: [[[], []]]\n")
    with pytest.raises(FormatError, match="the names of classes in"):
        list(read_masks("yolo", path))
