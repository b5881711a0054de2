"""One step against recorded answers of the reference's heads: masks, scores and pointers, prompts of every kind."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from masklet.checkpoints import Model
from masklet.engines.fake import FAKE, FakeEngine
from masklet.engines.rules import stability
from masklet.nn import Decoded, Levels, PromptTokens
from masklet.prompts import Prompt, make_prompt
from masklet.video import TrackingOptions, VideoTracker
from masklet.video.policies import PublishedPolicy
from masklet.video.reader import frame_tensor
from masklet.video.recall import Recall
from masklet.video.state import KnownFrame, ObjectTrack
from masklet.video.step import FrameContext, recalled, step
from masklet.video.store import RecentFrames
from tests.conftest import read_arrays, small_network

HEADS = read_arrays("small/sam_heads.npz")
PUBLISHED = TrackingOptions(fill_holes=0, corrections="published")


@pytest.fixture(scope="module")
def model() -> Model:
    return Model("golden-small", small_network())


@pytest.fixture(scope="module")
def levels(model: Model) -> Levels:
    return model.encode_image(read_arrays("small/hiera.npz")["input"])


def answer(model: Model, levels: Levels, prompt: Prompt, size: tuple[int, int], **policy: Any) -> KnownFrame:
    track = ObjectTrack(RecentFrames(window=16), prompts={0: prompt})
    return step({1: track}, FrameContext(model, levels, PublishedPolicy(**policy), PUBLISHED, 0, size))[1]


def assert_recorded(entry: KnownFrame, case: str) -> None:
    np.testing.assert_allclose(entry.logits, HEADS[f"{case}/low_res_masks"][0, 0], atol=5e-4, rtol=0)
    np.testing.assert_allclose(entry.pointer, HEADS[f"{case}/obj_ptr"][0], atol=5e-4, rtol=0)
    assert entry.presence == pytest.approx(HEADS[f"{case}/object_score_logits"].item(), abs=5e-4)


@pytest.mark.parametrize("case", ["click_multi", "object_absent_multi"])
def test_a_click_gets_the_best_of_three(model: Model, levels: Levels, case: str) -> None:
    points, labels = HEADS[f"{case}/points"][0].tolist(), HEADS[f"{case}/labels"][0].tolist()
    entry = answer(model, levels, make_prompt((192, 192), points=points, labels=labels), (192, 192))
    assert_recorded(entry, case)
    assert entry.iou == pytest.approx(HEADS[f"{case}/ious"].max().item(), abs=5e-4)


def test_a_clear_prompt_gets_the_single_mask(model: Model, levels: Levels) -> None:
    """The same click, taken for a clear one; its mask is unstable, so the best of three is recorded, with the first's
    pointer."""
    points, labels = HEADS["click_single/points"][0].tolist(), HEADS["click_single/labels"][0].tolist()
    prompt = make_prompt((192, 192), points=points, labels=labels)
    assert_recorded(answer(model, levels, prompt, (192, 192), ambiguous=(0, 0)), "click_single")


@pytest.mark.parametrize("case", ["mask_prompt", "empty_mask_prompt"])
def test_a_given_mask_is_the_answer(model: Model, levels: Levels, case: str) -> None:
    mask = HEADS[f"{case}/mask_video_res"].numpy()
    assert_recorded(answer(model, levels, make_prompt(mask.shape, mask=mask), mask.shape), case)


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Doubting(Model):
    """Thinks every object absent."""

    def decode_masks(self, features: torch.Tensor, levels: Levels, prompts: PromptTokens) -> Decoded:
        decoded = super().decode_masks(features, levels, prompts)
        return decoded._replace(presence=torch.full_like(decoded.presence, -5.0))


def test_a_given_mask_counts_though_the_network_doubts_it(model: Model, levels: Levels) -> None:
    """The reference gives its pointer away."""
    doubting = Doubting(model.name, model.network)
    mask = HEADS["mask_prompt/mask_video_res"].numpy()
    track = ObjectTrack(RecentFrames(window=16), prompts={0: make_prompt(mask.shape, mask=mask)})

    def pointer(engine: Model) -> torch.Tensor | None:
        return step({1: track}, FrameContext(engine, levels, PublishedPolicy(), PUBLISHED, 0, mask.shape))[1].pointer

    torch.testing.assert_close(pointer(doubting), pointer(model))


def test_frames_are_stretched_as_published(model: Model) -> None:
    recorded = read_arrays("small/image_input.npz")
    ours = frame_tensor(recorded.arrays["frame0_uint8"], model)
    torch.testing.assert_close(ours, recorded["frame0_video_path_normalised"], rtol=0, atol=1e-6)


def test_stability_of_masks() -> None:
    sure, doubtful, empty = torch.full((4, 4), -9.0), torch.full((4, 4), -9.0), torch.full((4, 4), -9.0)
    sure[:2] = 9.0
    doubtful[:2], doubtful[0] = 0.01, 9.0
    assert stability(torch.stack((sure, doubtful, empty)), 0.05).tolist() == [1.0, 0.5, 1.0]


class Watching(PublishedPolicy):
    """Keeps what it was asked."""

    def recall(self, track: ObjectTrack, frame: int, *, backward: bool) -> Recall:
        object.__setattr__(self, "asked", (sorted(track.prompted), backward))
        return super().recall(track, frame, backward=backward)


def known(frame: int, **facts: Any) -> KnownFrame:
    nothing = torch.zeros(1)
    facts = {"iou": 0.9, "presence": 4.0, "attended": True, **facts}
    return KnownFrame(frame, nothing, nothing, nothing, **facts)


def at_five(policy: PublishedPolicy) -> FrameContext:
    engine = FakeEngine()
    levels = engine.encode_image(np.zeros((1, 3, 64, 64), np.float32))
    return FrameContext(engine, levels, policy, PUBLISHED, 5, (10, 10))


@pytest.mark.parametrize("backward", [False, True])
def test_a_corrected_frame_looks_the_way_it_was_followed_and_not_at_itself(backward: bool) -> None:
    frames = RecentFrames(16).adding(known(4, backward=backward)).adding(known(6, backward=backward))
    prompt = make_prompt((10, 10), points=[(1, 1)])
    track = ObjectTrack(frames, prompts={5: prompt}, prompted={0: known(0), 5: known(5, backward=backward)})
    policy = Watching()
    recall = recalled(track, at_five(policy))
    assert policy.asked == ([0], backward)  # type: ignore[attr-defined]
    assert 5 not in recall.memories
    assert (6 if backward else 4) in recall.memories


def test_a_first_prompt_looks_at_nothing() -> None:
    prompt = make_prompt((10, 10), points=[(1, 1)])
    unknown = ObjectTrack(RecentFrames(16).adding(known(4)), prompts={5: prompt}, prompted={0: known(0)})
    assert recalled(unknown, at_five(PublishedPolicy())) == Recall()
    again = dataclasses.replace(unknown, prompted={5: known(5, attended=False)})
    assert recalled(again, at_five(PublishedPolicy())) == Recall()


@pytest.mark.parametrize("prompted", [False, True])
def test_filled_holes_are_remembered_on_prompted_frames_alone(prompted: bool) -> None:
    """As published."""

    class Holed(FakeEngine):
        remembered = np.zeros(0)

        def decode_masks(self, features: Any, levels: Levels, prompts: PromptTokens) -> Decoded:
            decoded = super().decode_masks(features, levels, prompts)
            logits = np.full_like(decoded.logits, 5.0)
            logits[..., 8, 8] = -5.0
            return decoded._replace(logits=logits, presence=np.ones_like(decoded.presence))

        def encode_memory(self, features: Any, masks: Any, presence: Any) -> Any:
            type(self).remembered = masks
            return super().encode_memory(features, masks, presence)

    engine = Holed()
    levels, size = engine.encode_image(np.zeros((1, 3, 64, 64), np.float32)), (64, 64)
    how = engine, levels, PublishedPolicy(), TrackingOptions(fill_holes=4)
    track = ObjectTrack(RecentFrames(16), prompts={0: make_prompt(size, points=[(5, 5)])})
    first = step({1: track}, FrameContext(*how, 0, size))[1]
    if not prompted:
        track = dataclasses.replace(track, prompted={0: first})
        first = step({1: track}, FrameContext(*how, 1, size))[1]
    assert first.logits[8, 8] > 0
    assert (engine.remembered[0, 0, 34, 34] > 0) == prompted


def test_a_correction_keeps_the_anchors() -> None:
    images = [np.full((48, 64, 3), (220, 60, 40), np.uint8)] * 12
    options = TrackingOptions(policy="examples.policies.quality:QualityPolicy")
    with VideoTracker(images, FakeEngine(), options=options) as tracker:
        tracker.add_box(frame=0, object=1, box=(4, 6, 30, 30))
        list(tracker.propagate())
        anchors = tracker.tracks[1].tracked[8].anchors
        assert anchors
        tracker.add_points(frame=8, object=1, points=[(10, 10)])
        assert tracker.tracks[1].prompted[8].anchors == anchors


@pytest.mark.parametrize(("side", "told", "cells"), [(1024, None, 8), (512, None, 2), (1024, 0, 0), (1024, 30, 30)])
def test_holes_are_filled_up_to_the_published_share_of_a_mask(side: int, told: int | None, cells: int) -> None:
    assert TrackingOptions(fill_holes=told).largest_hole(dataclasses.replace(FAKE, image_size=side)) == cells
