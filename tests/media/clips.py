"""Made-up videos of every sort for the tests of readers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Clip:
    """How a video is encoded. `pts` in milliseconds, for a rate that varies; `first` of the pictures of `moving`."""

    suffix: str
    codec: str = "libx264"
    options: Mapping[str, str] = field(default_factory=lambda: {"g": "12", "bf": "3"})
    pts: Sequence[int] | None = None
    count: int = 80
    pix_fmt: str = "yuv420p"
    aspect: Fraction | None = None
    first: int = 0


def moving(frame: int, height: int = 48, width: int = 64) -> NDArray[np.uint8]:
    """A view that drifts over a landscape, so that encoders make use of B-frames; each frame differs."""
    land = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8).repeat(6, 0).repeat(6, 1)
    return np.ascontiguousarray(land[frame : frame + height, 2 * frame : 2 * frame + width])


def write_clip(path: Path, clip: Clip) -> Path:
    """Encode a clip of `moving` pictures."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(clip.codec, rate=Fraction(24), options=dict(clip.options))
        stream.width, stream.height, stream.pix_fmt = 64, 48, clip.pix_fmt
        if clip.aspect is not None:
            stream.codec_context.sample_aspect_ratio = clip.aspect
        if clip.pts is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for frame in range(clip.count):
            picture = av.VideoFrame.from_ndarray(moving(clip.first + frame), format="rgb24")
            if clip.pts is not None:
                picture.pts, picture.time_base = clip.pts[frame], Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def write_hidden_head(path: Path, hidden: int, count: int) -> Path:
    """An MP4 whose edit list hides the first frames, as cutting tools leave them that encode nothing anew."""
    whole = write_clip(path.with_name("whole.mp4"), Clip(".mp4", options={"g": "12", "bf": "0"}, count=count))
    with av.open(str(whole)) as source, av.open(str(path), "w", options={"avoid_negative_ts": "disabled"}) as target:
        pictures = source.streams.video[0]
        stream = target.add_stream_from_template(pictures)
        for packet in source.demux(pictures):
            if packet.pts is None or packet.dts is None:
                continue
            ticks = round(Fraction(hidden, 24) / packet.time_base)
            packet.pts, packet.dts, packet.stream = packet.pts - ticks, packet.dts - ticks, stream
            target.mux(packet)
    return path


def write_interlaced(path: Path, codec: str, options: Mapping[str, str], count: int = 40) -> Path:
    """A bar that moves from field to field, which looks like a comb where the fields are shown at once."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(25), options=dict(options))
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for frame in range(count):
            image = np.full((64, 96, 3), 40, np.uint8)
            for parity in (0, 1):
                left = (4 * frame + 2 * parity) % 76
                image[parity::2, left : left + 20] = 220
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def write_grey(path: Path, code: int, *, transfer: int, count: int = 2) -> Path:
    """10-bit video of BT.2020 with one grey, by its luma code."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(24), options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p10le"
        context = stream.codec_context
        context.color_trc, context.colorspace, context.color_primaries, context.color_range = transfer, 9, 9, 1
        for _ in range(count):
            picture = av.VideoFrame(64, 48, "yuv420p10le")
            for plane, value in zip(picture.planes, (code, 512, 512), strict=True):
                plane.update(np.full(plane.buffer_size // 2, value, np.uint16).tobytes())
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path
