"""Frames into a video file: the common part of overlays, cut-outs and changed backgrounds."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.codec.codec import UnknownCodecError
from av.container import OutputContainer
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL import Image

from masklet.atomic import atomic_write, write_error
from masklet.errors import FormatError
from masklet.formats.base import Facts, FrameLike, Sink
from masklet.formats.numbered import frame_files
from masklet.formats.sound import Sound, SoundTrack, open_sound

BT709 = 1
"""The colours of high definition: the number of its matrix, primaries and transfer alike (ISO/IEC 23091-2)."""

FINE_CLOCK = Fraction(1, 90_000)
"""Seconds of a tick where frames keep their own times."""

SLOWEST, FASTEST = 0.01, 1000
"""Frames a second that a film may have. Of other rates, each frame keeps its own time."""

NOMINAL_RATE = 24
"""Frames a second for an encoder, if nothing gives a rate."""


@dataclass(frozen=True)
class FilmKind:
    """A kind of video file.

    container  FFmpeg's name of it
    encoders   encoders and their options, the best first; the first that this FFmpeg has is taken
    pixels     FFmpeg's name of the pixels in the file
    sound      what becomes of the sound
    even       True if both sides must be even: an odd one gets its last row or column twice
    metadata   of the video stream
    """

    container: str
    encoders: Mapping[str, Mapping[str, str]]
    pixels: str
    sound: SoundTrack
    even: bool = True
    metadata: Mapping[str, str] = field(default_factory=dict)

    def encoder(self) -> str:
        """The first encoder that this FFmpeg has. Raises FormatError if there is none."""
        for name in self.encoders:
            try:
                av.Codec(name, "w")
            except UnknownCodecError:
                continue
            return name
        names = ", ".join(self.encoders)
        raise FormatError(f"this build of FFmpeg has none of the encoders {names}; install PyAV with: pip install av")


class Film:
    """A video file while it is written; made by `open_film`."""

    def __init__(self, path: Path, container: OutputContainer, stream: VideoStream, kind: FilmKind) -> None:
        self.frame_count = 0
        self._path = path
        self._container = container
        self._stream = stream
        self._kind = kind
        self._tick = Fraction(0)
        self._last_ticks = -1
        self._frame_seconds = 0.0
        self._sound: Sound | None = None

    def write(self, image: NDArray[np.uint8], seconds: float, source_time: float = 0.0) -> None:
        """Append a frame.

        image        uint8 (H, W, 3) RGB, or (H, W, 4) with alpha that is not multiplied in
        seconds      when the film shows it; the first frame's is 0. A time that repeats or goes back becomes the next
                     tick after the last frame's
        source_time  of the first frame, in seconds of the source: there the sound begins
        """
        ticks = max(round(Fraction(seconds) / self._tick), self._last_ticks + 1)
        if self._sound:
            if self.frame_count == 0:
                self._sound.begin(source_time)
            self._sound.mux_until(seconds)
        height, width = image.shape[:2]
        if self._kind.even:
            image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        layout = "rgba" if image.shape[2] == 4 else "rgb24"
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format=layout).reformat(
            format=self._kind.pixels, dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        picture.pts, picture.time_base = ticks, self._tick
        self._container.mux(self._stream.encode(picture))
        self._frame_seconds = seconds
        self._last_ticks = ticks
        self.frame_count += 1

    def start(self, tick: Fraction, sound: Sound | None) -> None:
        """Open the file: what is wrong with the path shows now."""
        self._tick, self._sound = tick, sound
        self._container.start_encoding()

    def finish(self, frame_seconds: float) -> None:
        """Write what the encoder holds back, and the sound of the last frame. FormatError if no frame came."""
        if self.frame_count == 0:
            raise FormatError(f"no frame was written to {self._path}; a video needs one or more")
        self._container.mux(self._stream.encode(None))
        if self._sound:
            self._sound.mux_until(self._frame_seconds + frame_seconds)


@contextmanager
def open_film(
    path: Path, size: tuple[int, int], rate: float | Fraction | None, kind: FilmKind, audio_from: Path | None = None
) -> Iterator[Film]:
    """A film that appears under its name when the block ends cleanly; FFmpeg's errors leave it as FormatError."""
    if rate is not None and not rate > 0:
        raise FormatError(f"rate is {rate}; give frames a second, such as 24")
    steady = rate is not None and SLOWEST <= rate <= FASTEST
    exact = Fraction(rate).limit_denominator(1001) if rate and steady else None  # 29.97003 becomes 30000/1001
    with atomic_write(path) as temporary:
        try:
            with av.open(str(temporary), "w", format=kind.container) as container:
                stream = _add_stream(container, size, exact, kind)
                film = Film(path, container, stream, kind)
                with open_sound(audio_from, container, kind.sound) as sound:
                    film.start(1 / exact if exact else FINE_CLOCK, sound)
                    yield film
                    film.finish(float(1 / (exact or NOMINAL_RATE)))
        except av.FFmpegError as error:
            if isinstance(error, OSError):
                raise write_error(path, error) from error
            height, width = size
            raise FormatError(
                f"{path} cannot be made: the encoder takes no frames of {width} x {height} pixels at their times "
                f"({error.strerror}); leave it out, or take a format of pictures"
            ) from error


