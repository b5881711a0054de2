"""Pictures in files: one alone, or those of a folder or of a list as a video."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from os import PathLike
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from masklet import errors
from masklet.atomic import natural_order
from masklet.errors import MediaError
from masklet.footage import SRGB, Colours, Footage
from masklet.media.exr_file import SUFFIX, exr_footage, exr_rate, read_exr
from masklet.media.frames import ListedFrames

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", SUFFIX)
"""Files that count as pictures where a folder is searched; `read_image` itself goes by the content."""

DAMAGED = (*errors.DAMAGED, Image.DecompressionBombError)
"""What Pillow raises for damaged files."""


def read_image(path: str | PathLike[str]) -> NDArray[np.uint8]:
    """Read a picture as uint8 (H, W, 3), RGB, turned upright by its EXIF note.

    Grey pictures become RGB, those of 16 bits are brought to 8, transparency is dropped.
    Raises MediaError if the file is missing, damaged, no picture, or of 32 bits a pixel value but for OpenEXR.
    """
    path = Path(path)
    if path.suffix.lower() == SUFFIX:
        return read_exr(path)
    with open_image(path) as picture:
        return upright_rgb(picture, path.name)


def read_deep(path: Path) -> NDArray[np.uint16] | None:
    """A PNG or TIFF of 16 bits as uint16 (H, W, 3), RGB, turned upright; None for all other files."""
    if path.suffix.lower() not in (".png", ".tif", ".tiff"):
        return None
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
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
    with reading(name):
        picture = ImageOps.exif_transpose(opened)
        picture.load()
    if picture.mode in ("I", "F"):
        raise MediaError(f"{name} has 32 bits a pixel value; save it with 8 or 16 bits a channel")
    if picture.mode.startswith("I;16"):
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    return np.array(picture.convert("RGB"))


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Pillow's errors for a file that begins like a picture and cannot be read become MediaError, which names it."""
    try:
        yield
    except DAMAGED as error:
        raise MediaError(f"{name} cannot be read as a picture: {error}; give another copy") from error


VIDEO_SUFFIXES = (
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".wmv", ".flv", ".3gp",
    ".ogv", ".mxf", ".gif",
)  # fmt: skip
"""Files that count as videos where a folder is searched; `open_video` itself goes by the content."""


class ImageFiles(ListedFrames):
    """Pictures in the order in which their paths are given; a path alone is a video of one frame.

    rate  frames a second, where the user knows; without it the frames' times count one second each

    Raises MediaError if there is none, and, on the way, if a picture cannot be read or is of another size
    than the first.
    """

    def __init__(
        self, files: str | PathLike[str] | Sequence[str | PathLike[str]], *, rate: float | None = None
    ) -> None:
        self.files = tuple(Path(file) for file in ([files] if isinstance(files, str | PathLike) else files))
        self.names = tuple(file.name for file in self.files)
        if not self.files:
            raise MediaError("the list of pictures is empty; give one path or more")
        told = exr_rate(self.files[0]) if self._exr and rate is None else None
        super().__init__(len(self.files), float(told) if told else rate)

    @property
    def _exr(self) -> bool:
        return all(file.suffix.lower() == SUFFIX for file in self.files)

    @cached_property
    def footage(self) -> Footage | None:  # type: ignore[override]  # looked for when a film is made
        if self._exr:
            return exr_footage(self.files)
        deep = read_deep(self.files[0]) is not None
        return Footage(Colours(transfer=SRGB), 16, pictures=self._deep) if deep else None

    def _deep(self, start: int) -> Iterator[tuple[int, NDArray[np.uint16]]]:
        for frame in range(start, len(self)):
            image = read_deep(self.files[frame])
            yield frame, self._image(frame).astype(np.uint16) * 257 if image is None else image

    def _image(self, frame: int) -> NDArray[np.uint8]:
        return read_image(self.files[frame])

    def _name(self, frame: int) -> str:
        return self.files[frame].name if frame else f"the first picture, {self.files[0].name},"


class ImageFolder(ImageFiles):
    """The pictures of a folder in natural order: 2.jpg comes before 10.jpg.

    rate  frames a second, where the user knows; without it the frames' times count one second each

    Files of other kinds, hidden files, and masks beside their pictures are passed over. Raises MediaError if no picture
    is there, and, on the way, if a picture cannot be read or is of another size than the first.
    """

    def __init__(self, path: str | PathLike[str], *, rate: float | None = None) -> None:
        self.path = Path(path)
        if not os.path.isdir(path):
            raise MediaError(f"{self.path} is not a folder; give a folder of pictures")
        files = pictures_in(self.path)
        if not files:
            known = " ".join(IMAGE_SUFFIXES)
            raise MediaError(f"the folder {self.path} holds no pictures; give one with files of these kinds: {known}")
        super().__init__(files, rate=rate)


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
    except DAMAGED:
        return False  # reading it says what is wrong


def picture_names(path: Path) -> list[str]:
    """The names of a folder's pictures by frame; none for anything else."""
    return [file.name for file in pictures_in(path)] if os.path.isdir(path) else []


def holds_videos(path: Path) -> bool:
    """Whether a path is a folder of videos. One that holds pictures is not: it is a video itself."""
    return os.path.isdir(path) and not files_in(path, IMAGE_SUFFIXES) and bool(files_in(path, VIDEO_SUFFIXES))
