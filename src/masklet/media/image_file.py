"""Pictures in files: one alone, or those of a folder, of a list, or of one file of several pages as a video."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from functools import cache, cached_property
from os import PathLike
from pathlib import Path
from threading import Lock
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from masklet import errors, footage
from masklet.atomic import natural_order
from masklet.errors import MediaError, needing
from masklet.footage import MAX_LUMINANCE, PQ, PRIMARIES, REFERENCE_WHITE, SRGB, Colours, Footage, light_to_pq, srgb_of
from masklet.media.frames import Frame, ListedFrames

EXR = ".exr"
"""Needs the extra `exr`. Light of 1 is the white of an ordinary picture. Brighter light is white in 8 bits; 16 bits, by
PQ for films, keep it up to 49 times that white, where PQ ends."""

MAX_IMAGE_PIXELS = 1 << 28

HALVES = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
"""Each float of 16 bits."""

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", EXR)
"""Files that count as pictures where a folder is searched; `read_image` itself goes by the content."""

PILLOW_ERRORS = (*errors.DAMAGED, Image.DecompressionBombError)
"""What Pillow raises for damaged files."""


def read_image(path: str | PathLike[str]) -> NDArray[np.uint8]:
    """Read a picture as uint8 (H, W, 3), RGB, turned upright by its EXIF note.

    Grey pictures become RGB, those of 16 bits are brought to 8, transparency is dropped.
    Raises MediaError if the file is missing, damaged, no picture, or of 32 bits a pixel value but for OpenEXR.
    """
    path = Path(path)
    if path.suffix.lower() == EXR:
        return read_exr(path)
    with open_image(path) as picture:
        return upright_rgb(picture, path.name)


def read_deep(path: Path) -> NDArray[np.uint16] | None:
    """A PNG or TIFF of 16 bits as uint16 (H, W, 3), RGB, turned upright; None for all other files. Raises MediaError if
    the file is missing."""
    if path.suffix.lower() not in (".png", ".tif", ".tiff"):
        return None
    with reading(path.name):
        content = np.fromfile(path, np.uint8)  # `imread` ends the process for a name that is no UTF-8
    pixels = cv2.imdecode(content, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH) if content.size else None
    return pixels[..., ::-1].astype(np.uint16) if pixels is not None and pixels.dtype == np.uint16 else None


def open_image(path: Path) -> Image.Image:
    """A picture of which only the head was read; to be closed. Raises MediaError."""
    if not os.path.isfile(path):
        raise MediaError(f"there is no file at {path}; give the path of a picture")
    with reading(path.name):
        try:
            return Image.open(path)
        except UnidentifiedImageError:
            name = path.name
            raise MediaError(f"{name} is not a picture that can be read; give a file such as .jpg or .png") from None


def upright_rgb(opened: Image.Image, name: str) -> NDArray[np.uint8]:
    """The picture's present page as uint8 (H, W, 3), RGB. Raises MediaError, which calls it `name`."""
    if opened.mode in ("I", "F") and opened.format != "PNG":  # of which Pillow 10 says "I" where it has 16 bits
        raise MediaError(f"{name} has 32 bits a pixel value; save it with 8 or 16 bits a channel")
    with reading(name):
        return np.array(footage.upright(opened))


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Pillow's errors for a file that begins like a picture and cannot be read become MediaError, which names it."""
    try:
        yield
    except PILLOW_ERRORS as error:
        raise MediaError(f"{name} cannot be read as a picture: {error}; give another copy") from error


VIDEO_SUFFIXES = (
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".wmv", ".flv", ".3gp",
    ".ogv", ".mxf", ".gif",
)  # fmt: skip
"""Files that count as videos where a folder is searched; `open_video` itself goes by the content."""

BRIEF, SHOWN = 0.01, 0.1
"""Browsers show a page that asks for 10 ms or less for 100 ms (the HTML standard is silent, WebKit and Gecko agree)."""


