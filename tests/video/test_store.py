"""What is kept on disk: whole entries, small ones when a budget is spent, and nothing lost when the disk is full."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest

from masklet.engines.arrays import as_memory, sigmoid
from masklet.engines.fake import FakeEngine
from masklet.errors import FormatError
from masklet.video.state import KnownFrame
from masklet.video.store import PAGE_FRAMES, FrameStore, StoredFrames, packed_frame, unpack
from tests.conftest import GOLDEN

CLIP = GOLDEN / "video/frames"
ENTRY_BYTES = 2 * 8 * 4 * 4 + 4 * 32 + 4 * 16 * 16
"""Of one entry of the toy network: memory, pointer, logits."""


def entry(frame: int) -> KnownFrame:
    noise = np.random.default_rng(frame)
    return KnownFrame(
        frame,
        as_memory(noise.standard_normal((8, 4, 4), np.float32)),
        noise.standard_normal(32, np.float32),
        noise.standard_normal((16, 16), np.float32) * 9,
        iou=0.5,
        presence=1.0,
        attended=True,
    )


def filled(store: FrameStore, count: int) -> StoredFrames:
    entries = StoredFrames(store)
    for frame in range(count):
        entries = entries.adding(entry(frame))
    return entries


def test_entries_come_back_from_disk_as_they_were() -> None:
    store = FrameStore(FakeEngine())
    store.recent = 2
    entries = filled(store, 9)
    for frame in range(9):
        seen, wanted = entries[frame], entry(frame)
        for part in ("memory", "pointer", "logits"):
            assert np.array_equal(getattr(seen, part), getattr(wanted, part))
    store.close()


def test_when_the_budget_is_spent_the_oldest_give_up_their_memory() -> None:
    store = FrameStore(FakeEngine(), budget=12 * ENTRY_BYTES)
    store.recent = 3
    frames = filled(store, 40)
    assert [*frames] == [*range(40)]
    gone = [frame for frame in frames if frames[frame].memory is None]
    assert 28 < len(gone) <= 37
    assert gone == [*range(len(gone))]
    for frame in frames:
        seen, wanted = frames[frame], entry(frame)
        assert np.array_equal(seen.pointer, wanted.pointer)  # type: ignore[arg-type]
        assert np.array_equal(seen.logits > 0, wanted.logits > 0)
        assert (seen.iou, seen.presence) == (wanted.iou, wanted.presence)
        if frame in gone:
            np.testing.assert_allclose(seen.logits, wanted.logits.clip(-32, 32), atol=0.016, rtol=0)
            np.testing.assert_allclose(sigmoid(seen.logits), sigmoid(wanted.logits), atol=0.001, rtol=0)
        else:
            assert np.array_equal(seen.memory, wanted.memory)  # type: ignore[arg-type]
            assert np.array_equal(seen.logits, wanted.logits)
    store.close()


def test_what_the_next_frames_recall_stays_whatever_the_budget() -> None:
    store = FrameStore(FakeEngine(), budget=0)
    store.recent = 5
    frames = filled(store, 20)
    assert [frame for frame in frames if frames[frame].memory is not None] == [15, 16, 17, 18, 19]
    store.close()


def test_a_memory_is_encoded_again_once() -> None:
    asked: list[int] = []

    def encode(known: KnownFrame) -> KnownFrame:
        asked.append(known.frame)
        return dataclasses.replace(known, memory=entry(known.frame).memory)

    store = FrameStore(FakeEngine(), budget=0, encode=encode)
    store.recent = 5
    frames = filled(store, 20)
    for _ in range(2):
        assert np.array_equal(frames.whole(7).memory, entry(7).memory)  # type: ignore[arg-type]
        assert frames.whole(19).frame == 19
    assert asked == [7]
    store.close()


def test_an_absent_object_stays_absent() -> None:
    gone = np.full((4, 4), -1024.0)
    pointer, logits = unpack(packed_frame(None, gone), 4)
    assert pointer is None
    assert np.array_equal(logits, gone)


@pytest.mark.parametrize(
    "data", [b"", b"abc", packed_frame(None, np.zeros((5, 5))), packed_frame(None, np.zeros((4, 4)))[:-3]]
)
def test_damaged_masks_are_refused(data: bytes) -> None:
    with pytest.raises(FormatError, match=r"a mask that the project remembers .*; give another copy"):
        unpack(data, 4)


def test_room_that_is_given_back_is_used_again() -> None:
    store = FrameStore(FakeEngine(), budget=12 * ENTRY_BYTES)
    store.recent = 3
    frames = filled(store, 12)
    sizes = []
    for frame in range(12, 60):
        frames = frames.adding(entry(frame))
        sizes.append(os.fstat(store._file.fileno()).st_size)
    packed = max(len(frames.packed(frame)) for frame in range(12))
    assert max(np.diff(sizes)) <= 2 * packed < ENTRY_BYTES
    store.close()


def test_an_older_mapping_stays_as_it_was() -> None:
    store = FrameStore(FakeEngine())
    numbers = [0, 1, PAGE_FRAMES, PAGE_FRAMES - 1, 5 * PAGE_FRAMES]
    versions = [StoredFrames(store)]
    for frame in numbers:
        versions.append(versions[-1].adding(entry(frame)))
    for count, version in enumerate(versions):
        assert {*version} == {*numbers[:count]}
        assert len(version) == count
        assert version.differing(versions[-1]) == {*numbers[count:]}
    newest = versions[-1]
    changed = newest.adding(dataclasses.replace(entry(PAGE_FRAMES), iou=0.9)).taking([0], newest.nothing())
    assert (newest[PAGE_FRAMES].iou, changed[PAGE_FRAMES].iou) == (0.5, 0.9)
    assert (0 in newest, 0 in changed) == (True, False)
    assert not changed.taking([3 * PAGE_FRAMES], newest).differing(changed)
    assert changed.differing(newest) == newest.differing(changed) == {0, PAGE_FRAMES}
    store.close()


FULL = """
import resource, sys
from masklet.engines.fake import FakeEngine
from masklet.errors import SessionError
from masklet.video import VideoTracker
with VideoTracker(sys.argv[1], FakeEngine()) as tracker:
    tracker.add_points(frame=0, object=1, points=[(80, 60)])
    resource.setrlimit(resource.RLIMIT_FSIZE, (8000, resource.RLIM_INFINITY))
    try:
        for _ in tracker.propagate():
            pass
    except SessionError as error:
        print(error)
    found = tracker.known_frames()
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    rest = [result.frame for result in tracker.propagate(start=found[-1])]
    print(found == list(range(len(found))), len(found) < 20, rest[-1], len(tracker.known_frames()))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits on the size of files, which Windows has not")
def test_a_full_disk_stops_a_pass_and_nothing_is_lost() -> None:
    arguments = [sys.executable, "-c", FULL, str(CLIP)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    sentence, rest = done.stdout.splitlines()
    assert sentence.startswith("what is tracked cannot be kept on disk: File too large; make room in ")
    assert rest == "True True 19 20"
