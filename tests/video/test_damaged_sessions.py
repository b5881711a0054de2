"""What a project file tells of a session is checked; and what a session saves can be read again."""

from __future__ import annotations

import json
import time
import uuid
import zipfile
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from masklet.engines.fake import FAKE, FakeEngine
from masklet.errors import CheckpointError, FormatError, MediaError, SessionError
from masklet.formats.project_file import read_project
from masklet.video import TrackingOptions, VideoTracker
from tests.fuzz.readers import make_projects, pictures

ENTRIES = "attachments/entries.safetensors"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_projects(tmp_path)[0]


def changed(path: Path, member: str, change: Callable[[bytes], bytes]) -> Path:
    with zipfile.ZipFile(path) as members:
        contents = {info.filename: members.read(info) for info in members.infolist()}
    contents[member] = change(contents[member])
    with zipfile.ZipFile(path, "w") as members:
        for name, content in contents.items():
            members.writestr(name, content)
    return path


def opened(path: Path) -> None:
    VideoTracker.open(path, pictures(), FakeEngine()).close()


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        ("follow", "last", 10**17),
        ("follow", "first", -1),
        ("follow", "last", 2.0),
        ("follow", "backward", 0),
        ("follow", "only", [1]),
        ("prompt", "frame", "0"),
        ("prompt", "object", {"a": 1}),
        ("lock", "frame", None),
        ("lock", "frame", True),
        ("describe", "category", 3),
        ("describe", "attributes", {"a": None}),
    ],
)
def test_events_are_checked(kind: str, key: str, value: Any, project: Path) -> None:
    def change(content: bytes) -> bytes:
        manifest = json.loads(content)
        next(event for event in manifest["events"] if event["event"] == kind)[key] = value
        return json.dumps(manifest).encode()

    with pytest.raises(FormatError, match=f"the project's event '{kind}' cannot be read: .*; give another copy"):
        opened(changed(project, "masklet.json", change))


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("frame", 1e3),
        ("iou", "high"),
        ("presence", None),
        ("box", 4),
        ("anchors", ["a"]),
        ("area", -1),
        ("attended", 2),
        ("doubt", "ugly"),
    ],
)
def test_facts_of_entries_are_checked(fact: str, value: Any, project: Path) -> None:
    def change(content: bytes) -> bytes:
        length = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + length])
        entries = json.loads(header["__metadata__"]["entries"])
        entries[0][2][fact] = value
        header["__metadata__"]["entries"] = json.dumps(entries)
        text = json.dumps(header).encode()
        return len(text).to_bytes(8, "little") + text + content[8 + length :]

    with pytest.raises(FormatError, match=r"what the project remembers is damaged: .*; give another copy"):
        opened(changed(project, ENTRIES, change))


def test_shapes_of_tensors_are_checked(project: Path) -> None:
    wide = FakeEngine(config=replace(FAKE, memory_width=16))
    with pytest.raises(CheckpointError, match=r"whose memory is \(8, 4, 4\), and that of this one is \(16, 4, 4\)"):
        VideoTracker.open(project, pictures(), wide)


@pytest.mark.parametrize(
    "name", [10**18 - 1, 10**18, uuid.UUID(int=2**127).int, "caf\u00e9 \U0001f469\u200d\U0001f680", "7"]
)
def test_names_of_every_kind_are_kept(name: int | str, tmp_path: Path) -> None:
    notes = {"saved": time.time_ns(), "id": uuid.UUID(int=2**127 + 1).int, "odd \ud800": ["\ud800", None, 1.5, {}]}
    with VideoTracker(pictures(), FakeEngine()) as tracker:
        tracker.add_box(frame=0, object=name, box=(4, 8, 20, 24))
        tracker.save(tmp_path / "a.masklet", notes=notes)
    with VideoTracker.open(tmp_path / "a.masklet", pictures(), FakeEngine()) as tracker:
        assert list(tracker.tracks) == [name]
        assert type(next(iter(tracker.tracks))) is type(name)
    assert read_project(tmp_path / "a.masklet").notes == notes


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), np.int64(3), np.float64(0.5), b"b", (1, 2), {1: 2}, {1}, 10**2000, object()]
)
def test_notes_that_no_file_gives_back_are_refused_at_once(value: object, tmp_path: Path) -> None:
    with VideoTracker(pictures(), FakeEngine()) as tracker:
        tracker.add_box(frame=0, object=1, box=(4, 8, 20, 24))
        with pytest.raises(FormatError, match=r"notes\['x'\]"):
            tracker.save(tmp_path / "a.masklet", notes={"x": value})
        assert not (tmp_path / "a.masklet").exists()
        tracker.save(tmp_path / "a.masklet")
    assert read_project(tmp_path / "a.masklet").notes == {}


