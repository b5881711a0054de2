"""The state of one video in the keys of the reference."""

import os
import shutil
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from masklet.engines.base import Engine
from masklet.media.source import FrameSource
from masklet.video import VideoTracker
from masklet.video.reader import frame_tensor

LARGEST_COPY = 1 << 30
"""Folders with more bytes than these are not copied."""


class InferenceState(Mapping[str, Any]):
    """What `init_state` returns: the keys that clients read, each as it is now.

    Args:
        owner: The predictor whose state this is; others refuse it.
        tracker: The session behind it.
        kept: The folder in which its pictures are kept, by `keep_folder`.
    """

    def __init__(self, owner: object, tracker: VideoTracker, kept: TemporaryDirectory[str] | None = None) -> None:
        self.owner = owner
        self.tracker = tracker
        weakref.finalize(self, _close, tracker, kept)  # clients have no word for closing: they drop the state

    def __getitem__(self, key: str) -> Any:
        return _KEYS[key](self)

    def __iter__(self) -> Iterator[str]:
        return iter(_KEYS)

    def __len__(self) -> int:
        return len(_KEYS)

    def __repr__(self) -> str:
        return f"InferenceState({len(self.tracker.tracks)} objects, {self['num_frames']} frames)"


def _close(tracker: VideoTracker, kept: TemporaryDirectory[str] | None) -> None:
    tracker.close()
    if kept is not None:
        kept.cleanup()


def keep_folder(video: str | os.PathLike[str]) -> TemporaryDirectory[str] | None:
    """A folder of links to the pictures of a folder, so that clients may delete theirs, as with the reference, which
    reads all at once. Where the system cannot link, small folders are copied, and large ones read where they are: None,
    as for all that is no folder.
    """
    if not os.path.isdir(video):
        return None
    files = [Path(entry.path) for entry in os.scandir(video) if entry.is_file()]
    kept = TemporaryDirectory(prefix="masklet-")
    try:
        for file in files:
            os.link(file, Path(kept.name, file.name))
    except OSError:  # another disk, or a file system without links
        if sum(file.stat().st_size for file in files) > LARGEST_COPY:
            kept.cleanup()
            return None
        for file in files:
            shutil.copyfile(file, Path(kept.name, file.name))
    return kept


class Frames:
    """Frames as the network sees them, (3, S, S) each, read when they are asked for."""

    def __init__(self, source: FrameSource, engine: Engine) -> None:
        self._source = source
        self._engine = engine

    def __len__(self) -> int:
        return count_frames(self._source)

    def __getitem__(self, frame: int | slice) -> Tensor:
        """One frame, or (T, 3, S, S) for a slice."""
        if isinstance(frame, slice):
            return torch.stack([self[f] for f in range(*frame.indices(len(self)))])
        number = frame + len(self) if frame < 0 else frame
        return frame_tensor(self._source.read(number).image, self._engine)[0]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(T, 3, S, S)"""
        side = self._engine.config.image_size
        return len(self), 3, side, side


def count_frames(source: FrameSource) -> int:
    """How many frames a video has; counted by reading it through if the number is not exact."""
    times = source.timestamps
    return sum(1 for _ in source.frames()) if times is None else len(times)


_KEYS: dict[str, Callable[[InferenceState], Any]] = {
    "images": lambda state: Frames(state.tracker.source, state.tracker.engine),
    "num_frames": lambda state: count_frames(state.tracker.source),
    "video_height": lambda state: state.tracker.size[0],
    "video_width": lambda state: state.tracker.size[1],
    "device": lambda state: state.tracker.engine.device,
    "storage_device": lambda state: state.tracker.engine.device,
    "obj_ids": lambda state: list(state.tracker.tracks),
    "obj_id_to_idx": lambda state: {name: slot for slot, name in enumerate(state.tracker.tracks)},
    "obj_idx_to_id": lambda state: dict(enumerate(state.tracker.tracks)),
}
