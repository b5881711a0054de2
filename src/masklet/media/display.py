"""How a decoded picture is to be shown: its size in square pixels, its turn, its colours."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream
from numpy.typing import NDArray

from masklet.footage import UNSPECIFIED, Colours
from masklet.media.tone_map import tone_map

Matrix = tuple[tuple[int, int], tuple[int, int]]
"""((a, b), (c, d)), by which a pixel at (x, y) is shown at (a x + c y, b x + d y), up to a shift (ISO 14496-12)."""


@dataclass(frozen=True)
class Display:
    """How all pictures of a video are shown, read from its stream and its first picture.

    square   (height, width) in square pixels, before the turn
    turn     the display matrix
    colours  as the file says, or else as players take them: BT.709 for high definition, BT.601 below
    bits     of each value
    """

    square: tuple[int, int]
    turn: Matrix
    colours: Colours
    bits: int

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) as shown."""
        height, width = self.square
        return (width, height) if _is_sideways(self.turn) else (height, width)


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
    full = ColorRange.JPEG in (first.color_range, context.color_range)
    bits = first.format.components[0].bits
    colours = Colours(primaries, transfer, matrix, full)
    return Display(_square_size(first.height, first.width, stream), _display_matrix(first), colours, bits)


def shown(picture: VideoFrame, display: Display) -> NDArray[np.uint8]:
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
    return _turned(image, display.turn)


def _square_size(height: int, width: int, stream: VideoStream) -> tuple[int, int]:
    """The size in square pixels: the side that is too short is stretched, so that no pixel is lost."""
    aspect = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    if not aspect or not 0.1 <= aspect <= 10:  # absent, or a mistake
        return height, width
    return (height, round(width * aspect)) if aspect >= 1 else (round(height / aspect), width)


def _display_matrix(picture: VideoFrame) -> Matrix:
    data: Any = picture.side_data.get("DISPLAYMATRIX")  # PyAV's stub knows motion vectors alone
    if data is None:
        return (1, 0), (0, 1)
    (a, b, _), (c, d, _), _ = np.frombuffer(bytes(data), np.int32).reshape(3, 3).tolist()
    return (a, b), (c, d)


def _is_sideways(matrix: Matrix) -> bool:
    (a, b), _ = matrix
    return abs(b) > abs(a)


def _turned(image: NDArray[Any], matrix: Matrix) -> NDArray[Any]:
    """The image as it is to be shown, by quarter turns and mirrorings; odd angles go to the nearest of these."""
    (a, b), (c, d) = matrix
    if _is_sideways(matrix):
        image, across, down = image.transpose(1, 0, 2), c, b
    else:
        across, down = a, d
    image = image[:, ::-1] if across < 0 else image
    image = image[::-1] if down < 0 else image
    return np.ascontiguousarray(image)
