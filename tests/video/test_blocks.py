"""A session that is longer than a block is opened without its frames, and is the same when they are looked at."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load, save

from masklet.app.summary import cell, strips
from masklet.engines.fake import FAKE, FakeEngine
from masklet.errors import CheckpointError, FormatError
from masklet.formats.project_file import FRAMES_PER_BLOCK, read_project, write_project
from masklet.video import VideoTracker, packing
from masklet.video.packing import STATS_ATTACHMENT, block_name, json_texts, metadata_of
from masklet.video.state import stats_of
from masklet.video.store import StoredFrames

COUNT = 2 * FRAMES_PER_BLOCK + 22


def images() -> list[np.ndarray]:
    """A red square that comes and goes, and a blue one that moves."""
    frames = []
    for number in range(COUNT):
        image = np.full((24, 32, 3), 40, np.uint8)
        if number % 50 < 45:
            image[4:12, 2:10] = (220, 30, 30)
        x = 12 + number % 10
        image[14:22, x : x + 8] = (30, 30, 220)
        frames.append(image)
    return frames


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, VideoTracker]]:
    path = tmp_path_factory.mktemp("session") / "a.masklet"
    with VideoTracker(images(), FakeEngine()) as tracker:
        tracker.add_box(frame=0, object="red", box=(2, 4, 10, 12))
        tracker.add_box(frame=0, object=7, box=(12, 14, 20, 22))
        list(tracker.propagate())
        tracker.mark_absent(7, 60, 70)
        tracker.accept("red", 20, 30)
        tracker.save(path)
        yield path, tracker


def opened(path: Path) -> VideoTracker:
    return VideoTracker.open(path, images(), FakeEngine())


def known(tracker: VideoTracker) -> dict[Any, Any]:
    """All that is known, frame by frame."""
    found: dict[Any, Any] = {"doubts": tracker.needs_prompt(), "times": tracker.times}
    for name, track in tracker.tracks.items():
        found[name] = track.description, track.prompts, track.absent, track.accepted
        for frame in sorted(track.tracked):
            assert isinstance(track.tracked, StoredFrames)
            found[name, frame] = stats_of(track.tracked[frame]), track.tracked.packed(frame)
    for frame in tracker.known_frames():
        shown = tracker.masks(frame).objects
        found[frame] = {name: (item.mask.tolist(), item.iou, item.presence) for name, item in shown.items()}
    return found


def test_strips_of_a_page_are_made_without_making_the_frames(
    session: tuple[Path, VideoTracker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are what each frame by itself gives."""
    path, tracker = session
    expected = {}
    for name, track in tracker.tracks.items():
        stats = [track.stats(frame) for frame in range(COUNT)]
        expected[name] = [0 if one is None else cell(track, one) for one in stats]
        assert {value & 3 for value in expected[name]} >= {1, 3}
    with opened(path) as again:
        monkeypatch.setattr(packing.SavedFrames, "_records", lambda *_: pytest.fail("frames were made"))
        for name, track in again.tracks.items():
            for same in (track, tracker.tracks[name]):
                assert [*base64.b64decode(strips(same, COUNT)["cells"])] == expected[name]
        assert again.needs_prompt() == tracker.needs_prompt()


def changed(path: Path, folder: Path, name: str, change: Callable[[dict[str, NDArray[Any]], Any], object]) -> Path:
    """The session with an attachment changed."""
    was = read_project(path)
    data = was.attachments[name]
    arrays, texts = {key: array.copy() for key, array in load(data).items()}, metadata_of(data)
    change(arrays, texts)
    attachments = {**was.attachments, name: save(arrays, json_texts(**texts))}
    write_project(folder / "b.masklet", dataclasses.replace(was, attachments=attachments))
    return folder / "b.masklet"


