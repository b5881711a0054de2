"""Training data: clips of the data sets that were asked for, mixed by weight, and what each step learns from. A batch
follows from the seed and the number of its step alone, so that a run that was cut off goes on as if nothing had
happened, and many processes share the work of one.

Letters: T frames, K objects, S side of the model's square.
"""

import math
import os
import pickle
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from masklet import plugins
from masklet.datasets.base import Clip, Labelled
from masklet.datasets.registry import DATASETS, find_dataset, recognise_dataset
from masklet.errors import FormatError, MaskletError
from masklet.training.batch import Batch, PickOptions, Use, draw_objects, draws
from masklet.training.synthesis import MadeUpOptions, find_regions, make_clip
from masklet.video.reader import optical_flow


class Wanted(NamedTuple):
    """Data as the user wrote it: `[KIND:]PATH[@WEIGHT]`."""

    path: Path
    kind: str | None
    weight: float | None = None


@dataclass(frozen=True)
class Collection:
    """Clips of one origin."""

    name: str  # for messages
    clips: Sequence[Clip]  # pictures and videos
    weight: float  # how often they are drawn, beside other collections
    licence: str | None = None  # the only one that was taken; None if nobody asked for one


def parse_wanted(text: str) -> Wanted:
    """Read what was typed; KIND is the name of a reader of data sets, or `module:Name`. Raises FormatError for a text
    without a path, and a weight that is no finite number over 0."""
    head, _, tail = text.partition(":")
    own = re.fullmatch(r"([\w.]+:[A-Za-z_]\w*):(.+)", text)
    kind, rest = (head, tail) if head in plugins.names("datasets", DATASETS) else own.groups() if own else (None, text)
    if not rest:
        raise FormatError(f"{text!r} names no data; give [KIND:]PATH[@WEIGHT], such as pictures:holiday")
    place, _, share = rest.rpartition("@")
    try:
        weight = float(share) if place else None
    except ValueError:
        weight = None  # an @ in the name
    if weight is None:
        return Wanted(Path(rest), kind)
    if not 0 < weight < math.inf:
        raise FormatError(f"the weight of {place} is {share}; give a finite number over 0")
    return Wanted(Path(place), kind, weight)


def read_data(places: Sequence[str | Wanted], *, licence: str | None = None, split: str = "train") -> list[Collection]:
    """The collections of several data sets, each `[KIND:]PATH[@WEIGHT]`, one for each source. A given weight is that of
    the whole set beside others. A licence such as "open" takes only clips that have it: an index has licences, other
    kinds have none. Data sets without splits are taken whole.

    Raises:
        FormatError: Nothing at a path, nothing that is understood, no masks in it, a path twice, or a weight that is no
            finite number over 0.
        ConfigError: A kind that is not known.
    """
    collections, wanted = [], [parse_wanted(place) if isinstance(place, str) else place for place in places]
    resolved = [one.path.resolve() for one in wanted]
    if twice := next((one.path for one, path in zip(wanted, resolved, strict=True) if resolved.count(path) > 1), None):
        raise FormatError(f"{twice} is given twice; give it once, with a weight if it counts for more: {twice}@2")
    for one in wanted:
        sources: dict[str, list[Clip]] = {}
        for clip in _clips(one, licence, split):
            sources.setdefault(clip.source, []).append(clip)
        count = sum(map(len, sources.values()))
        scale = 1.0 if one.weight is None else one.weight / count
        collections += [Collection(name, clips, len(clips) * scale, licence) for name, clips in sources.items()]
    return collections


