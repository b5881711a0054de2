"""How a decoded picture is to be shown: its size in square pixels, its turn, its colours.

High dynamic range becomes 8 bits, as PQ and HLG video looks like on an ordinary screen:

1. Light: the signal becomes light in cd/m², by the EOTF of PQ (SMPTE ST 2084) or the inverse OETF and OOTF of
   HLG on a screen of 1000 cd/m² (both in ITU-R BT.2100, tables 4 and 5).
2. Range: the brightest of a pixel's three values is compressed by the EETF of ITU-R BT.2390 (section 5.4.1), from
   1000 cd/m² to the white of graphics in HDR, 203 cd/m² (ITU-R BT.2408); the pixel is scaled by the same ratio, so
   its hue stays. Nothing changes below about 90 cd/m²; what is brighter than 1000 becomes white.
3. Colours: from the primaries of BT.2020 to those of BT.709 (ITU-R BT.2087); what lies outside is clipped.
4. Signal: 203 cd/m² is 255, through the curve of sRGB (IEC 61966-2-1).
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream
from numpy.typing import NDArray

from masklet.footage import (
    HLG,
    MAX_LUMINANCE,
    PQ,
    REFERENCE_WHITE,
    UNSPECIFIED,
    Colours,
    hlg_to_light,
    light_to_pq,
    pq_to_light,
    srgb_of,
)


@dataclass(frozen=True)
class Display:
    """How all pictures of a video are shown, read from its stream and its first picture.

    square    (height, width) in square pixels, before the turn
    sideways  whether rows and columns change places, and after that
    mirrored  whether the picture is mirrored: from left to right, from top to bottom
    colours   as the file says, or else as players take them: BT.709 for high definition, BT.601 below
    bits      of each value
    """

    square: tuple[int, int]
    sideways: bool
    mirrored: tuple[bool, bool]
    colours: Colours
    bits: int

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) as shown."""
        height, width = self.square
        return (width, height) if self.sideways else (height, width)


def display_of(stream: VideoStream, first: VideoFrame) -> Display:
    """How a stream is shown."""
    usual = 1 if first.width >= 1280 or first.height > 576 else 6
    context = stream.codec_context
    primaries, transfer, matrix = (
        next((int(code) for code in said if int(code) not in (0, UNSPECIFIED)), usual)
        for said in (
            (first.color_primaries, context.color_primaries),
            (first.color_trc, context.color_trc),
            (first.colorspace, context.colorspace),
        )
    )
    colours = Colours(primaries, transfer, matrix, ColorRange.JPEG in (first.color_range, context.color_range))
    square, bits = _square_size(first.height, first.width, stream), first.format.components[0].bits
    return Display(square, *_turn(first), colours, bits)


def _square_size(height: int, width: int, stream: VideoStream) -> tuple[int, int]:
    """The size in square pixels: the side that is too short is stretched, so that no pixel is lost."""
    aspect = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    if not aspect or not 0.1 <= aspect <= 10:  # absent, or a mistake
        return height, width
    return (height, round(width * aspect)) if aspect >= 1 else (round(height / aspect), width)


def _turn(picture: VideoFrame) -> tuple[bool, tuple[bool, bool]]:
    """`sideways` and `mirrored` by the display matrix ((a, b), (c, d)): a pixel at (x, y) is shown at (a x + c y,
    b x + d y), up to a shift (ISO 14496-12). Odd angles go to the nearest quarter turn."""
    data: Any = picture.side_data.get("DISPLAYMATRIX")  # PyAV's stub knows motion vectors alone
    if data is None:
        return False, (False, False)
    (a, b, _), (c, d, _), _ = np.frombuffer(bytes(data), np.int32).reshape(3, 3).tolist()
    sideways = abs(b) > abs(a)
    return sideways, (c < 0, b < 0) if sideways else (a < 0, d < 0)


def shown_picture(picture: VideoFrame, display: Display) -> NDArray[np.uint8]:
    """A decoded picture as uint8 (H, W, 3), RGB, upright, of the display's size whatever its own."""
    if display.colours.hdr:
        return tone_map(shown_deep(picture, display), display.colours.transfer)
    return _upright(picture, display, "rgb24").astype(np.uint8, copy=False)


