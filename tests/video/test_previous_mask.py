"""Networks that are shown the mask of the frame before: which one they get, while tracking and in training."""

from __future__ import annotations

import dataclasses

import cv2
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


@pytest.fixture
def carrying() -> Watched:
    return Watched(build_model(dataclasses.replace(SHOWN, motion="flow"), seed=0))


def moving(frames: int, step: int) -> list[np.ndarray]:
    """A picture of blots that moves to the right by so many pixels a frame."""
    noise = np.random.default_rng(0).integers(0, 256, (30, 60 + frames * step), dtype=np.uint8)
    wide = cv2.resize(noise, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    return [np.dstack([wide[:, (frames - n) * step :][:, :160]] * 3) for n in range(frames)]


def middle(mask: np.ndarray) -> float:
    """The column of a mask's centre."""
    return float(np.nonzero(mask)[-1].mean())


@pytest.mark.parametrize("backward", [False, True])
def test_the_mask_moves_with_what_is_seen(carrying: Watched, backward: bool) -> None:
    """8 of 160 pixels a frame are 3.2 of 64, the network's side, so 0.8 of its 16 cells."""
    cells, last = SHOWN.mask_size, 3
    with VideoTracker(moving(4, 8), carrying) as tracker:
        tracker.add_mask(frame=last if backward else 0, object=1, mask=square())
        before = tracker.result(last if backward else 0).objects[1]
        list(tracker.propagate(direction="backward" if backward else "forward"))
    given = next(tokens.masks for tokens in carrying.given[1:])
    assert given is not None
    moved = middle(given[0, 0].numpy() > 0) - middle(before.logits > 0)
    assert moved == pytest.approx((-1 if backward else 1) * 8 / 160 * cells, abs=0.35)


def test_flow_is_the_same_in_streams_and_after_a_jump(carrying: Watched) -> None:
    frames = moving(6, 6)
    stream, straight = StreamTracker(carrying), []
    for number, frame in enumerate(frames):
        result = stream.step(frame)
        if number == 0:
            result = stream.add_mask(object=1, mask=square())
        straight.append(result.objects[1].logits)
    with VideoTracker(frames, carrying) as tracker:
        tracker.add_mask(frame=0, object=1, mask=square())
        for result in tracker.propagate(stop=3):
            np.testing.assert_array_equal(result.objects[1].logits, straight[result.frame])
        tracker.result(0)  # another frame is looked at in between
        for result in tracker.propagate(start=3):
            np.testing.assert_array_equal(result.objects[1].logits, straight[result.frame])


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


def one_square(frames: int, objects: int = 1) -> Batch:
    """A clip of noise in which squares left of the middle stay where they are."""
    side = SHOWN.image_size
    masks = torch.zeros(objects, frames, side, side, dtype=torch.bool)
    masks[..., 16:48, 8:24] = True
    return Batch(
        images=torch.randint(0, 256, (1, frames, 3, side, side), dtype=torch.uint8),
        masks=masks,
        known=torch.ones(1, frames, side, side, dtype=torch.bool),
        owners=torch.zeros(objects, dtype=torch.int64),
        seeds=torch.zeros(1, dtype=torch.int64),
    )


@pytest.mark.parametrize(("missing", "wrong"), [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (0.3, 0.3)])
def test_training_leaves_masks_before_out_and_turns_others(model: Watched, missing: float, wrong: float) -> None:
    objects = 300
    unroll = Unroll(model.network, one_square(2, objects), Plan("mask", (0,), (), (), (missing, wrong)))
    unroll.masks[0] = torch.where(unroll.batch.masks[:, 0, None, ::4, ::4], 10.0, -10.0), torch.ones(objects) > 0
    masks, present = unroll.previous(1)
    assert masks is not None and present is not None  # noqa: PT018
    middle = masks.shape[-1] // 2
    turned = (masks[..., middle:] > 0).flatten(1).any(dim=1)  # the squares lie left of it
    assert float((~present).float().mean()) == pytest.approx(missing, abs=0.08)
    assert float(turned.float().mean()) == pytest.approx(wrong, abs=0.08)
    assert not (turned & ~present).any()


def test_training_carries_it_too(carrying: Watched) -> None:
    side = SHOWN.image_size
    frames = np.stack([cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA) for frame in moving(2, 10)])
    masks = torch.zeros(1, 2, side, side, dtype=torch.bool)
    masks[..., 16:48, 16:40] = True
    batch = Batch(
        images=torch.from_numpy(frames).permute(0, 3, 1, 2)[None],
        masks=masks,
        known=torch.ones(1, 2, side, side, dtype=torch.bool),
        owners=torch.zeros(1, dtype=torch.int64),
        seeds=torch.zeros(1, dtype=torch.int64),
    )
    unroll = Unroll(carrying.network, batch, Plan("mask", (0,), (), ()))
    list(unroll.predictions())
    before, _ = unroll.masks[0]
    carried, _ = unroll.previous(1)
    assert carried is not None
    moved = middle(carried[0, 0].numpy() > 0) - middle(before[0, 0].numpy() > 0)
    assert moved == pytest.approx(10 / 160 * SHOWN.mask_size, abs=0.35)
