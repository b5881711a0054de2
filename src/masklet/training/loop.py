"""The loop: a recipe's stages, one after another, from the last checkpoint on. A run goes on as if it had not stopped,
and only with the recipe, the data and the first weights that it was begun with; batches and random numbers follow from
the seed and the step, so that a step's number stands for both.

In the folder of a run: `checkpoint.pt` to go on from, `model.safetensors` (the running average, ready to use),
`best.safetensors` by validation, `log.jsonl`, `pictures/`, and `failed.pt` if a loss was no number.
"""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from masklet.atomic import atomic_write, make_folder, remove_stale
from masklet.checkpoints import Model, save_model
from masklet.errors import TrainingError
from masklet.nn import Network
from masklet.training import parts
from masklet.training.batch import Batch, Use, augment, draws
from masklet.training.data import Collection, Feed, Mixture
from masklet.training.log import Log, open_log, rewind
from masklet.training.parallel import PARALLEL, Processes, join_processes
from masklet.training.prompts import Plan, draw_plan
from masklet.training.recipes import Recipe, Stage, recipe_text
from masklet.training.unroll import Judged, Step
from masklet.training.written import save_pictures

Validate = Callable[[Model], Mapping[str, float]]
"""Figures of a model, of which more is better."""

MODEL_FILE = "model.safetensors"
"""The running average, as it was last saved."""

FAILED_FILE = "failed.pt"
"""The batch of a loss that was no number; of many processes each writes `failed-RANK.pt`."""

CHECKPOINT_FILE = "checkpoint.pt"

CHECKPOINT_FORMAT = 5
"""Of checkpoints; raised when an older masklet could not go on from what this one writes."""

WEIGHT_CHANGE = 1e-5
"""Random weights of one seed may differ by about a hundredth of this share on another processor."""

LOGGED_FIGURES = ("loss", "iou", "mask", "dice", "iou_error", "presence", "gradient", "rate")
"""The logged numbers of a step: the loss, mean IoU, the loss's four parts, the gradient's norm, the rate."""


@dataclass(frozen=True)
class RunOptions:
    """How a run is kept; nothing of it changes a result."""

    folder: Path  # everything is written there
    save_every: int = 500  # steps between checkpoints
    log_every: int = 20  # steps between lines of the log
    picture_every: int = 0  # steps between pictures of answers; 0 draws none
    validate_every: int = 0  # steps between validations; 0 validates at the end of a stage only
    workers: int = 2  # threads that make batches, processes where the network is on a GPU
    tensorboard: bool = False  # whether TensorBoard's files are written too


@dataclass(frozen=True)
class Origin:
    """What distinguishes a run from others."""

    recipe: str  # all of the recipe, as text
    data: str  # A line for each collection: name, number of items, weight and licence, but not where it lies
    weights: Mapping[str, float]  # the mean size of each of the first weights, by name and shape


@dataclass(frozen=True)
class Checkpoint:
    """Where a run is."""

    origin: Origin  # what the run was begun with
    stage: int  # number of the stage
    step: int  # steps of it that are done
    network: dict[str, Any]  # state of the network
    average: dict[str, Any]  # state of the running average; empty if none is kept
    optimizer: dict[str, Any]  # state of the optimizer
    best: float  # the best figure of a validation so far


def train(
    recipe: Recipe,
    network: Network,
    data: Sequence[Collection],
    run: RunOptions,
    *,
    device: torch.device | None = None,
    validate: Validate | None = None,
) -> Network:
    """Train a network by a recipe, on the CPU if no device is given; `validate` judges it from time to time. A run that
    was cut off goes on from its last checkpoint, and one that is finished says so.

    Returns:
        The trained network, in evaluation, at the size of the last stage.

    Raises:
        TrainingError: A loss is no number, the folder holds a run with another recipe, other data or other first
            weights, or a batch cannot be shared.
        ConfigError: The recipe names parts that do not exist, or sizes or settings that do not fit; all stages are
            looked at before the first step.
        FormatError: Data that cannot be read, or files that cannot be written.
    """
    make_folder(run.folder)
    origin, checkpoint = origin_of(recipe, data, network), load_checkpoint(run.folder)
    if checkpoint is not None:
        check_same(run.folder, recipe.model, checkpoint.origin, origin)
    best = float("-inf")
    with ExitStack() as stack:
        processes = stack.enter_context(join_processes(device or torch.device("cpu")))
        check_recipe(recipe, network, processes)
        if processes.leads:
            remove_stale(run.folder)
            rewind(run.folder, steps_done(recipe, checkpoint))
        log = stack.enter_context(open_log(run.folder, tensorboard=run.tensorboard, leads=processes.leads))
        if processes.leads and is_finished(recipe, checkpoint):
            log.tell(
                f"{run.folder} holds a finished run; to train on, give another folder and begin with its {MODEL_FILE}"
            )
        for number in range(checkpoint.stage if checkpoint else 0, len(recipe.stages)):
            stage = StageRun(recipe, number, origin, network, data, run, processes, log, validate, best)
            if checkpoint is not None and number == checkpoint.stage:
                stage.go_on(checkpoint)
            network, best = stage.work(), stage.best
    return network


