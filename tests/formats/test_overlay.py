from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from masklet.errors import FormatError
from masklet.formats import film
from masklet.formats.film import write_pictures
from masklet.media.video_file import VideoFile


def picture(frame: int, size: tuple[int, int] = (48, 64)) -> NDArray[np.uint8]:
    image = np.zeros((*size, 3), np.uint8)
    image[:] = (200, 40 + 10 * frame, 60)
    return image


def test_written_frames_come_back_in_their_colours(tmp_path: Path) -> None:
    path = tmp_path / "overlay.mp4"
    with write_pictures(path, (48, 64), 29.97002997) as write:
        for frame in range(10):
            write(picture(frame))
        assert not path.exists()
    source = VideoFile(path)
    assert (source.size, source.frame_count) == ((48, 64), 10)
    assert source.rate == pytest.approx(30000 / 1001)
    for frame in source:
        np.testing.assert_allclose(frame.image[20, 20], picture(frame.index)[0, 0], atol=4)
    assert list(tmp_path.iterdir()) == [path]
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"


@pytest.mark.parametrize("size", [(47, 64), (48, 63), (47, 63)])
def test_odd_sides_get_their_last_line_twice(tmp_path: Path, size: tuple[int, int]) -> None:
    with write_pictures(tmp_path / "odd.mp4", size, 24) as write:
        write(picture(0, size))
    source = VideoFile(tmp_path / "odd.mp4")
    assert source.size == (48, 64)
    np.testing.assert_allclose(next(iter(source)).image[47, 63], picture(0)[0, 0], atol=4)


def test_a_folder_in_the_files_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").mkdir()
    with (
        pytest.raises(FormatError, match=r"a\.mp4 cannot be written"),
        write_pictures(tmp_path / "a.mp4", (48, 64), 24) as write,
    ):
        write(picture(0))
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize("rate", [0, -1, float("nan")])
def test_a_rate_that_is_none_is_named(tmp_path: Path, rate: float) -> None:
    with (
        pytest.raises(FormatError, match=r"rate is .*; give frames a second"),
        write_pictures(tmp_path / "a.mp4", (48, 64), rate),
    ):
        pass


def test_without_h264_there_is_a_warning_and_a_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(film, "MP4_ENCODERS", {"no-such-encoder": {}, "mpeg4": {"qscale": "3"}})
    with (
        pytest.warns(UserWarning, match=r"no H\.264 encoder"),
        write_pictures(tmp_path / "a.mp4", (48, 64), 24) as write,
    ):
        write(picture(0))
    assert len(list(VideoFile(tmp_path / "a.mp4"))) == 1


def test_without_any_encoder_there_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(film, "MP4_ENCODERS", {"no-such-encoder": {}})
    with (
        pytest.raises(FormatError, match="none of the encoders no-such-encoder"),
        write_pictures(tmp_path / "a.mp4", (48, 64), 24),
    ):
        pass
    assert list(tmp_path.iterdir()) == []
