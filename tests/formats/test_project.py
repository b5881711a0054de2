from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from masklet.errors import FormatError
from masklet.formats import project_file
from masklet.formats.base import Fingerprint
from masklet.formats.project_file import Project, check_video, project_frame, read_project, write_project
from masklet.formats.registry import formats, read_masks, writer
from tests.formats.conftest import RATE, SUFFIXES, box_mask, frame_of

SIZE = (20, 31)
EVENTS = ({"kind": "prompt", "frame": 0, "object": "dog", "points": [[3.5, 4.0]], "labels": [1]}, {"kind": "undo"})


def a_project() -> Project:
    frames = [
        frame_of(k, {"dog": box_mask(SIZE, 2, k % 9, 9, 14), 7: box_mask(SIZE, 12, 0, 20, 3)}, SIZE)
        for k in (0, 5, 200)
    ]
    return Project(
        size=SIZE,
        indices={"dog": 1, 7: 2},
        frames={frame.frame: project_frame(frame) for frame in frames},
        events=EVENTS,
        video="dog.mp4",
        rate=RATE,
        frame_count=201,
        model="nano",
        fingerprint=Fingerprint(SIZE, 201, "abc"),
        options={"policy": "long", "fill_holes": None},
        attachments={"memory-0.safetensors": bytes(range(256)) * 9},
    )  # fmt: skip


def rewritten(path: Path, changes: dict[str, bytes | None]) -> Path:
    """A project file with members changed, added, or (None) left out."""
    whole = path.with_name("whole.masklet")
    write_project(whole, a_project())
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            content = changes.pop(info.filename, old.read(info))
            if content is not None:
                new.writestr(info.filename, content, info.compress_type)
        for name, content in changes.items():
            assert content is not None
            new.writestr(name, content)
    return path


def read_whole(path: Path) -> Project:
    """A project of which every frame and attachment was looked at."""
    project = read_project(path)
    for held in (project.frames, project.attachments):
        dict(held)
    return project


def manifest(**changes: Any) -> dict[str, bytes | None]:
    """masklet.json with fields changed; `video__rate=1` changes one inside video."""
    record: dict[str, Any] = {
        "format": "masklet project", "version": 1, "model": "",
        "video": {"name": "", "height": 20, "width": 31, "rate": None, "frame_count": None, "fingerprint": None},
        "objects": [{"name": "dog", "number": 1}, {"name": 7, "number": 2}], "events": [],
    }  # fmt: skip
    for key, value in changes.items():
        *outer, last = key.split("__")
        (record[outer[0]] if outer else record)[last] = value
    return {"masklet.json": json.dumps(record).encode()}


def test_what_is_read_equals_what_was_written(tmp_path: Path) -> None:
    project = a_project()
    write_project(tmp_path / "a.masklet", project)
    assert read_project(tmp_path / "a.masklet") == project
    assert list(tmp_path.iterdir()) == [tmp_path / "a.masklet"]


def test_an_empty_project_is_one_too(tmp_path: Path) -> None:
    write_project(tmp_path / "a.masklet", Project((1, 1)))
    assert read_project(tmp_path / "a.masklet") == Project((1, 1))


@pytest.mark.parametrize("name", sorted(SUFFIXES))
def test_every_other_format_can_be_written_from_it(name: str, tmp_path: Path) -> None:
    project = a_project()
    image = np.zeros((*SIZE, 3), np.uint8)
    path = tmp_path / SUFFIXES[name]
    with writer(name, path, size=project.size, rate=project.rate) as sink:
        for result in project.results():
            sink.write(dataclasses.replace(result, image=image))
    if formats()[name].read and name != "yolo":  # which is read beside its pictures
        found = list(read_masks(name, path))
        seen = [k for k in found if any(mask.any() for mask in k.masks.values())]
        assert [k.frame for k in seen] == [0, 5, 200]
        assert sum(mask.sum() for mask in found[0].masks.values()) == 7 * 14 + 8 * 3


