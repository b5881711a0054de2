"""Whole runs of the reference's video predictor, through the public class: same prompts, same masks, frame by frame."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from masklet.checkpoints import Model
from masklet.video import FrameResult, TrackingOptions, VideoTracker
from masklet.video.policies import PublishedPolicy
from masklet.video.recall import RecallOptions
from tests.conftest import GOLDEN, read_arrays, read_json, small_network

RUNS: dict[str, dict[str, Any]] = {
    "a_one_object_one_click": {},
    "b_two_objects_click_and_box": {},
    "c_mask_prompt": {},
    "d2_correction_frame8_as_cond": {},
    "e_middle_forward_then_reverse": {},
    "h_fill_hole_8_as_on_cuda_8conn": {"fill_holes": 8},
    "h_max_cond_2": {"most_prompted": 2},
    "h_max_obj_ptrs_4": {"pointers": 4},
    "h_maskmem16": {"slots": 16},
    "h_maskmem4": {"slots": 4},
    "h_no_binarize": {"binarise_prompted": False},
    "h_no_multimask_in_sam": {"ambiguous": (1, 0)},
    "h_non_overlap_masks": {"non_overlapping": True},
    "h_stride3": {"stride": 3},
    "i_object_disappears": {},
    "j_stop_generator_early_then_continue": {},
}
"""Recorded runs, and by which settings of ours their options go."""

LOOSE = {"d2_correction_frame8_as_cond": (40, 0.2)}
"""Runs with a second prompt: a pixel at the threshold of a binary memory moves others (golden README, section 6)."""


@pytest.fixture(scope="module")
def model() -> Model:
    return Model("golden-small", small_network())


def options_of(settings: dict[str, Any]) -> TrackingOptions:
    """Our settings by name, wherever they belong."""

    def those_of(kind: type) -> dict[str, Any]:
        return {name: value for name, value in settings.items() if name in {field.name for field in fields(kind)}}

    policy = PublishedPolicy(RecallOptions(**those_of(RecallOptions)), **those_of(PublishedPolicy))
    return TrackingOptions(policy=policy, **{"fill_holes": 0, **those_of(TrackingOptions)})


def given_mask(frame: int, object: int) -> np.ndarray:
    packed = read_arrays("video/clip_masks.npz").arrays["masks"][frame, object]
    return np.unpackbits(packed, axis=-1)[:, :160].astype(bool)


def replay(tracker: VideoTracker, call: dict[str, Any]) -> Iterator[FrameResult]:
    """One recorded call on a tracker of ours."""
    where = {"frame": call.get("frame_idx"), "object": call.get("obj_id")}
    match call:
        case {"op": "points_or_box", "box": box}:
            yield tracker.add_box(**where, box=box)
        case {"op": "points_or_box", "points": points, "labels": labels}:
            yield tracker.add_points(**where, points=points, labels=labels)
        case {"op": "mask", "mask": mask}:
            yield tracker.add_mask(**where, mask=given_mask(**mask))
        case {"op": "propagate"}:
            start, most = call.get("start_frame_idx"), call.get("max_frame_num_to_track")
            stop = None if most is None else (start or 0) + most + 1
            results = tracker.propagate(start, stop, direction="backward" if call.get("reverse") else "forward")
            yield from itertools.islice(results, call.get("stop_after"))


@pytest.mark.parametrize("run", RUNS)
def test_same_prompts_give_the_recorded_masks(model: Model, run: str) -> None:
    recorded = read_json(f"video/{run}.json")
    arrays = read_arrays(f"video/{run}.npz").arrays
    settings = RUNS[run]
    if "slots" in settings:
        model = Model("golden-small", small_network(memory_frames=settings["slots"]))
    pixels, limit = LOOSE.get(run, (3, 1e-2))
    compared = 0
    with VideoTracker(GOLDEN / "video/frames", model, options=options_of(settings)) as tracker:
        for number, call in enumerate(recorded["calls"]):
            for result in replay(tracker, call):
                place = f"call{number:02d}" + (f"/f{result.frame:02d}" if call["op"] == "propagate" else "")
                golden = np.unpackbits(arrays[f"{place}/video_masks_packed"], axis=-1)[..., :160].astype(bool)
                differing = (result.masks() != golden).sum(axis=(1, 2))
                assert (differing <= pixels).all(), f"{place}: {differing} pixels differ"
                logits = np.stack([o.full_logits()[::8, ::8] for o in result.objects.values()])
                np.testing.assert_allclose(logits, arrays[f"{place}/video_logits_every8"], atol=limit, rtol=0)
                compared += 1
    frames = sum(len(r["frames"]) if r["op"] == "propagate" else 1 for r in recorded["results"])
    assert compared == frames


def test_scores_tell_when_the_object_is_gone(model: Model) -> None:
    """The recorded object score changes sign on some frames; so does ours."""
    recorded = read_json("video/i_object_disappears.json")
    scores = [frame["objects"]["1"]["object_score"] for frame in recorded["results"][1]["frames"]]
    with VideoTracker(GOLDEN / "video/frames", model) as tracker:
        list(replay(tracker, recorded["calls"][0]))
        results = list(tracker.propagate())
    assert {score > 0 for score in scores} == {True, False}
    for score, result in zip(scores, results, strict=True):
        seen = result.objects[1]
        assert seen.presence == pytest.approx(1 / (1 + np.exp(-score)), abs=5e-3)
        assert (seen.state == "absent") == (score <= 0)
        assert seen.mask.any() == (score > 0)