def shown_deep(picture: VideoFrame, display: Display) -> NDArray[np.uint16]:
    """The same as uint16 over the whole range, in the file's own colours."""
    return _upright(picture, display, "rgb48le").astype(np.uint16, copy=False)


def _upright(picture: VideoFrame, display: Display, layout: str) -> NDArray[Any]:
    height, width = display.square
    matrix = display.colours.matrix if picture.colorspace == UNSPECIFIED else None
    image = picture.reformat(width=width, height=height, format=layout, src_colorspace=matrix).to_ndarray()
    image = image.transpose(1, 0, 2) if display.sideways else image
    across, down = (-1 if turned else 1 for turned in display.mirrored)
    return np.ascontiguousarray(image[::down, ::across])


PEAK_LUMINANCE = 1000.0
"""cd/m² that HDR video is mastered for as a rule, and the nominal peak of HLG. Constant, so that no frame differs."""

TABLE_ENTRIES = 4096
"""Entries of the tables by brightness; finer where it is dark, as the eye is."""

TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)  # ITU-R BT.2087, from linear BT.2020

LUMINANCE = np.array([[0.2627, 0.6780, 0.0593]], np.float32)  # of BT.2020


def tone_map(signal: NDArray[np.uint16], transfer: int) -> NDArray[np.uint8]:
    """PQ or HLG of BT.2020, uint16 (H, W, 3) over the full range, as uint8 (H, W, 3) for an ordinary screen."""
    light = np.take(_light_table(transfer), signal)
    if transfer == HLG:  # the OOTF: contrast grows with the luminance of the scene, gamma 1.2
        light *= PEAK_LUMINANCE * np.maximum(cv2.transform(light, LUMINANCE), 1e-6)[..., None] ** np.float32(0.2)
    brightest = np.maximum(np.maximum(light[..., 0], light[..., 1]), light[..., 2])  # ten times as fast as max(axis=2)
    steps = (np.sqrt(np.sqrt(brightest / MAX_LUMINANCE)) * (TABLE_ENTRIES - 1)).astype(np.uint16)
    light *= np.take(_ratio_table(), steps)[..., None]
    light = np.clip(cv2.transform(light, TO_BT709), 0.0, 1.0)
    return np.take(_signal_table(), (np.sqrt(light) * (TABLE_ENTRIES - 1) + 0.5).astype(np.uint16))


@cache
def _light_table(transfer: int) -> NDArray[np.float32]:
    """For each of 65536 values of a channel: light in cd/m² for PQ, of the scene in 0..1 for HLG."""
    signal = np.arange(65536) / 65535
    return (pq_to_light(signal) if transfer == PQ else hlg_to_light(signal)).astype(np.float32)


@cache
def _ratio_table() -> NDArray[np.float32]:
    """The factor for a pixel, so that REFERENCE_WHITE becomes 1, by the fourth root of its brightest value."""
    light = MAX_LUMINANCE * ((np.arange(TABLE_ENTRIES) + 0.5) / (TABLE_ENTRIES - 1)) ** 4
    return (compressed(light) / light / REFERENCE_WHITE).astype(np.float32)


@cache
def _signal_table() -> NDArray[np.uint8]:
    """The value in sRGB, by the square root of light in 0..1."""
    return np.rint(255 * srgb_of((np.arange(TABLE_ENTRIES) / (TABLE_ENTRIES - 1)) ** 2)).astype(np.uint8)


def compressed(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light in cd/m², up to PEAK_LUMINANCE, brought below REFERENCE_WHITE: the EETF of BT.2390, with black at 0."""
    peak = light_to_pq(np.array(PEAK_LUMINANCE))
    source = np.minimum(light_to_pq(light) / peak, 1.0)
    top = light_to_pq(np.array(REFERENCE_WHITE)) / peak
    knee = 1.5 * top - 0.5
    t = np.maximum(source - knee, 0.0) / (1.0 - knee)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1.0 - knee) + (3 * t**2 - 2 * t**3) * top
    return pq_to_light(np.where(source < knee, source, spline) * peak)
