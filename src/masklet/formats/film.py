"""Frames into a video file: the common part of overlays, cut-outs and changed backgrounds.

The sound of the source is copied where the file takes it, else encoded anew.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

import av
import numpy as np
from av.audio.stream import AudioStream
from av.codec.codec import UnknownCodecError
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream
from numpy.typing import NDArray

from masklet.atomic import atomic_write, write_error
from masklet.errors import FormatError
from masklet.footage import BT709, Colours, later
from masklet.formats.base import Facts, FrameLike, PlainFrame, Sink, picture_of

SoundPackets: TypeAlias = "Iterator[tuple[float, Packet[AudioStream]]]"
"""With the second of the film in which each is heard."""

SLOWEST, FASTEST = 0.01, 1000
"""Frames a second that a film may have. Of other rates, each frame keeps its own time."""

PIXEL_FORMATS = {("uint8", 3): "rgb24", ("uint8", 4): "rgba", ("uint16", 3): "rgb48le", ("uint16", 4): "rgba64le"}
"""FFmpeg's names of arrays, by their type and number of channels."""

NOMINAL_RATE = 24
"""Frames a second for an encoder, if nothing gives a rate."""

SAMPLE_RATE = 48_000
"""Samples a second of sound that is encoded anew: the one that every encoder takes."""

SPEAKERS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}
"""Where the loudspeakers stand, by the number of channels: some files say no more. Unusual ones get two."""


@dataclass(frozen=True)
class SoundTrack:
    """What a kind of file does with sound."""

    takes: frozenset[str]  # codecs that are copied as they are
    encoder: str  # for all others
    # seconds of copied sound that may lie before the first frame, as decoders need a packet to settle; files that can
    # say "begin here" hide it, others begin with it
    lead: float


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


MP4_ENCODERS: dict[str, dict[str, str]] = {
    "libx264": {"crf": "18", "preset": "veryfast"},
    "libopenh264": {"b": "8M"},
    "mpeg4": {"qscale": "3"},
}
"""Encoders and their options, the best first. The last is MPEG-4 part 2, which browsers don't play."""

MOV_SOUND = SoundTrack(frozenset({"aac", "mp3", "ac3", "alac", "pcm_s16le", "pcm_s16be", "pcm_s24le"}), "aac", 0.05)
PRORES_KIND = FilmKind(
    "mov",
    {"prores_ks": {"profile": "4444", "vendor": "apl0", "alpha_bits": "16"}},
    ("yuva444p12le", "yuva444p10le"),
    MOV_SOUND,
    steps=(1, 1),
    full=False,
)
CINEFORM_KIND = FilmKind("mov", {"cfhd": {"quality": "film1"}}, ("gbrap12le",), MOV_SOUND, (2, 16), least=32)
WEBM_KIND = FilmKind(
    "webm",
    {"libvpx-vp9": {"crf": "20", "b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1", "auto-alt-ref": "0"}},
    ("yuva420p",),
    SoundTrack(frozenset({"opus", "vorbis"}), "libopus", 0.01),
    metadata={"alpha_mode": "1"},
)


def mp4() -> FilmKind:
    """H.264 in MP4, which every browser and player shows; a warning if the best of MP4_ENCODERS is another."""
    sound = SoundTrack(frozenset({"aac", "mp3", "ac3", "eac3", "opus", "alac"}), "aac", 0.05)
    kind = FilmKind("mp4", MP4_ENCODERS, ("yuv420p",), sound)
    if kind.encoder() == "mpeg4":
        warnings.warn(
            "this build of FFmpeg has no H.264 encoder; writing MPEG-4 part 2, which browsers don't play",
            stacklevel=2,
        )
    return kind


@contextmanager
def write_pictures(path: Path, size: tuple[int, int], rate: float) -> Iterator[Callable[[NDArray[np.uint8]], None]]:
    """A sink of pictures, uint8 (H, W, 3), RGB, for an MP4 that appears under its name when the block ends cleanly.

    size  (height, width); an odd side gets its last row or column twice, as yuv420p wants even ones
    rate  frames a second

    Raises FormatError if the file cannot be written, if no frame came, or if this build of FFmpeg has no encoder.
    """
    frames = count()
    with write_film(path, Facts(size, rate), mp4(), picture_of) as sink:
        yield lambda image: sink(PlainFrame(frame := next(frames), frame / rate, size, {}, {}, image))


