"""Few shapes for compiled functions: what goes in is filled up, so that nothing is compiled again when objects, clicks
and memories come and go.

One graph takes pictures, one by one. Each other function has three, for 1, 4 and 16 objects; of more, 16 at once.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from masklet.nn import Decoded, Levels, MemoryBank, Network, PromptTokens
from masklet.nn.layers import or_all
from masklet.prompts import NOT_A_POINT

OBJECTS = (1, 4, 16)
"""Objects that a graph takes; its last ones are the last object again, and their answers are thrown away."""

POINTERS, TOKENS = 16, 16
"""Pointers and prompt tokens of an object are filled up to multiples of these, memories to those of `memory_frames`."""


class FixedShapes:
    """The four functions of a network over compiled ones.

    Args:
        network: Answers by itself what comes once, a mask that was given, or needs no graph, an empty bank.
        compiled: Its functions by name, compiled for each shape anew.
    """

    def __init__(self, network: Network, compiled: Mapping[str, Callable[..., Any]]) -> None:
        self._network = network
        self._compiled = compiled

    def encode_image(self, images: Tensor) -> Levels:
        """See `Network.encode_image`."""
        each = [self._compiled["encode_image"](alike(image[None])) for image in images]
        return each[0] if len(each) == 1 else Levels(*map(torch.cat, zip(*each, strict=True)))

    def attend_memory(self, features: Tensor, bank: MemoryBank) -> Tensor:
        """See `Network.attend_memory`."""
        frames, pointers = bank.memories.shape[1], bank.pointers.shape[1]
        if frames + pointers == 0:
            return self._network.attend_memory(features, bank)
        seen, heard = or_all(bank.keep_memories, bank.slots), or_all(bank.keep_pointers, bank.ages)
        most, longest = multiple(frames, self._network.config.memory_frames), multiple(pointers, POINTERS)
        remembered = [filled(part, most) for part in (bank.memories, bank.slots)]
        told = [filled(part, longest) for part in (bank.pointers, bank.ages)]
        keeps = [filled(seen, most), filled(heard, longest)]

        def call(frame: Tensor, *parts: Tensor) -> tuple[Tensor]:
            return (self._compiled["attend_memory"](frame, MemoryBank(*parts)),)

        return self._by_frame(call, features, [*remembered, *told, *keeps])

    def decode_masks(self, features: Tensor, levels: Levels, prompts: PromptTokens) -> Decoded:
        """See `Network.decode_masks`."""
        count, side = len(prompts.points), self._network.config.mask_size
        masks, shown = prompts.masks, prompts.keep_masks
        if masks is not None and masks.shape[-1] != side:
            return self._network.decode_masks(features, levels, prompts)
        if masks is None:
            masks = features.new_zeros(count, 1, side, side)
            shown = features.new_zeros(count, dtype=torch.bool)
        points, labels, keep = prompts.points, prompts.labels, or_all(prompts.keep, prompts.labels)
        longest = multiple(labels.shape[1], TOKENS)
        tokens = [filled(points, longest), filled(labels, longest, NOT_A_POINT), filled(keep, longest)]

        def call(features: Tensor, *parts: Tensor) -> Decoded:
            decoded: Decoded = self._compiled["decode_masks"](features, levels, PromptTokens(*parts))
            return decoded

        return Decoded(
            *in_batches(call, [features.expand(count, -1, -1, -1), *tokens, masks, or_all(shown, masks[:, 0, 0, 0])])
        )

    def encode_memory(self, features: Tensor, masks: Tensor, presence: Tensor) -> Tensor:
        """See `Network.encode_memory`."""

        def call(frame: Tensor, *parts: Tensor) -> tuple[Tensor]:
            return (self._compiled["encode_memory"](frame, *parts),)

        return self._by_frame(call, features, [masks, presence])

    def _by_frame(self, call: Callable[..., tuple[Tensor]], features: Tensor, parts: Sequence[Tensor]) -> Tensor:
        """All objects of a frame together; where each has a frame of its own, one by one."""
        if len(features) == 1:
            frame = alike(features)
            return in_batches(lambda *rows: call(frame, *rows), parts)[0]
        each = zip(features, *parts, strict=True)
        return torch.cat([call(*(alike(row[None]) for row in rows))[0] for rows in each])


def multiple(count: int, of: int) -> int:
    """The least multiple, and not 0, that is not below a count."""
    return max(1, -(-count // of)) * of


def filled(part: Tensor, length: int, value: int = 0) -> Tensor:
    """A value, False where it is 0 and the tensor boolean, behind the second dimension, up to a length."""
    return torch.cat((part, part.new_full((len(part), length - part.shape[1], *part.shape[2:]), value)), dim=1)


def alike(part: Tensor) -> Tensor:
    """A copy: a tensor that lies in memory in another way, or was made in another mode, would be compiled for anew."""
    return part.clone(memory_format=torch.contiguous_format)


def in_batches(call: Callable[..., Sequence[Tensor]], parts: Sequence[Tensor]) -> list[Tensor]:
    """The answers of a function to any number of objects, given to it by 1, 4 or 16 of them."""
    count, first = len(parts[0]), 0
    done: list[list[Tensor]] = []
    while first < count:
        size = next((size for size in OBJECTS if size >= count - first), OBJECTS[-1])
        rows = torch.arange(first, first + size, device=parts[0].device).clamp(max=count - 1)
        done.append([answer[: count - first] for answer in call(*(alike(part[rows]) for part in parts))])
        first += size
    return [torch.cat(answers) for answers in zip(*done, strict=True)]
