"""Made-up videos with a sound whose place is known, and what is heard and seen of a film when."""

from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

BLIP = 1.0
"""Second of the source at which its tone begins."""


def source_with_sound(path: Path, codec: str, ticks: Collection[int] = range(48), timecode: str = "") -> Path:
    """Two seconds of video, silent until BLIP and a tone from there on.

    ticks     the 24th parts of a second at which there is a picture
    timecode  of the first frame, if it has one
    """
    with av.open(str(path), "w") as container:
        film: Any = container.add_stream("mpeg4", rate=24)
        film.width, film.height, film.pix_fmt = 64, 48, "yuv420p"
        if timecode:
            film.metadata["timecode"] = timecode
        sound: Any = container.add_stream(codec, rate=48000, layout="stereo")
        for frame in range(48):
            if frame in ticks:
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


def begin_of_tone(path: Path) -> float:
    """Second of a film at which its tone begins."""
    _, times, loudness = heard(path)
    return float(times[np.flatnonzero(loudness > 0.1)[0]])


def shown(path: Path) -> list[float]:
    """When a film shows its pictures, in seconds."""
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0) if frame.time is not None]
