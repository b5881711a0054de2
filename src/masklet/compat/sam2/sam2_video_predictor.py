"""The reference's predictor for videos, on `masklet.VideoTracker`, and the state of one video in the keys of the
reference.

Letters: N objects, S side of the model's square, H x W the video.
"""

from __future__ import annotations

import os
import shutil
import weakref
from collections import UserDict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

from masklet.checkpoints import Model
from masklet.compat.border import CallRefused, as_reference, click_or_box_of, mask_of
from masklet.compat.sam2.modeling import NO_OBJ_SCORE, SAM2Base
from masklet.compat.sam2.settings import Settings, from_hub, model_and_settings, tracking_options
from masklet.errors import MediaError
from masklet.video import FrameResult, VideoTracker
from masklet.video.reader import frame_tensor

Found = tuple[int, list[Any], Tensor]
"""Number of the frame, the objects, and their logits (N, 1, H, W)."""

MAX_COPY = 1 << 30
"""Folders with more bytes than these are not copied."""


class SAM2VideoPredictor(SAM2Base):
    """Objects through a video. One predictor serves any number of states.

    Args:
        model: What `masklet.load_model` returns.
        settings: Settings of the reference.
        changes: Those that go before them by name, such as `fill_hole_area` and `non_overlap_masks`.
    """

    def __init__(self, model: Model, settings: Settings | None = None, **changes: Any) -> None:
        super().__init__(model, replace(settings or Settings(), **changes))

    @classmethod
    def from_pretrained(cls, model_id: str, **arguments: Any) -> SAM2VideoPredictor:
        """A predictor with a model from the hub. Takes the arguments of `build_sam2_video_predictor`."""
        return cls(*model_and_settings(*from_hub(model_id), **arguments))

    def init_state(
        self,
        video_path: str | os.PathLike[str],
        offload_video_to_cpu: bool = False,
        offload_state_to_cpu: bool = False,
        async_loading_frames: bool = False,
    ) -> InferenceState:
        """Open a video: a folder of pictures of any names, or a file of any kind.

        The three options are understood and change nothing: frames are read when they are needed, and memories lie in a
        file. A folder may be deleted afterwards: its pictures are kept under other names while the state lives.

        Raises:
            VideoRefused: It cannot be read (a RuntimeError).
        """
        with as_reference(), ExitStack() as closing:
            options = tracking_options(self.settings, self.engine.config)
            kept = keep_folder(video_path)
            video = video_path if kept is None else closing.enter_context(kept)
            tracker = VideoTracker(video, self.engine, options=options)
            closing.callback(tracker.close)
            return InferenceState(self, tracker, closing.pop_all())

    def add_new_points_or_box(
        self,
        inference_state: InferenceState,
        frame_idx: int,
        obj_id: Any,
        points: Any = None,
        labels: Any = None,
        clear_old_points: bool = True,
        normalize_coords: bool = True,
        box: Any = None,
    ) -> Found:
        """Click on an object, or draw a box around it.

        Args:
            inference_state: From `init_state`.
            frame_idx: Number of the frame.
            obj_id: Any int or str.
            points: (P, 2), x and y in pixels, or in 0..1 with `normalize_coords=False`.
            labels: (P,): 1 include, 0 exclude.
            clear_old_points: Whether earlier points and boxes of the object on the frame go.
            normalize_coords: Whether coordinates are pixels.
            box: (4,): x0, y0, x1, y1.

        Raises:
            PromptError: Prompts that make no sense (a ValueError).
        """
        tracker = self._tracker(inference_state)
        if box is not None and not clear_old_points:
            raise ValueError("a box comes before all points of its frame; give it with clear_old_points=True")
        with as_reference():
            prompt = click_or_box_of(points, labels, box, tracker.size, in_pixels=normalize_coords)
            result = tracker.add_prompt(frame=frame_idx, object=obj_id, prompt=prompt, replace=clear_old_points)
        return self._found(tracker, result)

    add_new_points = add_new_points_or_box  # its older name

    def add_new_mask(self, inference_state: InferenceState, frame_idx: int, obj_id: Any, mask: Any) -> Found:
        """Give an object's mask, (H, W), bool or 0 and 1, array or tensor; one of another size is scaled."""
        tracker = self._tracker(inference_state)
        with as_reference():
            inside = mask_of(mask, tracker.size)
            return self._found(tracker, tracker.add_mask(frame=frame_idx, object=obj_id, mask=inside))

    def propagate_in_video(
        self,
        inference_state: InferenceState,
        start_frame_idx: int | None = None,
        max_frame_num_to_track: int | None = None,
        reverse: bool = False,
    ) -> Iterator[Found]:
        """Follow all objects.

        Args:
            inference_state: From `init_state`.
            start_frame_idx: First frame; None for the earliest prompted one. Nothing comes of a start past the end, nor
                in reverse of frame 0.
            max_frame_num_to_track: How many frames after the first one; None for all.
            reverse: Whether to follow towards the video's beginning.

        Raises:
            CallRefused: Nothing was prompted (a RuntimeError), already at the call.
        """
        tracker = self._tracker(inference_state)
        prompted = [frame for track in tracker.tracks.values() for frame in track.prompted]
        if not prompted:
            raise CallRefused("no points, boxes or masks were given for any object; add some before propagating")
        start = min(prompted) if start_frame_idx is None else start_frame_idx
        if (reverse and start == 0) or (start_frame_idx is not None and not has_frame(tracker, start)):
            return iter(())
        stop = None
        if max_frame_num_to_track is not None:
            stop = start + (max_frame_num_to_track + 1) * (-1 if reverse else 1)
        if stop is not None and stop < 0:
            stop = None
        with as_reference():
            results = tracker.propagate(start, stop, direction="backward" if reverse else "forward")
        return self._follow(tracker, results)

    def clear_all_prompts_in_frame(
        self, inference_state: InferenceState, frame_idx: int, obj_id: Any, need_output: bool = True
    ) -> Found | None:
        """Take back what was said about an object in a frame. Returns the frame's masks if they are wanted."""
        tracker = self._tracker(inference_state)
        if obj_id in tracker.tracks and frame_idx in tracker.tracks[obj_id].prompted:
            tracker.clear(frame_idx, obj_id)
        if not need_output:
            return None
        with as_reference():
            return self._found(tracker, tracker.result(frame_idx))

    def remove_object(
        self, inference_state: InferenceState, obj_id: Any, strict: bool = False, need_output: bool = True
    ) -> tuple[list[Any], list[tuple[int, Tensor]]]:
        """Remove an object; the others stay as they are.

        Returns:
            The objects that are left, and the masks of these on the frames where the removed one was prompted.

        Raises:
            CallRefused: With `strict`, there is no such object (a RuntimeError).
        """
        tracker = self._tracker(inference_state)
        if obj_id not in tracker.tracks:
            if strict:
                raise CallRefused(f"there is no object {obj_id!r}; known objects: {list(tracker.tracks)}")
            return list(tracker.tracks), []
        frames = sorted(tracker.tracks[obj_id].prompts)
        tracker.remove(obj_id)
        wanted = frames if need_output and tracker.tracks else []
        return list(tracker.tracks), [(frame, self._found(tracker, tracker.result(frame))[2]) for frame in wanted]

    def reset_state(self, inference_state: InferenceState) -> None:
        """Forget all objects; the video stays open."""
        tracker = self._tracker(inference_state)
        for name in list(tracker.tracks):
            tracker.remove(name)

    def _tracker(self, state: InferenceState) -> VideoTracker:
        if not isinstance(state, InferenceState):
            raise CallRefused(f"the state is a {type(state).__name__}; give what init_state returned")
        if state.owner is not self:
            raise CallRefused("the state is that of another predictor; give one that this predictor's init_state made")
        return state.tracker

    def _follow(self, tracker: VideoTracker, results: Iterator[FrameResult]) -> Iterator[Found]:
        with as_reference():
            for result in results:
                yield self._found(tracker, result)

    def _found(self, tracker: VideoTracker, result: FrameResult) -> Found:
        return result.frame, list(tracker.tracks), logits_of(tracker.tracks, result, tracker.size).to(self.device)


