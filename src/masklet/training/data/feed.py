"""What each step learns from. A batch follows from the seed and the number of its step alone, so that a run that was
cut off goes on as if nothing had happened, and many processes share the work of one.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch

from masklet.datasets.base import Clip, Labelled
from masklet.errors import FormatError
from masklet.training.batch import Batch, PickOptions, Use, draws
from masklet.training.data.mixture import Mixture
from masklet.training.data.samples import WHOLE, Sample, ViewOptions, cut_sample, draw_frames, draw_part
from masklet.training.synthesis.clip import MadeUpOptions, make_clip
from masklet.training.synthesis.things import find_regions

TRIES = 50
"""Clips that are looked at for one with a fitting object, before it is said that there is none."""


@dataclass(frozen=True)
class FeedOptions:
    """What a step learns from; the defaults are the published ones."""

    pictures: int = 8  # pictures of a step, over all processes
    picture_objects: int = 64  # at most so many objects of each
    clips: int = 8  # clips of a step, over all processes
    clip_objects: int = 3  # at most so many objects of each
    frames: int = 8  # frames of a clip
    clip_share: float = 0.85  # share of steps that learn from clips, the others learn from pictures
    made_up: float = 0.0  # share of clips that are made up from pictures; all of them where there are no videos
    stride: int = 1  # frames of a clip are up to so many labelled frames apart
    reverse: float = 0.5  # share of clips that run backwards
    balance: float = 1.0  # weights of collections are taken to this power
    view: ViewOptions = field(default_factory=ViewOptions)  # which part of pictures is seen
    pick: PickOptions = field(default_factory=PickOptions)  # which objects are learned
    scene: MadeUpOptions = field(default_factory=MadeUpOptions)  # how clips are made up


class Feed:
    """Batches by the number of their step, of squares of `size` pixels; the seed makes everything repeatable. Process
    `rank` of `world` makes its part of each batch."""

    def __init__(
        self, mixture: Mixture, options: FeedOptions, size: int, seed: int, *, rank: int = 0, world: int = 1
    ) -> None:
        self.mixture, self.options, self.size, self.seed = mixture, options, size, seed
        self.rank, self.world = rank, world

    def is_clips(self, step: int) -> bool:
        """Whether a step learns from clips; the same in all processes."""
        return bool(draws(Use.KIND, self.seed, step).random() < self.options.clip_share)

    def batch(self, step: int) -> Batch:
        """This process's part of a step's batch."""
        return collate([(self.sample(step, index), self.sample_seed(step, index)) for index in self._mine(step)])

    def ahead(self, start: int, stop: int, workers: int) -> Iterator[Batch]:
        """The batches of steps `start` to before `stop`, made by threads while others are learned from."""
        with ThreadPoolExecutor(workers) as pool:
            waiting: deque[list[Future[Sample]]] = deque()
            try:
                for step in range(start, stop + 2):
                    if step < stop:
                        waiting.append([pool.submit(self.sample, step, index) for index in self._mine(step)])
                    if step >= start + 2 and waiting:
                        done = step - 2
                        seeds = (self.sample_seed(done, index) for index in self._mine(done))
                        yield collate([(f.result(), seed) for f, seed in zip(waiting.popleft(), seeds, strict=True)])
            finally:
                pool.shutdown(cancel_futures=True)

    def sample_seed(self, step: int, index: int) -> int:
        """The seed of all that is drawn while a sample is learned from."""
        return int(draws(Use.SEED, self.seed, step, index).integers(1 << 62))

    def sample(self, step: int, index: int) -> Sample:
        """One picture or clip of a step. Raises FormatError if no clip has an object of a fitting size."""
        rng = draws(Use.SAMPLE, self.seed, step, index)
        draw = self._clip if self.is_clips(step) else self._picture
        for _ in range(TRIES):
            if (sample := draw(rng)) is not None:
                return sample
        raise FormatError(
            f"{TRIES} clips in a row had no object of {self.options.pick.least:.1%} to {self.options.pick.most:.0%} "
            "of the picture in their first frame; give other data, or change pick.least"
        )

    def _mine(self, step: int) -> range:
        count = self.options.clips if self.is_clips(step) else self.options.pictures
        return range(self.rank, count, self.world)

    def _picture(self, rng: np.random.Generator) -> Sample | None:
        options = self.options
        picture = _still(self.mixture.labelled(rng), rng)
        part = draw_part(options.view, rng)
        return cut_sample([picture], options.picture_objects, self.size, rng, part, options.pick)

    def _clip(self, rng: np.random.Generator) -> Sample | None:
        options, mixture = self.options, self.mixture
        if not mixture.videos.clips or (mixture.pictures.clips and rng.random() < options.made_up):
            clip = make_clip(lambda: _still(mixture.picture(rng), rng), options.frames, self.size, rng, options.scene)
            return cut_sample(clip, options.clip_objects, self.size, rng, WHOLE, options.pick)
        video = mixture.video(rng)
        frames = draw_frames(len(video.annotated), options.frames, rng, stride=options.stride, reverse=options.reverse)
        labelled = video.read([video.annotated[place] for place in frames])
        return cut_sample(labelled, options.clip_objects, self.size, rng, draw_part(options.view, rng), options.pick)


def collate(samples: list[tuple[Sample, int]]) -> Batch:
    clips = [sample for sample, _ in samples]
    counts = torch.tensor([len(clip.masks) for clip in clips])
    return Batch(
        images=torch.from_numpy(np.stack([clip.images for clip in clips])).permute(0, 1, 4, 2, 3),
        masks=torch.from_numpy(np.concatenate([clip.masks for clip in clips])),
        known=torch.from_numpy(np.stack([clip.known for clip in clips])),
        owners=torch.repeat_interleave(torch.arange(len(clips)), counts),
        seeds=torch.tensor([seed for _, seed in samples]),
    )


def _still(clip: Clip, rng: np.random.Generator) -> Labelled:
    """A picture, or a frame of a video; things are found in it where it has no masks."""
    if clip.annotations:
        return clip.read([clip.annotated[int(rng.integers(len(clip.annotated)))]])[0]
    (image,) = clip.images([0])
    return Labelled(image, find_regions(image, rng))
