"""OpenEXR pictures: linear light of any brightness, as 8 bits for tracking and as PQ of 16 bits for films.

Needs the extra `exr`. Light of 1 is the white of an ordinary picture. Brighter light is white in 8 bits; 16 bits keep
it up to 49 times that white, where PQ ends.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from masklet.errors import MediaError, needing
from masklet.footage import BRIGHTEST, PQ, PRIMARIES, WHITE, Colours, Footage, light_to_pq, srgb_of

SUFFIX = ".exr"

MOST_PIXELS = 1 << 28


def read_exr(path: Path) -> NDArray[np.uint8]:
    """uint8 (H, W, 3), RGB, by the curve of sRGB. Raises MediaError for a missing library, and for a file that is
    missing, damaged or without colours."""
    return np.take(_table_of_8_bits(), _light(path).astype(np.float16).view(np.uint16))


def read_deep_exr(path: Path) -> NDArray[np.uint16]:
    """uint16 (H, W, 3), RGB, by the curve of PQ. Raises MediaError as `read_exr`."""
    light = _light(path)
    if light.dtype == np.float16:
        return np.take(_table_of_16_bits(), light.view(np.uint16))
    return _as_pq(light)


def exr_rate(path: Path) -> Fraction | None:
    """Frames a second, as the header says; None if it does not."""
    return _header(path).get("framesPerSecond") or None


def exr_footage(files: Sequence[Path]) -> Footage:
    """What films keep of a sequence: primaries and timecode, as the header of the first picture says, and all light."""
    header, rate = _header(files[0]), exr_rate(files[0])
    corners = header.get("chromaticities", PRIMARIES[1])
    near = (code for code, known in PRIMARIES.items() if np.allclose(corners, known, atol=0.002))
    primaries, timecode = next(near, 1), None
    if code := header.get("timeCode"):
        frame = code.frame * max(1, -(-round(rate or 24) // 30))  # it counts to 29: see `masklet.formats.cutouts`
        mark = ";" if code.dropFrame else ":"
        timecode = f"{code.hours:02d}:{code.minutes:02d}:{code.seconds:02d}{mark}{frame:02d}"

    def pictures(start: int) -> Iterator[tuple[int, NDArray[np.uint16]]]:
        yield from ((frame, read_deep_exr(files[frame])) for frame in range(start, len(files)))

    return Footage(Colours(primaries, PQ, 9 if primaries == 9 else 1), 16, timecode, pictures=pictures)


@contextmanager
def _opened(path: Path, **how: bool) -> Iterator[Any]:
    """The file by the library, whose errors become MediaError, which names the file."""
    with needing("exr", "OpenEXR pictures", MediaError):
        import OpenEXR
    if not path.is_file():
        raise MediaError(f"there is no file at {path}; give the path of a picture")
    try:
        with OpenEXR.File(str(path), **how) as file:
            yield file
    except (RuntimeError, ValueError, TypeError, UnicodeDecodeError) as error:
        raise MediaError(f"{path.name} cannot be read as OpenEXR: {error}; give another copy") from error


def _header(path: Path) -> dict[str, Any]:
    with _opened(path, header_only=True) as file:
        return {**file.header()}  # which is emptied when the file is closed


def _light(path: Path) -> NDArray[Any]:
    """float16 or float32 (H, W, 3): what lies in the display window, black where there are no data."""
    header = _header(path)
    windows = [[np.asarray(end, np.int64) for end in header[name]] for name in ("displayWindow", "dataWindow")]
    for low, high in windows:
        sides = high - low + 1
        if sides.min() < 1 or sides.prod() > MOST_PIXELS:
            raise MediaError(f"{path.name} has a window of {sides[0]} x {sides[1]} pixels; give a smaller picture")
    (left, top), (right, bottom), (x, y) = (end.tolist() for end in (*windows[0], windows[1][0]))
    width, height = right - left + 1, bottom - top + 1
    with _opened(path, separate_channels=True) as file:
        channels = {name.upper(): channel.pixels for name, channel in file.channels().items()}
    names = "RGB" if {*"RGB"} <= channels.keys() else "YYY"
    if not {*names} <= channels.keys():
        told = ", ".join(sorted(channels)[:8])
        raise MediaError(f"{path.name} has the channels {told}; give a picture with R, G and B, or with Y")
    planes = [channels[name] for name in names]
    if any(plane.dtype.kind != "f" or plane.shape != planes[0].shape for plane in planes):
        raise MediaError(f"{path.name} has colours of whole numbers or of several sizes; give floats of one size")
    light = np.zeros((height, width, 3), planes[0].dtype)
    across, down = max(0, x - left), max(0, y - top)
    seen = np.dstack(planes)[max(0, top - y) :, max(0, left - x) :][: max(0, height - down), : max(0, width - across)]
    light[down : down + seen.shape[0], across : across + seen.shape[1]] = seen
    return light


def _as_pq(light: NDArray[Any]) -> NDArray[np.uint16]:
    level = np.nan_to_num(np.asarray(light, np.float64), nan=0.0).clip(0, BRIGHTEST / WHITE) * WHITE
    return np.rint(light_to_pq(level) * 65535).astype(np.uint16)


def _halves() -> NDArray[np.float64]:
    """The value of each of 65,536 floats of 16 bits."""
    return np.nan_to_num(np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float64), nan=0.0)


@cache
def _table_of_8_bits() -> NDArray[np.uint8]:
    return np.rint(255 * srgb_of(_halves().clip(0, 1))).astype(np.uint8)


@cache
def _table_of_16_bits() -> NDArray[np.uint16]:
    return _as_pq(_halves())