def logits_of(names: Collection[Any], result: FrameResult, size: tuple[int, int]) -> Tensor:
    """(N, 1, H, W) of a frame's objects. Of a given mask those that the network reads, as in the reference."""
    logits = torch.full((len(names), 1, *size), NO_OBJ_SCORE)
    for row, name in enumerate(names):
        if name in result.objects:
            read = replace(result.objects[name].pixels, final={})
            logits[row, 0] = torch.from_numpy(read.full_logits(name))
    return logits


def has_frame(tracker: VideoTracker, frame: int) -> bool:
    """Whether the video has a frame of this number."""
    try:
        tracker.source.read(frame)
    except MediaError:
        return False
    return True


class InferenceState(UserDict[str, Any]):
    """What `init_state` returns: the keys that clients read, each as it is now, and what they put in beside.

    A key of the reference that is set reads as it was set; what is tracked is the video and what the predictor was
    told. Predictors other than its `owner` refuse it; `closing` is done when it is dropped.
    """

    def __init__(self, owner: object, tracker: VideoTracker, closing: ExitStack) -> None:
        super().__init__(_KEYS)
        self.owner = owner
        self.tracker = tracker
        weakref.finalize(self, closing.close)  # clients have no word for closing: they drop the state

    def __getitem__(self, key: str) -> Any:
        if key not in self.data:
            raise KeyError(f"{key}; the state has {', '.join(self)}")
        value = self.data[key]
        return _KEYS[key](self.tracker) if value is _KEYS.get(key) else value

    def clear(self) -> None:
        """Forget all keys."""
        self.data.clear()

    def __repr__(self) -> str:
        return f"InferenceState({len(self.tracker.tracks)} objects, {self['num_frames']} frames)"


