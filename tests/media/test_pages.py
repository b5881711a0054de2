from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from masklet.errors import MediaError
from masklet.media.image_file import PagedImage
from masklet.media.source import open_video

TIMED: dict[str, Any] = {"duration": [40, 80, 120, 0, 50]}


def save(path: Path, count: int = 5, **options: Any) -> Path:
    pages = [Image.fromarray(np.full((20, 30, 3), 50 * page, np.uint8)) for page in range(count)]
    for page in pages:  # so that no two are alike, and encoders don't drop one
        page.putpixel((1, 1), (255, 0, 0))
    pages[0].save(path, save_all=True, append_images=pages[1:], **options)
    return path


@pytest.mark.parametrize(("name", "options"), [
    ("a.gif", TIMED), ("a.png", TIMED), ("a.webp", {**TIMED, "lossless": True}), ("a.tif", {}),
    ("a.tiff", {"compression": "tiff_lzw"}),
])  # fmt: skip
def test_pages_are_frames_in_any_order(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    with PagedImage(save(tmp_path / name, **options)) as source:
        assert (source.size, len(source), source.frame_count_exact) == ((20, 30), 5, True)
        frames = list(source)
        assert [int(frame.image[9, 9, 0]) for frame in frames] == [0, 50, 100, 150, 200]
        order = [*range(5)] * 3
        random.Random(0).shuffle(order)
        for page in order:
            found = source.read(page)
            assert (found.index, found.time) == (page, frames[page].time)
            np.testing.assert_array_equal(found.image, frames[page].image)
        assert [frame.index for frame in source.frames(3)] == [3, 4]


def test_durations_give_the_times(tmp_path: Path) -> None:
    with PagedImage(save(tmp_path / "a.gif", **TIMED)) as source:
        assert source.rate == 25
        np.testing.assert_allclose(source.timestamps, [0, 0.04, 0.12, 0.24, 0.34])  # 0 ms are shown for 100
        np.testing.assert_allclose([frame.time for frame in source], source.timestamps)


def test_an_animated_avif_gives_all_frames_with_their_times(tmp_path: Path) -> None:
    with open_video(save(tmp_path / "a.avif", duration=[40, 80, 120, 40, 50], quality=90)) as source:
        frames = list(source)
        np.testing.assert_allclose([frame.image[9, 9, 0] for frame in frames], [0, 50, 100, 150, 200], atol=4)
        np.testing.assert_allclose([frame.time for frame in frames], [0, 0.04, 0.12, 0.24, 0.28])
        np.testing.assert_array_equal(source.read(1).image, frames[1].image)


def test_the_still_of_an_animated_png_is_no_frame(tmp_path: Path) -> None:
    with open_video(save(tmp_path / "a.png", default_image=True, duration=40)) as source:
        frames = list(source)
        assert [int(frame.image[9, 9, 0]) for frame in frames] == [50, 100, 150, 200]
        np.testing.assert_allclose([frame.time for frame in frames], [0, 0.04, 0.08, 0.12])
        assert (source.rate, source.frame_count) == (25, 4)
        assert [int(source.read(frame).image[9, 9, 0]) for frame in (3, 0, 2)] == [200, 50, 150]


def test_one_picture_is_a_video_of_one_frame(tmp_path: Path) -> None:
    Image.new("RGB", (6, 4)).save(tmp_path / "a.jpg")
    with PagedImage(tmp_path / "a.jpg") as source:
        assert (len(source), source.rate, source.read(0).image.shape) == (1, None, (4, 6, 3))
        with pytest.raises(MediaError, match="there is no frame 1; the video has 1 frame, counted from 0"):
            source.read(1)


def test_pages_of_two_sizes_are_named(tmp_path: Path) -> None:
    Image.new("RGB", (6, 4)).save(tmp_path / "a.tif", save_all=True, append_images=[Image.new("RGB", (6, 5))])
    with (
        PagedImage(tmp_path / "a.tif") as source,
        pytest.raises(MediaError, match=r"page 1 of a\.tif is 6 x 5 .* 6 x 4"),
    ):
        list(source)


def test_cut_file_is_named(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pages = [Image.fromarray(rng.integers(0, 255, (40, 40, 3), np.uint8)) for _ in range(6)]
    pages[0].save(tmp_path / "cut.gif", save_all=True, append_images=pages[1:])
    data = (tmp_path / "cut.gif").read_bytes()
    (tmp_path / "cut.gif").write_bytes(data[: int(len(data) * 0.7)])
    with (
        pytest.raises(MediaError, match=r"cut\.gif cannot be read as a picture"),
        PagedImage(tmp_path / "cut.gif") as s,
    ):
        list(s)


def test_closing_ends_what_is_under_way(tmp_path: Path) -> None:
    source = PagedImage(save(tmp_path / "a.gif", **TIMED))
    frames = iter(source)
    next(frames)
    source.close()
    assert list(frames) == []
    with pytest.raises(MediaError, match=r"a\.gif was closed; open it again"):
        source.read(0)
