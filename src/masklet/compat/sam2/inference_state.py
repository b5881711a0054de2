"""The state of one video in the keys of the reference."""

import os
import shutil
import weakref
from collections import UserDict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

from masklet.engines.base import Engine
from masklet.media.source import FrameSource
from masklet.video import VideoTracker
from masklet.video.reader import frame_tensor

LARGEST_COPY = 1 << 30
"""Folders with more bytes than these are not copied."""


class InferenceState(UserDict[str, Any]):
    """What `init_state` returns: the keys that clients read, each as it is now, and what they put in beside.

    A key of the reference that is set reads as it was set; what is tracked is the video and what the predictor was
    told. Predictors other than its `owner` refuse it; `kept` is the folder of `keep_folder`.
    """

    def __init__(self, owner: object, tracker: VideoTracker, kept: TemporaryDirectory[str] | None = None) -> None:
        super().__init__(_KEYS)
        self.owner = owner
        self.tracker = tracker
        weakref.finalize(self, _close, tracker, kept)  # clients have no word for closing: they drop the state

    def __getitem__(self, key: str) -> Any:
        if key not in self.data:
            raise KeyError(f"{key}; the state has {', '.join(self)}")
        value = self.data[key]
        return _KEYS[key](self) if value is _KEYS.get(key) else value

    def clear(self) -> None:
        """Forget all keys."""
        self.data.clear()

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


class Outputs(Mapping[int, dict[str, Any]]):
    """What is known of an object, frame by frame, in the words of the reference; each is made when it is asked for."""

    def __init__(self, state: InferenceState, name: Any, prompted: bool) -> None:
        self._state, self._name, self._prompted = state, name, prompted

    def __getitem__(self, frame: int) -> dict[str, Any]:
        if frame not in set(iter(self)):
            raise KeyError(frame)
        track = self._state.tracker.tracks[self._name]
        known = track.known(frame)
        assert known is not None, "a frame that is listed is known"
        device = self._state.tracker.engine.device
        return {
            "maskmem_features": None if known.memory is None else known.memory[None].to(device),
            "pred_masks": known.logits[None, None].to(device),
            "obj_ptr": None if known.pointer is None else known.pointer[None].to(device),
            "object_score_logits": torch.tensor([[known.presence]], device=device),
        }

    def __iter__(self) -> Iterator[int]:
        track = self._state.tracker.tracks[self._name]
        return iter(sorted(track.prompted if self._prompted else {*track.tracked} - {*track.prompted}))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _outputs(state: InferenceState) -> dict[int, dict[str, Outputs]]:
    kinds = {"cond_frame_outputs": True, "non_cond_frame_outputs": False}
    return {
        slot: {kind: Outputs(state, name, prompted) for kind, prompted in kinds.items()}
        for slot, name in enumerate(state.tracker.tracks)
    }


def _points(state: InferenceState) -> dict[int, dict[int, dict[str, Tensor]]]:
    """Clicks of each object by frame, in pixels of the model's square, as the reference keeps them."""
    found: dict[int, dict[int, dict[str, Tensor]]] = {}
    size = state.tracker.size
    scale = torch.tensor(np.divide(state.tracker.engine.config.placed(size), size)[::-1].copy()).float()
    for slot, track in enumerate(state.tracker.tracks.values()):
        found[slot] = {
            frame: {
                "point_coords": torch.tensor(prompt.points, dtype=torch.float32)[None] * scale,
                "point_labels": torch.tensor([prompt.labels], dtype=torch.int32),
            }
            for frame, prompt in track.prompts.items()
            if prompt.points
        }
    return found


def _masks(state: InferenceState) -> dict[int, dict[int, Tensor]]:
    """Given masks of each object by frame, bool (1, 1, H, W)."""
    return {
        slot: {
            frame: torch.tensor(prompt.mask)[None, None]
            for frame, prompt in track.prompts.items()
            if prompt.mask is not None
        }
        for slot, track in enumerate(state.tracker.tracks.values())
    }


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
    "point_inputs_per_obj": _points,
    "mask_inputs_per_obj": _masks,
    "output_dict_per_obj": _outputs,
    "temp_output_dict_per_obj": lambda state: {
        slot: {"cond_frame_outputs": {}, "non_cond_frame_outputs": {}} for slot in range(len(state.tracker.tracks))
    },
    "frames_tracked_per_obj": lambda state: {
        slot: {frame: {"reverse": False} for frame in outputs["non_cond_frame_outputs"]}
        for slot, outputs in _outputs(state).items()
    },
    "cached_features": lambda state: {},
}