@dataclass
class StageRun:
    """One stage at work in one process; `network` comes with the weights of the stage before."""

    recipe: Recipe
    number: int
    origin: Origin
    network: Network
    data: Sequence[Collection]
    run: RunOptions
    processes: Processes
    log: Log
    validate: Validate | None
    best: float  # the best figure of a validation so far

    def __post_init__(self) -> None:
        recipe, processes, self.stage = self.recipe, self.processes, self.recipe.stages[self.number]
        self.seed = recipe.seed + 1_000_003 * self.number
        torch.manual_seed(self.seed)
        self.network = learning_network(recipe, self.stage, self.network).to(processes.device)
        parts.add_drop_path(self.network, self.stage.drop_path)
        parts.add_dropout(self.network, self.stage.dropout)
        self.parallel = PARALLEL[recipe.parallel](Step(self.network, recipe, self.stage), processes)
        self.optimizer = parts.build_optimizer(self.network, self.stage.optimizer)
        self.average = parts.Average(self.parallel.weights(), self.stage.optimizer.average)
        config = self.network.config
        carries = config.motion == "flow" and not self.stage.clip_augment.turns  # a turned clip has another flow
        self.feed = Feed(
            Mixture(self.data, self.stage.feed.balance),
            self.stage.feed,
            self.stage.image_size,
            self.seed,
            rank=processes.rank,
            world=processes.world,
            flow_cells=config.mask_size if carries else None,
        )
        self.step = 0

    def go_on(self, checkpoint: Checkpoint) -> None:
        self.parallel.load(self.optimizer, checkpoint.network, checkpoint.optimizer)
        self.average.load(checkpoint.average)
        self.step, self.best = checkpoint.step, checkpoint.best

    def work(self) -> Network:
        """All steps that are left; returns the network that the next stage begins with."""
        stage, run = self.stage, self.run
        self.log.begin(stage.name, self.step, stage.steps)
        tallies: list[Tensor] = []
        processes = self.processes.device.type != "cpu"
        for batch in self.feed.ahead(self.step, stage.steps, run.workers, processes=processes):
            tallies.append(self.learn(batch))
            self.step += 1
            done = self.step == stage.steps
            self.log.advance(len(batch.seeds) * self.processes.world)
            if self.step % run.log_every == 0 or done:
                if self.processes.leads:
                    figures = zip(LOGGED_FIGURES, torch.stack(tallies).mean(dim=0).tolist(), strict=True)
                    self.log.write(stage.name, self.step, {**dict(figures), **self.log.pace()})
                tallies = []
            if done or (run.validate_every and self.step % run.validate_every == 0):
                self.judge()
            if done or self.step % run.save_every == 0:
                self.save()
        return self.finished()

    def learn(self, batch: Batch) -> Tensor:
        """One step; its `LOGGED_FIGURES`, (8,)."""
        stage, run = self.stage, self.run
        batch = batch.to(self.processes.device)
        clips = batch.frames > 1
        batch = augment(batch, stage.clip_augment if clips else stage.picture_augment)
        plan = draw_plan(batch.frames, stage.prompts, draws(Use.PLAN, self.seed, self.step))
        parts.set_learning(self.network, norms=not clips and not stage.still_norms)
        torch.manual_seed(hash((self.seed, self.step, self.processes.rank)) % (1 << 62))
        rate = parts.set_rate(self.optimizer, self.step, stage.steps, stage.optimizer)
        judged = self.judged(batch, plan)
        loss = self.processes.mean(judged.loss.detach())
        if not torch.isfinite(loss):
            raise self.failed("loss", loss, batch, plan, kept=not torch.isfinite(judged.loss))
        self.optimizer.zero_grad(set_to_none=True)
        judged.loss.backward()
        norm: Any = nn.utils.clip_grad_norm_(self.network.parameters(), stage.optimizer.clip)
        if hasattr(norm, "full_tensor"):  # every process has a part of it
            norm = norm.full_tensor()
        if not torch.isfinite(norm):
            raise self.failed("norm of the gradient", norm, batch, plan, kept=True)
        self.optimizer.step()
        self.average.update(self.parallel.weights(), self.step)
        if self.processes.leads and run.picture_every and self.step % run.picture_every == 0:
            with self.autocast():
                path = run.folder / "pictures" / f"{stage.name}-{self.step:06d}.jpg"
                save_pictures(self.finished(), batch, plan, path)
        figures = self.processes.mean(torch.stack((judged.loss.detach(), judged.iou, *judged.terms)))
        return torch.cat((figures, norm[None], norm.new_tensor([rate])))

    def judged(self, batch: Batch, plan: Plan) -> Judged:
        """The loss of a batch; sums are divided by the mean number of objects of a process, as published."""
        count = self.processes.mean(torch.tensor(float(len(batch.owners)), device=batch.images.device)).clamp(min=1)
        with self.autocast():
            return Judged(*self.parallel.module(batch, plan, count))

    def autocast(self) -> torch.autocast:
        low = self.recipe.precision == "bfloat16"
        return torch.autocast(self.processes.device.type, torch.bfloat16, enabled=low)

    def judge(self) -> None:
        """Validate the average, and keep the model if it is the best so far."""
        if self.validate is None or not self.processes.leads:
            return
        model = Model(self.network.config.name, self.finished())
        with self.log.aside():
            figures = dict(self.validate(model))
        self.log.write(self.stage.name, self.step, figures)
        if (mean := float(np.mean(list(figures.values())))) > self.best:
            self.best = mean
            save_model(model, self.run.folder / "best.safetensors")

    def save(self) -> None:
        """Write the checkpoint, and the model as it is now."""
        weights, optimizer = self.parallel.weights(), self.parallel.optimizer_state(self.optimizer)
        if not self.processes.leads:
            return
        finished = self.finished()
        save_model(Model(finished.config.name, finished), self.run.folder / MODEL_FILE)
        save_checkpoint(
            self.run.folder,
            Checkpoint(self.origin, self.number, self.step, weights, self.average.state, optimizer, self.best),
        )

    def finished(self) -> Network:
        """A network with the averaged weights, ready to use."""
        plain = learning_network(self.recipe, self.stage, Network(self.network.config))
        return parts.merged_network(plain.to(self.processes.device), self.average.state)

    def failed(self, what: str, value: Tensor, batch: Batch, plan: Plan, *, kept: bool) -> TrainingError:
        """Keep the batch, if it made the trouble; of many processes each has a file of its own."""
        name = FAILED_FILE if self.processes.world == 1 else f"failed-{self.processes.rank}.pt"
        path, model = self.run.folder / name, self.run.folder / MODEL_FILE
        if kept:
            content = {"stage": self.stage.name, "step": self.step, "batch": tuple(batch), "plan": tuple(plan)}
            save_tensors(content, path)
        self.processes.meet()  # the first to end ends all
        where = f"the batch is in {path}" if kept else "the batch is kept by another process"
        begin = f", from {model} on if you like" if model.is_file() else ""
        return TrainingError(
            f"the {what} is {float(value)} at step {self.step} of {self.stage.name}; {where}. "
            f"Begin again in another folder{begin}, with a lower rate or precision=float32"
        )


