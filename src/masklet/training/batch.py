"""What a step learns from: clips of pictures with the masks of some objects, as tensors; which objects these are; and
how geometry and colours are changed on the device, alike for all frames of a clip where it must be. Random numbers
follow from the seed, what they are for, and the number of the step, so that a run that was cut off goes on exactly.

Source of the changes: SAM 2 (Ravi et al., 2024, appendix), as released; the defaults are the published ones.
Letters: B clips, T frames (1 for pictures), N objects of all clips together, S side of the model's square.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from masklet.datasets.base import Labelled

FILL_COLOUR = (123.0, 116.0, 103.0)
"""The colour of what is turned into the picture from outside, as published."""

LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in brightness (ITU-R BT.601)."""


class Batch(NamedTuple):
    """B clips of T frames and the N objects in them."""

    images: Tensor  # uint8 (B, T, 3, S, S), RGB
    masks: Tensor  # bool (N, T, S, S), empty where the object is absent
    known: Tensor  # bool (B, T, S, S), False where nobody knows what is there
    owners: Tensor  # int64 (N,), which clip an object is of, in rising order
    seeds: Tensor  # int64 (B,), each clip's own, for all that is drawn while it is learned from
    # float32 (B, T, S/4, S/4, 2), the optical flow to the frame before, as `optical_flow` gives it; frame 0 has none
    flows: Tensor | None = None

    def to(self, device: torch.device) -> "Batch":
        """The same on a device; the seeds stay where they are."""
        there = {name: value for name, value in self._asdict().items() if name != "seeds" and value is not None}
        return self._replace(**{name: value.to(device, non_blocking=True) for name, value in there.items()})

    @property
    def frames(self) -> int:
        """T"""
        return self.images.shape[1]


class Dice:
    """Uniform random numbers for N objects, drawn for each clip from its own seed.

    So a clip gets the same numbers whichever process and whichever batch it is in.
    """

    def __init__(self, batch: Batch, device: torch.device) -> None:
        self.device = device
        self.generators = [torch.Generator(device).manual_seed(int(seed)) for seed in batch.seeds]
        self.counts = torch.bincount(batch.owners.cpu(), minlength=len(batch.seeds)).tolist()

    def roll(self, *shape: int) -> Tensor:
        """(N, *shape) in 0..1."""
        drawn = [
            torch.rand(count, *shape, generator=generator, device=self.device)
            for count, generator in zip(self.counts, self.generators, strict=True)
        ]
        return torch.cat(drawn)


class Use(IntEnum):
    """The uses of random numbers."""

    KIND = 1  # whether a step learns from clips
    SAMPLE = 2  # a picture or clip of a step
    SEED = 3  # the seed of a sample's augmentation
    PLAN = 4  # how a step is prompted
    TOTAL = 5  # which objects of a step are learned, where their number is given


def draws(use: Use, seed: int, *numbers: int) -> np.random.Generator:
    """The stream of a use, by the seed of a stage and what is counted, such as step and place in the batch.

    The use stands in front: NumPy takes missing numbers for zeros, so that (seed, step) and (seed, step, 0) are one.
    """
    return np.random.default_rng((int(use), seed, *numbers))


@dataclass(frozen=True)
class PickOptions:
    """Which objects are learned."""

    least: float = 0.0  # smaller ones are passed over, a share of the picture
    most: float = 0.9  # larger ones too, as published
    size_power: float = 0.0  # an object is drawn by its area to this power: 0, as published, draws all alike


def draw_objects(frame: Labelled, rng: np.random.Generator, pick: PickOptions) -> list[int]:
    """The objects of a frame that are neither too small nor too large, in random order."""
    height, width = frame.masks.size
    shares = {name: area / (height * width) for name, area in frame.masks.areas().items()}
    names = [name for name, share in shares.items() if pick.least <= share <= pick.most]
    if not names:
        return []
    weights = np.array([shares[name] for name in names]) ** pick.size_power
    return [names[place] for place in rng.choice(len(names), len(names), replace=False, p=weights / weights.sum())]


@dataclass(frozen=True)
class ColorJitter:
    """Factors are drawn from 1 - x to 1 + x."""

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0


@dataclass(frozen=True)
class AugmentOptions:
    """What is changed."""

    flip: float = 0.5  # probability of a mirrored clip
    turn: float = 25.0  # clips are turned by up to so many degrees
    shear: float = 20.0  # and slanted by up to so many degrees
    clip_jitter: ColorJitter = ColorJitter(0.1, 0.03, 0.03)  # colours of a clip
    grey: float = 0.05  # probability of a clip without colours
    frame_jitter: ColorJitter = ColorJitter(0.1, 0.05, 0.05)  # colours of each frame on its own

    @property
    def turns(self) -> bool:
        """Whether clips are turned or slanted."""
        return bool(self.turn or self.shear)


FLIP_ONLY = AugmentOptions(turn=0.0, shear=0.0, clip_jitter=ColorJitter(), grey=0.0, frame_jitter=ColorJitter())
"""The published changes of pictures."""


