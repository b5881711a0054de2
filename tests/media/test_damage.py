"""Damaged files: what can be read is read, under its own number, and nothing but MediaError is raised."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masklet.errors import MediaError
from masklet.media.video_file import VideoFile
from tests.media.clips import Clip, write_clip


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Whole files, by their suffix."""
    folder = tmp_path_factory.mktemp("whole")
    clips = [
        Clip(".mp4", count=40),
        Clip(".mkv", count=40),
        Clip(".ts", count=40),
        Clip(".avi", "mpeg4", {"g": "12"}, count=40),
    ]
    return {clip.suffix: write_clip(folder / f"clip{clip.suffix}", clip).read_bytes() for clip in clips}


def test_frames_behind_damage_keep_their_numbers(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", Clip(".mp4", "mpeg4", {"g": "12"}))
    with VideoFile(path) as source:
        whole = list(source)
    data = bytearray(path.read_bytes())
    place = int(len(data) * 0.6)
    data[place : place + 300] = np.random.default_rng(2).integers(0, 255, 300, np.uint8).tobytes()
    path.write_bytes(data)
    with VideoFile(path) as source, VideoFile(path) as other:
        frames = list(source)
        assert [frame.index for frame in frames] == list(range(80))
        assert source.ended_early is None
        assert source.lost
        for frame in source.lost:
            np.testing.assert_array_equal(frames[frame].image, frames[frame - 1].image)
        for frame in (0, 10, 65, 79):  # before the damaged group of pictures, and behind it
            np.testing.assert_array_equal(frames[frame].image, whole[frame].image)
        for frame in (79, 65, *source.lost, 33, 60):
            np.testing.assert_array_equal(other.read(frame).image, frames[frame].image, err_msg=str(frame))
        np.testing.assert_allclose([frame.time for frame in whole], source.timestamps, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(
    suffix=st.sampled_from([".mp4", ".mkv", ".ts", ".avi"]),
    where=st.floats(0, 1, exclude_max=True),
    junk=st.none() | st.binary(min_size=1, max_size=40),
)
def test_whatever_the_damage_only_media_errors_are_raised(
    suffix: str, where: float, junk: bytes | None, files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The file is cut, or some bytes of it become junk."""
    content = bytearray(files[suffix])
    place = int(where * len(content))
    content[place : len(content) if junk is None else place + len(junk)] = junk or b""
    path = tmp_path_factory.mktemp("damaged") / f"clip{suffix}"
    path.write_bytes(content)
    with suppress(MediaError), VideoFile(path) as source:
        frames = list(source.frames(stop=60))
        assert [frame.index for frame in frames] == list(range(len(frames)))
        for frame in (len(frames) - 1, 35, 2):
            assert source.read(frame).image.shape[:2] == source.size


def test_titles_in_another_encoding_do_no_harm(tmp_path: Path, files: dict[str, bytes]) -> None:
    assert b"Lavf" in files[".avi"]
    (tmp_path / "old.avi").write_bytes(files[".avi"].replace(b"Lavf", b"L\xe4vf"))
    with VideoFile(tmp_path / "old.avi") as source:
        assert source.read(39).index == 39
