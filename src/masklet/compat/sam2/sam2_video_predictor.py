"""The reference's predictor for videos, on `masklet.VideoTracker`.

Letters: N objects, S side of the model's square, H x W the video.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from masklet.checkpoints import Model
from masklet.compat.failures import CallRefused, as_reference
from masklet.compat.prompts import click_or_box_of, mask_of
from masklet.compat.sam2.inference_state import InferenceState, keep_folder
from masklet.compat.sam2.modeling.sam2_base import NO_OBJ_SCORE, SAM2Base
from masklet.compat.sam2.settings import Settings, tracking_options
from masklet.compat.sam2.weights import from_hub, model_and_settings
from masklet.errors import MediaError
from masklet.video import FrameResult, VideoTracker

Found = tuple[int, list[Any], Tensor]
"""Number of the frame, the objects, and their logits (N, 1, H, W)."""


class SAM2VideoPredictor(SAM2Base):
    """Objects through a video. One predictor serves any number of states.

    Args:
        model: What `masklet.load_model` returns.
        settings: Settings of the reference; those that follow go before them.
        fill_hole_area: Holes of at most this many cells of the low-resolution mask are filled, on every device.
        non_overlap_masks: Whether each pixel is given to the surest object alone.
    """

    def __init__(
        self,
        model: Model,
        settings: Settings | None = None,
        *,
        fill_hole_area: int | None = None,
        non_overlap_masks: bool | None = None,
    ) -> None:
        given = {"fill_hole_area": fill_hole_area, "non_overlap_masks": non_overlap_masks}
        changes = {name: value for name, value in given.items() if value is not None}
        base = Settings() if settings is None else settings
        super().__init__(model, Settings(**{**vars(base), **changes}))

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
        with as_reference():
            options = tracking_options(self.settings, self.engine.config)
            kept = keep_folder(video_path)
            video = video_path if kept is None else kept.name
            return InferenceState(self, VideoTracker(video, self.engine, options=options), kept)

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

    def add_new_points(self, *arguments: Any, **named: Any) -> Found:
        """The older name of `add_new_points_or_box`."""
        return self.add_new_points_or_box(*arguments, **named)

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
            last = start - max_frame_num_to_track if reverse else start + max_frame_num_to_track
            stop = last - 1 if reverse else last + 1
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
        return list(tracker.tracks), [(frame, self._logits(tracker, tracker.result(frame))) for frame in wanted]

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
        return result.frame, list(tracker.tracks), self._logits(tracker, result)

    def _logits(self, tracker: VideoTracker, result: FrameResult) -> Tensor:
        return logits_of(tracker.tracks, result, tracker.size).to(self.device)


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
