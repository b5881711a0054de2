from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from masklet.errors import MediaError
from masklet.media.video_file import VideoFile


def shade(frame: int) -> int:
    """The grey of a frame's lower half, by which it is known again."""
    return 20 + 8 * frame


def picture(frame: int, height: int = 48, width: int = 64) -> NDArray[np.uint8]:
    """Red top-left, green top-right corner; the rest has the frame's shade, with noise that fills the file."""
    image = np.full((height, width, 3), shade(frame), np.uint8)
    image[: height // 4] = np.random.default_rng(frame).integers(0, 255, (height // 4, width, 3))
    image[:12, :12], image[:12, -12:] = (255, 0, 0), (0, 255, 0)
    return image


def write_video(
    path: Path,
    frames: int = 24,
    *,
    size: tuple[int, int] = (48, 64),
    codec: str = "libx264",
    options: Mapping[str, str] | None = None,
    turn: tuple[float, bool] | None = None,
) -> Path:
    height, width = size
    with av.open(str(path), "w", options=dict(options or {})) as container:
        stream = container.add_stream(codec, rate=Fraction(24), options={"crf": "4", "g": "6"})
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv444p" if height % 2 or width % 2 else "yuv420p"
        if turn:
            if not hasattr(stream, "set_display_rotation"):
                pytest.skip("this PyAV cannot write a display rotation (it needs 15 or later, hence Python 3.11)")
            stream.set_display_rotation(turn[0], hflip=turn[1])
        for frame in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(frame, height, width), format="rgb24")))
        container.mux(stream.encode(None))
    return path


def cut(path: Path, share: float) -> Path:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return path


def near(image: NDArray[np.uint8], y: int, x: int, expected: tuple[int, int, int]) -> bool:
    return bool((np.abs(image[y, x].astype(int) - expected) < 12).all())


TIMES = {".mp4": 1e-6, ".mkv": 1e-3}
"""How exact the times of a kind of file are: MKV counts in milliseconds."""


@pytest.mark.parametrize("suffix", TIMES)  # MKV has no count, which is estimated
def test_every_frame_comes_in_order_and_again(tmp_path: Path, suffix: str) -> None:
    with VideoFile(write_video(tmp_path / f"clip{suffix}")) as source:
        assert (source.size, source.rate, source.frame_count, source.frame_count_exact) == ((48, 64), 24.0, 24, False)
        for _ in range(2):
            frames = list(source)
            assert [frame.index for frame in frames] == list(range(24))
            np.testing.assert_allclose([frame.time for frame in frames], np.arange(24) / 24, atol=TIMES[suffix])
            np.testing.assert_allclose([f.image[40, 30, 0] for f in frames], [shade(f) for f in range(24)], atol=3)
            assert source.ended_early is None
    assert frames[0].image.dtype == np.uint8
    assert near(frames[0].image, 4, 4, (255, 0, 0))


@pytest.mark.parametrize("size", [(47, 63), (48, 63), (47, 64), (33, 35)])
def test_odd_sizes_keep_every_pixel(tmp_path: Path, size: tuple[int, int]) -> None:
    source = VideoFile(write_video(tmp_path / "odd.mp4", 2, size=size))
    assert source.size == size
    image = next(iter(source)).image
    assert image.shape == (*size, 3)
    assert near(image, 4, size[1] - 4, (0, 255, 0))


@pytest.mark.parametrize(
    ("turn", "size", "red", "green"),
    [
        ((90, False), (64, 48), "bottom left", "top left"),  # counter-clockwise
        ((-90, False), (64, 48), "top right", "bottom right"),  # a phone that is held upright
        ((180, False), (48, 64), "bottom right", "bottom left"),
        ((0, True), (48, 64), "top right", "top left"),  # a mirrored front camera
    ],
)
def test_rotation_is_honoured(
    tmp_path: Path, turn: tuple[float, bool], size: tuple[int, int], red: str, green: str
) -> None:
    source = VideoFile(write_video(tmp_path / "phone.mp4", 2, turn=turn))
    image = next(iter(source)).image
    assert source.size == image.shape[:2] == size
    assert image.flags.c_contiguous
    places = {"top": 4, "bottom": size[0] - 5, "left": 4, "right": size[1] - 5}
    for color, place in (((255, 0, 0), red), ((0, 255, 0), green)):
        y, x = (places[word] for word in place.split())
        assert near(image, y, x, color)


