"""What was written beside a saved session is there after a kill, at whatever byte it came."""

from __future__ import annotations

import os
import shutil
from collections import deque
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from masklet.engines.fake import FakeEngine
from masklet.errors import FormatError, SessionError
from masklet.formats.project_file import read_project
from masklet.video import VideoTracker, result
from tests.video.test_known_frames import ACTION, CLIP, SEQUENCE, assert_alike, assert_same, begin, begun, shown
from tests.video.test_session import act, run


@given(actions=st.lists(ACTION, min_size=1, max_size=5), further=st.lists(ACTION, max_size=2))
@SEQUENCE
def test_a_journal_has_what_the_session_has(
    tmp_path: Path,
    actions: list[tuple],  # type: ignore[type-arg]
    further: list[tuple],  # type: ignore[type-arg]
) -> None:
    path = tmp_path / "a.masklet"
    with begun() as straight:
        straight.save(path)
        for action in actions:
            acted(straight, action)
            straight.save_changes()
        with VideoTracker.open(path, CLIP, FakeEngine()) as reopened:
            assert_same(straight, reopened)
            assert [type(event) for event in reopened.events] == [type(event) for event in straight.events]
            for action in further:
                acted(straight, action)
                acted(reopened, action)
                reopened.save_changes()
        with VideoTracker.open(path, CLIP, FakeEngine()) as again:
            assert_alike(shown(straight), shown(again), differing=0.01)
            while straight.events:
                assert type(straight.undo()) is type(again.undo())
                assert straight.tracks.keys() == again.tracks.keys()


def acted(tracker: VideoTracker, action: tuple) -> None:  # type: ignore[type-arg]
    if action[0] == "redo":  # what was undone is in no file
        return
    try:
        act(tracker, action)
    except SessionError:
        return


def test_after_a_kill_the_last_whole_record_counts(tmp_path: Path) -> None:
    path, journal = tmp_path / "a.masklet", tmp_path / "a.masklet.journal"
    with VideoTracker(CLIP, FakeEngine()) as tracker:
        begin(tracker)
        tracker.undo()
        tracker.save(path)
        ends, known = [0], [tracker.known_frames()]
        for result in tracker.propagate(stop=6):
            tracker.save_changes()
            ends.append(journal.stat().st_size)
            known.append([*range(result.frame + 1)])
        whole = journal.read_bytes()
        assert shown(tracker).keys() == {*range(6)}
        straight = run(tracker, start=5, stop=9)
    places = sorted({0, 1, 60, *(end + shift for end in ends[1:] for shift in (-1, 0, 1, 11)), len(whole)})
    for place in places:
        journal.write_bytes(whole[:place])
        with VideoTracker.open(path, CLIP, FakeEngine()) as tracker:
            assert tracker.known_frames() == known[max(n for n, end in enumerate(ends) if end <= place)]
    journal.write_bytes(whole[: ends[3] + 1])
    with VideoTracker.open(path, CLIP, FakeEngine()) as tracker:
        run(tracker, start=2, stop=9)
        tracker.save_changes()
    with VideoTracker.open(path, CLIP, FakeEngine()) as tracker:
        assert_alike(shown(tracker), {**shown(tracker), **{f: dict(r.objects) for f, r in straight.items()}}, 0.0)


@pytest.mark.parametrize(("stop", "gone", "kept"), [(None, (5, 20), (40, 47)), (26, (2, 7), (12, 25))])
def test_many_frames_at_once_are_kept_without_most_memories(
    stop: int | None, gone: tuple[int, ...], kept: tuple[int, ...], tmp_path: Path
) -> None:
    with VideoTracker(CLIP, FakeEngine()) as tracker:
        tracker.add_box(frame=0, object="a", box=(4, 6, 18, 20))
        tracker.save(tmp_path / "a.masklet")
        deque(tracker.propagate(stop=stop), maxlen=0)
        tracker.save_changes()
        with VideoTracker.open(tmp_path / "a.masklet", CLIP, FakeEngine()) as reopened:
            assert_same(tracker, reopened)
            frames = reopened.tracks["a"].tracked
            assert all(frames[frame].memory is None for frame in gone)
            assert all(frames[frame].memory is not None for frame in kept)


def test_a_journal_of_another_file_says_nothing(tmp_path: Path) -> None:
    path, journal = tmp_path / "a.masklet", tmp_path / "a.masklet.journal"
    with begun() as tracker:
        tracker.save(path)
        tracker.remove("a")
        tracker.save_changes()
        shutil.copy(journal, tmp_path / "old")
        tracker.save(path)
        assert not journal.exists()
        tracker.undo()
        tracker.save(path)
        tracker.remove("b")
        tracker.save(path)
    shutil.copy(tmp_path / "old", journal)  # killed before it was removed
    with VideoTracker.open(path, CLIP, FakeEngine()) as reopened:
        assert list(reopened.tracks) == ["a"]
        reopened.describe("a", category="red")
        reopened.save_changes()
    with VideoTracker.open(path, CLIP, FakeEngine()) as reopened:
        assert reopened.objects["a"].category == "red"


