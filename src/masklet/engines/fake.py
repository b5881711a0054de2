"""An engine without a network or weights: what looks like the prompted thing, near where it is expected.

It is for tests of what stands above an engine, in masklet and elsewhere: masks, scores and memories behave as a
network's do on pictures of things of one colour, and a frame takes a millisecond. An object is a colour and a place.
Prompts give both, memories and pointers keep them, and a mask is every cell of a like colour near the place.
"""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from masklet.nn import ConvNetConfig, Decoded, Levels, MemoryBank, ModelConfig, PromptTokens
from masklet.nn.config import FINEST_STRIDE

FAKE = ModelConfig(
    name="fake",
    encoder=ConvNetConfig((8, 8, 8, 8), (0, 0, 0, 0)),
    image_size=64,
    width=32,
    memory_width=8,
    decoder_heads=1,
)
"""Sizes of the fake engine. There is no such encoder: only the sizes of what goes in and out count."""

MOST_DIFFERENCE = 1.4
"""Colours that are farther apart, in normalised units, are of different things."""

POINT_RADIUS, EXCLUDED_RADIUS = 6.0, 2.0
"""Cells at stride 4: how far around an included point its thing is looked for, and how far an excluded one reaches."""

CERTAIN = 10.0
"""The largest logit."""

_PLACE, _COLOUR, _KNOWN = slice(3, 4), slice(4, 7), slice(7, 8)
"""Channels of conditioned features: where the object was, its colour, and whether anything is known of it. The first
three are the picture's own colours. A memory has the same from its first channel on; a pointer has the colour and,
behind it, whether it is one of an object."""


