"""What a video is to masklet: a size, perhaps a rate and a length, and frames one after another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from masklet.errors import MediaError

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a video.

    index  counts from 0
    time   seconds since the first frame
    image  uint8 (H, W, 3), RGB, as it is shown: rotation is applied
    """

    index: int
    time: float
    image: NDArray[np.uint8]


class FrameSource(Protocol):
    """Frames in the order of time. Each `iter()` starts at the first frame again.

    A source holds no more than a few frames in memory, however long the video, and is a context manager
    that closes itself. Readers inherit from this class.

    size               (height, width) of every frame, as shown
    rate               frames a second, or None where nothing says
    frame_count        number of frames, or None where nothing says
    frame_count_exact  True if the frames were counted; False if `frame_count` is estimated from duration and rate
    ended_early        after an iteration: a sentence with the last frame's number if the video broke off, else None
    """

    size: tuple[int, int]
    rate: float | None
    frame_count: int | None
    frame_count_exact: bool
    ended_early: str | None

    def __iter__(self) -> Iterator[Frame]: ...

    def close(self) -> None:
        """Give back what the source holds. Iterations that are under way end at their next frame."""
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def open_video(path: str | PathLike[str]) -> FrameSource:
    """Open a video file or a folder of pictures.

    Raises MediaError if there is nothing at the path, or nothing there that can be read as a video.
    """
    # Imported here: the readers build on this file, and PyAV is loaded only for those who open a video.
    from masklet.media.folder import ImageFolder
    from masklet.media.video_file import VideoFile

    path = Path(path)
    if not path.exists():
        raise MediaError(f"there is nothing at {path}; give the path of a video file or of a folder of pictures")
    return ImageFolder(path) if path.is_dir() else VideoFile(path)