def test_a_journal_of_a_file_that_came_while_an_earlier_one_was_opened_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when `masklet loop` reads what the annotator has open."""
    path = tmp_path / "a.masklet"
    with VideoTracker(CLIP, FakeEngine()) as writer:
        writer.add_points(frame=0, object="first", points=[(20, 20)])
        writer.save(path)

        def meanwhile(*given: object) -> None:
            writer.add_points(frame=0, object="second", points=[(20, 20)])
            writer.save(path)
            writer.remove("first")
            writer.save_changes()

        monkeypatch.setattr("masklet.video.session.check_video", meanwhile)
        with VideoTracker.open(path, CLIP, FakeEngine()) as reader:
            assert list(reader.tracks) == ["first"]


def test_a_journal_that_is_damaged_in_its_middle_is_refused(tmp_path: Path) -> None:
    path, journal = tmp_path / "a.masklet", tmp_path / "a.masklet.journal"
    with begun() as tracker:
        with pytest.raises(SessionError, match="lies in no file yet; call save"):
            tracker.save_changes()
        tracker.save(path)
        tracker.save_changes()
        assert not journal.exists()  # nothing changed
        tracker.lock(3)
        tracker.save_changes()
        tracker.lock(4)
        tracker.save_changes()
    data = bytearray(journal.read_bytes())
    data[100] ^= 1
    journal.write_bytes(data)
    with pytest.raises(FormatError, match="is damaged at byte 50; move it away"):
        VideoTracker.open(path, CLIP, FakeEngine())


def test_a_frame_that_undo_brings_back_has_its_time(tmp_path: Path) -> None:
    path = tmp_path / "a.masklet"
    with VideoTracker(CLIP, FakeEngine()) as tracker:
        time = tracker.add_points(frame=3, object="a", points=[(20, 20)]).time
        tracker.remove("a")
        tracker.save(path)
    with VideoTracker.open(path, CLIP, FakeEngine()) as reopened:
        reopened.undo()
        reopened.save_changes()
    with VideoTracker.open(path, CLIP, FakeEngine()) as again:
        assert again.masks(3).time == pytest.approx(time)


@pytest.mark.parametrize("name", ["b.masklet", "a.masklet"])
def test_changes_after_a_copy_lie_beside_the_file_of_before(tmp_path: Path, name: str) -> None:
    with VideoTracker(CLIP, FakeEngine()) as tracker:
        begin(tracker)
        tracker.save(tmp_path / "a.masklet")
        tracker.add_points(frame=1, object="new", points=[(20, 20)])
        tracker.save_changes()
        tracker.save_copy(tmp_path / name)
        tracker.remove("new")
        tracker.save_changes()
        with VideoTracker.open(tmp_path / "a.masklet", CLIP, FakeEngine()) as again:
            assert "new" not in again.tracks
    assert [file.name for file in tmp_path.glob("*.journal")] == ["a.masklet.journal"]


def test_notes_are_those_of_the_last_record(tmp_path: Path) -> None:
    path = tmp_path / "a.masklet"
    with begun() as tracker:
        tracker.save(path, notes={"step": 0})
        for step, act in enumerate((lambda: tracker.lock(3), lambda: None, lambda: tracker.undo()), start=1):
            act()
            tracker.save_changes(notes={"step": step})
        size = tracker.save_changes(notes={"step": 3})
        assert size == (tmp_path / "a.masklet.journal").stat().st_size  # nothing changed: nothing was written
        tracker.remove("b")
        tracker.save_changes()
        with pytest.raises(FormatError, match=r"notes\['step'\]"):
            tracker.save_changes(notes={"step": (1, 2)})
    with VideoTracker.open(path, CLIP, FakeEngine()) as reopened:
        assert reopened.notes == {"step": 3}
        reopened.save(path)
    with VideoTracker.open(path, CLIP, FakeEngine()) as again:
        assert again.notes == {"step": 3}


def test_a_pass_is_flushed_once_at_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[int] = []
    real = os.fsync
    with begun() as tracker:
        tracker.save(tmp_path / "a.masklet")
        monkeypatch.setattr(os, "fsync", lambda handle: (flushed.append(os.fstat(handle).st_size), real(handle))[1])
        for _ in tracker.propagate(0, 5):
            tracker.save_changes()
        assert not flushed
        whole = [tracker.save_changes(), tracker.save_changes()]
    assert flushed == whole[:1]


def test_masks_that_a_file_has_are_not_encoded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, other = tmp_path / "a.masklet", tmp_path / "b.masklet"
    encoded: list[int] = []
    real = result.project_frame
    with begun() as straight:
        straight.save(path)
        with VideoTracker.open(path, CLIP, FakeEngine()) as reopened:
            monkeypatch.setattr(result, "project_frame", lambda found: (encoded.append(found.frame), real(found))[1])
            reopened.describe("a", category="red")
            reopened.save(other)
            assert not encoded
            for tracker in (straight, reopened):
                tracker.remove("b")  # its pixels are those of others now
            straight.save(path)
            reopened.save(other)
    assert read_project(other).frames == read_project(path).frames != {}
