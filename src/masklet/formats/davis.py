"""DAVIS: a folder of palette PNGs, one for each frame; a pixel's value is the object's index, 0 the background."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from masklet.errors import FormatError
from masklet.formats.atomic import replacing, unwritable
from masklet.masks.palette import PALETTE

if TYPE_CHECKING:
    from typing_extensions import Self


class IndexPngWriter:
    """Writes 00000.png, 00001.png, ... into a folder, which is made if need be.

    size  (height, width) of every frame

    Each file is whole as soon as it is there, so a run that was cut short keeps what it had.
    Raises FormatError if the folder or a file cannot be written.
    """

    def __init__(self, folder: str | PathLike[str], size: tuple[int, int]) -> None:
        self.folder = Path(folder)
        self.size = size
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(self.folder, error) from error

    def write(self, frame: int, index_map: NDArray[np.uint8] | NDArray[np.uint16]) -> Path:
        """Write one frame's index map, uint8 (H, W), and return its file.

        Raises FormatError for another type or size, and for a file that cannot be written.
        """
        assert frame >= 0, f"frame is {frame}; frames count from 0"
        if index_map.dtype != np.uint8 or index_map.shape != self.size:
            raise FormatError(
                f"the index map of frame {frame} is {index_map.dtype} {index_map.shape}; "
                f"give uint8 of the size (height, width) = {self.size}: PNGs of this format hold up to 255 objects"
            )
        path = self.folder / f"{frame:05d}.png"
        picture = Image.fromarray(index_map)
        picture.putpalette(PALETTE.tobytes())
        with replacing(path) as temporary:
            picture.save(temporary, format="PNG")
        return path

    def close(self) -> None:
        """Nothing is left open between frames; here so that all writers are used alike."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def read_index_png(path: str | PathLike[str]) -> NDArray[np.uint8]:
    """Read the object indices of a palette or grey PNG: uint8 (H, W).

    Raises FormatError if the file is missing, damaged, or holds colours in place of indices.
    """
    path = Path(path)
    if not path.is_file():
        raise FormatError(f"there is no file at {path}; give the path of an index PNG")
    try:
        with Image.open(path) as picture:
            mode = picture.mode
            indices = np.array(picture)
    except (OSError, SyntaxError, ValueError) as error:  # Pillow's, for damaged files
        raise FormatError(f"{path.name} cannot be read as a PNG: {error}; give another copy") from error
    if mode not in ("P", "L", "1"):
        raise FormatError(
            f"{path.name} is a picture of the kind {mode}; an index mask is a palette PNG or a grey one of 8 bits, "
            "whose pixel values are the objects' indices"
        )
    return indices.astype(np.uint8)
