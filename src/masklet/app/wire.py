"""Masks on the wire: one binary message a frame, and masks that a page draws.

A message is a little-endian uint32, the length of a JSON text; the text, with the frame and what is known of each
object there; and, deflated together, the run lengths of all masks. Runs go along the rows and begin with the
background, so that a page fills a row at once. Each is a varint: 7 bits a byte, the lowest first, the highest bit set
where more follow.
"""

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from masklet.errors import PromptError
from masklet.masks.rle import of_row_runs, row_runs

Mask = NDArray[np.bool_]


def mask_of(runs: Sequence[int], size: tuple[int, int]) -> Mask:
    """The mask, bool (H, W), of run lengths along its rows. Raises PromptError if they don't add up to its size."""
    try:
        return of_row_runs(runs, size)
    except ValueError as error:
        raise PromptError(f"the run lengths of a mask {error}") from None


def varints(numbers: NDArray[np.int64]) -> bytes:
    """Whole numbers from 0 to 2^35 as varints."""
    parts = np.stack([numbers >> 7 * place & 0x7F for place in range(5)], axis=1)
    used = np.stack([numbers >= 1 << 7 * place for place in range(5)], axis=1)
    used[:, 0] = True
    more = np.zeros_like(used)
    more[:, :-1] = used[:, 1:]
    return ((parts | more.astype(np.int64) << 7)[used]).astype(np.uint8).tobytes()


def message(head: Mapping[str, Any], masks: Sequence[Mask]) -> bytes:
    """A message with a JSON head and masks, each bool (H, W), in the order of the head's `objects`.

    The head gets `runs`, how many run lengths each mask has.
    """
    runs = [row_runs(mask) for mask in masks]
    text = json.dumps({**head, "runs": [len(lengths) for lengths in runs]}).encode("ascii")
    packed = zlib.compress(varints(np.concatenate(runs)), 1) if runs else b""
    return struct.pack("<I", len(text)) + text + packed


def read_message(data: bytes) -> tuple[dict[str, Any], list[list[int]]]:
    """The head of a message, and the run lengths of each mask: what the page does, for programs that speak to it."""
    (length,) = struct.unpack_from("<I", data)
    head = json.loads(data[4 : 4 + length])
    numbers, value, shift = [], 0, 0
    for byte in zlib.decompress(data[4 + length :]) if head["runs"] else b"":
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(value)
            value = shift = 0
    found, first = [], 0
    for count in head["runs"]:
        found.append(numbers[first : first + count])
        first += count
    return head, found


def frame_of(data: bytes) -> int:
    """The frame of a message."""
    (length,) = struct.unpack_from("<I", data)
    return int(json.loads(data[4 : 4 + length])["frame"])
