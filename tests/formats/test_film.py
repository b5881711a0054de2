"""Films: their times and their sound, copied or encoded anew."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from masklet.errors import FormatError
from masklet.formats.base import PlainFrame
from masklet.formats.registry import writer
from tests.formats.conftest import RATE, SUFFIXES, box_mask, frame_of
from tests.formats.sounding import BLIP, heard, shown, source_with_sound

SIZE = (48, 64)


def results(start: int, stop: int) -> list[PlainFrame]:
    return [frame_of(frame, {1: box_mask(SIZE, 9, 9, 30, 40)}, SIZE) for frame in range(start, stop)]


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
    assert times[np.flatnonzero(loudness > 0.1)[0]] == pytest.approx(BLIP - start / RATE, abs=0.03)
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