@dataclass(frozen=True)
class FakeEngine:
    """The four functions by simple arithmetic, deterministic, in float32 on the CPU.

    Attributes:
        config: Sizes. `width` is a multiple of 32, `memory_width` at least 5; the network's parts are ignored.
    """

    config: ModelConfig = FAKE
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    dtype: torch.dtype = torch.float32
    digest: str = "fake"

    @property
    def absent_pointer(self) -> Tensor:
        """(1, C) zeros."""
        return torch.zeros(1, self.config.width)

    def encode_image(self, images: Tensor) -> Levels:
        """Mean colours of cells."""
        width = self.config.width
        return Levels(*(_colours(images, stride, width // part) for stride, part in ((4, 8), (8, 4), (16, 1))))

    def attend_memory(self, features: Tensor, bank: MemoryBank) -> Tensor:
        """Write into the features where an object was last seen (its newest memory) and its colour (its pointers)."""
        count, frames = bank.memories.shape[:2]
        features = features.expand(count, -1, -1, -1).clone()
        recent = self.config.memory_frames - bank.slots.float()
        if bank.keep_memories is not None:
            recent = recent * bank.keep_memories
        if frames:
            newest = bank.memories[torch.arange(count), recent.argmax(dim=1)].to(features.dtype)
            known = (recent.amax(dim=1) > 0).to(features.dtype)[:, None, None, None]
            features[:, 3:8] = newest[:, :5] * known
        told = bank.pointers[..., 3].to(features.dtype)  # (N, P)
        told = told if bank.keep_pointers is None else told * bank.keep_pointers
        total = told.sum(dim=1)[:, None]
        colour = (bank.pointers[..., :3].to(features.dtype) * told[..., None]).sum(dim=1) / total.clamp(min=1e-6)
        features[:, _COLOUR] = torch.where((total > 0)[..., None, None], colour[..., None, None], features[:, _COLOUR])
        return features

    def decode_masks(self, features: Tensor, levels: Levels, prompts: PromptTokens) -> Decoded:
        """Cells that look like the object, near its place; candidates differ in how much is taken for the object."""
        side, count = self.config.mask_size, len(prompts.points)
        features = features.expand(count, -1, -1, -1)
        colours = levels.stride4[:, :3].expand(count, -1, -1, -1)
        remembered = F.interpolate(features[:, _PLACE].float(), size=(side, side), mode="bilinear")
        known = features[:, _KNOWN].amax(dim=(1, 2, 3)) > 0
        place = torch.where(known[:, None, None], 4 * CERTAIN * F.max_pool2d(remembered, 5, 1, 2)[:, 0] - 2, -CERTAIN)
        place, colour_at = self._placed(place, prompts, side)
        if prompts.masks is not None:
            given = prompts.masks if prompts.masks.shape[-1] == side else F.avg_pool2d(prompts.masks, 4) * 2 - 1
            has = torch.ones(count, dtype=torch.bool) if prompts.keep_masks is None else prompts.keep_masks
            shown = has[:, None, None] & ~colour_at.flatten(1).any(dim=1)[:, None, None]
            place = torch.where(shown, CERTAIN * given[:, 0].sign(), place)
            colour_at = torch.where(shown, given[:, 0] > 0, colour_at)
        weight = colour_at.to(colours.dtype)[:, None]
        sampled = (colours * weight).sum(dim=(2, 3)) / weight.sum(dim=(2, 3)).clamp(min=1)
        prompted = colour_at.flatten(1).any(dim=1)
        colour = torch.where(prompted[:, None], sampled, features[:, _COLOUR].mean(dim=(2, 3)))
        difference = (colours - colour[..., None, None]).norm(dim=1)
        logits = torch.minimum(CERTAIN * (1 - difference / MOST_DIFFERENCE), place).clamp(-CERTAIN, CERTAIN)
        area = (logits > 0).flatten(1).sum(dim=1)
        presence = torch.where(area > 0, CERTAIN, -CERTAIN)
        certain = (logits.abs() / CERTAIN).mean(dim=(1, 2)).clamp(0, 1)
        pointer = torch.zeros(count, self.config.width)
        pointer[:, :3], pointer[:, 3] = colour, 1.0
        return Decoded(
            logits=logits[:, None] + torch.tensor([0.0, -2.0, 0.0, 2.0])[:, None, None],
            iou=certain[:, None] * torch.tensor([1.0, 0.8, 0.9, 0.7]),
            pointers=pointer[:, None].expand(-1, 4, -1),
            presence=presence,
        )

    def encode_memory(self, features: Tensor, masks: Tensor, presence: Tensor) -> Tensor:
        """An object's place and colour, as they are in the picture."""
        side = self.config.memory_size
        place = F.avg_pool2d((masks + CERTAIN) / (2 * CERTAIN), masks.shape[-1] // side).clamp(0, 1)
        place = torch.where((presence > 0)[:, None, None, None], place, 0.0)
        colour = (features[:, :3] * place).sum(dim=(2, 3)) / place.sum(dim=(2, 3)).clamp(min=1e-6)
        memory = torch.zeros(len(masks), self.config.memory_width, side, side)
        memory[:, :1], memory[:, 1:4], memory[:, 4] = place, colour[..., None, None], 1.0
        return memory

    def _placed(self, place: Tensor, prompts: PromptTokens, side: int) -> tuple[Tensor, Tensor]:
        """Where prompts put N objects, (N, side, side) logits, `place` where they say nothing; and bool, where the
        object's colour is seen."""
        cell = torch.arange(side) + 0.5
        keep = torch.ones_like(prompts.labels, dtype=torch.bool) if prompts.keep is None else prompts.keep
        x, y = (prompts.points.float() / FINEST_STRIDE).unbind(-1)  # (N, P)
        away = torch.hypot(cell - x[..., None, None], cell[:, None] - y[..., None, None])  # (N, P, side, side)

        def nearest(label: int) -> Tensor:
            chosen = keep & (prompts.labels == label)
            return torch.where(chosen[..., None, None], away, torch.inf).amin(dim=1)

        def corner(label: int) -> tuple[Tensor, Tensor]:
            chosen = keep & (prompts.labels == label)
            return (x * chosen).sum(dim=1)[:, None], (y * chosen).sum(dim=1)[:, None]

        included, excluded = nearest(1), nearest(0)
        (left, top), (right, bottom) = corner(2), corner(3)
        across, down = torch.minimum(cell - left, right - cell), torch.minimum(cell - top, bottom - cell)
        inside = torch.minimum(across[:, None, :], down[:, :, None])  # (N, side, side), cells from the nearest edge
        boxed = (keep & (prompts.labels == 2)).any(dim=1)[:, None, None]
        clicked = torch.isfinite(included.amin(dim=(1, 2)))[:, None, None]
        place = torch.where(boxed, CERTAIN * (inside + 0.5), torch.where(clicked, POINT_RADIUS - included, place))
        colour_at = (included < 1) | (
            boxed & ~clicked & (inside > 0) & (inside > inside.amax(dim=(1, 2), keepdim=True) / 2)
        )
        return torch.minimum(place, excluded - EXCLUDED_RADIUS), colour_at


def _colours(images: Tensor, stride: int, width: int) -> Tensor:
    """(B, 3, S, S) -> (B, width, S/stride, S/stride): mean colours, and channels of zeros."""
    colours = F.avg_pool2d(images, stride)
    return F.pad(colours, (0, 0, 0, 0, 0, width - 3))
