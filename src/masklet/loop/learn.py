"""A version is trained on what was collected, and kept if it is better on what was held out."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean

import torch

from masklet.checkpoints.load import choose_device, load_torch_model
from masklet.errors import SessionError
from masklet.loop.collect import DIGEST
from masklet.loop.project import Asked, Loop, Version
from masklet.loop.validation import held_out
from masklet.nn import ModelConfig
from masklet.training.data import Collection, Wanted, read_data
from masklet.training.loop import CHECKPOINT, MODEL, RunOptions, is_finished, load_checkpoint, train
from masklet.training.recipes import Precision, Recipe, finetune, finetune_small, override

SAVED_EVERY = 25
"""Steps between checkpoints."""

STILL = ("image_encoder",)
"""The part that learns nothing, if the settings do not say otherwise: few annotations teach the heads best."""

CLIP_SHARE = 0.2
"""Share of steps that learn from clips where there are pictures alone, and clips are made up from them."""


def learn(loop: Loop, device: str | None = None) -> int:
    """Train the version that was collected, from the model in use on; one that was cut off goes on. Its number.

    Raises SessionError if nothing was collected, TrainingError and ConfigError as `masklet train` does.
    """
    number, chosen = _open(loop), choose_device(device)
    model, data = load_torch_model(loop.weights(), device="cpu"), _data(loop, number, "train")
    recipe = recipe_of(model.network.config, data, loop.asked, chosen)
    run = RunOptions(loop.place(number) / "run", save_every=SAVED_EVERY)
    train(recipe, model.network.requires_grad_(True), data, run, device=chosen)
    return number


def recipe_of(config: ModelConfig, data: list[Collection], asked: Asked, device: torch.device) -> Recipe:
    """The recipe of `masklet finetune`, or, for a model of our own, its small sister; with what was set."""
    size, name = config.image_size, config.name.partition(":")[0]
    if config.head != "refining":
        precision: Precision = "float32" if device.type == "cpu" else "bfloat16"
        recipe = finetune(name, steps=asked.steps, image_size=size, freeze=STILL, precision=precision)
        return override(recipe, asked.settings)
    recipe = finetune_small(name, steps=asked.steps, image_size=size, freeze=STILL)
    if all(len(clip.annotations) == 1 for part in data for clip in part.clips):
        (stage,) = recipe.stages
        feed = replace(stage.feed, pictures=4, clip_share=CLIP_SHARE)
        recipe = replace(recipe, stages=(replace(stage, feed=feed),))
    return override(recipe, asked.settings)


def judge(loop: Loop, device: str | None = None) -> Version:
    """Score the version that was trained and its parent on what is held out; the better one is used from now on.

    Raises SessionError if nothing was trained to its end, FormatError if there is no object to judge by.
    """
    number, parent = _open(loop), loop.versions.current
    run, data, judged = loop.place(number) / "run", _data(loop, number, "train"), _data(loop, number, "val")
    old, checkpoint = load_torch_model(loop.weights(parent), device=device), load_checkpoint(run)
    recipe = recipe_of(old.network.config, data, loop.asked, choose_device(device))
    if not is_finished(recipe, checkpoint):
        raise SessionError(f"version {number} is not trained to its end; first run masklet loop train {loop.project}")
    new, figures = load_torch_model(run / MODEL, device=device), held_out(judged)
    before, after = figures(old), figures(new)
    version = Version(
        number,
        parent,
        new.digest,
        (loop.place(number) / "data" / DIGEST).read_text(encoding="utf-8"),
        sum(len(part.clips) for part in data),
        sum(len(part.clips) for part in judged),
        before,
        after,
        kept=fmean(after.values()) > fmean(before.values()),
    )
    loop.record(version)
    (run / CHECKPOINT).unlink(missing_ok=True)  # nothing goes on from it, and it is thrice as large as the model
    return version


def _open(loop: Loop) -> int:
    number = loop.open_version()
    if number is None:
        raise SessionError(f"nothing is collected to learn from; first run masklet loop collect {loop.project}")
    return number


def _data(loop: Loop, number: int, split: str) -> list[Collection]:
    return read_data([Wanted(loop.place(number) / "data", "index")], split=split)
