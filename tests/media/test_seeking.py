"""Random access: frame n is the n-th frame of a pass from the start, in every container and for every codec."""

from __future__ import annotations

import functools
import itertools
from pathlib import Path

import numpy as np
import pytest
from av.codec.codec import Codec, UnknownCodecError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from masklet.errors import MediaError
from masklet.media.source import Frame
from masklet.media.video_file import VideoFile
from tests.media.clips import Clip, write_clip

IRREGULAR = list(itertools.accumulate(itertools.islice(itertools.cycle([20, 33, 40, 100, 250, 7]), 79), initial=0))
REPEATED = [time - time % 50 for time in IRREGULAR]
GOPS = {"g": "12", "bf": "3"}

CLIPS = {
    "h264 in mp4": Clip(".mp4"),
    "h264 in mov, one key": Clip(".mov", options={"g": "250", "bf": "3"}),
    "h264 in mkv, open gops": Clip(".mkv", options={"x264-params": "open-gop=1:keyint=12:bframes=3"}),
    "h264 in mkv, intra refresh": Clip(".mkv", options={"x264-params": "intra-refresh=1:keyint=12"}),
    "h264 in ts": Clip(".ts"),
    "h264 without container": Clip(".h264"),
    "h264 in avi, whose times are wrong": Clip(".avi"),
    "mpeg4 in mp4": Clip(".mp4", "mpeg4", {"g": "12", "bf": "2"}),
    "mpeg2 in mpg": Clip(".mpg", "mpeg2video", {"g": "12", "bf": "2"}),
    "vp8 in webm, hidden frames": Clip(
        ".webm", "libvpx", {"g": "20", "auto-alt-ref": "1", "lag-in-frames": "16", "b": "100k", "cpu-used": "8"}
    ),
    "vp9 in webm": Clip(".webm", "libvpx-vp9", {"g": "20", "cpu-used": "8", "deadline": "realtime"}),
    "variable rate in mp4": Clip(".mp4", options=GOPS, pts=IRREGULAR),
    "variable rate in mkv": Clip(".mkv", options=GOPS, pts=IRREGULAR),
    "equal times in mkv": Clip(".mkv", options=GOPS, pts=REPEATED),
    "negative start in mkv": Clip(".mkv", options=GOPS, pts=[40 * i - 200 for i in range(80)]),
}
WITHOUT_TIMES = {"h264 without container", "h264 in avi, whose times are wrong"}


@functools.cache
def clip(name: str, folder: Path) -> tuple[Path, list[Frame]]:
    """The file, and all frames of one pass."""
    try:
        Codec(CLIPS[name].codec, "w")
    except UnknownCodecError:
        pytest.skip(f"this build of FFmpeg has no encoder {CLIPS[name].codec}")
    path = write_clip(folder / f"{name}{CLIPS[name].suffix}", CLIPS[name])
    with VideoFile(path) as source:
        return path, list(source)


def same(found: Frame, expected: Frame) -> bool:
    return (
        found.index == expected.index
        and abs(found.time - expected.time) < 1e-9
        and np.array_equal(found.image, expected.image)
    )


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


@pytest.mark.parametrize("name", CLIPS)
def test_any_order_gives_the_frames_of_a_pass(name: str, folder: Path) -> None:
    path, expected = clip(name, folder)
    assert len(expected) == 80
    with VideoFile(path) as source:
        for frame in [79, 50, 3, 0, 40, 39, 38, 41, 78, 12, 11, 60]:
            assert same(source.read(frame), expected[frame]), frame
        assert (source.timestamps is not None) == (name not in WITHOUT_TIMES)
        assert [frame.index for frame in source.frames(77)] == [77, 78, 79]
        assert all(same(frame, expected[frame.index]) for frame in source.frames(35, 39))
        if source.timestamps is not None:
            assert len(source) == source.frame_count == 80
            np.testing.assert_allclose(source.timestamps, [frame.time for frame in expected], atol=1e-9)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(["h264 in mp4", "variable rate in mkv", "mpeg2 in mpg"]), data=st.data())
def test_any_reads_give_the_frames_of_a_pass(name: str, data: st.DataObject, folder: Path) -> None:
    path, expected = clip(name, folder)
    order = data.draw(st.lists(st.integers(0, 79), max_size=8))
    with VideoFile(path) as source:
        for frame in order:
            assert same(source.read(frame), expected[frame]), order


def test_all_frames_backward(folder: Path) -> None:
    path, expected = clip("h264 in mov, one key", folder)
    with VideoFile(path) as source:
        assert all(same(source.read(frame), expected[frame]) for frame in reversed(range(80)))


def test_times_of_a_variable_rate_are_kept(folder: Path) -> None:
    _, frames = clip("variable rate in mp4", folder)
    np.testing.assert_allclose([frame.time for frame in frames], np.array(IRREGULAR) / 1000, atol=1e-6)


@pytest.mark.parametrize(("frame", "message"), [
    (80, r"there is no frame 80; the video has 80 frames, counted from 0"),
    (10**6, r"there is no frame 1000000; the video has 80 frames"),
    (-1, r"frame is -1; frames are counted from 0"),
])  # fmt: skip
def test_frame_that_is_not_there_is_named(frame: int, message: str, folder: Path) -> None:
    with VideoFile(clip("h264 in mp4", folder)[0]) as source, pytest.raises(MediaError, match=message):
        source.read(frame)


def test_ranges_end_where_the_video_ends(folder: Path) -> None:
    with VideoFile(clip("h264 in mp4", folder)[0]) as source:
        assert [frame.index for frame in source.frames(78, 100)] == [78, 79]
        assert list(source.frames(80)) == list(source.frames(500)) == list(source.frames(5, 5)) == []
        assert source.ended_early is None
        with pytest.raises(MediaError, match="start is -1; frames are counted from 0"):
            source.frames(-1)


def test_a_pass_needs_no_index(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, expected = clip("h264 in mp4", folder)
    monkeypatch.setattr("masklet.media.video_file.build_index", None)
    with VideoFile(path) as source:
        assert all(same(source.read(frame.index), frame) for frame in expected[:31])
        assert len(list(source)) == 80


def test_length_of_a_video_without_times_is_not_guessed(folder: Path) -> None:
    with VideoFile(clip("h264 without container", folder)[0]) as source:
        with pytest.raises(TypeError, match="is not known before they are all read"):
            len(source)
        assert source.timestamps is None
        assert len(list(source)) == 80
        assert len(source) == 80


def test_a_cut_video_is_read_up_to_the_cut(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "cut.mkv", Clip(".mkv"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with VideoFile(path) as source:
        expected = list(source)
        assert source.ended_early is not None
        assert f"cut.mkv breaks off after frame {len(expected) - 1} (" in source.ended_early
        assert 10 < len(expected) < 70
        assert same(source.read(len(expected) - 1), expected[-1])
        with pytest.raises(MediaError, match=rf"there is no frame 79; the video has {len(expected)} frames"):
            source.read(79)