class ImageFiles(ListedFrames):
    """Pictures in the order in which their paths are given; a path alone is a video of one frame.

    Raises MediaError if there is none, and, on the way, if one cannot be read or is of another size than the first.
    """

    def __init__(self, files: str | PathLike[str] | Sequence[str | PathLike[str]]) -> None:
        self.files = tuple(Path(file) for file in ([files] if isinstance(files, str | PathLike) else files))
        self.names = tuple(file.name for file in self.files)
        if not self.files:
            raise MediaError("the list of pictures is empty; give one path or more")
        self._exr = all(file.suffix.lower() == EXR for file in self.files)
        rate = exr_rate(self.files[0]) if self._exr else None
        super().__init__(len(self.files), float(rate) if rate else None)

    @cached_property
    def footage(self) -> Footage | None:  # type: ignore[override]  # looked for when a film is made
        if self._exr:
            return exr_footage(self.files[0], self._deep)
        deep = read_deep(self.files[0]) is not None
        return Footage(Colours(transfer=SRGB), 16, pictures=self._deep) if deep else None

    def _deep(self, start: int) -> Iterator[tuple[int, NDArray[np.uint16]]]:
        for frame in range(start, len(self)):
            image = (read_deep_exr if self._exr else read_deep)(self.files[frame])
            yield frame, self._image(frame).astype(np.uint16) * 257 if image is None else image

    def _image(self, frame: int) -> NDArray[np.uint8]:
        return read_image(self.files[frame])

    def _name(self, frame: int) -> str:
        return self.files[frame].name if frame else f"the first picture, {self.files[0].name},"


class ImageFolder(ImageFiles):
    """The pictures of a folder in natural order: 2.jpg comes before 10.jpg. Files of other kinds, hidden files, and
    masks beside their pictures are passed over. Raises MediaError as `ImageFiles`."""

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)
        if not os.path.isdir(path):
            raise MediaError(f"{self.path} is not a folder; give a folder of pictures")
        files = pictures_in(self.path)
        if not files:
            known = " ".join(IMAGE_SUFFIXES)
            raise MediaError(f"the folder {self.path} holds no pictures; give one with files of these kinds: {known}")
        super().__init__(files)


class PagedImage(ListedFrames):
    """The pages of a picture file as frames: GIF, TIFF, and animated WebP, PNG and AVIF; one page is a video of one
    frame.

    GIF and its like hold the duration of each page, which gives the frames' times; `rate` is that of the first
    page. A file that says nothing counts one second a frame. Raises MediaError if the file is no picture, and, on the
    way, if a page is damaged or of another size than the first.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)
        self.name = self.path.name
        self._lock = Lock()  # Pillow's file stands at one page at a time
        self._file = open_image(self.path)
        try:
            with reading(self.path.name):
                pages = int(getattr(self._file, "n_frames", 1))  # formats of one page lack the attribute
            # A first page that is a still, for programs that play no PNG, is no part of the film.
            self._still = int(getattr(self._file, "default_image", False) and pages > 1)
            super().__init__(pages - self._still, None)
        except BaseException:
            self._file.close()
            raise
        if "duration" in self._file.info:
            self.rate = 1 / _duration(self._file)

    @cached_property
    def timestamps(self) -> NDArray[np.float64]:
        """Seconds since the first frame, (T,). For a GIF, all pages are gone through at the first call."""
        if self.rate is None:
            return np.arange(len(self), dtype=np.float64)
        shown = [0.0]
        with open_image(self.path) as file:
            for frame in range(len(self) - 1):
                if file.format in ("WEBP", "AVIF"):  # tells a page's duration only once it is decoded
                    self._page(file, frame)
                else:
                    self._turn(file, frame)
                shown.append(_duration(file))
        return np.cumsum(shown)

    def close(self) -> None:
        """Iterations that are under way end at their next frame; later ones raise MediaError."""
        self._closed = True
        with self._lock:
            self._file.close()

    def _frames(self, start: int, stop: int | None) -> Iterator[Frame]:
        with open_image(self.path) as file:
            for frame in range(len(self))[start:stop]:
                if self._closed:
                    return
                yield self._frame(frame, self._page(file, frame))

    def _image(self, frame: int) -> NDArray[np.uint8]:
        """Pages of a GIF build upon each other, so that reading backward starts at the first again."""
        with self._lock:
            self._check_open()
            if frame + self._still < self._file.tell():  # anew: Pillow turns no PNG back to its first page
                self._file.close()
                self._file = open_image(self.path)
            return self._page(self._file, frame)

    def _name(self, frame: int) -> str:
        return f"page {frame} of {self.path.name}" if frame else self.path.name

    def _page(self, file: Image.Image, frame: int) -> NDArray[np.uint8]:
        self._turn(file, frame)
        return upright_rgb(file, self._name(frame))

    def _turn(self, file: Image.Image, frame: int) -> None:
        with reading(self._name(frame)):
            file.seek(frame + self._still)


def _duration(page: Image.Image) -> float:
    seconds = float(page.info.get("duration", 0)) / 1000
    return seconds if seconds > BRIEF else SHOWN


def files_in(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """The files of these kinds in a folder, in natural order, without the hidden ones."""
    found = (f for f in folder.iterdir() if f.suffix.lower() in suffixes and not f.name.startswith("."))
    return sorted(found, key=natural_order)


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder in natural order; a PNG of one channel beside a picture of the same name, 0.png beside
    0.jpg, is its mask and none of them."""
    files = files_in(folder, IMAGE_SUFFIXES)
    stems = {file.stem for file in files if file.suffix.lower() != ".png"}
    return [file for file in files if file.suffix.lower() != ".png" or file.stem not in stems or not _is_grey(file)]


