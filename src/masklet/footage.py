"""What films and sequences of pictures keep of the video that they are made of: its colours, its depth, its clock."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

UNSPECIFIED = 2
"""The code point of what a file does not say."""

SRGB, PQ, HLG = 13, 16, 18
"""Code points of transfers."""

REFERENCE_WHITE = 203.0
"""The white of graphics in HDR, in cd/m² (ITU-R BT.2408)."""

D65 = (0.3127, 0.3290)
PRIMARIES = {
    1: (0.640, 0.330, 0.300, 0.600, 0.150, 0.060, *D65),
    5: (0.640, 0.330, 0.290, 0.600, 0.150, 0.060, *D65),
    6: (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, *D65),
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, *D65),
    12: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, *D65),
}
"""x and y of red, green, blue and white, by the code points of ISO/IEC 23091-2."""

MAX_LUMINANCE = 10000.0  # the end of PQ's scale
M1, M2 = 2610 / 16384, 128 * 2523 / 4096
C1, C2, C3 = 3424 / 4096, 32 * 2413 / 4096, 32 * 2392 / 4096


@dataclass(frozen=True)
class Colours:
    """How numbers become colours: primaries, transfer and matrix by the code points of ISO/IEC 23091-2, and whether
    values fill the whole range of their bits. Those of high definition if not given."""

    primaries: int = 1
    transfer: int = 1
    matrix: int = 1
    full: bool = False

    @property
    def hdr(self) -> bool:
        """Whether the transfer is one of high dynamic range."""
        return self.transfer in (PQ, HLG)


BT709 = Colours()


@dataclass(frozen=True)
class Footage:
    """A video file, or pictures of more than 8 bits, as films and sequences of pictures are made of them.

    Attributes:
        colours: Of the file.
        bits: Of each value.
        timecode: Of the first frame, such as "01:00:00:00", or "01:00:00;00" if numbers are dropped; or None.
        tick: Seconds of a tick of the clock that frames come by.
        pictures: Gives each frame's number and its picture, uint16 (H, W, 3) RGB over the whole range, in the file's
            primaries and transfer, from a frame on; None if the file has 8 bits.
    """

    colours: Colours = BT709
    bits: int = 8
    timecode: str | None = None
    tick: Fraction | None = None
    pictures: Callable[[int], Iterator[tuple[int, NDArray[np.uint16]]]] | None = None

    @property
    def usual(self) -> Colours:
        """The colours of its frames as masklet reads them, of 8 bits: those of an ordinary screen."""
        return BT709 if self.colours.hdr else self.colours


def upright(picture: Image.Image) -> Image.Image:
    """A picture turned by its EXIF note, in RGB of 8 bits; of 16 bits the upper ones count. What Pillow raises for
    damaged files passes through."""
    turned = ImageOps.exif_transpose(picture)
    if turned.mode.startswith("I;16") or (turned.mode == "I" and picture.format == "PNG"):
        turned = Image.fromarray((np.asarray(turned) >> 8).astype(np.uint8))
    return turned.convert("RGB")


def later(timecode: str, frames: int, rate: float) -> str:
    """The timecode so many frames later; with a semicolon it drops numbers as SMPTE ST 12-1 says, two of every minute
    but each tenth at 29.97 frames a second, four at 59.94."""
    hours, minutes, seconds, frame = (int(part) for part in re.findall(r"\d+", timecode))
    nominal = max(1, round(rate))
    dropped = nominal // 15 if ";" in timecode else 0
    past = 60 * hours + minutes
    count = (60 * past + seconds) * nominal + frame - dropped * (past - past // 10) + frames
    tens, rest = divmod(count, 600 * nominal - 9 * dropped)
    count += dropped * (9 * tens + max(0, (rest - dropped) // (60 * nominal - dropped)))
    seconds, frame = divmod(count, nominal)
    clock = f"{seconds // 3600 % 24:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{clock}{';' if dropped else ':'}{frame:02d}"


@cache
def linear_light(transfer: int) -> NDArray[np.float32]:
    """The light of each of 65,536 values of a channel; 1 is the white of an ordinary picture, of PQ and HLG that of
    graphics. By the inverse of the camera's curve (ITU-R BT.709, BT.2100), or of sRGB's (IEC 61966-2-1)."""
    signal = np.arange(65536) / 65535
    if transfer == PQ:
        light = pq_to_light(signal) / REFERENCE_WHITE
    elif transfer == HLG:
        light = hlg_to_light(signal) / hlg_to_light(np.array(0.75))
    elif transfer == SRGB:
        light = np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)
    elif transfer == 8:
        light = signal
    else:
        light = np.where(signal < 0.081, signal / 4.5, ((signal + 0.099) / 1.099) ** (1 / 0.45))
    return light.astype(np.float32)


def srgb_of(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light in 0..1 as sRGB's signal (IEC 61966-2-1)."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def pq_to_light(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """PQ's signal in 0..1 as cd/m²."""
    root = signal ** (1 / M2)
    return MAX_LUMINANCE * (np.maximum(root - C1, 0) / (C2 - C3 * root)) ** (1 / M1)


def light_to_pq(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """cd/m² as PQ's signal in 0..1."""
    power = (light / MAX_LUMINANCE) ** M1
    return ((C1 + C2 * power) / (1 + C3 * power)) ** M2


def hlg_to_light(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """HLG's signal in 0..1 as light of the scene in 0..1 (ITU-R BT.2100, table 5)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
