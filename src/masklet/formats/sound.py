"""The sound of the source, carried over into a film: copied where its file takes it, else encoded anew."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet

from masklet.errors import FormatError

SoundPacket: TypeAlias = "Packet[AudioStream]"

SAMPLE_RATE = 48_000
"""Samples a second of sound that is encoded anew: the one that every encoder takes."""


@dataclass(frozen=True)
class SoundTrack:
    """What a kind of file does with sound."""

    takes: frozenset[str]  # codecs that are copied as they are
    encoder: str  # for all others
    # seconds of copied sound that may lie before the first frame, as decoders need a packet to settle; files that can
    # say "begin here" hide it, others begin with it
    lead: float


MP4_SOUND = SoundTrack(frozenset({"aac", "mp3", "ac3", "eac3", "opus", "alac"}), "aac", 0.05)
MOV_SOUND = SoundTrack(frozenset({"aac", "mp3", "ac3", "alac", "pcm_s16le", "pcm_s16be", "pcm_s24le"}), "aac", 0.05)
WEBM_SOUND = SoundTrack(frozenset({"opus", "vorbis"}), "libopus", 0.01)


class Sound:
    """The first audio stream of a file on its way into a film; made by `open_sound`."""

    def __init__(self, source: InputContainer, film: OutputContainer, track: SoundTrack, name: str) -> None:
        self._film = film
        self._source = source
        self._stream = source.streams.audio[0]
        self._name = name
        self._lead = track.lead
        self._packets: Iterator[tuple[float, SoundPacket]] = iter(())
        self._next: tuple[float, SoundPacket] | None = None
        if self._stream.codec_context.name in track.takes:
            self._target: Any = film.add_stream_from_template(self._stream)
            self._copied = True
        else:
            self._target = film.add_stream(track.encoder, rate=SAMPLE_RATE, layout=self._layout())
            self._copied = False

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

    def _copies(self, start: float) -> Iterator[tuple[float, SoundPacket]]:
        for packet in self._demuxed():
            if packet.pts is None or packet.dts is None or not packet.time_base:
                continue
            time = float(packet.pts * packet.time_base) - start
            if time >= -self._lead:
                shift = round(Fraction(start) / packet.time_base)
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = self._target
                yield time, packet

    def _encodings(self, start: float) -> Iterator[tuple[float, SoundPacket]]:
        resampler = av.AudioResampler(format="fltp", layout=self._layout(), rate=SAMPLE_RATE)
        for packet in self._demuxed():
            for frame in packet.decode():
                if frame.pts is None or not frame.time_base or frame.pts * frame.time_base < start:
                    continue
                frame.pts -= round(Fraction(start) / frame.time_base)
                for piece in resampler.resample(frame):
                    yield from self._timed(self._target.encode(piece))
        yield from self._timed(self._target.encode(None))

    def _layout(self) -> str:
        """Where the loudspeakers stand, by the number of channels: some files say no more. Unusual ones get two."""
        return {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}.get(self._stream.layout.nb_channels, "stereo")

    def _timed(self, packets: list[SoundPacket]) -> Iterator[tuple[float, SoundPacket]]:
        for packet in packets:
            yield float((packet.pts or 0) * (packet.time_base or 0)), packet

    def _demuxed(self) -> Iterator[SoundPacket]:
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