def _clips(one: Wanted, licence: str | None, split: str) -> list[Clip]:
    """The training data at a path: clips with masks, and pictures without."""
    path = one.path
    if not os.path.exists(path):
        raise FormatError(f"there is nothing at {path}; give a folder with training data")
    reader = recognise_dataset(path) if one.kind is None else find_dataset(one.kind)
    if reader.holds is not None and not reader.holds(path):
        raise FormatError(f"{path} is no data of the kind {one.kind} ({reader.help}); give another path or kind")
    found = [clip for clip in reader.read(path, split).clips if clip.annotations or clip.kind == "image"]
    if not found:
        raise FormatError(f"{path} holds no masks of the split {split!r}; give a folder with pictures and their masks")
    if licence is None:
        return found
    licences = sorted({clip.licence for clip in found if clip.licence is not None})
    if not licences:
        raise FormatError(f"{path} names no licences; leave --licence out")
    if licence not in licences:
        raise FormatError(f"{path} has no rows of the licence {licence!r}; it has {', '.join(licences)}")
    return [clip for clip in found if clip.licence == licence]


class Mixture:
    """Clips drawn by the weight of their collection, all of one collection alike. Weights are taken to the power of
    `balance`: 1 as they are, 0 gives all collections the same.

    picture   draws a picture; a frame's worth of a video where there are no pictures
    labelled  the same with masks, a picture without only where nothing has any
    video     draws a video; there must be one, see `videos`
    """

    def __init__(self, collections: Sequence[Collection], balance: float = 1.0) -> None:
        pictures = _Draw(collections, balance, lambda clip: len(clip.annotations) < 2)
        labelled = _Draw(collections, balance, lambda clip: len(clip.annotations) == 1)
        self.video = _Draw(collections, balance, lambda clip: len(clip.annotations) > 1)
        self.pictures, self.videos = pictures.clips, self.video.clips
        self.picture = pictures if self.pictures else self.video
        self.labelled = next((draw for draw in (labelled, self.video) if draw.clips), pictures)


class _Draw:
    def __init__(self, collections: Sequence[Collection], balance: float, wanted: Callable[[Clip], bool]) -> None:
        self.clips: list[Clip] = []
        shares: list[float] = []
        for collection in collections:
            chosen = [clip for clip in collection.clips if wanted(clip)]
            if not chosen:
                continue
            share = collection.weight * len(chosen) / len(collection.clips)
            self.clips += chosen
            shares += [share**balance / len(chosen)] * len(chosen)
        self.ends = np.cumsum(shares)

    def __call__(self, rng: np.random.Generator) -> Clip:
        if not self.clips:
            raise FormatError("the training data has neither pictures nor videos; give --data with some of them")
        place = np.searchsorted(self.ends, rng.random() * self.ends[-1], side="right")
        return self.clips[min(int(place), len(self.clips) - 1)]


class Sample(NamedTuple):
    """A clip (T = 1: a picture) and some of its objects."""

    images: NDArray[np.uint8]  # (T, S, S, 3)
    masks: NDArray[np.bool_]  # (K, T, S, S)
    known: NDArray[np.bool_]  # (T, S, S)
    flows: NDArray[np.float32] | None = None  # (T, S/4, S/4, 2), see `Batch`


@dataclass(frozen=True)
class ViewOptions:
    """Which part of a picture is seen, the same in all frames; what is seen is stretched to the square."""

    whole: float = 1.0  # share of samples that show the whole picture, as published
    least_area: float = 0.25  # the others show at least this share of it
    aspect: float = 0.4  # the logarithm of their aspect changes by at most this