@contextmanager
def write_film(
    path: Path, facts: Facts, kind: FilmKind, draw: Callable[[FrameLike], NDArray[Any]], colours: Colours | None = None
) -> Iterator[Sink]:
    """A sink that draws frames into a film, which begins with the first that comes. Frames come in their order.

    `draw` gives uint8 or uint16 (H, W, 3) RGB, or (H, W, 4) with alpha that is not multiplied in, its colours as
    `colours` says, or, if it is None, those of the frames' own pictures.

    A frame is shown at the source's rate by its number; where frames don't come at a rate, at its own time, and one
    tick after the last frame where times repeat or go back. The film appears under its name when the block ends
    cleanly; FFmpeg's errors leave it as FormatError. The sink raises FormatError for a frame that is not after the last
    one, and the end of the block if no frame came.
    """
    rate, footage = facts.rate if facts.steady else None, facts.footage
    if rate is not None and not rate > 0:
        raise FormatError(f"rate is {rate}; give frames a second, such as 24")
    exact = Fraction(rate).limit_denominator(1001) if rate and SLOWEST <= rate <= FASTEST else None  # 30000/1001
    tick = 1 / exact if exact else (footage and footage.tick) or Fraction(1, 90_000)  # seconds
    shown = colours or (footage.usual if footage else BT709)
    shown = shown if kind.full else replace(shown, full=False)
    first: FrameLike | None = None
    last, ticks, seconds = -1, -1, 0.0

    def sink(result: FrameLike) -> None:
        nonlocal first, last, ticks, seconds
        if result.frame <= last:
            raise FormatError(
                f"frame {result.frame} came after frame {last}; a film is written in the order of its frames: "
                "write a project first, then convert it"
            )
        image, last = draw(result), result.frame
        if first is None:
            first = result
            if footage and footage.timecode and exact:
                stream.metadata["timecode"] = later(footage.timecode, round(first.time * exact), float(exact))
            container.start_encoding()
            if sound:
                sound.begin(first.time)
        seconds = float((result.frame - first.frame) / exact) if exact else result.time - first.time
        ticks = max(round(Fraction(seconds) / tick), ticks + 1)
        if sound:
            sound.mux_until(seconds)
        more = (stream.height - image.shape[0], stream.width - image.shape[1])
        if any(more):
            image = np.pad(image, ((0, more[0]), (0, more[1]), (0, 0)), mode="edge")
        layout = PIXEL_FORMATS[image.dtype.name, image.shape[2]]
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format=layout).reformat(
            format=stream.pix_fmt, dst_colorspace=shown.matrix, dst_color_range=_range(shown)
        )
        _flag(picture, shown)
        picture.pts, picture.time_base = ticks, tick
        container.mux(stream.encode(picture))

    with atomic_write(path) as temporary:
        temporary.touch()  # what is wrong with the path shows now
        try:
            with av.open(str(temporary), "w", format=kind.container) as container:
                stream = _add_stream(container, facts.size, exact, tick, kind)
                _flag(stream.codec_context, shown)
                with open_sound(facts.audio_from, container, kind.sound) as sound:
                    yield sink
                    if first is None:
                        raise FormatError(f"no frame was written to {path}; a video needs one or more")
                    container.mux(stream.encode(None))
                    if sound:
                        sound.mux_until(seconds + float(1 / (exact or NOMINAL_RATE)))
        except av.FFmpegError as error:
            if isinstance(error, OSError):
                raise write_error(path, error) from error
            height, width = facts.size
            raise FormatError(
                f"{path} cannot be made: the encoder takes no frames of {width} x {height} pixels at their times "
                f"({error.strerror}); leave it out, or take a format of pictures"
            ) from error


def _range(colours: Colours) -> ColorRange:
    return ColorRange.JPEG if colours.full else ColorRange.MPEG


def _flag(holder: Any, colours: Colours) -> None:
    """Say in a stream's or a frame's header what its colours are; players guess otherwise, by the picture's size."""
    holder.color_primaries, holder.color_trc, holder.colorspace = colours.primaries, colours.transfer, colours.matrix
    holder.color_range = _range(colours)


