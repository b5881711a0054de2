"""What is shown of a decoded picture: square pixels, whole frames."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from masklet.media.video_file import VideoFile
from tests.media.clips import Clip, write_clip, write_interlaced

INTERLACED = {
    "i.mkv": ("libx264", {"x264-params": "tff=1:keyint=12:bframes=2"}),
    "i.mpg": ("mpeg2video", {"flags": "+ilme+ildct", "g": "12", "bf": "2"}),
}


@pytest.mark.parametrize(
    ("aspect", "size"), [(Fraction(16, 11), (48, 93)), (Fraction(8, 9), (54, 64)), (Fraction(1), (48, 64))]
)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_pixels_become_square(tmp_path: Path, suffix: str, aspect: Fraction, size: tuple[int, int]) -> None:
    with VideoFile(write_clip(tmp_path / f"dv{suffix}", Clip(suffix, count=3, aspect=aspect))) as source:
        assert source.size == source.read(1).image.shape[:2] == size


def comb(image: NDArray[np.uint8]) -> float:
    """How much each second row differs from those around it."""
    rows = image[:, :, 0].astype(int)
    return float(np.abs(2 * rows[1:-1:2] - rows[0:-2:2] - rows[2::2]).mean())


@pytest.mark.parametrize("name", INTERLACED)
def test_interlaced_frames_become_whole(tmp_path: Path, name: str) -> None:
    path = write_interlaced(tmp_path / name, *INTERLACED[name])
    with av.open(str(path)) as container:
        fields = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    with VideoFile(path) as source:
        frames = list(source)
        assert [frame.index for frame in frames] == list(range(len(fields)))
        assert comb(fields[20]) > 10
        assert comb(frames[20].image) < 1
        np.testing.assert_allclose([frame.time for frame in frames], np.arange(40) / 25, atol=1e-6)
        for frame in (36, 12, 35, 39, 0, 13, 34):  # keys too: their neighbours before are decoded for them
            np.testing.assert_array_equal(source.read(frame).image, frames[frame].image, err_msg=str(frame))
        for frame in source.frames(36):
            np.testing.assert_array_equal(frame.image, frames[frame.index].image)


def test_progressive_frames_are_not_touched(tmp_path: Path) -> None:
    path = write_interlaced(tmp_path / "p.mkv", "libx264", {"x264-params": "keyint=12"}, count=8)
    with VideoFile(path) as source:
        assert comb(source.read(5).image) > 10
