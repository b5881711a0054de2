from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from masklet.cli.choices import VIDEO_FORMATS
from masklet.cli.pictures import FORMAT_HELP, PICTURE_FORMATS
from masklet.errors import FormatError
from masklet.formats.registry import find_format, format_of, formats, read_masks, writer
from tests.formats.conftest import SUFFIXES, box_mask, frame_of, write_all

PAGE = Path(__file__).parents[2] / "docs/formats.md"


def test_every_format_tells_what_it_is_in_one_line_and_has_its_place_in_the_documents() -> None:
    page = PAGE.read_text()
    for name, entry in formats().items():
        assert entry.name == name
        assert 20 < len(entry.help) < 90
        assert all(
            ending == "" or ending.startswith(".") for ending in (entry.video, entry.picture) if ending is not None
        )
        assert re.search(rf"^\|[^|]*`{name}`", page, re.MULTILINE), name


def test_an_unknown_format_is_named_with_the_nearest() -> None:
    with pytest.raises(FormatError, match=r"unknown format 'davs'; nearest: davis; there are background, cineform"):
        writer("davs", "a", size=(4, 4))
    with pytest.raises(FormatError, match=r"the format overlay is written only; .* are coco, cvat, davis"):
        read_masks("overlay", "a.mp4")


@pytest.mark.parametrize(
    ("path", "name", "given"),
    [
        *((path, name, {}) for path, name in (("a.TXT", "mots"), ("a.masklet", "project"), ("b/a.mov", "prores"))),
        *((path, name, {}) for path, name in (("a.json", "coco"), ("a", "davis"), ("a.mp4", "overlay"))),
        *((f"a.{e}", name, {"picture": True}) for e, name in (("PNG", "davis"), ("json", "coco"), ("txt", "yolo"))),
        *((f"a.{e}", name, {"background": "white"}) for e, name in (("mp4", "background"), ("json", "coco"))),
    ],
)
def test_a_path_tells_the_format(path: str, name: str, given: dict[str, Any]) -> None:
    assert format_of(path, **given) is find_format(name)


def test_an_ending_of_none_is_named() -> None:
    with pytest.raises(FormatError, match=r"^a\.xyz does not show its format; give an ending that does, ") as caught:
        format_of(Path("a.xyz"))
    assert all(entry.video in str(caught.value) for entry in formats().values() if entry.video)


def test_an_earlier_name_is_understood_for_one_more_version() -> None:
    with pytest.warns(DeprecationWarning, match="the format index is called davis now"):
        assert find_format("index").name == "davis"


def test_a_format_of_ones_own_by_its_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "counting.py").write_text(
        """
from contextlib import contextmanager
from masklet.formats.base import Format

@contextmanager
def write_counts(path, facts):
    lines = []
    yield lambda result: lines.append(f"{result.frame} {len(result.objects)}")
    path.write_text(",".join(lines))

COUNTS = Format("counts", "how many objects", write_counts, video=".count")
"""
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    write_all(
        "counting:COUNTS", tmp_path / "a.count", [frame_of(k, {1: np.ones((4, 5), bool)}, (4, 5)) for k in (0, 3)]
    )
    assert (tmp_path / "a.count").read_text() == "0 1,3 1"
    with pytest.raises(FormatError, match=r"give a masklet\.formats\.base\.Format"):
        find_format("counting:write_counts")
    with pytest.raises(FormatError, match="cannot be imported"):
        find_format("counting:NONE")


READ = [name for name, entry in formats().items() if entry.read and entry.only_read is None and name != "yolo"]
"""Formats whose files can be read by themselves, and written."""


@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("other", [name for name in READ if not formats()[name].shows_pictures])
def test_what_is_read_can_be_written_as_anything(name: str, other: str, tmp_path: Path) -> None:
    size = (12, 17)
    frames = [frame_of(k, {1: box_mask(size, k, 2, 9, 9), 2: box_mask(size, 9, k, 12, 17)}, size) for k in (0, 1, 4)]
    write_all(name, tmp_path / f"one-{SUFFIXES[name]}", frames)
    with writer(other, tmp_path / f"other-{SUFFIXES[other]}", size=size) as sink:
        for frame in read_masks(name, tmp_path / f"one-{SUFFIXES[name]}"):
            sink.write(frame)
    found = {frame.frame: frame.masks for frame in read_masks(other, tmp_path / f"other-{SUFFIXES[other]}")}
    for frame in frames:
        for key, item in frame.objects.items():
            assert np.array_equal(found[frame.frame][key], item.mask)


def test_pictures_in_a_folder_give_their_names_to_what_is_written(tmp_path: Path) -> None:
    names = ["00005.jpg", "b.jpg", "b.png"]
    frames = [
        frame_of(k, {"dog": box_mask((6, 8), 1, 1, 3, 3), 7: box_mask((6, 8), 4, 4, 6, 6)}, (6, 8)) for k in range(3)
    ]
    for name in ("davis", "coco", "ytvis", "labelme", "yolo", "rgba"):
        with writer(name, tmp_path / name, size=(6, 8), names=names[:2]) as sink:
            for frame in frames[:2]:
                sink.write(frame)
    assert sorted(file.name for file in (tmp_path / "davis").iterdir()) == ["00005.png", "b.png"]
    assert sorted(file.name for file in (tmp_path / "rgba").iterdir()) == ["00005.png", "b.png"]
    assert sorted(file.name for file in (tmp_path / "yolo").iterdir()) == ["00005.txt", "b.txt", "classes.txt"]
    assert (tmp_path / "yolo/classes.txt").read_text() == "dog\nobject\n"
    assert [line.split()[0] for line in (tmp_path / "yolo/b.txt").read_text().splitlines()] == ["0", "1"]
    coco, ytvis, labelme = (json.loads((tmp_path / path).read_text()) for path in ("coco", "ytvis", "labelme/b.json"))
    assert [image["file_name"] for image in coco["images"]] == names[:2]
    assert [entry["name"] for entry in coco["categories"]] == ["dog", "object"]
    assert [entry["category_id"] for entry in coco["annotations"]] == [1, 2, 1, 2]
    assert ytvis["videos"][0]["file_names"] == names[:2]
    assert [entry["category_id"] for entry in ytvis["annotations"]] == [1, 2]
    assert labelme["imagePath"] == "b.jpg"
    assert [shape["label"] for shape in labelme["shapes"]] == ["dog", "object"]
    with writer("davis", tmp_path / "alike", size=(6, 8), names=names) as sink:
        for frame in frames:
            sink.write(frame)
    assert len(list((tmp_path / "alike").iterdir())) == 3  # b.jpg and b.png do not become one


def test_help_of_pictures_names_their_formats() -> None:
    assert list(PICTURE_FORMATS) == [name for name, entry in formats().items() if entry.picture]
    assert list(VIDEO_FORMATS) == [name for name, entry in formats().items() if entry.video is not None]
    assert all(name in FORMAT_HELP for name in PICTURE_FORMATS)
