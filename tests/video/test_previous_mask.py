"""Networks that are shown the mask of the frame before: which one they get, while tracking and in training."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from masklet.checkpoints import Model, build_model
from masklet.nn import Decoded, Levels, PromptTokens
from masklet.training.batch import Batch
from masklet.training.prompts import Plan
from masklet.training.unroll import Unroll
from masklet.video import StreamTracker, VideoTracker
from tests.conftest import GOLDEN
from tests.video.test_session import TOY

CLIP = GOLDEN / "video/frames"
SHOWN = dataclasses.replace(TOY, head="refining")


class Watched(Model):
    """A model of which it is known what mask prompts it was given."""

    def __init__(self, model: Model) -> None:
        super().__init__(model.name, model.network)
        self.given: list[PromptTokens] = []

    def decode_masks(self, features: torch.Tensor, levels: Levels, prompts: PromptTokens) -> Decoded:
        self.given.append(prompts)
        return super().decode_masks(features, levels, prompts)


def square() -> np.ndarray:
    mask = np.zeros((120, 160), bool)
    mask[4:50, 28:74] = True
    return mask


@pytest.fixture
def model() -> Watched:
    return Watched(build_model(SHOWN, seed=0))


@pytest.mark.parametrize("backward", [False, True])
def test_a_followed_frame_gets_the_mask_of_its_neighbour(model: Watched, backward: bool) -> None:
    start, step = (3, -1) if backward else (0, 1)
    with VideoTracker(CLIP, model) as tracker:
        tracker.add_mask(frame=start, object=1, mask=square())
        results = list(tracker.propagate(start, start + 4 * step, direction="backward" if backward else "forward"))
    assert any(given.masks is not None for given in model.given)
    for before, given in zip(results[:-1], model.given[1:], strict=True):
        answered = before.objects[1]
        if answered.presence > 0.5:
            assert given.masks is not None
            np.testing.assert_array_equal(given.masks[0, 0], np.clip(answered.logits, -32, 32))
        else:
            assert given.masks is None


def test_an_object_that_is_absent_shows_none(model: Watched) -> None:
    empty = np.zeros((120, 160), bool)
    with VideoTracker(CLIP, model) as tracker:
        tracker.add_mask(frame=0, object="gone", mask=empty)
        tracker.add_box(frame=0, object="seen", box=(28, 4, 74, 50))
        list(tracker.propagate(stop=2))
    kept = [given for given in model.given if given.labels.shape[0] == 2 and given.masks is not None]
    assert all(given.keep_masks is not None and not given.keep_masks[0] for given in kept)


def test_objects_together_as_alone_and_streams_as_videos(model: Watched) -> None:
    boxes = {"a": (28, 4, 74, 50), "b": (60, 40, 120, 100)}

    def followed(names: list[str]) -> dict[str, list[np.ndarray]]:
        with VideoTracker(CLIP, model) as tracker:
            for name in names:
                tracker.add_box(frame=0, object=name, box=boxes[name])
            results = list(tracker.propagate(stop=5))
        return {name: [result.objects[name].logits for result in results] for name in names}

    together = followed(["a", "b"])
    for name in boxes:
        for ours, alone in zip(together[name], followed([name])[name], strict=True):
            np.testing.assert_allclose(ours, alone, atol=1e-2, rtol=0)
    stream = StreamTracker(model)
    with VideoTracker(CLIP, model) as tracker:
        for frame in tracker.source.frames(0, 5):
            result = stream.step(frame.image)
            if frame.index == 0:
                result = stream.add_box(object="a", box=boxes["a"])
            np.testing.assert_allclose(result.objects["a"].logits, together["a"][frame.index], atol=1e-2, rtol=0)


def test_training_shows_the_same(model: Watched) -> None:
    """A clip that begins with a given mask: the frames after it get it, then what was answered."""
    side = SHOWN.image_size
    masks = torch.zeros(1, 3, side, side, dtype=torch.bool)
    masks[..., 16:48, 16:40] = True
    batch = Batch(
        images=torch.randint(0, 256, (1, 3, 3, side, side), dtype=torch.uint8),
        masks=masks,
        known=torch.ones(1, 3, side, side, dtype=torch.bool),
        owners=torch.zeros(1, dtype=torch.int64),
        seeds=torch.zeros(1, dtype=torch.int64),
    )
    seen: list[PromptTokens] = []
    plain = model.network.decode_masks

    def decode(features: torch.Tensor, levels: Levels, prompts: PromptTokens) -> Decoded:
        seen.append(prompts)
        return plain(features, levels, prompts)

    model.network.decode_masks = decode  # type: ignore[method-assign]
    unroll = Unroll(model.network, batch, Plan("mask", (0,), (), ()))
    answers = list(unroll.predictions())
    assert [answer.frame for answer in answers] == [1, 2]
    given, first, second = (prompts.masks for prompts in seen)
    assert given is not None and first is not None and second is not None  # noqa: PT018
    assert given.shape[-1] == side  # the mask itself, of which the pointer is made
    assert torch.equal(first > 0, masks[:, 0, None, ::4, ::4])
    candidates = answers[0].decoded.logits[0].clamp(-32, 32)
    assert any(torch.equal(second[0, 0], candidate) for candidate in candidates)
    assert seen[2].keep_masks is not None
    assert bool(seen[2].keep_masks[0]) == bool(answers[0].decoded.presence[0] > 0)
