"""What a training is judged by: the protocols of `masklet eval`, on a few pictures and videos that stay the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from masklet.checkpoints import Model
from masklet.errors import FormatError
from masklet.evaluation.contenders.model import ModelContender
from masklet.evaluation.datasets.base import Clip, FrameTruth
from masklet.evaluation.protocols.base import Procedure
from masklet.evaluation.protocols.image_clicks import ImageClicks
from masklet.evaluation.protocols.semi_supervised import SemiSupervised
from masklet.evaluation.submission import Submission
from masklet.formats.base import ObjectId
from masklet.training.data.items import Collection, Item, Labelled
from masklet.training.data.samples import PickOptions, draw_objects

IN_PICTURES: dict[str, Procedure] = {"box": ImageClicks("box", clicks=1), "click": ImageClicks("click", clicks=1)}
IN_VIDEOS: dict[str, Procedure] = {"video": SemiSupervised(rules="ytvos")}
"""A figure's name, and the protocol whose main measure it is: IoU from a box, IoU from a click, J&F from the first
mask on all frames after it."""


@dataclass(frozen=True)
class Amounts:
    """How much is looked at: quick, to choose by while a training goes on.

    Attributes:
        pictures: At most so many.
        videos: At most so many.
        frames: At most so many labelled frames of each video, evenly apart.
        objects: At most so many of each picture, and of each video's first frame.
        pick: Which objects.
    """

    pictures: int = 60
    videos: int = 4
    frames: int = 20
    objects: int = 3
    pick: PickOptions = field(default_factory=lambda: PickOptions(least=0.003))


@dataclass(frozen=True, eq=False)
class Chosen:
    """A picture or video that a model is judged on, and its objects."""

    item: Item
    objects: tuple[ObjectId, ...]

    def clip(self, name: str, most: int) -> Clip:
        """At most so many of its frames, read, as evaluation takes them."""
        step = -(-self.item.frames // most)
        frames = self.item.read(range(0, self.item.frames, step))
        truth = TruthAtHand(frames, self.objects)
        return Clip(name, tuple(frame.image for frame in frames), tuple(f"{n:05d}" for n in truth.frames), truth)


@dataclass(frozen=True, eq=False)
class TruthAtHand:
    """The true masks of some objects in frames that are read; they are numbered from 1 and told of in the first."""

    labelled: Sequence[Labelled]
    objects: tuple[ObjectId, ...]

    @property
    def frames(self) -> tuple[int, ...]:
        return tuple(range(len(self.labelled)))

    @property
    def entering(self) -> Mapping[int, int]:
        return {number: 0 for number, _ in enumerate(self.objects, start=1)}

    def read(self, frame: int) -> FrameTruth:
        masks = self.labelled[frame].masks
        nothing = np.zeros(masks.size, np.bool_)
        return FrameTruth(
            {number: masks.get(name, nothing) for number, name in enumerate(self.objects, start=1)}, masks.unknown
        )


def held_out(collections: Sequence[Collection], amounts: Amounts | None = None) -> Callable[[Model], dict[str, float]]:
    """What judges a model by items of these collections, as `masklet.training.loop.train` takes it.

    Raises FormatError if there is no object to judge by.
    """
    amounts = amounts or Amounts()
    return partial(judge, chosen=choose(collections, amounts), frames=amounts.frames)


def judge(model: Model, chosen: Sequence[Chosen], frames: int) -> dict[str, float]:
    """Figures of a model, 0 to 1: means over all objects. One that nothing was chosen for is left out."""
    contender = ModelContender(model)
    values: dict[str, list[float]] = defaultdict(list)
    with TemporaryDirectory(prefix="masklet-") as folder:
        for place, one in enumerate(chosen):
            clip = one.clip(str(place), frames)
            for name, procedure in (IN_PICTURES if one.item.frames == 1 else IN_VIDEOS).items():
                outcome = procedure.run(clip, contender, Submission(Path(folder), "index"))
                values[name] += [row[procedure.measures[0]] for row in outcome.values.values()]
    return {name: float(np.mean(found)) for name, found in values.items()}


def choose(collections: Sequence[Collection], amounts: Amounts) -> list[Chosen]:
    """Pictures and videos drawn from all, the same at every time. Raises FormatError if there is none."""
    items = [item for part in collections for item in part.items if item.is_labelled]
    rng = np.random.default_rng(0)
    shuffled = [items[place] for place in rng.permutation(len(items))]
    pictures = _with_objects((item for item in shuffled if item.frames == 1), rng, amounts)
    videos = _with_objects((item for item in shuffled if item.frames > 1), rng, amounts)
    chosen = [*islice(pictures, amounts.pictures), *islice(videos, amounts.videos)]
    if not chosen:
        raise FormatError(
            f"none of {len(items)} pictures and videos with masks has an object of {amounts.pick.least:.1%} to "
            f"{amounts.pick.most:.0%} of the picture to judge a model by; give --validate-on others"
        )
    return chosen


def _with_objects(items: Iterable[Item], rng: np.random.Generator, amounts: Amounts) -> Iterable[Chosen]:
    for item in items:
        (first,) = item.read([0])
        names = [name for name in draw_objects(first, rng, amounts.pick) if _is_known(first, name)]
        if names:
            yield Chosen(item, tuple(names[: amounts.objects]))


def _is_known(frame: Labelled, name: ObjectId) -> bool:
    unknown = frame.masks.unknown
    return unknown is None or bool((frame.masks[name] & ~unknown).any())
