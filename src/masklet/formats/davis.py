"""DAVIS: a folder of palette PNGs, one for each frame; a pixel's value is the object's index, 0 the background."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from masklet.errors import FormatError
from masklet.formats.atomic import make_folder, replacing
from masklet.formats.base import MOST_NUMBER, Facts, FrameLike, FrameMasks, index_map
from masklet.formats.numbered import numbered_files, open_png
from masklet.formats.registry import Sink, reads, writes
from masklet.masks.palette import PALETTE

if TYPE_CHECKING:
    from typing_extensions import Self


@writes("davis", suffixes=(), help="a palette PNG per frame, as in DAVIS; objects 1 to 254, no overlap")
@contextmanager
def write_davis(path: Path, facts: Facts) -> Iterator[Sink]:
    """PATH/00000.png ...; each file is whole as soon as it is there. Where masks overlap, the surer one is kept."""
    with IndexPngWriter(path, facts.size) as pictures:

        def write(result: FrameLike) -> None:
            pictures.write(result.frame, index_map(result))

        yield write


@reads("davis")
def read_davis(path: Path) -> Iterator[FrameMasks]:
    """Masks of each frame by number; 255, "unknown", is no object. Raises FormatError for a folder without PNGs."""
    if not path.is_dir() or not (files := numbered_files(path)):
        raise FormatError(f"{path} is no folder with PNGs such as 00000.png; give one with index PNGs")
    for frame, file in files.items():
        indices = read_index_png(file)
        numbers = [int(number) for number in np.unique(indices) if 1 <= number <= MOST_NUMBER]
        yield FrameMasks(frame, {number: indices == number for number in numbers})


class IndexPngWriter:
    """Writes 00000.png, 00001.png, ... into a folder, which is made if need be.

    size  (height, width) of every frame

    Each file is whole as soon as it is there, so a run that was cut short keeps what it had.
    Raises FormatError if the folder or a file cannot be written.
    """

    def __init__(self, folder: str | PathLike[str], size: tuple[int, int]) -> None:
        self.folder = Path(folder)
        self.size = size
        make_folder(self.folder)

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
        write_index_png(path, index_map)
        return path

    def close(self) -> None:
        """Nothing is left open between frames; here so that all writers are used alike."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def write_index_png(path: Path, index_map: NDArray[np.integer]) -> None:
    """Write one index map (H, W), numbers up to 255, as a palette PNG. Raises FormatError if it cannot be written."""
    picture = Image.fromarray(index_map.astype(np.uint8, copy=False))
    picture.putpalette(PALETTE.tobytes())
    with replacing(path) as temporary:
        picture.save(temporary, format="PNG")


def read_index_png(path: str | PathLike[str]) -> NDArray[np.uint8]:
    """Read the object indices of a palette or grey PNG: uint8 (H, W).

    Raises FormatError if the file is missing, damaged, or holds colours in place of indices.
    """
    return open_png(Path(path)).astype(np.uint8)