@pytest.mark.parametrize(
    ("name", "options"), [("cut.mp4", {"movflags": "+faststart"}), ("cut.mkv", {}), ("cut.avi", {})]
)
def test_cut_file_gives_what_there_is_and_says_so(tmp_path: Path, name: str, options: dict[str, str]) -> None:
    source = VideoFile(cut(write_video(tmp_path / name, options=options), 0.6))
    frames = list(source)
    assert 6 < len(frames) < 20
    np.testing.assert_allclose([f.image[40, 30, 0] for f in frames], [shade(f.index) for f in frames], atol=3)
    assert source.ended_early is not None
    assert source.ended_early.startswith(f"{name} breaks off after frame {frames[-1].index} (")


def test_file_with_its_index_cut_off_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"cut\.mp4 is not a video that can be decoded"):
        VideoFile(cut(write_video(tmp_path / "cut.mp4"), 0.6))


def test_file_without_a_frame_is_named(tmp_path: Path) -> None:
    path = write_video(tmp_path / "head.mp4", options={"movflags": "+faststart"})
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"mdat") + 8])
    with pytest.raises(MediaError, match=r"head\.mp4 holds no frame that can be decoded"):
        VideoFile(path)


@pytest.mark.parametrize(("name", "content"), [("a.mp4", "hello\n" * 50), ("a.mp4", ""), ("a.txt", "hello\n" * 200)])
def test_text_is_no_video(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(MediaError, match=rf"^{name} is not a video that can be decoded: .+; give a file such as"):
        VideoFile(tmp_path / name)
    with pytest.raises(MediaError, match=r"there is no file at .*gone\.mp4"):
        VideoFile(tmp_path / "gone.mp4")


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "song.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    with pytest.raises(MediaError, match=r"song\.wav holds audio streams but no video; give"):
        VideoFile(tmp_path / "song.wav")


def test_a_codec_that_nothing_decodes_is_told(tmp_path: Path) -> None:
    path = write_video(tmp_path / "odd.mkv", 3)
    path.write_bytes(path.read_bytes().replace(b"V_MPEG4/ISO/AVC", b"V_QUUX7/ISO/AVC"))
    with pytest.raises(MediaError, match=r"odd\.mkv has a codec that this build of FFmpeg cannot decode; convert it"):
        VideoFile(path)


def test_a_video_of_one_frame(tmp_path: Path) -> None:
    with VideoFile(write_video(tmp_path / "one.mp4", 1)) as source:
        assert [(frame.index, frame.time) for frame in source] == [(0, 0.0)]
        assert len(source) == 1
        assert source.read(0).index == 0
        with pytest.raises(MediaError, match="there is no frame 1; the video has 1 frame, counted from 0"):
            source.read(1)


def test_a_frame_behind_a_cut_is_named(tmp_path: Path) -> None:
    source = VideoFile(cut(write_video(tmp_path / "cut.mp4", options={"movflags": "+faststart"}), 0.6))
    with pytest.raises(MediaError, match=r"there is no frame 23; .* has \d+ frames.* breaks"):
        source.read(23)


def test_a_closed_video_is_not_read(tmp_path: Path) -> None:
    source = VideoFile(write_video(tmp_path / "clip.mp4", 6))
    frames = iter(source)
    next(frames)
    source.read(3)
    source.close()
    assert list(frames) == []
    for use in (lambda: source.read(3), lambda: source.timestamps, lambda: next(iter(source))):
        with pytest.raises(MediaError, match=r"clip\.mp4 was closed; open it again"):
            use()


def test_reading_and_iterating_at_once(tmp_path: Path) -> None:
    with VideoFile(write_video(tmp_path / "clip.mp4")) as source:
        for frame in source:
            other = source.read(23 - frame.index)
            assert abs(int(other.image[40, 30, 0]) - shade(23 - frame.index)) <= 3
