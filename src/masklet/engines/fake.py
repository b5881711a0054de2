"""An engine without a network or weights: what looks like the prompted thing, near where it is expected.

It is for tests of what stands above an engine, in masklet and elsewhere: masks, scores and memories behave as a
network's do on pictures of things of one colour, and a frame takes a millisecond. An object is a colour and a place.
Prompts give both, memories and pointers keep them, and a mask is every cell of a like colour near the place.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from masklet.engines.arrays import resize
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

Floats = NDArray[np.float32]

MAX_DIFFERENCE = 1.4
"""Colours that are farther apart, in normalised units, are of different things."""

POINT_RADIUS, EXCLUDED_RADIUS = 6.0, 2.0
"""Cells at stride 4: how far around an included point its thing is looked for, and how far an excluded one reaches."""

FAKE_LOGIT = 10.0
"""The largest logit."""

_PLACE, _COLOUR, _KNOWN = slice(3, 4), slice(4, 7), slice(7, 8)
"""Channels of conditioned features: where the object was, its colour, and whether anything is known of it. The first
three are the picture's own colours. A memory has the same from its first channel on; a pointer has the colour and,
behind it, whether it is one of an object."""


@dataclass(frozen=True)
class FakeEngine:
    """The four functions by simple arithmetic, deterministic, on NumPy's arrays in float32.

    Attributes:
        config: Sizes. `width` is a multiple of 32, `memory_width` at least 5; the network's parts are ignored.
    """

    config: ModelConfig = FAKE
    device: str = "cpu"
    digest: str = "fake"

    @property
    def dtype(self) -> Any:
        """float32."""
        return np.dtype(np.float32)

    @property
    def absent_pointer(self) -> Floats:
        """(1, C) zeros."""
        return np.zeros((1, self.config.width), np.float32)

    def encode_image(self, images: Floats) -> Levels:
        """Mean colours of cells."""
        levels: list[Any] = []
        for stride, part in ((4, 8), (8, 4), (16, 1)):
            missing = self.config.width // part - images.shape[1]
            levels.append(np.pad(_means(images, stride), ((0, 0), (0, missing), (0, 0), (0, 0))))
        return Levels(*levels)

    def attend_memory(self, features: Floats, bank: MemoryBank) -> Floats:
        """Write into the features where an object was last seen (its newest memory) and its colour (its pointers)."""
        count, frames = bank.memories.shape[:2]
        features = _each(features, count).copy()
        recent: Any = self.config.memory_frames - bank.slots
        if bank.keep_memories is not None:
            recent = recent * bank.keep_memories
        if frames:
            newest: Any = bank.memories[np.arange(count), recent.argmax(1)]
            features[:, 3:8] = newest[:, :5] * (recent.max(1) > 0)[:, None, None, None]
        pointers: Any = bank.pointers
        told = pointers[..., 3]  # (N, P)
        told = told if bank.keep_pointers is None else told * bank.keep_pointers
        total = told.sum(1)[:, None]
        colour = (pointers[..., :3] * told[..., None]).sum(1) / total.clip(1e-6)
        features[:, _COLOUR] = np.where((total > 0)[..., None, None], colour[..., None, None], features[:, _COLOUR])
        return features

    def decode_masks(self, features: Floats, levels: Levels, prompts: PromptTokens) -> Decoded:
        """Cells that look like the object, near its place; candidates differ in how much is taken for the object."""
        side, count = self.config.mask_size, len(prompts.points)
        features, colours = _each(features, count), _each(levels.stride4, count)[:, :3]
        remembered = resize(features[:, _PLACE], (side, side))[:, 0]
        known = features[:, _KNOWN].max((1, 2, 3)) > 0
        spread = np.stack([cv2.dilate(one, np.ones((5, 5), np.uint8)) for one in remembered])
        place = np.where(known[:, None, None], 4 * FAKE_LOGIT * spread - 2, -FAKE_LOGIT)
        place, colour_at = self._placed(place, prompts, side)
        prompted: Any = colour_at.any((1, 2))
        if prompts.masks is not None:
            masks: Any = prompts.masks
            given = masks if masks.shape[-1] == side else _means(masks.astype(np.float32), 4) * 2 - 1
            has: Any = np.ones(count, np.bool_) if prompts.keep_masks is None else prompts.keep_masks
            shown = (has & ~prompted)[:, None, None]
            place = np.where(shown, FAKE_LOGIT * np.sign(given[:, 0]), place)
            colour_at = np.where(shown, given[:, 0] > 0, colour_at)
        weight = colour_at[:, None]
        sampled = (colours * weight).sum((2, 3)) / weight.sum((2, 3)).clip(1)
        prompted = colour_at.any((1, 2))
        colour = np.where(prompted[:, None], sampled, features[:, _COLOUR].mean((2, 3)))
        difference = np.linalg.norm(colours - colour[..., None, None], axis=1)
        logits = np.minimum(FAKE_LOGIT * (1 - difference / MAX_DIFFERENCE), place).clip(-FAKE_LOGIT, FAKE_LOGIT)
        certain = np.abs(logits / FAKE_LOGIT).mean((1, 2)).clip(0, 1)
        pointer = np.zeros((count, 4, self.config.width))
        pointer[..., :3], pointer[..., 3] = colour[:, None], 1.0
        found = (
            logits[:, None] + np.array([0.0, -2.0, 0.0, 2.0])[:, None, None],
            certain[:, None] * np.array([1.0, 0.8, 0.9, 0.7]),
            pointer,
            np.where((logits > 0).any((1, 2)), FAKE_LOGIT, -FAKE_LOGIT),
        )
        return Decoded(*(part.astype(np.float32) for part in found))  # type: ignore[arg-type]

    def encode_memory(self, features: Floats, masks: Floats, presence: Floats) -> Floats:
        """An object's place and colour, as they are in the picture."""
        side = self.config.memory_size
        place = _means((masks + FAKE_LOGIT) / (2 * FAKE_LOGIT), masks.shape[-1] // side).clip(0, 1)
        place = place * (presence > 0)[:, None, None, None]
        colour = (features[:, :3] * place).sum((2, 3)) / place.sum((2, 3)).clip(1e-6)
        memory = np.zeros((len(masks), self.config.memory_width, side, side), np.float32)
        memory[:, :1], memory[:, 1:4], memory[:, 4] = place, colour[..., None, None], 1.0
        return memory

    def _placed(self, place: Floats, prompts: PromptTokens, side: int) -> tuple[Floats, NDArray[np.bool_]]:
        """Where prompts put N objects, (N, side, side) logits, `place` where they say nothing; and bool, where the
        object's colour is seen."""
        points: Any = prompts.points
        labels: Any = prompts.labels
        keep: Any = np.ones(labels.shape, np.bool_) if prompts.keep is None else prompts.keep
        cell = np.arange(side) + 0.5
        x, y = points[..., 0] / FINEST_STRIDE, points[..., 1] / FINEST_STRIDE  # (N, P)
        away = np.hypot(cell - x[..., None, None], cell[:, None] - y[..., None, None])  # (N, P, side, side)

        def nearest(label: int) -> Floats:
            chosen = keep & (labels == label)
            return np.where(chosen[..., None, None], away, np.inf).min(1, initial=np.inf)

        def corner(label: int) -> tuple[Floats, Floats]:
            chosen = keep & (labels == label)
            return (x * chosen).sum(1)[:, None], (y * chosen).sum(1)[:, None]

        included, excluded = nearest(1), nearest(0)
        (left, top), (right, bottom) = corner(2), corner(3)
        across, down = np.minimum(cell - left, right - cell), np.minimum(cell - top, bottom - cell)
        inside = np.minimum(across[:, None, :], down[:, :, None])  # (N, side, side), cells from the nearest edge
        boxed = (keep & (labels == 2)).any(1)[:, None, None]
        clicked = np.isfinite(included.min((1, 2)))[:, None, None]
        place = np.where(boxed, FAKE_LOGIT * (inside + 0.5), np.where(clicked, POINT_RADIUS - included, place))
        deep = inside > inside.max((1, 2), keepdims=True) / 2
        colour_at = (included < 1) | (boxed & ~clicked & (inside > 0) & deep)
        return np.minimum(place, excluded - EXCLUDED_RADIUS), colour_at


def _each(part: Any, count: int) -> Any:
    """What a frame has once, for each of its objects."""
    return np.broadcast_to(part, (count, *part.shape[1:]))


def _means(maps: Any, side: int) -> Any:
    """(B, C, H, W) -> (B, C, H/side, W/side): means of squares."""
    count, width, height, across = maps.shape
    return maps.reshape(count, width, height // side, side, across // side, side).mean((3, 5), dtype=np.float32)