def learning_network(recipe: Recipe, stage: Stage, network: Network) -> Network:
    """A network of the stage's size with the same weights, of which the stage's parts learn."""
    grown = Network(replace(network.config, image_size=stage.image_size))
    grown.load_state_dict(network.state_dict())
    grown = grown.to(memory_format=grown.image_encoder.trunk.memory_format)  # type: ignore[call-overload]
    if recipe.low_rank:
        parts.add_low_rank(grown, recipe.low_rank)
    parts.freeze(grown, stage.freeze)
    return grown


def check_recipe(recipe: Recipe, network: Network, processes: Processes) -> None:
    """Go through all stages, without weights. Raises ConfigError if a stage's size, parts or optimizer do not fit the
    network, and TrainingError if a batch cannot be shared by the processes."""
    for stage in recipe.stages:
        if stage.feed.clip_share > 0:
            processes.check_batch(stage.feed.clips, f"stages.{stage.name}.feed.clips")
        if stage.feed.clip_share < 1:
            processes.check_batch(stage.feed.pictures, f"stages.{stage.name}.feed.pictures")
        with torch.device("meta"):
            learning = learning_network(recipe, stage, Network(network.config))
        parts.parameter_groups(learning, stage.optimizer)


def steps_done(recipe: Recipe, checkpoint: Checkpoint | None) -> dict[str, int]:
    """How many steps of each stage a run has behind it."""
    if checkpoint is None:
        return {}
    before = {stage.name: stage.steps for stage in recipe.stages[: checkpoint.stage]}
    return {**before, recipe.stages[checkpoint.stage].name: checkpoint.step}


