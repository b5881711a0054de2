from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from masklet.errors import MediaError
from masklet.media.frames import ArrayFrames, IteratorFrames


def stack(count: int = 5) -> NDArray[np.uint8]:
    return np.arange(count * 4 * 6 * 3, dtype=np.uint8).reshape(count, 4, 6, 3)


@pytest.mark.parametrize("make", [lambda: stack(), lambda: list(stack()), lambda: tuple(stack())])
def test_frames_in_memory(make: object) -> None:
    with ArrayFrames(make()) as source:  # type: ignore[operator]
        source.rate = 10  # whoever knows it says so
        assert (source.size, source.rate, source.frame_count, len(source)) == ((4, 6), 10, 5, 5)
        assert source.seekable
        assert [(frame.index, frame.time) for frame in source] == [(i, i / 10) for i in range(5)]
        for frame in (3, 0, 4):
            np.testing.assert_array_equal(source.read(frame).image, stack()[frame])
        assert [frame.index for frame in source.frames(2, 9)] == [2, 3, 4]
        np.testing.assert_allclose(source.timestamps, np.arange(5) / 10)


def test_grey_becomes_rgb_and_transparency_is_dropped() -> None:
    grey = stack()[0, :, :, 0]
    for array in (grey, grey[..., None], np.dstack([grey, grey, grey, grey * 0])):
        image = ArrayFrames([array]).read(0).image
        np.testing.assert_array_equal(image, np.dstack([grey] * 3))
        assert image.flags.c_contiguous
    assert ArrayFrames(stack()[..., 0]).read(2).image.shape == (4, 6, 3)


def test_floats_and_16_bits_become_8() -> None:
    levels = stack()[0]
    for array in (levels / 255, levels.astype(np.uint16) << 8):
        np.testing.assert_array_equal(ArrayFrames([array]).read(0).image, levels)


@pytest.mark.parametrize(("arrays", "message"), [
    ([], "the list of frames is empty"),
    ([np.zeros((4, 6, 3), np.int64)], r"frame 0 holds values of type int64; give uint8 from 0 to 255, or floats"),
    ([np.full((4, 6, 3), 2.0)], r"frame 0 holds floats from 2 to 2; give floats from 0 to 1, or uint8"),
    ([np.zeros((4, 6, 2), np.uint8)], r"frame 0 has the shape \(4, 6, 2\); give \(H, W, 3\)"),
    ([np.zeros((0, 6, 3), np.uint8)], "frame 0 is 6 wide and 0 high; give one with at least one pixel"),
    (np.zeros((4, 6, 3), np.uint8), r"an array of shape \(4, 6, 3\) is a picture, not a video; give \(T, H, W, 3\)"),
    (np.zeros(6, np.uint8), r"an array of shape \(6,\) is not a video"),
])  # fmt: skip
def test_what_is_no_video_is_named(arrays: object, message: str) -> None:
    with pytest.raises(MediaError, match=message):
        ArrayFrames(arrays)  # type: ignore[arg-type]


def test_frames_of_two_sizes_are_named() -> None:
    source = ArrayFrames([np.zeros((4, 6, 3), np.uint8), np.zeros((5, 6, 3), np.uint8)])
    with pytest.raises(MediaError, match="frame 1 is 6 x 5 pixels, but frame 0 is 6 x 4"):
        list(source)


@pytest.mark.parametrize(
    ("frame", "message"), [(5, "there is no frame 5; the video has 5 frames"), (-1, "frame is -1")]
)
def test_frame_that_is_not_there_is_named(frame: int, message: str) -> None:
    with pytest.raises(MediaError, match=message):
        ArrayFrames(stack()).read(frame)


def test_an_iterable_is_read_once() -> None:
    source = IteratorFrames(iter(stack()))
    assert (source.size, source.frame_count, source.seekable, source.timestamps) == ((4, 6), None, False, None)
    first = [frame.index for frame in source.frames(stop=2)]
    rest = list(source.frames(3))
    assert (first, [frame.index for frame in rest]) == ([0, 1], [3, 4])
    np.testing.assert_array_equal(rest[0].image, stack()[3])
    assert (source.frame_count, source.frame_count_exact) == (5, True)
    with pytest.raises(MediaError, match="come once, in order; give a list"):
        source.read(0)
    with pytest.raises(MediaError, match="frame 2 has been given out"):
        source.frames(2)


def test_a_maker_may_use_its_array_again() -> None:
    def make() -> Iterator[NDArray[np.uint8]]:
        array = np.zeros((4, 6, 3), np.uint8)
        for value in range(3):
            array[:] = value
            yield array

    assert [int(frame.image[0, 0, 0]) for frame in list(IteratorFrames(make()))] == [0, 1, 2]


def test_an_empty_iterable_is_named() -> None:
    with pytest.raises(MediaError, match="the iterable of frames is empty"):
        IteratorFrames([])
    source = IteratorFrames([stack()[0], None])
    with pytest.raises(MediaError, match=r"frame 1 has the shape \(\)"):  # None is no end
        list(source)
