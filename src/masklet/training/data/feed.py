"""What each step learns from. A batch follows from the seed and the number of its step alone, so that a run that was
cut off goes on as if nothing had happened, and many processes share the work of one.
"""

import pickle
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from masklet.datasets.base import Clip, Labelled
from masklet.errors import FormatError
from masklet.training.batch import Batch, PickOptions, Use, draws
from masklet.training.data.mixture import Mixture
from masklet.training.data.samples import WHOLE, Sample, ViewOptions, cut_sample, draw_frames, draw_part
from masklet.training.synthesis.clip import MadeUpOptions, make_clip
from masklet.training.synthesis.things import find_regions
from masklet.video.reader import optical_flow

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
    # so many objects of all pictures and of all clips of a step, some twice or left out, so that shapes stay, which a
    # GPU likes; 0 takes as many as come
    picture_total: int = 0
    clip_total: int = 0
    reverse: float = 0.5  # share of clips that run backwards
    balance: float = 1.0  # weights of collections are taken to this power
    view: ViewOptions = field(default_factory=ViewOptions)  # which part of pictures is seen
    pick: PickOptions = field(default_factory=PickOptions)  # which objects are learned
    scene: MadeUpOptions = field(default_factory=MadeUpOptions)  # how clips are made up


class Feed(Dataset[Batch]):
    """Batches by the number of their step, of squares of `size` pixels; the seed makes everything repeatable. Process
    `rank` of `world` makes its part of each batch. With `flow_cells`, clips come with the optical flow between their
    frames, on so many cells a side."""

    def __init__(
        self,
        mixture: Mixture,
        options: FeedOptions,
        size: int,
        seed: int,
        *,
        rank: int = 0,
        world: int = 1,
        flow_cells: int | None = None,
    ) -> None:
        self.mixture, self.options, self.size, self.seed = mixture, options, size, seed
        self.rank, self.world, self.flow_cells = rank, world, flow_cells

    def is_clips(self, step: int) -> bool:
        """Whether a step learns from clips; the same in all processes."""
        return bool(draws(Use.KIND, self.seed, step).random() < self.options.clip_share)

    def batch(self, step: int) -> Batch:
        """This process's part of a step's batch."""
        return self._collated([self.sample(step, index) for index in self._mine(step)], step)

    def _collated(self, samples: list[Sample], step: int) -> Batch:
        batch = collate(
            [(s, self.sample_seed(step, index)) for s, index in zip(samples, self._mine(step), strict=True)]
        )
        total = self.options.clip_total if batch.frames > 1 else self.options.picture_total
        return exactly(batch, total // self.world, draws(Use.TOTAL, self.seed, step)) if total else batch

    __getitem__ = batch

    def ahead(self, start: int, stop: int, workers: int, *, processes: bool = False) -> Iterator[Batch]:
        """The batches of steps `start` to before `stop`, made while others are learned from: by threads, which share
        what is in memory, or by processes, which do not wait for each other and keep a GPU at work. Data of one's own
        that cannot be pickled is left to threads."""
        if not (processes and _can_travel(self)):
            yield from self._ahead(start, stop, workers)
            return
        yield from DataLoader(
            self,
            batch_size=None,
            sampler=range(start, stop),
            num_workers=workers,
            pin_memory=torch.cuda.is_available(),
            multiprocessing_context="spawn",  # a copy of a process that has threads may wait for ever
            worker_init_fn=_work_alone,
        )

    def _ahead(self, start: int, stop: int, workers: int) -> Iterator[Batch]:
        with ThreadPoolExecutor(workers) as pool:
            waiting: deque[list[Future[Sample]]] = deque()
            try:
                for step in range(start, stop + 2):
                    if step < stop:
                        waiting.append([pool.submit(self.sample, step, index) for index in self._mine(step)])
                    if step >= start + 2 and waiting:
                        yield self._collated([future.result() for future in waiting.popleft()], step - 2)
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
            part = WHOLE
        else:
            video = mixture.video(rng)
            frames = draw_frames(
                len(video.annotated), options.frames, rng, stride=options.stride, reverse=options.reverse
            )
            clip = video.read([video.annotated[place] for place in frames])
            part = draw_part(options.view, rng)
        sample = cut_sample(clip, options.clip_objects, self.size, rng, part, options.pick)
        if sample is None or self.flow_cells is None:
            return sample
        return sample._replace(flows=flows_of(sample.images, self.flow_cells))


def collate(samples: list[tuple[Sample, int]]) -> Batch:
    clips = [sample for sample, _ in samples]
    counts = torch.tensor([len(clip.masks) for clip in clips])
    found = [clip.flows for clip in clips if clip.flows is not None]
    flows = np.stack(found) if found else None  # all clips of a batch have it, or none
    return Batch(
        images=torch.from_numpy(np.stack([clip.images for clip in clips])).permute(0, 1, 4, 2, 3),
        masks=torch.from_numpy(np.concatenate([clip.masks for clip in clips])),
        known=torch.from_numpy(np.stack([clip.known for clip in clips])),
        owners=torch.repeat_interleave(torch.arange(len(clips)), counts),
        seeds=torch.tensor([seed for _, seed in samples]),
        flows=None if flows is None else torch.from_numpy(flows),
    )


def flows_of(images: NDArray[np.uint8], cells: int) -> NDArray[np.float32]:
    """(T, S, S, 3) -> (T, cells, cells, 2): the optical flow of each frame to the one before; the first has none."""
    greys = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images]
    flows = [optical_flow(here, before, cells) for before, here in pairwise(greys)]
    return np.stack([np.zeros((cells, cells, 2), np.float32), *flows])


def exactly(batch: Batch, count: int, rng: np.random.Generator) -> Batch:
    """A batch of so many objects: some of its own, or all of them and some again."""
    found = len(batch.owners)
    again = rng.choice(found, max(count - found, 0), replace=count > 2 * found)
    chosen = np.sort(np.concatenate((rng.choice(found, min(count, found), replace=False), again)))
    return batch._replace(masks=batch.masks[chosen], owners=batch.owners[chosen])


def _can_travel(feed: Feed) -> bool:
    """Whether another process can be given it."""
    try:
        pickle.dumps(feed)
    except (pickle.PicklingError, AttributeError, TypeError):
        return False
    return True


def _work_alone(_: int) -> None:
    """A process of many uses one core."""
    cv2.setNumThreads(1)


def _still(clip: Clip, rng: np.random.Generator) -> Labelled:
    """A picture, or a frame of a video; things are found in it where it has no masks."""
    if clip.annotations:
        return clip.read([clip.annotated[int(rng.integers(len(clip.annotated)))]])[0]
    (image,) = clip.images([0])
    return Labelled(image, find_regions(image, rng))
