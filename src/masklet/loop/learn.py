"""A version is trained on what was collected, and kept if it is better on what was held out.

What judges it are the protocols of `masklet eval`, on a few pictures and videos that stay the same; any training may be
judged so.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

import numpy as np
import torch

from masklet.checkpoints import Model
from masklet.checkpoints.load import choose_device, load_torch_model
from masklet.datasets.base import Clip, Labelled, PlainMasks
from masklet.errors import FormatError, SessionError
from masklet.evaluation.images import ImageClicks, known_objects
from masklet.evaluation.methods import ModelMethod
from masklet.evaluation.run import Procedure, Submission
from masklet.evaluation.videos import SemiSupervised
from masklet.loop.collect import DIGEST_FILE, data_of
from masklet.loop.project import Asked, Loop, Version
from masklet.nn import ModelConfig
from masklet.training.batch import PickOptions, draw_objects
from masklet.training.data import Collection
from masklet.training.loop import CHECKPOINT_FILE, MODEL_FILE, RunOptions, is_finished, load_checkpoint, train
from masklet.training.recipes import Recipe, TrainingPrecision, finetune, finetune_small, override

CHECKPOINT_STEPS = 25
"""Steps between checkpoints."""


def learn(loop: Loop, device: str | None = None) -> int:
    """Train the version that was collected, from the model in use on; one that was cut off goes on. Its number.

    Raises SessionError if nothing was collected, TrainingError and ConfigError as `masklet train` does.
    """
    number, chosen = _open(loop), choose_device(device)
    model, data = load_torch_model(loop.weights(), device="cpu"), data_of(loop, number, "train")
    recipe = recipe_of(model.network.config, data, loop.asked, chosen)
    run = RunOptions(loop.place(number) / "run", save_every=CHECKPOINT_STEPS)
    train(recipe, model.network.requires_grad_(True), data, run, device=chosen)
    return number


def recipe_of(config: ModelConfig, data: list[Collection], asked: Asked, device: torch.device) -> Recipe:
    """The recipe of `masklet finetune`, or, for a model of our own, its small sister; with what was set. If that does
    not say otherwise the image encoder learns nothing: few annotations teach the heads best."""
    size, name, still = config.image_size, config.name.partition(":")[0], ("image_encoder",)
    if config.head != "refining":
        precision: TrainingPrecision = "float32" if device.type == "cpu" else "bfloat16"
        recipe = finetune(name, steps=asked.steps, image_size=size, freeze=still, precision=precision)
        return override(recipe, asked.settings)
    recipe = finetune_small(name, steps=asked.steps, image_size=size, freeze=still)
    if all(len(clip.annotations) == 1 for part in data for clip in part.clips):
        (stage,) = recipe.stages
        feed = replace(stage.feed, pictures=4, clip_share=0.2)  # clips are made up from the pictures
        recipe = replace(recipe, stages=(replace(stage, feed=feed),))
    return override(recipe, asked.settings)


def judge(loop: Loop, device: str | None = None) -> Version:
    """Score the version that was trained and its parent on what is held out; the better one is used from now on.

    Raises SessionError if nothing was trained to its end, FormatError if there is no object to judge by.
    """
    number, parent = _open(loop), loop.versions.current
    run, data, judged = loop.place(number) / "run", data_of(loop, number, "train"), data_of(loop, number, "val")
    old, checkpoint = load_torch_model(loop.weights(parent), device=device), load_checkpoint(run)
    recipe = recipe_of(old.network.config, data, loop.asked, choose_device(device))
    if not is_finished(recipe, checkpoint):
        raise SessionError(f"version {number} is not trained to its end; first run masklet loop train {loop.project}")
    new, measured = load_torch_model(run / MODEL_FILE, device=device), held_out(judged)
    before, after = measured(old), measured(new)
    version = Version(
        number,
        parent,
        new.digest,
        (loop.place(number) / "data" / DIGEST_FILE).read_text(encoding="utf-8"),
        sum(len(part.clips) for part in data),
        sum(len(part.clips) for part in judged),
        before,
        after,
        kept=fmean(after.values()) > fmean(before.values()),
    )
    loop.record(version)
    (run / CHECKPOINT_FILE).unlink(missing_ok=True)  # nothing goes on from it, and it is thrice as large as the model
    return version


def _open(loop: Loop) -> int:
    number = loop.open_version()
    if number is None:
        raise SessionError(f"nothing is collected to learn from; first run masklet loop collect {loop.project}")
    return number


IN_PICTURES: dict[str, Procedure] = {"box": ImageClicks("box", clicks=1), "click": ImageClicks("click", clicks=1)}
IN_VIDEOS: dict[str, Procedure] = {"video": SemiSupervised(rules="ytvos")}
"""A figure's name, and the protocol whose main measure it is: IoU from a box, IoU from a click, J&F from the first
mask on all frames after it."""


@dataclass(frozen=True)
class Amounts:
    """How much is looked at: quick, to choose by while a training goes on. At most so many pictures, videos, labelled
    frames of each video, evenly apart, and objects of each picture, and of each video's first frame; `pick` says which.
    """

    pictures: int = 60
    videos: int = 4
    frames: int = 20
    objects: int = 3
    pick: PickOptions = field(default_factory=lambda: PickOptions(least=0.003))


@dataclass(frozen=True, eq=False)
class HeldOut:
    """A picture or video that a model is judged on, and its objects."""

    clip: Clip
    objects: tuple[int, ...]

    def excerpt(self, name: str, most: int) -> Clip:
        """At most so many of its annotated frames, read; the objects are numbered from 1, and enter in the first."""
        frames = self.clip.read(self.clip.annotated[:: -(-len(self.clip.annotated) // most)])
        annotations = {place: partial(self._masks, frame) for place, frame in enumerate(frames)}
        enters = dict.fromkeys(range(1, len(self.objects) + 1), 0)
        return Clip(name, tuple(frame.image for frame in frames), annotations, enters=enters)

    def _masks(self, frame: Labelled) -> PlainMasks:
        nothing = np.zeros(frame.masks.size, np.bool_)
        found = (frame.masks.get(number, nothing) for number in self.objects)
        return PlainMasks(dict(enumerate(found, start=1)), frame.masks.void)


def held_out(collections: Sequence[Collection], amounts: Amounts | None = None) -> Callable[[Model], dict[str, float]]:
    """A function that measures a model on clips of these collections, as `masklet.training.loop.train` takes it.

    Raises FormatError if there is no object to judge by.
    """
    amounts = amounts or Amounts()
    return partial(figures, chosen=choose(collections, amounts), frames=amounts.frames)


def figures(model: Model, chosen: Sequence[HeldOut], frames: int) -> dict[str, float]:
    """Figures of a model, 0 to 1: means over all objects. One that nothing was chosen for is left out."""
    method = ModelMethod(model)
    values: dict[str, list[float]] = defaultdict(list)
    with TemporaryDirectory(prefix="masklet-") as folder:
        for place, one in enumerate(chosen):
            clip = one.excerpt(str(place), frames)
            for name, procedure in (IN_PICTURES if len(one.clip.annotated) == 1 else IN_VIDEOS).items():
                outcome = procedure.run(clip, method, Submission(Path(folder), "index"))
                values[name] += [row[procedure.measures[0]] for row in outcome.values.values()]
    return {name: float(np.mean(found)) for name, found in values.items()}


def choose(collections: Sequence[Collection], amounts: Amounts) -> list[HeldOut]:
    """Pictures and videos drawn from all, the same at every time. Raises FormatError if there is none."""
    clips = [clip for part in collections for clip in part.clips if clip.annotations]
    rng = np.random.default_rng(0)
    shuffled = [clips[place] for place in rng.permutation(len(clips))]
    pictures = _with_objects((clip for clip in shuffled if len(clip.annotated) == 1), rng, amounts)
    videos = _with_objects((clip for clip in shuffled if len(clip.annotated) > 1), rng, amounts)
    chosen = [*islice(pictures, amounts.pictures), *islice(videos, amounts.videos)]
    if not chosen:
        raise FormatError(
            f"none of {len(clips)} pictures and videos with masks has an object of {amounts.pick.least:.1%} to "
            f"{amounts.pick.most:.0%} of the picture to judge a model by; give --validate-on others"
        )
    return chosen


def _with_objects(clips: Iterable[Clip], rng: np.random.Generator, amounts: Amounts) -> Iterable[HeldOut]:
    for clip in clips:
        (first,) = clip.read(clip.annotated[:1])
        known = known_objects(first.masks)
        if numbers := [number for number in draw_objects(first, rng, amounts.pick) if number in known]:
            yield HeldOut(clip, tuple(numbers[: amounts.objects]))