def augment(batch: Batch, options: AugmentOptions) -> Batch:
    """A changed batch; each clip's changes follow from its seed."""
    rngs = [np.random.default_rng((int(seed), 2)) for seed in batch.seeds]
    batch = _flip(batch, torch.tensor([rng.random() < options.flip for rng in rngs]))
    angles = np.array([rng.uniform(-1, 1, 2) * (options.turn, options.shear) for rng in rngs])
    if options.turns:
        batch = _turn(batch, torch.from_numpy(np.radians(angles)).float())
    return batch._replace(images=_recolour(batch.images, rngs, options))


def _flip(batch: Batch, flips: Tensor) -> Batch:
    flips = flips.to(batch.images.device)[:, None, None, None]
    flows = batch.flows
    if flows is not None:
        mirrored = flows.flip(-2) * flows.new_tensor([-1.0, 1.0])
        flows = torch.where(flips[..., None], mirrored, flows)
    return batch._replace(
        images=torch.where(flips[..., None], batch.images.flip(-1), batch.images),
        masks=torch.where(flips[batch.owners], batch.masks.flip(-1), batch.masks),
        known=torch.where(flips, batch.known.flip(-1), batch.known),
        flows=flows,
    )


def _turn(batch: Batch, angles: Tensor) -> Batch:
    """Turn and slant each clip about its middle, (B, 2) radians; not where an object would vanish. Its optical flow is
    another then, and has to be found anew."""
    turn, shear = angles.unbind(1)
    forth = torch.zeros(len(angles), 2, 3)
    forth[:, 0, 0], forth[:, 0, 1] = turn.cos(), -turn.sin() + turn.cos() * shear.tan()
    forth[:, 1, 0], forth[:, 1, 1] = turn.sin(), turn.cos() + turn.sin() * shear.tan()
    forth = forth.to(batch.images.device)
    first = _warp(batch.masks[:, :1].float(), forth[batch.owners], "nearest")
    forth[batch.owners[~first.flatten(1).any(dim=1)]] = torch.eye(2, 3, device=forth.device)
    fill = torch.tensor(FILL_COLOUR, device=forth.device)[None, :, None, None]
    images = (batch.images.float() - fill).flatten(1, 2)
    images = _warp(images, forth, "bilinear").unflatten(1, (-1, 3)) + fill
    return batch._replace(
        images=images.round().clamp(0, 255).to(torch.uint8),
        masks=_warp(batch.masks.float(), forth[batch.owners], "nearest") > 0.5,
        known=_warp((~batch.known).float(), forth, "nearest") < 0.5,
        flows=None,
    )


def _warp(maps: Tensor, matrices: Tensor, how: str) -> Tensor:
    """(B, C, S, S) seen through (B, 2, 3)."""
    grid = F.affine_grid(matrices, list(maps.shape), align_corners=False)
    return F.grid_sample(maps, grid, mode=how, padding_mode="zeros", align_corners=False)


def _recolour(images: Tensor, rngs: list[np.random.Generator], options: AugmentOptions) -> Tensor:
    """Jitter by clip, lose colours by clip, jitter by frame."""
    clip = torch.stack([_factors(options.clip_jitter, 1, rng) for rng in rngs])  # (B, 1, 3)
    greys = torch.tensor([rng.random() < options.grey for rng in rngs])
    clip[greys, :, 2] = 0.0  # no saturation at all
    each = torch.stack([_factors(options.frame_jitter, images.shape[1], rng) for rng in rngs])  # (B, T, 3)
    if bool((clip == 1).all() and (each == 1).all()):
        return images
    colors = _jitter(_jitter(images.float(), clip.to(images.device)), each.to(images.device))
    return colors.round().to(torch.uint8)


def _factors(jitter: ColorJitter, frames: int, rng: np.random.Generator) -> Tensor:
    spans = (jitter.brightness, jitter.contrast, jitter.saturation)
    return torch.from_numpy(1 + rng.uniform(-1, 1, (frames, 3)) * spans).float()


def _jitter(colors: Tensor, factors: Tensor) -> Tensor:
    """(B, T, 3, S, S) in 0..255, with (B, T or 1, 3) factors of brightness, contrast and saturation."""
    brightness, contrast, saturation = factors[..., None, None, None].unbind(2)
    colors = (colors * brightness).clamp(0, 255)
    middle = brightness_of(colors).mean(dim=(-1, -2), keepdim=True)
    colors = (middle + (colors - middle) * contrast).clamp(0, 255)
    grey = brightness_of(colors)
    return (grey + (colors - grey) * saturation).clamp(0, 255)


def brightness_of(colors: Tensor) -> Tensor:
    """(B, T, 3, S, S) -> (B, T, 1, S, S)."""
    weights = torch.tensor(LUMA, device=colors.device)[:, None, None]
    return (colors * weights).sum(dim=2, keepdim=True)