def is_finished(recipe: Recipe, checkpoint: Checkpoint | None) -> bool:
    """Whether all steps of all stages are done."""
    return steps_done(recipe, checkpoint) == {stage.name: stage.steps for stage in recipe.stages}


def origin_of(recipe: Recipe, data: Sequence[Collection], network: Network) -> Origin:
    lines = [
        f"{part.name}: {len(part.clips)} items, weight {part.weight:g}"
        + (f", licence {part.licence}" if part.licence else "")
        for part in data
    ]
    sizes = {
        f"{name} {tuple(weight.shape)}": float(weight.detach().abs().double().mean())
        for name, weight in network.named_parameters()
    }
    return Origin(recipe_text(recipe), "\n".join(lines), sizes)


def check_same(folder: Path, model: str, there: Origin, here: Origin) -> None:
    """Raises TrainingError, which names the first difference, if the run in a folder was begun with anything else."""
    if there.recipe != here.recipe:
        told = f"of another recipe ({_difference(there.recipe, here.recipe)}); give the same options"
    elif there.data != here.data:
        told = f"with other data ({_difference(there.data, here.data)}); give the same data and licence"
    elif there.weights.keys() != here.weights.keys():
        told = f"of another network that is called {model} too; give the same model"
    elif any(not math.isclose(there.weights[name], size, rel_tol=WEIGHT_CHANGE) for name, size in here.weights.items()):
        told = "that began with other weights; begin with the same"
    else:
        return
    raise TrainingError(f"{folder} holds a run {told} to go on, or give another folder")


def _difference(there: str, here: str) -> str:
    pairs = zip_longest(there.splitlines(), here.splitlines(), fillvalue="nothing")
    old, new = next((old, new) for old, new in pairs if old != new)
    return f"{old.strip().rstrip(',')} there, {new.strip().rstrip(',')} here"


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; the last one stays until this one is whole. Raises FormatError if it cannot be written."""
    content = {**vars(checkpoint), "format": CHECKPOINT_FORMAT, "origin": vars(checkpoint.origin)}
    save_tensors(content, folder / CHECKPOINT_FILE)


def save_tensors(content: Mapping[str, Any], path: Path) -> None:
    """Write what torch can pickle, in a file that appears when it is whole. Raises FormatError if it cannot be written.

    On a full disk torch may raise a RuntimeError of its writer, which knows the system's error as its context only.
    """
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """The checkpoint of a run; None if it has none yet. Raises TrainingError if it cannot be read."""
    path = folder / CHECKPOINT_FILE
    if not os.path.isfile(path):
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        version = content.pop("format")
        if version == CHECKPOINT_FORMAT:
            return Checkpoint(Origin(**content.pop("origin")), **content)
    except OSError as error:
        raise TrainingError(f"{path} cannot be read: {error.strerror or error}") from error
    except (RuntimeError, UnpicklingError, EOFError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise TrainingError(f"{path} is no whole checkpoint; remove it to begin again") from error
    raise TrainingError(
        f"{path} has format {version}, this masklet reads {CHECKPOINT_FORMAT}; begin again in another folder"
    )