def test_the_registered_writer_keeps_what_it_is_told(tmp_path: Path) -> None:
    project = a_project()
    facts = {field.name: getattr(project.facts(), field.name) for field in dataclasses.fields(project.facts())}
    with writer("project", tmp_path / "a.masklet", **(facts | {"events": EVENTS})) as sink:
        for result in project.results():
            sink.write(result)
    assert read_project(tmp_path / "a.masklet") == dataclasses.replace(project, options={}, attachments={})


def test_another_video_is_named_by_what_differs() -> None:
    project = a_project()
    assert project.fingerprint is not None
    check_video(project, project.fingerprint)
    with pytest.raises(FormatError, match=r"another video \(dog\.mp4\): the number of frames is 201 there and 3 here"):
        check_video(project, dataclasses.replace(project.fingerprint, frame_count=3))
    with pytest.raises(FormatError, match="its pictures differ; give that video"):
        check_video(project, dataclasses.replace(project.fingerprint, digest="xyz"))


def test_a_newer_version_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        FormatError, match=r"a\.masklet is of version 2, and this masklet reads up to 1; update masklet"
    ):
        read_whole(rewritten(tmp_path / "a.masklet", manifest(version=2)))


def test_unknown_members_are_passed_over(tmp_path: Path) -> None:
    path = rewritten(tmp_path / "a.masklet", {"notes/new.txt": b"hello", "attachments/": b""})
    assert read_whole(path) == a_project()


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "masks/../../evil", "a\\evil", "C:evil", "masks/.."])
def test_a_path_that_leaves_its_folder_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"a path that leaves its folder; don't trust this file"):
        read_whole(rewritten(tmp_path / "a.masklet", {name: b""}))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.masklet", "whole.masklet"]


def test_sizes_beyond_reason_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = rewritten(tmp_path / "a.masklet", {"masks/00009.jsonl": b"0" * (project_file.MAX_JSON + 1)})
    assert bomb.stat().st_size < 300_000
    with pytest.raises(FormatError, match=r"unpacks masks/00009\.jsonl to \d+ bytes; the limit is"):
        read_whole(bomb)
    with pytest.raises(FormatError, match=r"holds attachments/a compressed"):
        read_whole(rewritten(tmp_path / "a.masklet", {"attachments/a": bytes(10_000)}))
    for limit, sentence in (
        ("MAX_BYTES", "unpacks to"),
        ("MAX_MEMBERS", "the limits are"),
        ("MAX_LINE", "a line of"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(project_file, limit, 2)
            with pytest.raises(FormatError, match=sentence):
                read_whole(rewritten(tmp_path / "a.masklet", {}))
    with pytest.raises(FormatError, match="expected sides over 0 and at most"):
        read_whole(rewritten(tmp_path / "a.masklet", manifest(video__width=1 << 30)))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"masklet.json": None}, "holds no masklet.json"),
        ({"masklet.json": b'{"version": 1'}, "is no whole JSON"),
        ({"masklet.json": b"[" * 100_000}, "is no whole JSON"),
        ({"masklet.json": b"[]"}, "holds a list where an object"),
        (manifest(format="other"), "is no masklet project"),
        (manifest(version=0), "is no masklet project"),
        (manifest(version="1"), "'version' in a.masklet is a text where a whole number was expected"),
        (manifest(version=True), "'version' in a.masklet is True where"),
        (manifest(objects=[{"name": 7, "number": 1}] * 2), "names an object twice"),
        (manifest(objects=[{"name": None, "number": 1}]), "'name' in a.masklet is None where a text"),
        (manifest(frames=[[0]]), "'frames' in a.masklet is no list of ranges"),
        (manifest(frames=[[0, 1 << 30]]), "'frames' in a.masklet is no list of ranges"),
        (manifest(frames=[[0, 0], [0, 5]]), "'frames' in a.masklet is no list of ranges"),
        (manifest(frames=[[0, 900]]), "a.masklet lacks the masks of frame 64 and on"),
        (manifest(frames=[[0, 7]]), "the project lacks frame 1, which it promises"),
        (manifest(events={}), "'events' in a.masklet is an object where a list"),
        (manifest(video__rate="x"), "'rate' in a.masklet is a text where a number"),
        (manifest(video__height=2.5), "expected whole numbers of pixels"),
        (manifest(video__fingerprint={"size": [1], "digest": ""}), "the fingerprint in a.masklet has the size [1]"),
        ({"masklet.json": b'{"version": ' + b"9" * 5000 + b"}"}, "is too large"),
        ({"masks/00000.jsonl": b'{"frame": 0, "time": NaN, "objects": []}'}, "NaN is no number of JSON"),
        ({"masks/00000.jsonl": b'{"frame": 0, "time": 0, "objects": [[0, 1, 1]]}'}, "is not [object, iou, presence"),
        ({"masks/00000.jsonl": b'{"frame": 0, "time": 0, "objects": [[0, 1e999, 1, ""]]}'}, "is not [object, iou"),
        ({"masks/00000.jsonl": b'{"frame": 0, "time": 0, "objects": [[9, 1, 1, "\\\\c0"]]}'}, "a mask of object 9"),
        ({"masks/00000.jsonl": b'{"frame": 0, "time": 0, "objects": [[0, 1, 1, "zz"]]}'}, "is damaged"),
    ],
)
def test_what_is_wrong_inside_is_said(changes: dict[str, bytes | None], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=re.escape(sentence)):
        read_whole(rewritten(tmp_path / "a.masklet", dict(changes)))


