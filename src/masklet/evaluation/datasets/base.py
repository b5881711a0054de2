"""What a data set gives: clips, each with its frames, its true masks, and the names of its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from masklet.media.source import FrameSource, open_video

Kind = Literal["video", "image"]
Layout = Literal["index", "objects"]


@dataclass(frozen=True, eq=False)
class FrameTruth:
    """The true masks of one frame.

    masks  bool (H, W) by object; objects that are annotated and out of view have empty masks
    void   bool (H, W): pixels of which nobody knows; None where there are none
    """

    masks: Mapping[int, NDArray[np.bool_]]
    void: NDArray[np.bool_] | None = None


class Truth(Protocol):
    """The true masks of a clip, read one frame at a time.

    frames    the annotated frames, in order
    entering  object -> the frame with its first mask, where trackers are told of it
    """

    @property
    def frames(self) -> tuple[int, ...]: ...

    @property
    def entering(self) -> Mapping[int, int]: ...

    def read(self, frame: int) -> FrameTruth:
        """The masks of an annotated frame. Raises EvaluationError if its file is missing or damaged."""
        ...


@dataclass(frozen=True)
class Clip:
    """A video of a data set, or a picture, which is a video of one frame. Nothing is read until it is asked for.

    name    unique in the data set; with slashes where the data set has folders
    video   a video file, or the pictures in order, as files or uint8 (H, W, 3)
    stems   the names of the frames in the data set's own files, without their endings
    truth   the true masks
    groups  object -> the group that it is scored in, such as "seen"; empty where the data set has none
    """

    name: str
    video: Path | tuple[Path, ...] | tuple[NDArray[np.uint8], ...]
    stems: tuple[str, ...]
    truth: Truth
    groups: Mapping[int, str] = field(default_factory=dict)

    def open(self) -> FrameSource:
        """The frames. Raises MediaError if they cannot be read."""
        return open_video(self.video)


@dataclass(frozen=True)
class Dataset:
    """The clips of one split.

    name    of the data set
    split   of it
    kind    videos or pictures
    clips   in the order of the data set
    layout  how masks are handed in: an index PNG for each frame, or a folder of PNGs for each object
    """

    name: str
    split: str
    kind: Kind
    clips: tuple[Clip, ...]
    layout: Layout = "index"
