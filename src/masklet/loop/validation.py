"""Validation during a training: the protocols of `masklet eval`, on a few pictures and videos that stay the same."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from masklet.checkpoints import Model
from masklet.datasets.base import Clip, Labelled, PlainMasks
from masklet.errors import FormatError
from masklet.evaluation.model import ModelMethod
from masklet.evaluation.protocols.base import Procedure
from masklet.evaluation.protocols.images import ImageClicks, known_objects
from masklet.evaluation.protocols.vos import SemiSupervised
from masklet.evaluation.results import Submission
from masklet.training.batch import PickOptions, draw_objects
from masklet.training.data import Collection

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
class Chosen:
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
    return partial(judge, chosen=choose(collections, amounts), frames=amounts.frames)


def judge(model: Model, chosen: Sequence[Chosen], frames: int) -> dict[str, float]:
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


def choose(collections: Sequence[Collection], amounts: Amounts) -> list[Chosen]:
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


def _with_objects(clips: Iterable[Clip], rng: np.random.Generator, amounts: Amounts) -> Iterable[Chosen]:
    for clip in clips:
        (first,) = clip.read(clip.annotated[:1])
        known = known_objects(first.masks)
        if numbers := [number for number in draw_objects(first, rng, amounts.pick) if number in known]:
            yield Chosen(clip, tuple(numbers[: amounts.objects]))