def _is_grey(file: Path) -> bool:
    """Whether a picture has one channel: a palette, levels of grey, or black and white."""
    try:
        with Image.open(file) as picture:
            return picture.mode in ("1", "L", "P")
    except PILLOW_ERRORS:
        return False  # reading it says what is wrong


def picture_names(path: Path) -> list[str]:
    """The names of a folder's pictures by frame; none for anything else."""
    return [file.name for file in pictures_in(path)] if os.path.isdir(path) else []


def holds_videos(path: Path) -> bool:
    """Whether a path is a folder of videos. One that holds pictures is not: it is a video itself."""
    return os.path.isdir(path) and not files_in(path, IMAGE_SUFFIXES) and bool(files_in(path, VIDEO_SUFFIXES))


def read_exr(path: Path) -> NDArray[np.uint8]:
    """uint8 (H, W, 3), RGB, by the curve of sRGB. Raises MediaError for a missing library, and for a file that is
    missing, damaged or without colours."""
    return np.take(_table_of_8_bits(), _exr_light(path).astype(np.float16).view(np.uint16))


def read_deep_exr(path: Path) -> NDArray[np.uint16]:
    """uint16 (H, W, 3), RGB, by the curve of PQ. Raises MediaError as `read_exr`."""
    light = _exr_light(path)
    if light.dtype == np.float16:
        return np.take(_table_of_16_bits(), light.view(np.uint16))
    return _as_pq(light)


def exr_rate(path: Path) -> Fraction | None:
    """Frames a second, as the header says; None if it does not."""
    return _exr_header(path).get("framesPerSecond") or None


def exr_footage(path: Path, pictures: Callable[[int], Iterator[tuple[int, NDArray[np.uint16]]]]) -> Footage:
    """What films keep of a sequence: primaries and timecode, as the header of the first picture says, and all light."""
    header, rate = _exr_header(path), exr_rate(path)
    corners = header.get("chromaticities", PRIMARIES[1])
    near = (code for code, known in PRIMARIES.items() if np.allclose(corners, known, atol=0.002))
    primaries, timecode = next(near, 1), None
    if code := header.get("timeCode"):
        frame = code.frame * max(1, -(-round(rate or 24) // 30))  # it counts to 29: see `masklet.formats.cutouts`
        mark = ";" if code.dropFrame else ":"
        timecode = f"{code.hours:02d}:{code.minutes:02d}:{code.seconds:02d}{mark}{frame:02d}"
    return Footage(Colours(primaries, PQ, 9 if primaries == 9 else 1), 16, timecode, pictures=pictures)


@contextmanager
def _exr_file(path: Path, **how: bool) -> Iterator[Any]:
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


def _exr_header(path: Path) -> dict[str, Any]:
    with _exr_file(path, header_only=True) as file:
        return {**file.header()}  # which is emptied when the file is closed


def _exr_light(path: Path) -> NDArray[Any]:
    """float16 or float32 (H, W, 3): what lies in the display window, black where there are no data."""
    header = _exr_header(path)
    windows = [[np.asarray(end, np.int64) for end in header[name]] for name in ("displayWindow", "dataWindow")]
    for low, high in windows:
        sides = high - low + 1
        if sides.min() < 1 or sides.prod() > MAX_IMAGE_PIXELS:
            raise MediaError(f"{path.name} has a window of {sides[0]} x {sides[1]} pixels; give a smaller picture")
    (left, top), (right, bottom), (x, y) = (end.tolist() for end in (*windows[0], windows[1][0]))
    width, height = right - left + 1, bottom - top + 1
    with _exr_file(path, separate_channels=True) as file:
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
    level = np.nan_to_num(np.asarray(light, np.float64), nan=0.0).clip(0, MAX_LUMINANCE / REFERENCE_WHITE)
    return np.rint(light_to_pq(level * REFERENCE_WHITE) * 65535).astype(np.uint16)


@cache
def _table_of_8_bits() -> NDArray[np.uint8]:
    return np.rint(255 * srgb_of(np.nan_to_num(HALVES.astype(np.float64), nan=0.0).clip(0, 1))).astype(np.uint8)


@cache
def _table_of_16_bits() -> NDArray[np.uint16]:
    return _as_pq(HALVES)