def test_missing_cut_and_changed_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"there is no file at .*gone\.masklet"):
        read_whole(tmp_path / "gone.masklet")
    path = tmp_path / "a.masklet"
    path.write_text("hello")
    with pytest.raises(FormatError, match=r"a\.masklet is no whole project file: .*; give another copy"):
        read_whole(path)
    with pytest.raises(FormatError, match=r"cannot be read: Is a directory|Permission denied"):
        read_whole(tmp_path)
    write_project(path, a_project())
    whole = path.read_bytes()
    for cut in range(0, len(whole), 97):
        path.write_bytes(whole[:cut])
        with pytest.raises(FormatError):
            read_whole(path)
    for place in range(0, len(whole), 61):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        with contextlib.suppress(FormatError):
            read_whole(path)  # a change of a date, say, is not noticed
    path.write_bytes(whole)
    with zipfile.ZipFile(path) as members:
        length = members.getinfo("masks/00000.jsonl").header_offset + 26
    path.write_bytes(whole[:length] + (400).to_bytes(2, "little") + whole[length + 2 :])  # a name that goes on
    with pytest.raises(FormatError) as refused:
        read_whole(path)
    assert len(str(refused.value)) < 200, "the sentence shows the file"


def test_blocks_are_read_when_they_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = rewritten(tmp_path / "a.masklet", {"masks/00003.jsonl": b"damaged"})
    project = read_project(path)
    assert list(project.frames) == [0, 5, 200]
    assert 1 not in project.frames
    write_project(path, Project((1, 1)))  # the file that was opened is still there for who opened it
    assert project.frames[5] == a_project().frames[5]
    with pytest.raises(FormatError, match="is no whole JSON"):
        project.frames[200]


def test_files_that_do_not_tell_their_frames_are_read(tmp_path: Path) -> None:
    whole, older = tmp_path / "whole.masklet", tmp_path / "a.masklet"
    write_project(whole, a_project())
    with zipfile.ZipFile(whole) as members:
        record = json.loads(members.read("masklet.json"))
    assert record.pop("frames") == [[0, 0], [5, 5], [200, 200]]
    assert read_project(rewritten(older, {"masklet.json": json.dumps(record).encode()})) == a_project()


def test_an_attachment_has_a_plain_name(tmp_path: Path) -> None:
    for name in ("../a", "a/b", "", ".hidden", "x" * 200):
        with pytest.raises(FormatError, match="is no name for an attachment"):
            write_project(tmp_path / "a.masklet", Project((1, 1), attachments={name: b""}))
    assert list(tmp_path.iterdir()) == []