def _add_stream(
    container: OutputContainer, size: tuple[int, int], rate: Fraction | None, tick: Fraction, kind: FilmKind
) -> VideoStream:
    name = kind.encoder()
    stream: Any = container.add_stream(name, rate=rate or NOMINAL_RATE, options=dict(kind.encoders[name]))
    assert isinstance(stream, VideoStream), f"{name} is a video encoder"
    taken = {each.name for each in av.Codec(name, "w").video_formats or ()}
    stream.pix_fmt = next((pixels for pixels in kind.pixels if pixels in taken), kind.pixels[-1])
    sides = (-(-max(side, kind.least) // step) * step for side, step in zip(size, kind.steps, strict=True))
    stream.height, stream.width = sides
    if rate is None:
        stream.codec_context.time_base = tick
    stream.metadata.update(kind.metadata)
    return stream


class Sound:
    """The first audio stream of a file on its way into a film; made by `open_sound`."""

    def __init__(self, source: InputContainer, film: OutputContainer, track: SoundTrack, name: str) -> None:
        self._source, self._film, self._lead, self._name = source, film, track.lead, name
        self._stream = source.streams.audio[0]
        self._layout = SPEAKERS.get(self._stream.layout.nb_channels, "stereo")
        self._copied = self._stream.codec_context.name in track.takes
        self._target: Any = (
            film.add_stream_from_template(self._stream)
            if self._copied
            else film.add_stream(track.encoder, rate=SAMPLE_RATE, layout=self._layout)
        )

    def begin(self, time: float) -> None:
        """The film's first frame is the one that the source shows at `time`, in seconds."""
        pictures = next(iter(self._source.streams.video), None)
        origin = float((pictures.start_time or 0) * (pictures.time_base or 0)) if pictures else 0.0
        self._packets = self._copies(origin + time) if self._copied else self._encodings(origin + time)
        self._next = next(self._packets, None)

    def mux_until(self, seconds: float) -> None:
        """Put into the film what is heard up to `seconds` of it."""
        while self._next is not None and self._next[0] < seconds:
            self._film.mux(self._next[1])
            self._next = next(self._packets, None)

    def _copies(self, start: float) -> SoundPackets:
        for packet in self._demuxed():
            if packet.pts is None or packet.dts is None or not packet.time_base:
                continue
            time = float(packet.pts * packet.time_base) - start
            if time >= -self._lead:
                shift = round(Fraction(start) / packet.time_base)
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = self._target
                yield time, packet

    def _encodings(self, start: float) -> SoundPackets:
        resampler = av.AudioResampler(format="fltp", layout=self._layout, rate=SAMPLE_RATE)

        def pieces() -> Iterator[Any]:
            for packet in self._demuxed():
                for frame in packet.decode():
                    if frame.pts is None or not frame.time_base or frame.pts * frame.time_base < start:
                        continue
                    frame.pts -= round(Fraction(start) / frame.time_base)
                    yield from resampler.resample(frame)
            yield None  # what the encoder holds back

        for piece in pieces():
            for packet in self._target.encode(piece):
                yield float((packet.pts or 0) * (packet.time_base or 0)), packet

    def _demuxed(self) -> "Iterator[Packet[AudioStream]]":
        """Packets until the end, or until the file breaks off, which is said."""
        try:
            yield from self._source.demux(self._stream)
        except av.FFmpegError as error:
            warnings.warn(f"the sound of {self._name} breaks off: {error.strerror}", stacklevel=2)


@contextmanager
def open_sound(path: Path | None, film: OutputContainer, track: SoundTrack) -> Iterator[Sound | None]:
    """The sound of a file, its stream added to the film; None if there is no file or no sound in it.

    Raises FormatError if the file cannot be opened.
    """
    if path is None:
        yield None
        return
    try:
        source = av.open(str(path), "r")
    except (av.FFmpegError, OSError) as error:
        raise FormatError(
            f"the sound of {path} cannot be read: {error.strerror}; give the video's file, or no audio_from"
        ) from error
    with source:
        yield Sound(source, film, track, path.name) if source.streams.audio else None