def keep_folder(video: str | os.PathLike[str]) -> TemporaryDirectory[str] | None:
    """A folder of links to the pictures of a folder, so that clients may delete theirs, as with the reference, which
    reads all at once. Where the system cannot link, small folders are copied, and large ones read where they are: None,
    as for an empty one, and for all that is no folder.
    """
    files = [Path(entry.path) for entry in os.scandir(video) if entry.is_file()] if os.path.isdir(video) else []
    if not files:
        return None
    kept = TemporaryDirectory(prefix="masklet-")
    places = {Path(kept.name, file.name): file.resolve() for file in files}  # links may lead from their folder on
    try:
        for place, file in places.items():
            os.link(file, place)
    except OSError:  # another disk, a file system without links, or files of somebody else
        if sum(file.stat().st_size for file in files) > MAX_COPY:
            kept.cleanup()
            return None
        for place, file in places.items():
            if not place.exists():
                shutil.copyfile(file, place)
    return kept


class Frames:
    """Frames as the network sees them, (3, S, S) each, read when they are asked for."""

    def __init__(self, tracker: VideoTracker) -> None:
        self._tracker = tracker

    def __len__(self) -> int:
        """Counted by reading the video through if the number is not exact."""
        source = self._tracker.source
        return sum(1 for _ in source.frames()) if source.timestamps is None else len(source.timestamps)

    def __getitem__(self, frame: int | slice) -> Tensor:
        """One frame, or (T, 3, S, S) for a slice."""
        if isinstance(frame, slice):
            return torch.stack([self[f] for f in range(*frame.indices(len(self)))])
        number = frame + len(self) if frame < 0 else frame
        try:
            image = self._tracker.source.read(number).image
        except MediaError as error:
            if 0 <= number < len(self):
                raise
            raise IndexError(str(error)) from error  # by which loops over the frames end
        return frame_tensor(image, self._tracker.engine)[0]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(T, 3, S, S)"""
        side = self._tracker.engine.config.image_size
        return len(self), 3, side, side


class Outputs(Mapping[int, dict[str, Any]]):
    """What is known of an object, frame by frame, in the words of the reference; each is made when it is asked for."""

    def __init__(self, tracker: VideoTracker, name: Any, prompted: bool) -> None:
        self._tracker, self._name, self._prompted = tracker, name, prompted

    def __getitem__(self, frame: int) -> dict[str, Any]:
        known = self._tracker.tracks[self._name].known(frame) if frame in list(self) else None
        if known is None:
            raise KeyError(frame)
        device = self._tracker.engine.device
        return {
            "maskmem_features": None if known.memory is None else known.memory[None].to(device),
            "pred_masks": known.logits[None, None].to(device),
            "obj_ptr": None if known.pointer is None else known.pointer[None].to(device),
            "object_score_logits": torch.tensor([[known.presence]], device=device),
        }

    def __iter__(self) -> Iterator[int]:
        track = self._tracker.tracks[self._name]
        return iter(sorted(track.prompted if self._prompted else {*track.tracked} - {*track.prompted}))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _outputs(tracker: VideoTracker) -> dict[int, dict[str, Outputs]]:
    kinds = {"cond_frame_outputs": True, "non_cond_frame_outputs": False}
    return {
        slot: {kind: Outputs(tracker, name, prompted) for kind, prompted in kinds.items()}
        for slot, name in enumerate(tracker.tracks)
    }


def _points(tracker: VideoTracker) -> dict[int, dict[int, dict[str, Tensor]]]:
    """Clicks of each object by frame, in pixels of the model's square, as the reference keeps them."""
    scale = torch.tensor(np.divide(tracker.engine.config.placed(tracker.size), tracker.size)[::-1].copy()).float()
    return {
        slot: {
            frame: {
                "point_coords": torch.tensor(prompt.points, dtype=torch.float32)[None] * scale,
                "point_labels": torch.tensor([prompt.labels], dtype=torch.int32),
            }
            for frame, prompt in track.prompts.items()
            if prompt.points
        }
        for slot, track in enumerate(tracker.tracks.values())
    }