class RelativeCrop(NamedTuple):
    """A part of a picture as shares of its sides."""

    x0: float = 0.0
    y0: float = 0.0
    x1: float = 1.0
    y1: float = 1.0

    def of(self, pixels: NDArray[np.uint8], size: int, how: int) -> NDArray[np.uint8]:
        """Cut out of (H, W, ...) and stretched to a square of `size` pixels, by a way of OpenCV."""
        height, width = pixels.shape[:2]
        x0, x1 = (round(edge * width) for edge in (self.x0, self.x1))
        y0, y1 = (round(edge * height) for edge in (self.y0, self.y1))
        seen = pixels[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
        return np.asarray(cv2.resize(seen, (size, size), interpolation=how), np.uint8)

    def of_mask(self, mask: NDArray[np.bool_] | None, size: int) -> NDArray[np.bool_]:
        """The same of a mask, bool (H, W); nothing without one."""
        if mask is None:
            return np.zeros((size, size), np.bool_)
        return self.of(mask.view(np.uint8), size, cv2.INTER_NEAREST).view(np.bool_)


def draw_frames(
    count: int, wanted: int, rng: np.random.Generator, *, stride: int = 1, reverse: float = 0.5
) -> list[int]:
    """Consecutive frames of a video of `count` labelled ones, from anywhere in it, reversed with that probability.

    stride  every frame up to every so many-th
    A video that is too short ends with its last frame again and again.
    """
    step = int(rng.integers(1, stride + 1))
    span = min((wanted - 1) * step, count - 1)
    first = int(rng.integers(count - span))
    frames = [first + min(index * step, span) for index in range(wanted)]
    return frames[::-1] if rng.random() < reverse else frames


def draw_part(options: ViewOptions, rng: np.random.Generator) -> RelativeCrop:
    if rng.random() < options.whole:
        return RelativeCrop()
    area, aspect = rng.uniform(options.least_area, 1), math.exp(rng.uniform(-options.aspect, options.aspect))
    width, height = min(1.0, math.sqrt(area * aspect)), min(1.0, math.sqrt(area / aspect))
    x0, y0 = rng.uniform(0, 1 - width), rng.uniform(0, 1 - height)
    return RelativeCrop(x0, y0, x0 + width, y0 + height)


def cut_sample(
    clip: Sequence[Labelled], objects: int, size: int, rng: np.random.Generator, part: RelativeCrop, pick: PickOptions
) -> Sample | None:
    """Take up to so many objects that are seen in the first frame of a clip; None if there is none."""
    chosen: list[NDArray[np.bool_]] = []
    for name in draw_objects(clip[0], rng, pick):
        first = part.of_mask(clip[0].masks[name], size)
        if first.any() and first.mean() >= pick.least:
            chosen.append(np.stack([first, *(part.of_mask(frame.masks.get(name), size) for frame in clip[1:])]))
        if len(chosen) == objects:
            break
    if not chosen:
        return None
    shrinks = clip[0].image.shape[1] * (part.x1 - part.x0) > size
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    images = np.stack([part.of(frame.image, size, how) for frame in clip])
    return Sample(images, np.stack(chosen), np.stack([~part.of_mask(frame.masks.void, size) for frame in clip]))


CLIPS_TRIED = 50
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


@dataclass(eq=False)
class Feed(Dataset[Batch]):
    """Batches by the number of their step, of squares of `size` pixels; the seed makes everything repeatable. Process
    `rank` of `world` makes its part of each batch. With `flow_cells`, clips come with the optical flow between their
    frames, on so many cells a side."""

    mixture: Mixture
    options: FeedOptions
    size: int
    seed: int
    rank: int = 0
    world: int = 1
    flow_cells: int | None = None

    def is_clips(self, step: int) -> bool:
        """Whether a step learns from clips; the same in all processes."""
        return bool(draws(Use.KIND, self.seed, step).random() < self.options.clip_share)

    def batch(self, step: int) -> Batch:
        """This process's part of a step's batch."""
        return self._collated([self.sample(step, index) for index in self._mine(step)], step)

    __getitem__ = batch

    def _mine(self, step: int) -> range:
        count = self.options.clips if self.is_clips(step) else self.options.pictures
        return range(self.rank, count, self.world)

    def _collated(self, samples: Sequence[Sample], step: int) -> Batch:
        counts = torch.tensor([len(sample.masks) for sample in samples])
        flows = [sample.flows for sample in samples if sample.flows is not None]  # of all clips of a batch, or of none
        batch = Batch(
            images=torch.from_numpy(np.stack([sample.images for sample in samples])).permute(0, 1, 4, 2, 3),
            masks=torch.from_numpy(np.concatenate([sample.masks for sample in samples])),
            known=torch.from_numpy(np.stack([sample.known for sample in samples])),
            owners=torch.repeat_interleave(torch.arange(len(samples)), counts),
            seeds=torch.tensor([self.sample_seed(step, index) for index in self._mine(step)]),
            flows=torch.from_numpy(np.stack(flows)) if flows else None,
        )
        total = self.options.clip_total if batch.frames > 1 else self.options.picture_total
        return exactly(batch, total // self.world, draws(Use.TOTAL, self.seed, step)) if total else batch

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
        for _ in range(CLIPS_TRIED):
            if (sample := draw(rng)) is not None:
                return sample
        pick = self.options.pick
        raise FormatError(
            f"{CLIPS_TRIED} clips in a row had no object of {pick.least:.1%} to {pick.most:.0%} of the picture in "
            "their first frame; give other data, or change pick.least"
        )

    def _picture(self, rng: np.random.Generator) -> Sample | None:
        options = self.options
        picture = _still(self.mixture.labelled(rng), rng)
        return cut_sample(
            [picture], options.picture_objects, self.size, rng, draw_part(options.view, rng), options.pick
        )

    def _clip(self, rng: np.random.Generator) -> Sample | None:
        options, mixture = self.options, self.mixture
        if not mixture.videos or (mixture.pictures and rng.random() < options.made_up):
            clip = make_clip(lambda: _still(mixture.picture(rng), rng), options.frames, self.size, rng, options.scene)
            part = RelativeCrop()
        else:
            video = mixture.video(rng)
            count = len(video.annotated)
            frames = draw_frames(count, options.frames, rng, stride=options.stride, reverse=options.reverse)
            clip = video.read([video.annotated[place] for place in frames])
            part = draw_part(options.view, rng)
        sample = cut_sample(clip, options.clip_objects, self.size, rng, part, options.pick)
        if sample is None or self.flow_cells is None:
            return sample
        return sample._replace(flows=flows_of(sample.images, self.flow_cells))


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


HASH_ROWS = 16
"""To find duplicates, a picture is shrunk to so many rows, and to one column more."""

MAX_BITS = 12
"""Pictures are the same if at most so many of the 256 bits differ: other sizes and compression, not other pictures."""

MIN_CONTRAST = 8.0
"""Pictures whose small copy has a lower standard deviation, in grey values, all look alike; they are left out."""

MAX_CLIPS = 20_000
"""Of more clips than these, so many are looked at, evenly apart."""


def find_duplicates(training: Sequence[Collection], validation: Sequence[Collection]) -> list[tuple[str, str]]:
    """Names of clips of both that look the same in their first annotated frame: (in training, in validation)."""
    learned, judged = _hashes(training), _hashes(validation)
    if not learned or not judged:
        return []
    theirs, ours = (np.stack([bits for _, bits in found]) for found in (judged, learned))
    near = cv2.BFMatcher(cv2.NORM_HAMMING).radiusMatch(theirs, ours, MAX_BITS + 0.5)
    return [(learned[match.trainIdx][0], judged[match.queryIdx][0]) for matches in near for match in matches]


def _hashes(collections: Sequence[Collection]) -> list[tuple[str, NDArray[np.uint8]]]:
    """Names of clips, and uint8 (32,), 256 bits of each. Left out are pictures that have too little in them, and those
    that cannot be read, of which the training says so."""
    clips = [clip for collection in collections for clip in collection.clips if clip.annotations]
    found = []
    for clip in clips[:: len(clips) // MAX_CLIPS + 1]:
        with suppress(MaskletError):
            (image,) = clip.images(clip.annotated[:1])
            grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
            small = cv2.resize(grey, (HASH_ROWS + 1, HASH_ROWS), interpolation=cv2.INTER_AREA).astype(np.int16)
            if small.std() >= MIN_CONTRAST:
                found.append((clip.name, np.packbits(small[:, 1:] < small[:, :-1])))
    return found
