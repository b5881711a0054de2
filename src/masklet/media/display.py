"""How a decoded picture is to be shown: its size in square pixels, its turn, its colours."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace
from av.video.stream import VideoStream
from numpy.typing import NDArray

from masklet.media.tone_map import Transfer, tone_map

UNSPECIFIED = 2
"""The number that stands for an unknown colour matrix (ISO/IEC 23091-2)."""

Matrix = tuple[tuple[int, int], tuple[int, int]]
"""((a, b), (c, d)), by which a pixel at (x, y) is shown at (a x + c y, b x + d y), up to a shift (ISO 14496-12)."""


@dataclass(frozen=True)
class Display:
    """How all pictures of a video are shown, read from its stream and its first picture.

    square  (height, width) in square pixels, before the turn
    turn    the display matrix
    hdr     the transfer of high dynamic range, None for the ordinary one
    matrix  the colour matrix of pictures without their own: as players do, BT.709 for high definition
    """

    square: tuple[int, int]
    turn: Matrix
    hdr: Transfer | None
    matrix: Colorspace = Colorspace.ITU601

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) as shown."""
        height, width = self.square
        return (width, height) if _is_sideways(self.turn) else (height, width)


def display_of(stream: VideoStream, first: VideoFrame) -> Display:
    """How a stream is shown."""
    transfers = {transfer.value: transfer for transfer in Transfer}
    return Display(
        square=_square_size(first.height, first.width, stream),
        turn=_display_matrix(first),
        hdr=transfers.get(int(stream.codec_context.color_trc)),
        matrix=Colorspace.ITU709 if first.width >= 1280 or first.height > 576 else Colorspace.ITU601,
    )


def shown(picture: VideoFrame, display: Display) -> NDArray[np.uint8]:
    """A decoded picture as uint8 (H, W, 3), RGB, upright, of the display's size whatever its own."""
    height, width = display.square
    if display.hdr is None:
        matrix = display.matrix if picture.colorspace == UNSPECIFIED else None
        image = picture.reformat(width=width, height=height, format="rgb24", src_colorspace=matrix).to_ndarray()
        return _turned(image.astype(np.uint8, copy=False), display.turn)
    signal = picture.reformat(width=width, height=height, format="rgb48le").to_ndarray()
    return _turned(tone_map(signal.astype(np.uint16, copy=False), display.hdr), display.turn)


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


def _turned(image: NDArray[np.uint8], matrix: Matrix) -> NDArray[np.uint8]:
    """The image as it is to be shown, by quarter turns and mirrorings; odd angles go to the nearest of these."""
    (a, b), (c, d) = matrix
    if _is_sideways(matrix):
        image, across, down = image.transpose(1, 0, 2), c, b
    else:
        across, down = a, d
    image = image[:, ::-1] if across < 0 else image
    image = image[::-1] if down < 0 else image
    return np.ascontiguousarray(image)
