"""The loop: a recipe's stages, one after another, from the last checkpoint on.

In the folder of a run: `checkpoint.pt` to go on from, `model.safetensors` (the running average, ready to use),
`best.safetensors` by validation, `log.jsonl`, `pictures/`, and `failed.pt` if a loss was no number.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from masklet.atomic import make_folder, remove_stale
from masklet.checkpoints import Model, save_model
from masklet.errors import TrainingError
from masklet.nn import Network
from masklet.training.batch import Batch, Use, draws
from masklet.training.data.augment import augment
from masklet.training.data.feed import Feed
from masklet.training.data.mixture import Collection, Mixture
from masklet.training.log import Log, open_log, rewind, save_pictures
from masklet.training.optimizer import Average, build_optimizer, parameter_groups, set_rate
from masklet.training.parallel import PARALLEL, Processes, joined
from masklet.training.parts import add_drop_path, add_dropout, learning_network, merged, set_learning
from masklet.training.prompts import Plan, draw_plan
from masklet.training.recipe import Recipe
from masklet.training.resume import (
    Checkpoint,
    Origin,
    check_same,
    load_checkpoint,
    origin_of,
    save_checkpoint,
    save_tensors,
)
from masklet.training.unroll import Judged, Step

Validate = Callable[[Model], Mapping[str, float]]
"""Figures of a model, of which more is better."""

MODEL = "model.safetensors"
"""The running average, as it was last saved."""

FAILED = "failed.pt"
"""The batch of a loss that was no number; of many processes each writes `failed-RANK.pt`."""

FIGURES = ("loss", "iou", "mask", "dice", "iou_error", "presence", "gradient", "rate")
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
        processes = stack.enter_context(joined(device or torch.device("cpu")))
        check_recipe(recipe, network, processes)
        if processes.leads:
            remove_stale(run.folder)
            rewind(run.folder, steps_done(recipe, checkpoint))
        log = stack.enter_context(open_log(run.folder, tensorboard=run.tensorboard, leads=processes.leads))
        if processes.leads and is_finished(recipe, checkpoint):
            log.tell(f"{run.folder} holds a finished run; to train on, give another folder and begin with its {MODEL}")
        for number in range(checkpoint.stage if checkpoint else 0, len(recipe.stages)):
            stage = StageRun(recipe, number, origin, network, data, run, processes, log, validate)
            if checkpoint is not None:
                stage.go_on(checkpoint)
                checkpoint = None
            stage.best = max(stage.best, best)
            network, best = stage.work(), stage.best
    return network


class StageRun:
    """One stage at work in one process."""

    def __init__(
        self,
        recipe: Recipe,
        number: int,
        origin: Origin,
        network: Network,
        data: Sequence[Collection],
        run: RunOptions,
        processes: Processes,
        log: Log,
        validate: Validate | None,
    ) -> None:
        self.recipe, self.number, self.stage, self.origin = recipe, number, recipe.stages[number], origin
        self.run, self.processes, self.log, self.validate = run, processes, log, validate
        self.seed = recipe.seed + 1_000_003 * number
        torch.manual_seed(self.seed)
        self.network = learning_network(recipe, self.stage, network).to(processes.device)
        add_drop_path(self.network, self.stage.drop_path)
        add_dropout(self.network, self.stage.dropout)
        step = Step(
            self.network,
            self.stage.losses,
            recompute=recipe.recompute,
            still_clips=self.stage.still_clips,
            touch_all=recipe.parallel == "shards",
        )
        self.parallel = PARALLEL[recipe.parallel](step, processes)
        self.optimizer = build_optimizer(self.network, self.stage.optimizer)
        self.average = Average(self.parallel.weights(), self.stage.optimizer.average)
        mixture = Mixture(data, self.stage.feed.balance)
        config = self.network.config
        carries = config.motion == "flow" and not self.stage.clip_augment.turns  # a turned clip has another flow
        self.feed = Feed(
            mixture,
            self.stage.feed,
            self.stage.image_size,
            self.seed,
            rank=processes.rank,
            world=processes.world,
            flow_cells=config.mask_size if carries else None,
        )
        self.step, self.best = 0, float("-inf")

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
                self.write(tallies)
                tallies = []
            if done or (run.validate_every and self.step % run.validate_every == 0):
                self.judge()
            if done or self.step % run.save_every == 0:
                self.save()
        return self.finished()

    def learn(self, batch: Batch) -> Tensor:
        """One step; its `FIGURES`, (8,)."""
        stage = self.stage
        batch = batch.to(self.processes.device)
        clips = batch.frames > 1
        batch = augment(batch, stage.clip_augment if clips else stage.picture_augment)
        plan = draw_plan(batch.frames, stage.prompts, draws(Use.PLAN, self.seed, self.step))
        set_learning(self.network, norms=not clips and not stage.still_norms)
        torch.manual_seed(hash((self.seed, self.step, self.processes.rank)) % (1 << 62))
        rate = set_rate(self.optimizer, self.step, stage.steps, stage.optimizer)
        judged = self.judged(batch, plan)
        loss = self.processes.mean(judged.loss.detach())
        if not torch.isfinite(loss):
            raise self.failed("loss", loss, batch, plan, kept=not torch.isfinite(judged.loss))
        self.optimizer.zero_grad(set_to_none=True)
        judged.loss.backward()
        norm = whole(nn.utils.clip_grad_norm_(self.network.parameters(), stage.optimizer.clip))
        if not torch.isfinite(norm):
            raise self.failed("norm of the gradient", norm, batch, plan, kept=True)
        self.optimizer.step()
        self.average.update(self.parallel.weights(), self.step)
        if self.processes.leads and self.run.picture_every and self.step % self.run.picture_every == 0:
            self.draw(batch, plan)
        figures = self.processes.mean(torch.stack((judged.loss.detach(), judged.iou, *judged.terms)))
        return torch.cat((figures, norm[None], norm.new_tensor([rate])))

    def judged(self, batch: Batch, plan: Plan) -> Judged:
        """The loss of a batch; sums are divided by the mean number of objects of a process, as published."""
        count = self.processes.mean(torch.tensor(float(len(batch.owners)), device=batch.images.device)).clamp(min=1)
        low = self.recipe.precision == "bfloat16"
        with torch.autocast(self.processes.device.type, torch.bfloat16, enabled=low):
            return Judged(*self.parallel.module(batch, plan, count))

    def write(self, tallies: list[Tensor]) -> None:
        if self.processes.leads:
            figures = zip(FIGURES, torch.stack(tallies).mean(dim=0).tolist(), strict=True)
            self.log.write(self.stage.name, self.step, {**dict(figures), **self.log.pace()})

    def draw(self, batch: Batch, plan: Plan) -> None:
        """Pictures of what the averaged network answers, with nothing left out."""
        path = self.run.folder / "pictures" / f"{self.stage.name}-{self.step:06d}.jpg"
        with torch.autocast(self.processes.device.type, torch.bfloat16, enabled=self.recipe.precision == "bfloat16"):
            save_pictures(self.finished(), batch, plan, path)

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
        save_model(Model(finished.config.name, finished), self.run.folder / MODEL)
        save_checkpoint(
            self.run.folder,
            Checkpoint(self.origin, self.number, self.step, weights, self.average.state, optimizer, self.best),
        )

    def finished(self) -> Network:
        """A network with the averaged weights, ready to use."""
        plain = learning_network(self.recipe, self.stage, Network(self.network.config))
        return merged(plain.to(self.processes.device), self.average.state)

    def failed(self, what: str, value: Tensor, batch: Batch, plan: Plan, *, kept: bool) -> TrainingError:
        """Keep the batch, if it made the trouble; of many processes each has a file of its own."""
        name = FAILED if self.processes.world == 1 else f"failed-{self.processes.rank}.pt"
        path, model = self.run.folder / name, self.run.folder / MODEL
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


def check_recipe(recipe: Recipe, network: Network, processes: Processes) -> None:
    """Go through all stages, without weights. Raises ConfigError if a stage's size, parts or optimizer do not fit the
    network, and TrainingError if a batch cannot be shared by the processes."""
    for stage in recipe.stages:
        if stage.feed.clip_share > 0:
            processes.check_batch(stage.feed.clips, "clips", f"stages.{stage.name}.feed.clips")
        if stage.feed.clip_share < 1:
            processes.check_batch(stage.feed.pictures, "pictures", f"stages.{stage.name}.feed.pictures")
        with torch.device("meta"):
            learning = learning_network(recipe, stage, Network(network.config))
        parameter_groups(learning, stage.optimizer)


def steps_done(recipe: Recipe, checkpoint: Checkpoint | None) -> dict[str, int]:
    """How many steps of each stage a run has behind it."""
    if checkpoint is None:
        return {}
    before = {stage.name: stage.steps for stage in recipe.stages[: checkpoint.stage]}
    return {**before, recipe.stages[checkpoint.stage].name: checkpoint.step}


def is_finished(recipe: Recipe, checkpoint: Checkpoint | None) -> bool:
    """Whether all steps of all stages are done."""
    return steps_done(recipe, checkpoint) == {stage.name: stage.steps for stage in recipe.stages}


def whole(value: Any) -> Tensor:
    """A number of which every process may have a part."""
    return value.full_tensor() if hasattr(value, "full_tensor") else value