@contextmanager
def write_film(
    path: Path, facts: Facts, kind: FilmKind, draw: Callable[[FrameLike], NDArray[np.uint8]]
) -> Iterator[Sink]:
    """A sink that draws frames into a film, which begins with the first that comes. Frames come in their order.

    A frame is shown at the source's rate by its number; where frames don't come at a rate, at its own time. The sink
    raises FormatError for a frame that is not after the last one.
    """
    rate = facts.film_rate
    first: list[FrameLike] = []
    last = -1
    with open_film(path, facts.size, rate, kind, facts.audio_from) as film:

        def sink(result: FrameLike) -> None:
            nonlocal last
            if result.frame <= last:
                raise FormatError(
                    f"frame {result.frame} came after frame {last}; a film is written in the order of its frames: "
                    "write a project first, then convert it"
                )
            begin = first[0] if first else result
            first[:], last = [begin], result.frame
            seconds = result.time - begin.time
            if rate and SLOWEST <= rate <= FASTEST:
                seconds = float((result.frame - begin.frame) / Fraction(rate).limit_denominator(1001))
            film.write(draw(result), seconds, begin.time)

        yield sink


def film_or_png(
    path: Path, facts: Facts, kind: Callable[[], FilmKind], draw: Callable[[FrameLike], NDArray[np.uint8]]
) -> AbstractContextManager[Sink]:
    """A film, or by its ending the PNG of one picture."""
    if path.suffix.lower() == ".png":
        return frame_files(path, facts, ".png", lambda target, result: save_png(target, draw(result)))
    return write_film(path, facts, kind(), draw)


def save_png(path: Path, image: NDArray[np.uint8]) -> None:
    """Write a picture, quickly rather than small."""
    Image.fromarray(image).save(path, format="PNG", compress_level=4)


def _add_stream(
    container: OutputContainer, size: tuple[int, int], rate: Fraction | None, kind: FilmKind
) -> VideoStream:
    height, width = size
    name = kind.encoder()
    stream: Any = container.add_stream(name, rate=rate or NOMINAL_RATE, options=dict(kind.encoders[name]))
    assert isinstance(stream, VideoStream), f"{name} is a video encoder"
    odd = 1 if kind.even else 0
    stream.width, stream.height, stream.pix_fmt = width + odd * (width % 2), height + odd * (height % 2), kind.pixels
    # Said in the file, as players otherwise guess the colours from the picture's size.
    context = stream.codec_context
    context.colorspace = context.color_primaries = context.color_trc = BT709
    context.color_range = ColorRange.MPEG
    if rate is None:
        context.time_base = FINE_CLOCK
    stream.metadata.update(kind.metadata)
    return stream
