"""Training works through a clip exactly as a tracker does; and a short training that gives the recorded losses."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from masklet.checkpoints import build_model
from masklet.engines.rules import best_of_three
from masklet.training import unroll
from masklet.training.batch import Batch
from masklet.training.data import read_data
from masklet.training.loop import RunOptions, train
from masklet.training.prompts import Plan, Points
from masklet.video import TrackingOptions, VideoTracker
from masklet.video.reader import frame_tensor
from tests.conftest import GOLDEN
from tests.training.shapes import TINY, recipe, tiny_network

SIDE, FRAMES = TINY.image_size, 9
"""More frames than are remembered."""

HEADS = {"published": {}, "refining": {"head": "refining"}, "flow": {"head": "refining", "motion": "flow"}}

CURVE = GOLDEN / "training_curve.json"
"""Losses of twenty steps, each on its line. Made by `python -m tests.training.test_unroll`."""


def clip() -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Noise that moves to the right by two pixels a frame, and the mask of a part of it: (T, S, S, 3) and (T, S, S)."""
    ground = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    mask = np.zeros((SIDE, SIDE), bool)
    mask[16:40, 12:36] = True
    return tuple(np.stack([np.roll(what, 2 * n, axis=1) for n in range(FRAMES)]) for what in (ground, mask))  # type: ignore[return-value]


def batch_of(images: NDArray[np.uint8], masks: NDArray[np.bool_]) -> Batch:
    """One clip with one object."""
    return Batch(
        images=torch.from_numpy(images).permute(0, 3, 1, 2)[None],
        masks=torch.from_numpy(masks)[None],
        known=torch.ones(1, FRAMES, SIDE, SIDE, dtype=torch.bool),
        owners=torch.zeros(1, dtype=torch.int64),
        seeds=torch.zeros(1, dtype=torch.int64),
    )


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("kind", ["mask", "click"])
@pytest.mark.parametrize("head", HEADS)
def test_training_answers_as_a_tracker_does(head: str, kind: str, there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the object is there, and where the network takes it for absent."""
    model = build_model(dataclasses.replace(TINY, **{"head": "published", **HEADS[head]}), seed=3)
    model.network.sam_mask_decoder.pred_obj_score_head.layers[-1].bias.fill_(3.0 if there else -3.0)
    images, masks = clip()
    point = torch.tensor([[[24.0, 28.0]]])
    monkeypatch.setattr(unroll, "first_points", lambda *_: Points(point, torch.ones(1, 1, dtype=torch.int64)))
    # Memories in training stay soft, as published.
    with VideoTracker(list(images), model, options=TrackingOptions(fill_holes=0, binarise_prompted=False)) as tracker:
        if kind == "mask":
            tracker.add_mask(frame=0, object=1, mask=masks[0])
        else:
            tracker.add_points(frame=0, object=1, points=[(24, 28)], labels=[1])
        found = [result.objects[1] for result in tracker.propagate()]
        pointers = [kept.pointer for frame in range(FRAMES) if (kept := tracker.tracks[1].known(frame)) is not None]
    plan = Plan(kind, (0,), (), ())  # type: ignore[arg-type]
    course = unroll.Unroll(model.network, batch_of(images, masks), plan)
    with torch.no_grad():
        answers = list(course.predictions())
    known = {**course.prompted, **course.tracked}
    assert [answer.frame for answer in answers] == list(range(1 if kind == "mask" else 0, FRAMES))
    if kind == "mask" and there:  # where the network doubts a given mask, training gives its pointer away, as published
        np.testing.assert_allclose(pointers[0], course.prompted[0].pointer[0], atol=5e-3, rtol=0)
    for answer in answers:
        decoded, tracked = answer.decoded, found[answer.frame]
        choice = int(best_of_three(decoded)[0]) if answer.ambiguous else 0
        if answer.frame < FRAMES - 1:  # of the last one training remembers nothing
            pointer = pointers[answer.frame]
            assert pointer is not None
            np.testing.assert_allclose(pointer, known[answer.frame].pointer[0], atol=5e-3, rtol=0)
        assert (tracked.presence > 0.5) == there
        assert tracked.presence == pytest.approx(float(decoded.presence[0].sigmoid()), abs=5e-4)
        if there:
            np.testing.assert_allclose(tracked.logits, decoded.logits[0, choice], atol=1e-2, rtol=0)


def test_pictures_are_encoded_as_a_tracker_does() -> None:
    model = build_model(TINY, seed=3)
    images, masks = clip()
    course = unroll.Unroll(model.network, batch_of(images, masks), Plan("click", (0,), (), ()))
    with torch.no_grad():
        levels = course.encode()
    for frame in (0, FRAMES - 1):
        expected = model.encode_image(frame_tensor(images[frame], model))
        for ours, theirs in zip(course.levels_of(levels, frame), expected, strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["click", "box"])
def test_one_click_is_ambiguous_and_two_points_are_not(kind: Literal["click", "box"]) -> None:
    plan = Plan(kind, (0,), (0,), ((True,),))
    course = unroll.Unroll(build_model(TINY, seed=3).network, batch_of(*clip()), plan)
    with torch.no_grad():
        answers = list(course.predictions())
    assert [answer.ambiguous for answer in answers[:3]] == [kind == "click", False, True]


def test_prompted_and_corrected_frames_are_remembered_as_such() -> None:
    """All others as tracked ones, but for the one that is worked on last: nothing comes after it."""
    plan = Plan("click", (0, FRAMES - 1), (0, 3), ((True,), (False,)))
    course = unroll.Unroll(build_model(TINY, seed=3).network, batch_of(*clip()), plan)
    with torch.no_grad():
        answers = [(answer.frame, answer.corrections) for answer in course.predictions()]
    assert answers == [(0, 0), (0, 1), (FRAMES - 1, 0), (1, 0), (2, 0), (3, 0), (3, 1), *((n, 0) for n in range(4, 8))]
    assert set(course.prompted) == {0, 3, FRAMES - 1}
    assert set(course.tracked) == {1, 2, 4, 5, 6}


@pytest.mark.parametrize(
    ("told", "asked", "learns"), [({}, True, True), ({"still": True}, True, False), ({}, False, False)]
)
def test_of_an_encoder_that_learns_nothing_nothing_is_kept(told: dict[str, bool], asked: bool, learns: bool) -> None:
    """Neither of one that stands still, nor where no gradient is asked for."""
    network = build_model(TINY, seed=3).network.requires_grad_(True)
    course = unroll.Unroll(network, batch_of(*clip()), Plan("click", (0,), (), ()), **told)
    with torch.set_grad_enabled(asked):
        levels = course.encode()
    assert all(level.requires_grad == learns for level in levels)


def losses(folder: Path, shapes: Path) -> list[float]:
    train(recipe(20), tiny_network(), read_data([str(shapes)]), RunOptions(folder, log_every=1))
    return [json.loads(line)["loss"] for line in (folder / "log.jsonl").read_text().splitlines()]


def test_a_short_training_gives_the_recorded_losses(tmp_path: Path, shapes: Path) -> None:
    """A change that is meant to change nothing in training changes none of them."""
    np.testing.assert_allclose(losses(tmp_path, shapes), json.loads(CURVE.read_text()), rtol=5e-3)


if __name__ == "__main__":
    from tempfile import TemporaryDirectory

    from tests.training.shapes import write_shapes

    with TemporaryDirectory() as folder:
        made = losses(Path(folder) / "run", write_shapes(Path(folder) / "shapes"))
    CURVE.write_text("[\n" + ",\n".join(f" {loss:.6f}" for loss in made) + "\n]\n")
