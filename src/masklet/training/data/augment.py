"""Changes of geometry and colour on the device: the same for all frames of a clip where it must be.

Source: SAM 2 (Ravi et al., 2024, appendix), as released; the defaults are the published ones.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from masklet.training.batch import Batch

FILL = (123.0, 116.0, 103.0)
"""The colour of what is turned into the picture from outside, as published."""

GREY = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in brightness (ITU-R BT.601)."""


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
    flips = flips.to(batch.images.device)
    owned = flips[batch.owners]
    flows = batch.flows
    if flows is not None:
        mirrored = flows.flip(-2) * flows.new_tensor([-1.0, 1.0])
        flows = torch.where(flips[:, None, None, None, None], mirrored, flows)
    return batch._replace(
        images=torch.where(flips[:, None, None, None, None], batch.images.flip(-1), batch.images),
        masks=torch.where(owned[:, None, None, None], batch.masks.flip(-1), batch.masks),
        known=torch.where(flips[:, None, None, None], batch.known.flip(-1), batch.known),
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
    still = torch.eye(2, 3, device=forth.device).expand_as(forth)
    first = _warp(batch.masks[:, :1].float(), forth[batch.owners], "nearest")
    lost = torch.zeros(len(forth), device=forth.device).index_add_(
        0, batch.owners, (first.flatten(1).sum(dim=1) == 0).float()
    )
    forth = torch.where((lost > 0)[:, None, None], still, forth)
    fill = torch.tensor(FILL, device=forth.device)[None, :, None, None]
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
    count, channels, *size = maps.shape
    grid = F.affine_grid(matrices, [count, channels, *size], align_corners=False)
    return F.grid_sample(maps, grid, mode=how, padding_mode="zeros", align_corners=False)


def _recolour(images: Tensor, rngs: list[np.random.Generator], options: AugmentOptions) -> Tensor:
    """Jitter by clip, lose colours by clip, jitter by frame."""
    frames = images.shape[1]
    clip = torch.stack([_factors(options.clip_jitter, 1, rng) for rng in rngs])  # (B, 1, 3)
    greys = torch.tensor([rng.random() < options.grey for rng in rngs])
    clip[greys, :, 2] = 0.0  # no saturation at all
    each = torch.stack([_factors(options.frame_jitter, frames, rng) for rng in rngs])  # (B, T, 3)
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
    middle = _grey(colors).mean(dim=(-1, -2), keepdim=True)
    colors = (middle + (colors - middle) * contrast).clamp(0, 255)
    grey = _grey(colors)
    return (grey + (colors - grey) * saturation).clamp(0, 255)


def _grey(colors: Tensor) -> Tensor:
    weights = torch.tensor(GREY, device=colors.device)[:, None, None]
    return (colors * weights).sum(dim=2, keepdim=True)
