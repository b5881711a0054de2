"""Frames into a video file: the common part of overlays, cut-outs and changed backgrounds."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.codec.codec import UnknownCodecError
from av.container import OutputContainer
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream
from numpy.typing import NDArray

from masklet.atomic import atomic_write, write_error
from masklet.errors import FormatError
from masklet.footage import BT709, Colours, Footage, later
from masklet.formats.base import Facts, FrameLike, Sink
from masklet.formats.sound import Sound, SoundTrack, open_sound

FINE_CLOCK = Fraction(1, 90_000)
"""Seconds of a tick where frames keep their own times."""

SLOWEST, FASTEST = 0.01, 1000
"""Frames a second that a film may have. Of other rates, each frame keeps its own time."""

LAYOUTS = {("uint8", 3): "rgb24", ("uint8", 4): "rgba", ("uint16", 3): "rgb48le", ("uint16", 4): "rgba64le"}
"""FFmpeg's names of arrays, by their type and number of channels."""

NOMINAL_RATE = 24
"""Frames a second for an encoder, if nothing gives a rate."""


@dataclass(frozen=True)
class FilmKind:
    """A kind of video file."""

    container: str  # FFmpeg's name of it
    # encoders and their options, the best first; the first that this FFmpeg has is taken
    encoders: Mapping[str, Mapping[str, str]]
    # FFmpeg's names of the pixels in the file, the best first; the first that the encoder takes
    pixels: tuple[str, ...]
    sound: SoundTrack  # what becomes of the sound
    # height and width must be multiples of these: the last row or column is repeated until they are
    steps: tuple[int, int] = (2, 2)
    least: int = 1  # pixels that both sides must have
    metadata: Mapping[str, str] = field(default_factory=dict)  # of the video stream
    full: bool = True  # whether values may fill the whole range of their bits, where those of the source do

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

    def stored(self, size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) in the file."""
        height, width = (-(-max(side, self.least) // step) * step for side, step in zip(size, self.steps, strict=True))
        return height, width

    def layout(self) -> str:
        """The best pixels that the encoder takes."""
        taken = {each.name for each in av.Codec(self.encoder(), "w").video_formats or ()}
        return next((name for name in self.pixels if name in taken), self.pixels[-1])


@dataclass
class Film:
    """A video file while it is written; made by `open_film`."""

    path: Path
    container: OutputContainer
    stream: VideoStream
    colours: Colours
    tick: Fraction
    sound: Sound | None
    timecode: Callable[[float], str | None]
    frame_count: int = field(default=0, init=False)
    _last_ticks: int = field(default=-1, init=False)
    _frame_seconds: float = field(default=0.0, init=False)

    def write(self, image: NDArray[Any], seconds: float, source_time: float = 0.0) -> None:
        """Append a frame.

        image        uint8 or uint16 (H, W, 3) RGB, or (H, W, 4) with alpha that is not multiplied in
        seconds      when the film shows it; the first frame's is 0. A time that repeats or goes back becomes the next
                     tick after the last frame's
        source_time  of the first frame, in seconds of the source: there sound and timecode begin
        """
        ticks = max(round(Fraction(seconds) / self.tick), self._last_ticks + 1)
        if self.frame_count == 0:
            if (timecode := self.timecode(source_time)) is not None:
                self.stream.metadata["timecode"] = timecode
            self.container.start_encoding()
            if self.sound:
                self.sound.begin(source_time)
        if self.sound:
            self.sound.mux_until(seconds)
        more = (self.stream.height - image.shape[0], self.stream.width - image.shape[1])
        if any(more):
            image = np.pad(image, ((0, more[0]), (0, more[1]), (0, 0)), mode="edge")
        layout = LAYOUTS[image.dtype.name, image.shape[2]]
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format=layout).reformat(
            format=self.stream.pix_fmt, dst_colorspace=self.colours.matrix, dst_color_range=_range(self.colours)
        )
        _flag(picture, self.colours)
        picture.pts, picture.time_base = ticks, self.tick
        self.container.mux(self.stream.encode(picture))
        self._frame_seconds = seconds
        self._last_ticks = ticks
        self.frame_count += 1

    def finish(self, frame_seconds: float) -> None:
        """Write what the encoder holds back, and the sound of the last frame. FormatError if no frame came."""
        if self.frame_count == 0:
            raise FormatError(f"no frame was written to {self.path}; a video needs one or more")
        self.container.mux(self.stream.encode(None))
        if self.sound:
            self.sound.mux_until(self._frame_seconds + frame_seconds)


@contextmanager
def open_film(
    path: Path,
    size: tuple[int, int],
    rate: float | Fraction | None,
    kind: FilmKind,
    audio_from: Path | None = None,
    footage: Footage | None = None,
    colours: Colours = BT709,
) -> Iterator[Film]:
    """A film that appears under its name when the block ends cleanly; FFmpeg's errors leave it as FormatError."""
    if rate is not None and not rate > 0:
        raise FormatError(f"rate is {rate}; give frames a second, such as 24")
    exact = Fraction(rate).limit_denominator(1001) if rate and SLOWEST <= rate <= FASTEST else None  # 30000/1001
    clock = (footage and footage.tick) or FINE_CLOCK

    def timecode(seconds: float) -> str | None:
        if not (footage and footage.timecode and exact):
            return None
        return later(footage.timecode, round(seconds * exact), float(exact))

    with atomic_write(path) as temporary:
        temporary.touch()  # what is wrong with the path shows now
        try:
            with av.open(str(temporary), "w", format=kind.container) as container:
                colours = colours if kind.full else replace(colours, full=False)
                stream = _add_stream(container, size, exact, clock, kind, colours)
                with open_sound(audio_from, container, kind.sound) as sound:
                    film = Film(path, container, stream, colours, 1 / exact if exact else clock, sound, timecode)
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
    path: Path, facts: Facts, kind: FilmKind, draw: Callable[[FrameLike], NDArray[Any]], colours: Colours | None = None
) -> Iterator[Sink]:
    """A sink that draws frames into a film, which begins with the first that comes. Frames come in their order.

    `draw` gives colours as `colours` says, or, if it is None, those of the frames' own pictures.

    A frame is shown at the source's rate by its number; where frames don't come at a rate, at its own time. The sink
    raises FormatError for a frame that is not after the last one.
    """
    rate, footage = facts.rate if facts.steady else None, facts.footage
    colours = colours or (footage.usual if footage else BT709)
    first: list[FrameLike] = []
    last = -1
    with open_film(path, facts.size, rate, kind, facts.audio_from, footage, colours) as film:

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


def _range(colours: Colours) -> ColorRange:
    return ColorRange.JPEG if colours.full else ColorRange.MPEG


def _flag(holder: Any, colours: Colours) -> None:
    """Say in a stream's or a frame's header what its colours are; players guess otherwise, by the picture's size."""
    holder.color_primaries, holder.color_trc, holder.colorspace = colours.primaries, colours.transfer, colours.matrix
    holder.color_range = _range(colours)


def _add_stream(
    container: OutputContainer,
    size: tuple[int, int],
    rate: Fraction | None,
    clock: Fraction,
    kind: FilmKind,
    colours: Colours,
) -> VideoStream:
    name = kind.encoder()
    stream: Any = container.add_stream(name, rate=rate or NOMINAL_RATE, options=dict(kind.encoders[name]))
    assert isinstance(stream, VideoStream), f"{name} is a video encoder"
    (stream.height, stream.width), stream.pix_fmt = kind.stored(size), kind.layout()
    _flag(stream.codec_context, colours)
    if rate is None:
        stream.codec_context.time_base = clock
    stream.metadata.update(kind.metadata)
    return stream