def test_nothing_is_lost_though_nothing_is_read(
    session: tuple[Path, VideoTracker], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, tracker = session
    with monkeypatch.context() as patch:
        patch.setattr(packing, "read_block", lambda *_: pytest.fail("a block was read"))
        with opened(path) as reopened:
            assert reopened.known_frames() == tracker.known_frames()
            assert reopened.needs_prompt() == tracker.needs_prompt() != {}
    with opened(path) as reopened:
        live = known(tracker)
        assert known(reopened) == live
        reopened.save(tmp_path / "again.masklet")
        with opened(tmp_path / "again.masklet") as again:
            assert known(again) == known(reopened)
            for _ in range(3):
                again.undo()
            assert again.known_frames() == [0]
            again.redo()
            assert again.known_frames() == reopened.known_frames()
            assert known(again)[7, 100] == live[7, 100]


def test_the_masks_beneath_an_absence_come_back(session: tuple[Path, VideoTracker]) -> None:
    path, tracker = session
    with opened(path) as reopened:
        for one in (reopened, tracker):
            assert not one.result(65).objects[7].mask.any()
            one.unmark(7, 60, 70)
        np.testing.assert_array_equal(reopened.result(65).objects[7].mask, tracker.result(65).objects[7].mask)
        assert reopened.result(65).objects[7].mask.any()
        tracker.undo()


def test_a_damaged_block_is_told_when_it_is_looked_at(session: tuple[Path, VideoTracker], tmp_path: Path) -> None:
    def cut(arrays: dict[str, NDArray[Any]], texts: Any) -> None:
        arrays["packed"] = arrays["packed"][:-1]

    def tangle(arrays: dict[str, NDArray[Any]], texts: Any) -> None:
        arrays["ends"][:2] = arrays["ends"][1::-1]

    def stretch(arrays: dict[str, NDArray[Any]], texts: Any) -> None:
        arrays["packed"][0] += 4

    for change in (cut, tangle, stretch):
        with opened(changed(session[0], tmp_path, block_name(1), change)) as reopened:
            assert reopened.result(10).objects[7].mask.any()
            with pytest.raises(FormatError, match=r"what the project remembers is damaged: .*; give another copy"):
                reopened.result(FRAMES_PER_BLOCK)
            assert reopened.result(11).objects[7].mask.any()
            with pytest.raises(FormatError, match="give another copy"):
                reopened.save(tmp_path / "again.masklet")
    assert not (tmp_path / "again.masklet").exists()


@pytest.mark.parametrize(
    ("column", "value"),
    [("frame", -1), ("frame", 10**15), ("frame", 0.5), ("iou", np.nan), ("presence", np.inf), ("box", -4), ("area", -1),
     ("doubt", 99), ("colours", 10**6), ("anchors", 3), ("anchors", -1), ("attended", 2)],
)  # fmt: skip
def test_columns_are_checked(column: str, value: float, session: tuple[Path, VideoTracker], tmp_path: Path) -> None:
    def change(arrays: dict[str, NDArray[Any]], texts: Any) -> None:
        values = arrays[f"1.{column}"]
        arrays[f"1.{column}"] = values.astype(np.float64) if value in (0.5, 2) else values
        arrays[f"1.{column}"][3] = value if value != 99 else 9

    with pytest.raises(FormatError, match=r"what the project remembers is damaged: .*; give another copy"):
        opened(changed(session[0], tmp_path, STATS_ATTACHMENT, change))


def test_what_does_not_fit_is_refused(session: tuple[Path, VideoTracker], tmp_path: Path) -> None:
    was = read_project(session[0])
    less = {name: data for name, data in was.attachments.items() if name != block_name(2)}
    write_project(tmp_path / "b.masklet", dataclasses.replace(was, attachments=less))
    with pytest.raises(FormatError, match=r"it lacks block-00002\.safetensors; give another copy"):
        opened(tmp_path / "b.masklet")
    with pytest.raises(FormatError, match="is damaged"):
        opened(changed(session[0], tmp_path, STATS_ATTACHMENT, lambda arrays, texts: arrays.pop("0.iou")))
    with pytest.raises(CheckpointError, match=r"have the sizes \[32, 16\], and those of this one are \[64, 16\]"):
        VideoTracker.open(session[0], images(), FakeEngine(config=dataclasses.replace(FAKE, width=64)))


@pytest.mark.parametrize("objects", ["", "cup", None, {"cup": 1}, [["cup"]], [" "], [True]])
def test_objects_that_are_no_list_of_names_are_refused(
    session: tuple[Path, VideoTracker], tmp_path: Path, objects: Any
) -> None:
    with pytest.raises(FormatError, match="give another copy"):
        opened(changed(session[0], tmp_path, STATS_ATTACHMENT, lambda arrays, texts: texts.update(objects=objects)))


@pytest.mark.parametrize("length", [1, 95, 97, 288])
def test_colours_of_another_length_are_damage(session: tuple[Path, VideoTracker], tmp_path: Path, length: int) -> None:
    """What is compared with those of the next frame."""
    with pytest.raises(FormatError, match=f"is damaged: .*colours of a frame are {length} bytes, not 96"):
        opened(
            changed(
                session[0],
                tmp_path,
                STATS_ATTACHMENT,
                lambda arrays, texts: texts.update(colours=["00" * length] * len(texts["colours"])),
            )
        )