@pytest.mark.parametrize(
    "name", ["a\ud800", "x" * 101, "\U0001f680" * 60, "a\nb", " ", "", True, np.True_, 1.5, None, 10**50]
)
def test_names_that_no_file_can_hold_are_refused_when_an_object_is_made(name: object) -> None:
    with VideoTracker(pictures(), FakeEngine()) as tracker:
        with pytest.raises(SessionError, match=r"^object is .{1,110}; give "):
            tracker.add_box(frame=0, object=name, box=(4, 8, 20, 24))  # type: ignore[arg-type]
        assert not tracker.tracks


@pytest.mark.parametrize("bounds", [{"stop": "3"}, {"stop": 1.5}, {"start": "0"}, {"start": 1.0}])
def test_frames_to_follow_are_whole_numbers(bounds: dict[str, Any]) -> None:
    ((name, value),) = bounds.items()
    with VideoTracker(pictures(), FakeEngine()) as tracker:
        tracker.add_box(frame=0, object=1, box=(4, 8, 20, 24))
        with pytest.raises(MediaError, match=f"{name} is {value!r}; give a whole number, counted from 0"):
            list(tracker.propagate(**bounds))
        assert tracker.known_frames() == [0]


@pytest.mark.parametrize("frame", range(6))
def test_a_mask_that_the_file_lacks_is_made_again(frame: int, project: Path, tmp_path: Path) -> None:
    """Of what is remembered of the frame, which the file has."""

    def emptied(content: bytes) -> bytes:
        lines = [json.loads(line) for line in content.splitlines()]
        lines[frame].update(objects=[], lost=[])
        return b"\n".join(json.dumps(line).encode() for line in lines)

    def masks(tracker: VideoTracker) -> dict[Any, list[Any]]:
        return {name: item.mask.tolist() for name, item in tracker.masks(frame).objects.items()}

    with VideoTracker.open(project, pictures(), FakeEngine()) as whole:
        wanted = masks(whole)
    options = TrackingOptions(corrections="published")  # every frame is found anew
    path = changed(project, "masks/00000.jsonl", emptied)
    with VideoTracker.open(path, pictures(), FakeEngine(), options=options) as tracker:
        deque(tracker.propagate(0), maxlen=0)
        tracker.save(tmp_path / "again.masklet")
    with VideoTracker.open(tmp_path / "again.masklet", pictures(), FakeEngine()) as tracker:
        tracker.undo()
        assert masks(tracker) == wanted


def test_a_frame_that_comes_twice_is_refused(project: Path) -> None:
    def twice(content: bytes) -> bytes:
        lines = content.splitlines()
        return b"\n".join([*lines[:-1], lines[0]])

    with (
        VideoTracker.open(changed(project, "masks/00000.jsonl", twice), pictures(), FakeEngine()) as tracker,
        pytest.raises(FormatError, match=r"has the masks of a frame twice, in masks/00000\.jsonl; give another copy"),
    ):
        tracker.save(project)


@pytest.mark.parametrize("change", [{"fill_holes": "x" * 9999}, {"policy": "x:" + "y" * 9999}])
def test_what_a_file_says_is_not_quoted_at_length(change: dict[str, str], project: Path) -> None:
    def told(content: bytes) -> bytes:
        manifest = json.loads(content)
        manifest["options"].update(change)
        return json.dumps(manifest).encode()

    with pytest.raises(FormatError, match=r"^.{20,300}$"):
        opened(changed(project, "masklet.json", told))
