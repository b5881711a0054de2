"""Files whose times or headers mislead: frame n is still the n-th picture of a pass, and times never go back."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masklet.media.container import decoded
from masklet.media.frames import Frame
from masklet.media.video_file import VideoFile
from tests.media.clips import Clip, moving, write_clip, write_hidden_head

KINDS = {
    ".ts": Clip(".ts"),
    ".mpg": Clip(".mpg", "mpeg2video", {"g": "12", "bf": "2"}),
    ".mkv": Clip(".mkv"),
    ".avi": Clip(".avi", "mpeg4", {"g": "12"}),
    ".h264": Clip(".h264"),
}
"""Containers that may be put together byte by byte."""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("joined")


@functools.cache
def joined(folder: Path, suffix: str, later_first: bool) -> tuple[Path, list[Frame]]:
    """Two clips in one file, and all frames of one pass."""
    clip = KINDS[suffix]
    clips = [replace(clip, count=50), replace(clip, count=30, first=50)]
    parts = [write_clip(folder / f"part{number}{suffix}", part) for number, part in enumerate(clips)]
    path = folder / f"joined{later_first}{suffix}"
    path.write_bytes(b"".join(part.read_bytes() for part in (reversed(parts) if later_first else parts)))
    with VideoFile(path) as source:
        return path, list(source)


@pytest.mark.parametrize("suffix", KINDS)
def test_all_pictures_of_joined_files_come_in_their_order(suffix: str, folder: Path) -> None:
    _, frames = joined(folder, suffix, False)
    pictures = np.stack([moving(number) for number in range(80)]).astype(int)
    assert [int(np.abs(pictures - f.image).sum((1, 2, 3)).argmin()) for f in frames] == list(range(80))
    times = [frame.time for frame in frames]
    assert times == sorted(times)
    assert times[-1] == pytest.approx(79 / 24, abs=0.15)


@settings(max_examples=30, deadline=None)
@given(
    suffix=st.sampled_from(sorted(KINDS)),
    later_first=st.booleans(),
    order=st.lists(st.integers(0, 79), min_size=1, max_size=4),
    start=st.integers(0, 79),
)
def test_any_way_leads_to_the_same_picture(
    suffix: str, later_first: bool, order: list[int], start: int, folder: Path
) -> None:
    path, expected = joined(folder, suffix, later_first)
    with VideoFile(path) as source:
        for frame in order:
            found = source.read(frame)
            assert found.time == pytest.approx(expected[frame].time)
            np.testing.assert_array_equal(found.image, expected[frame].image)
        first = next(source.frames(start))
        np.testing.assert_array_equal(first.image, expected[start].image)
        assert source.ended_early is None


def test_frames_that_an_edit_list_hides_are_not_counted(tmp_path: Path) -> None:
    with VideoFile(write_hidden_head(tmp_path / "cut.mp4", hidden=6, count=48)) as source:
        assert (source.frame_count, source.frame_count_exact) == (48, False)
        assert len(source) == source.frame_count == len(list(source)) == 42
        assert source.frame_count_exact
        np.testing.assert_allclose(source.read(0).image.astype(int), moving(6), atol=60)


def test_a_pass_that_disagrees_with_an_index_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some decoders drop pictures without a word, which no index can know."""
    path = write_clip(tmp_path / "clip.mkv", Clip(".mkv"))

    def dropping(found: Any, stream: Any, faults: list[str]) -> Iterator[Any]:
        images = decoded(found, stream, faults)
        return itertools.chain(itertools.islice(images, 40), itertools.islice(images, 1, None))

    monkeypatch.setattr("masklet.media.video_file.decoded", dropping)
    with VideoFile(path) as source:
        expected = list(source)
        assert len(expected) == 79
        np.testing.assert_array_equal(source.read(70).image, expected[70].image)


@pytest.mark.parametrize("small_first", [True, False])
def test_of_two_streams_the_larger_one_is_read(small_first: bool, tmp_path: Path) -> None:
    sizes = [(32, 24), (64, 48)] if small_first else [(64, 48), (32, 24)]
    with av.open(str(tmp_path / "two.mkv"), "w") as container:
        streams = []
        for width, height in sizes:
            stream = container.add_stream("libx264", rate=24)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            streams.append(stream)
        for _ in range(5):
            for stream in streams:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(moving(0, stream.height, stream.width))))
        for stream in streams:
            container.mux(stream.encode(None))
    with VideoFile(tmp_path / "two.mkv") as source:
        assert (source.size, len(list(source))) == ((48, 64), 5)


@pytest.mark.parametrize("size", [(720, 1280), (480, 640)])
def test_colours_that_a_file_does_not_tell_are_those_of_its_size(size: tuple[int, int], tmp_path: Path) -> None:
    """As players do: BT.709 for high definition, BT.601 below."""
    height, width = size
    matrix = 1 if height > 576 else 6
    red = np.full((height, width, 3), (200, 40, 90), np.uint8)
    with av.open(str(tmp_path / "plain.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        picture = av.VideoFrame.from_ndarray(red).reformat(format="yuv420p", dst_colorspace=matrix, dst_color_range=1)
        container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    with VideoFile(tmp_path / "plain.mp4") as source:
        np.testing.assert_allclose(source.read(0).image[9, 9].astype(int), (200, 40, 90), atol=3)
