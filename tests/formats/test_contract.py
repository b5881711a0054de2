"""What holds for every format of the registry."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from masklet.errors import FormatError
from masklet.formats.base import PlainFrame
from masklet.formats.registry import find_format, formats, read_masks, writer
from tests.formats.conftest import FILMS, RATE, SUFFIXES, Masks, box_mask, frame_of, write_all

NAMES = sorted(SUFFIXES)
HOLDING = [name for name in NAMES if formats()[name].read and name != "yolo"]  # which is read beside its pictures only
FEW = {"davis": 254, "mots": 999}
"""The highest number of formats that have one."""


def read_all(name: str, path: Path) -> dict[int, Masks]:
    return {found.frame: found.masks for found in read_masks(name, path)}


def assert_same(name: str, path: Path, frames: list[PlainFrame]) -> None:
    """What is read equals what was written; an empty mask may be missing, and so may a frame without masks."""
    found = read_all(name, path)
    assert list(found) == sorted(found)
    assert set(found) <= {frame.frame for frame in frames}
    for frame in frames:
        masks = dict(found.get(frame.frame, {}))
        for key, item in frame.objects.items():
            mask = masks.pop(key, np.zeros(frame.size, np.bool_))
            assert mask.dtype == np.bool_
            np.testing.assert_array_equal(mask, item.mask)
        assert not any(mask.any() for mask in masks.values())


@pytest.mark.parametrize("name", HOLDING)
def test_what_is_read_equals_what_was_written(name: str, tmp_path: Path) -> None:
    size = (37, 51)
    frames = [
        frame_of(k, {1: box_mask(size, k, 2, 20, 30), 2: box_mask(size, 25, k, 37, 51)}, size) for k in (0, 1, 2, 7)
    ]
    write_all(name, tmp_path / SUFFIXES[name], frames)
    assert_same(name, tmp_path / SUFFIXES[name], frames)


@pytest.mark.parametrize("name", HOLDING)
def test_backwards_and_again_is_read_in_order_with_the_last_word(name: str, tmp_path: Path) -> None:
    size = (8, 9)
    frames = [frame_of(k, {1: box_mask(size, 0, 0, k + 1, 3)}, size) for k in range(4)]
    earlier = frame_of(2, {1: box_mask(size, 5, 5, 8, 9), 2: box_mask(size, 0, 4, 8, 9)}, size)
    write_all(name, tmp_path / SUFFIXES[name], [frames[3], earlier, frames[1], frames[2], frames[0]])
    assert_same(name, tmp_path / SUFFIXES[name], frames)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (33, 47)])
def test_odd_sizes_one_pixel_and_whole_frame(name: str, size: tuple[int, int], tmp_path: Path) -> None:
    height, width = size
    masks = [box_mask(size, height - 1, width - 1, height, width), np.ones(size, np.bool_), np.zeros(size, np.bool_)]
    frames = [frame_of(k, {1: mask}, size) for k, mask in enumerate(masks)]
    path = tmp_path / SUFFIXES[name]
    write_all(name, path, frames)
    if name in HOLDING:
        assert_same(name, path, frames)


@pytest.mark.parametrize("name", NAMES)
def test_frames_without_objects(name: str, tmp_path: Path) -> None:
    frames = [frame_of(0, {}, (6, 8)), frame_of(1, {1: box_mask((6, 8), 1, 1, 3, 3)}, (6, 8))]
    write_all(name, tmp_path / SUFFIXES[name], frames)
    if name in HOLDING:
        assert_same(name, tmp_path / SUFFIXES[name], frames)


@pytest.mark.parametrize("name", NAMES)
def test_no_frame_at_all(name: str, tmp_path: Path) -> None:
    path = tmp_path / SUFFIXES[name]
    if name in FILMS:
        with pytest.raises(FormatError, match="no frame was written"), writer(name, path, size=(6, 8), rate=RATE):
            pass
        assert list(tmp_path.iterdir()) == []
        return
    with writer(name, path, size=(6, 8)):
        pass
    if name in HOLDING and name not in ("davis", "objects"):
        assert read_all(name, path) == {}


@pytest.mark.parametrize("name", NAMES)
def test_three_hundred_objects(name: str, tmp_path: Path) -> None:
    size = (20, 60)
    masks: Masks = {n: box_mask(size, n // 60 * 3, n % 60, n // 60 * 3 + 2, n % 60 + 1) for n in range(1, 301)}
    frames = [frame_of(k, masks, size) for k in range(2)]
    path = tmp_path / SUFFIXES[name]
    if FEW.get(name, 1000) < 300:
        with pytest.raises(FormatError, match=r"object number 300 in frame 0: this format holds .* 1 to 254; write"):
            write_all(name, path, frames)
        assert list(path.iterdir()) == []
        return
    write_all(name, path, frames)
    if name in HOLDING:
        assert_same(name, path, frames)


@pytest.mark.parametrize("name", HOLDING)
def test_overlaps_are_kept_or_go_to_the_surer_one(name: str, tmp_path: Path) -> None:
    size = (30, 30)
    frame = frame_of(0, {1: box_mask(size, 0, 0, 20, 20), 2: box_mask(size, 15, 15, 22, 22)}, size)
    write_all(name, tmp_path / SUFFIXES[name], [frame])
    if name not in FEW:
        assert_same(name, tmp_path / SUFFIXES[name], [frame])
        return
    found = read_all(name, tmp_path / SUFFIXES[name])[0]
    assert not (found[1] & found[2]).any()
    np.testing.assert_array_equal(found[1] | found[2], frame.objects[1].mask | frame.objects[2].mask)
    assert found[1][16, 16], "there the larger object's edge is farther"


@pytest.mark.parametrize("name", [name for name in HOLDING if name not in (*FEW, "labelme")])
def test_names_are_kept(name: str, tmp_path: Path) -> None:
    size = (4, 5)
    names = ["dog", 7, "7", "a/b", "..", ".hidden", "犬", "50%", " x ", 'q:"*?', "-3", -3]
    frame = frame_of(0, {key: box_mask(size, 0, 0, 1 + k % 4, 1 + k % 5) for k, key in enumerate(names)}, size)
    write_all(name, tmp_path / SUFFIXES[name], [frame])
    assert_same(name, tmp_path / SUFFIXES[name], [frame])


@pytest.mark.parametrize("name", NAMES)
def test_another_size_and_writing_outside_are_named(name: str, tmp_path: Path) -> None:
    path = tmp_path / SUFFIXES[name]
    outside = writer(name, path, size=(6, 8), rate=RATE)
    with pytest.raises(FormatError, match="is not open; write inside"):
        outside.write(frame_of(0, {}, (6, 8)))
    with (
        pytest.raises(FormatError, match=r"frame 3 has the size \(8, 6\); .* was opened for .*\(6, 8\)"),
        writer(name, path, size=(6, 8), rate=RATE) as sink,
    ):
        sink.write(frame_of(3, {}, (8, 6)))


@pytest.mark.parametrize("name", [name for name in NAMES if formats()[name].video])
def test_a_missing_folder_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(
        FormatError, match=r"gone.a\..* cannot be written: No such file .*; give a path in a folder that"
    ):
        write_all(name, tmp_path / "gone" / SUFFIXES[name], [frame_of(0, {}, (6, 8))])


@pytest.mark.parametrize("name", NAMES)
def test_an_exception_leaves_what_was_there(name: str, tmp_path: Path) -> None:
    path = tmp_path / SUFFIXES[name]
    folder = not find_format(name).video
    if not folder:
        path.write_text("old")

    def broken_run() -> None:
        with writer(name, path, size=(6, 8), rate=RATE) as sink:
            sink.write(frame_of(0, {1: box_mask((6, 8), 1, 1, 3, 3)}, (6, 8)))
            raise KeyError

    with pytest.raises(KeyError):
        broken_run()
    assert list(tmp_path.iterdir()) == [path]
    if folder:
        assert len(list(path.rglob("00000.*"))) == 1
    else:
        assert path.read_text() == "old"


def noise(size: tuple[int, int]) -> Iterator[PlainFrame]:
    generator = np.random.default_rng(0)
    for frame in range(30):
        mask: NDArray[np.bool_] = generator.random(size) > 0.5
        yield frame_of(frame, {1: mask}, size)


@pytest.mark.parametrize("name", NAMES)
def test_a_full_disk_is_named_and_leaves_no_half_file(
    name: str, tmp_path: Path, full_disk: AbstractContextManager[None]
) -> None:
    path = tmp_path / SUFFIXES[name]
    frames = list(noise((64, 64)))
    with full_disk, pytest.raises(FormatError, match=r"cannot be written: .*; give a path in a folder that"):
        write_all(name, path, frames)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


@pytest.mark.parametrize("name", ["coco", "ytvis", "sav", "mots", "project", "davis", "objects", "rgba"])
def test_no_space_left_is_said_in_the_systems_words(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(FormatError, match="cannot be written: No space left on device; give a path"):
        write_all(name, tmp_path / SUFFIXES[name], [frame_of(0, {1: box_mask((6, 8), 1, 1, 3, 3)}, (6, 8))])
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.formats.conftest import RATE, box_mask, frame_of
from masklet.formats.registry import writer
name, path = sys.argv[1:]
with writer(name, path, size=(48, 64), rate=RATE) as sink:
    for frame in range(5):
        sink.write(frame_of(frame, {1: box_mask((48, 64), 1, 1, 30, 30)}, (48, 64)))
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize("name", ["coco", "davis", "overlay", "project"])
def test_a_kill_leaves_nothing_half_written_under_its_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / SUFFIXES[name]
    run = subprocess.run([sys.executable, "-c", KILLED, name, str(path)], capture_output=True, check=False)
    assert run.returncode == -signal.SIGKILL, run.stderr.decode()
    if name == "davis":
        assert sorted(read_all(name, path)) == [0, 1, 2, 3, 4]
    else:
        assert not path.exists()
        write_all(name, path, [frame_of(0, {}, (48, 64))])
        assert path.exists()


@pytest.mark.parametrize("name", FILMS)
def test_films_want_their_frames_in_order_and_with_pictures(name: str, tmp_path: Path) -> None:
    backwards = [frame_of(k, {}, (16, 16)) for k in (5, 4)]
    with pytest.raises(FormatError, match=r"a film is written in the order of its frames: write a project first"):
        write_all(name, tmp_path / SUFFIXES[name], backwards)
    blind = PlainFrame(0, 0.0, (16, 16), {}, {})
    with pytest.raises(FormatError, match="frame 0 comes without its picture"):
        write_all(name, tmp_path / SUFFIXES[name], [blind])
    assert list(tmp_path.iterdir()) == []