def _masks(tracker: VideoTracker) -> dict[int, dict[int, Tensor]]:
    """Given masks of each object by frame, bool (1, 1, H, W)."""
    return {
        slot: {
            frame: torch.tensor(prompt.mask)[None, None]
            for frame, prompt in track.prompts.items()
            if prompt.mask is not None
        }
        for slot, track in enumerate(tracker.tracks.values())
    }


_KEYS: dict[str, Callable[[VideoTracker], Any]] = {
    "images": Frames,
    "num_frames": lambda tracker: len(Frames(tracker)),
    "video_height": lambda tracker: tracker.size[0],
    "video_width": lambda tracker: tracker.size[1],
    "device": lambda tracker: tracker.engine.device,
    "storage_device": lambda tracker: tracker.engine.device,
    "obj_ids": lambda tracker: list(tracker.tracks),
    "obj_id_to_idx": lambda tracker: {name: slot for slot, name in enumerate(tracker.tracks)},
    "obj_idx_to_id": lambda tracker: dict(enumerate(tracker.tracks)),
    "point_inputs_per_obj": _points,
    "mask_inputs_per_obj": _masks,
    "output_dict_per_obj": _outputs,
    "temp_output_dict_per_obj": lambda tracker: {
        slot: {"cond_frame_outputs": {}, "non_cond_frame_outputs": {}} for slot in range(len(tracker.tracks))
    },
    "frames_tracked_per_obj": lambda tracker: {
        slot: {frame: {"reverse": False} for frame in outputs["non_cond_frame_outputs"]}
        for slot, outputs in _outputs(tracker).items()
    },
    "cached_features": lambda tracker: {},
}
