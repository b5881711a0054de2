"""Films: their times and their sound, copied or encoded anew."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from masklet.errors import FormatError
from masklet.formats.base import PlainFrame
from masklet.formats.registry import writer
from tests.formats.conftest import RATE, SUFFIXES, box_mask, frame_of

SIZE = (48, 64)
BLIP = 1.0
"""Second of the source at which its tone begins."""


def source_with_sound(path: Path, codec: str) -> Path:
    """Two seconds of video, silent until BLIP and a tone from there on."""
    with av.open(str(path), "w") as container:
        film: Any = container.add_stream("mpeg4", rate=24)
        film.width, film.height, film.pix_fmt = 64, 48, "yuv420p"
        sound: Any = container.add_stream(codec, rate=48000, layout="stereo")
        for frame in range(48):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 5 * frame, np.uint8), format="rgb24")
            picture.pts, picture.time_base = frame, Fraction(1, 24)
            container.mux(film.encode(picture.reformat(format="yuv420p")))
            times = (frame * 2000 + np.arange(2000)) / 48000
            tone = np.where(times >= BLIP, np.sin(2 * np.pi * 440 * times), 0) * 12000
            samples = np.repeat(tone.astype(np.int16), 2)[None]
            piece = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
            piece.sample_rate, piece.pts, piece.time_base = 48000, frame * 2000, Fraction(1, 48000)
            container.mux(sound.encode(piece))
        container.mux(film.encode(None))
        container.mux(sound.encode(None))
    return path


def results(start: int, stop: int) -> list[PlainFrame]:
    return [frame_of(frame, {1: box_mask(SIZE, 9, 9, 30, 40)}, SIZE) for frame in range(start, stop)]


def heard(path: Path) -> tuple[str, NDArray[np.float64], NDArray[np.float64]]:
    """The codec of a film's sound, times in seconds, and the loudness then."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=48000)
        times: list[NDArray[np.float64]] = []
        values: list[NDArray[np.float64]] = []
        for frame in container.decode(stream):
            for piece in resampler.resample(frame):
                data = piece.to_ndarray()[0].astype(np.float64)
                assert piece.time is not None
                times.append(piece.time + np.arange(len(data)) / 48000)
                values.append(np.abs(data))
        return stream.codec_context.name, np.concatenate(times), np.concatenate(values)


def write(name: str, path: Path, frames: list[PlainFrame], audio_from: Path | None, rate: float | None = RATE) -> None:
    with writer(name, path, size=SIZE, rate=rate, audio_from=audio_from) as sink:
        for frame in frames:
            sink.write(frame)


@pytest.mark.parametrize(
    ("name", "source", "codec", "kept"),
    [
        ("overlay", "s.mp4", "aac", "aac"),
        ("background", "s.mkv", "pcm_s16le", "aac"),
        ("prores", "s.mkv", "pcm_s16le", "pcm_s16le"),
        ("webm", "s.mp4", "aac", "opus"),
        ("webm", "s.mkv", "libopus", "opus"),
    ],
)
@pytest.mark.parametrize("start", [0, 12])
def test_the_sound_is_kept_and_in_time(
    name: str, source: str, codec: str, kept: str, start: int, tmp_path: Path
) -> None:
    path = tmp_path / SUFFIXES[name]
    write(name, path, results(start, 42), source_with_sound(tmp_path / source, codec))
    found, times, loudness = heard(path)
    assert found == kept
    begins = times[np.flatnonzero(loudness > 0.1)[0]]
    assert begins == pytest.approx(BLIP - start / RATE, abs=0.03)
    assert times[-1] == pytest.approx((42 - start) / RATE, abs=0.08)


def test_a_source_without_sound_gives_none(tmp_path: Path) -> None:
    write("overlay", tmp_path / "silent.mp4", results(0, 3), None)
    write("overlay", tmp_path / "a.mp4", results(0, 3), tmp_path / "silent.mp4")
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert len(container.streams.audio) == 0
        assert container.streams.video[0].frames == 3


@pytest.mark.parametrize("content", [None, b"hello"])
def test_sound_that_cannot_be_read_is_named(content: bytes | None, tmp_path: Path) -> None:
    source = tmp_path / "s.mp4"
    if content:
        source.write_bytes(content)
    with pytest.raises(FormatError, match=r"the sound of .*s\.mp4 cannot be read: .*; give the video's file, or no"):
        write("overlay", tmp_path / "a.mp4", results(0, 3), source)
    assert not (tmp_path / "a.mp4").exists()


def test_frames_that_were_left_out_leave_their_time(tmp_path: Path) -> None:
    write("overlay", tmp_path / "a.mp4", [*results(4, 6), *results(9, 10)], None)
    assert shown(tmp_path / "a.mp4") == pytest.approx([0, 1 / 24, 5 / 24])


def test_without_a_rate_frames_keep_their_own_times(tmp_path: Path) -> None:
    frames = [PlainFrame(k, time, SIZE, {}, {}, results(0, 1)[0].image) for k, time in enumerate((3.0, 3.01, 3.5))]
    for name in ("overlay", "prores", "webm"):
        write(name, tmp_path / SUFFIXES[name], frames, None, rate=None)
        assert shown(tmp_path / SUFFIXES[name]) == pytest.approx([0, 0.01, 0.5], abs=1e-3)


def shown(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0) if frame.time is not None]
