"""Prompts as a person gives them: a mask, a box or a click first, then corrections where the answer is wrong.

Source: SAM 2 (Ravi et al., 2024, appendix), as released. Random numbers come in as arguments, so that every draw can be
repeated. Letters: N objects, K points, H x W the picture.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from masklet.nn.layers import tight_box
from masklet.prompts import BOX_BOTTOM_RIGHT, BOX_TOP_LEFT, NOT_A_POINT

BOX_NOISE = 0.1
"""A corner is off by at most this share of the box's side, as published."""

MAX_BOX_NOISE = 20.0
"""And by at most so many pixels."""

PromptKind = Literal["mask", "box", "click"]


@dataclass(frozen=True)
class PromptOptions:
    """How often which prompt is given; the defaults are the published ones."""

    mask: float = 0.5  # share of clips that begin with a given mask
    box: float = 0.5  # share of the others, and of pictures, that begin with a box; the rest begins with a click
    first_frames: int = 2  # at most this many frames are prompted at the beginning
    corrected_frames: int = 2  # at most this many frames are corrected
    corrections: int = 7  # clicks on each of them, after its first prompt
    # share of corrections that are clicks anywhere in the true mask, not where the answer is wrong
    from_truth: float = 0.1
    # share of frames to which a network that is given the mask of the frame before goes without it, so that it learns
    # to follow by its memories
    previous_missing: float = 0.0
    # share of frames to which that mask is given turned by half a turn, so that it is doubted
    previous_wrong: float = 0.0


class Plan(NamedTuple):
    """The prompts and corrections of a simulated person in a clip, drawn beforehand.

    from_truth for each correction of each corrected frame: whether it is drawn from the true mask
    """

    kind: PromptKind  # of the first prompts
    prompted: tuple[int, ...]  # frames that are prompted at the beginning; the first frame comes first
    corrected: tuple[int, ...]  # frames that are corrected, the prompted ones first
    from_truth: tuple[tuple[bool, ...], ...]
    # shares of followed frames for which the mask of the frame before is missing, and wrong
    previous: tuple[float, float] = (0.0, 0.0)

    def order(self, frames: int) -> list[int]:
        """The frames as they are worked on: the prompted ones, then the others in the order of time."""
        return [*self.prompted, *(frame for frame in range(frames) if frame not in self.prompted)]


def draw_plan(frames: int, options: PromptOptions, rng: np.random.Generator) -> Plan:
    """Draw what happens in a clip of so many frames; a picture (one frame) begins with a box or a click."""
    by_mask = frames > 1 and rng.random() < options.mask
    kind: PromptKind = "mask" if by_mask else "box" if rng.random() < options.box else "click"
    most = max(1, min(options.first_frames, frames - 1))  # something must be left to find
    first = int(rng.integers(1, most + 1))
    previous = options.previous_missing, options.previous_wrong
    others = [int(frame) for frame in 1 + rng.permutation(frames - 1)]
    prompted = (0, *others[: first - 1])
    if by_mask:
        return Plan(kind, prompted, (), (), previous)
    least = min(first, options.corrected_frames)
    corrected = int(rng.integers(least, max(least, min(options.corrected_frames, frames)) + 1))
    chosen = (0, *others)[:corrected]
    truth = tuple(tuple((rng.random(options.corrections) < options.from_truth).tolist()) for _ in chosen)
    return Plan(kind, prompted, chosen, truth, previous)


class Points(NamedTuple):
    """Points of N objects, in pixels of the model's square."""

    places: Tensor  # float (N, K, 2): x, y
    labels: Tensor  # int64 (N, K): 1 include, 0 exclude, 2 and 3 a box's corners, -1 none

    def plus(self, other: "Points") -> "Points":
        return Points(torch.cat((self.places, other.places), dim=1), torch.cat((self.labels, other.labels), dim=1))

    @staticmethod
    def none(count: int, device: torch.device) -> "Points":
        return Points(torch.zeros(count, 0, 2, device=device), torch.zeros(count, 0, dtype=torch.int64, device=device))


def uniform_click(truth: Tensor, answer: Tensor | None, noise: Tensor) -> Points:
    """One click for each object, anywhere in what is wrong; what is wrong says whether it includes or excludes. Where
    nothing is, the click excludes some pixel of the background.

    truth, answer  bool (N, H, W); without an answer all of the truth is missing
    noise          (N, H, W, 2) uniform in 0..1: for pixels that are too much, and for pixels that are missing
    """
    found = torch.zeros_like(truth) if answer is None else answer
    extra, missed = found & ~truth, truth & ~found
    right = ~(extra | missed).flatten(1).any(dim=1)[:, None, None]
    allowed = torch.stack((extra | (right & ~truth), missed), dim=-1)
    place = (noise * allowed).flatten(1).argmax(dim=1)
    pixel, width = place // 2, truth.shape[-1]
    places = torch.stack((pixel % width, pixel // width), dim=-1).float()
    return Points(places[:, None], (place % 2)[:, None])


def rough_box(truth: Tensor, noise: Tensor) -> Points:
    """A box around each mask, its corners a little off.

    truth  bool (N, H, W); an empty mask gives a box that means nothing
    noise  (N, 4) uniform in 0..1
    """
    box = tight_box(truth).float()
    height, width = truth.shape[-2:]
    sides = (box[:, 2:] - box[:, :2]).repeat(1, 2)
    box = box + (2 * noise - 1) * (BOX_NOISE * sides).clamp(max=MAX_BOX_NOISE)
    limit = box.new_tensor([width - 1, height - 1, width - 1, height - 1])
    places = torch.minimum(box.clamp(min=0), limit).unflatten(1, (2, 2))
    return Points(places, torch.tensor([BOX_TOP_LEFT, BOX_BOTTOM_RIGHT], device=truth.device).expand(len(truth), 2))


def first_points(kind: PromptKind, truth: Tensor, clicks: Tensor, corners: Tensor) -> Points:
    """The first prompt of each object: a box or a click; an absent object gets a click that excludes.

    clicks   (N, H, W, 2), the noise of `uniform_click`
    corners  (N, 4), that of `rough_box`
    """
    click = uniform_click(truth, None, clicks)
    if kind == "click":
        return click
    box, present = rough_box(truth, corners), truth.flatten(1).any(dim=1)
    blank = torch.full_like(click.labels, NOT_A_POINT)
    excluded = Points(click.places.repeat(1, 2, 1), torch.cat((click.labels, blank), dim=1))
    return Points(
        torch.where(present[:, None, None], box.places, excluded.places),
        torch.where(present[:, None], box.labels, excluded.labels),
    )
