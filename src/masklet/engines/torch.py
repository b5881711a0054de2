"""The PyTorch engine: a network of ours behind the four functions, compiled or not."""

import copy
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from masklet.engines.base import FUNCTIONS
from masklet.nn import Decoded, Levels, MemoryBank, ModelConfig, Network, PromptTokens
from masklet.nn.encoders.convolutions import LookAround
from masklet.nn.layers import fold_norm, or_all
from masklet.prompts import NOT_A_POINT

DIGEST_SAMPLES = 1024
"""Numbers of each tensor that a digest looks at."""

OBJECT_COUNTS = (1, 4, 16)
"""Objects that a compiled graph takes."""

POINTERS, TOKENS = 16, 16
"""Pointers and prompt tokens of an object are filled up to multiples of these, memories to those of `memory_frames`."""


@dataclass(frozen=True, repr=False, eq=False)
class Model:
    """What `load_model` and `build_model` return.

    The functions run a copy of the network whose batch normalisations are folded, see `folded`; what is saved, trained
    and known by its digest is the network itself. Whoever changes its weights makes a new `Model`.

    Attributes:
        name: The variant's name, or the one that its configuration gives.
        network: In evaluation, without gradients, its tables prepared.
        compiled: Whether the four functions go through `torch.compile`, each at its first call; see `FixedShapes`.
    """

    name: str
    network: Network
    compiled: bool = False

    @property
    def config(self) -> ModelConfig:
        """The configuration of the network."""
        return self.network.config

    @property
    def absent_pointer(self) -> Tensor:
        """(1, C) the pointer of an object that is not in the frame."""
        return self.network.absent_pointer.detach()

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.network.absent_pointer.device

    @property
    def dtype(self) -> torch.dtype:
        """In which precision it computes."""
        return self.network.absent_pointer.dtype

    @cached_property
    def digest(self) -> str:
        """A fingerprint of the weights, see `weights_digest`; computed when it is first asked for."""
        return weights_digest(self.network.named_parameters())

    def encode_image(self, images: Tensor) -> Levels:
        """See `Network.encode_image`."""
        return self._functions["encode_image"](images)

    def attend_memory(self, features: Tensor, bank: MemoryBank) -> Tensor:
        """See `Network.attend_memory`."""
        return self._functions["attend_memory"](features, bank)

    def decode_masks(self, features: Tensor, levels: Levels, prompts: PromptTokens) -> Decoded:
        """See `Network.decode_masks`."""
        return self._functions["decode_masks"](features, levels, prompts)

    def encode_memory(self, features: Tensor, masks: Tensor, presence: Tensor) -> Tensor:
        """See `Network.encode_memory`."""
        return self._functions["encode_memory"](features, masks, presence)

    def move(self, device: str | torch.device) -> None:
        """Bring the network to another device, in place."""
        before = self.device
        self.network.to(device)
        if self.device != before:
            vars(self).pop("_functions", None)  # they run a copy that is where the network was

    @cached_property
    def _functions(self) -> dict[str, Callable[..., Any]]:
        network = folded(self.network)
        functions = {name: getattr(network, name) for name in FUNCTIONS}
        if self.compiled:
            fixed = FixedShapes(network, {name: torch.compile(each, dynamic=False) for name, each in functions.items()})
            functions = {name: getattr(fixed, name) for name in FUNCTIONS}
        return {name: torch.inference_mode()(each) for name, each in functions.items()}

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or a pickle has: not the functions, which run this network's weights."""
        return {name: value for name, value in vars(self).items() if name != "_functions"}

    def __repr__(self) -> str:
        millions = sum(parameter.numel() for parameter in self.network.parameters()) / 1e6
        dtype = str(self.dtype).removeprefix("torch.")
        compiled = ", compiled" if self.compiled else ""
        return f"Model({self.name}, {millions:.1f} M, {self.config.image_size} px, {dtype} on {self.device}{compiled})"


def folded(network: Network) -> Network:
    """A network that gives the same answers, but for rounding, in less time: batch normalisations of its image encoder
    are folded into the convolutions before them, and so is what else can be folded; convolutions get the memory format
    that the trunk prefers.

    It shares all other weights. The network that is given stays as it is; it is the answer if nothing is to fold.
    """
    encoder = network.image_encoder
    if network.training or not any(isinstance(module, nn.BatchNorm2d) for module in encoder.modules()):
        return network
    twin = copy.copy(network)
    shared = {id(tensor): tensor for tensor in (*encoder.parameters(), *encoder.buffers())}
    twin._modules = {**network._modules, "image_encoder": copy.deepcopy(encoder, shared)}

    def placed(module: nn.Module) -> nn.Module:
        return module.to(network.absent_pointer.dtype).to(memory_format=encoder.trunk.memory_format)  # type: ignore[call-overload]

    for module in list(twin.image_encoder.modules()):
        for name, child in module.named_children():
            if isinstance(child, LookAround):
                setattr(module, name, placed(child.folded()))
        if isinstance(module, nn.Sequential):
            for index, (conv, norm) in enumerate(pairwise(list(module))):
                if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    module[index], module[index + 1] = placed(fold_norm(conv, norm)), nn.Identity()
    return twin


def weights_digest(parameters: Iterable[tuple[str, Tensor]]) -> str:
    """A fingerprint of named tensors: a hash, 64 hexadecimal digits, of their names, shapes and some numbers of each,
    spread evenly. The numbers are rounded to bfloat16, so that weights in float32 and in bfloat16 have the same."""
    digest = hashlib.sha256()
    for name, tensor in sorted(parameters, key=lambda entry: entry[0]):
        flat = tensor.detach().flatten()
        some = flat[:: max(1, flat.numel() // DIGEST_SAMPLES)][:DIGEST_SAMPLES].to("cpu", torch.bfloat16)
        digest.update(f"{name} {tuple(tensor.shape)}\n".encode())
        digest.update(some.contiguous().view(torch.int16).numpy().tobytes())
    return digest.hexdigest()


# --- few shapes for compiled functions -------------------------------------------------------------------------------


class FixedShapes:
    """The four functions of a network over compiled ones, which see few shapes: what goes in is filled up, so that
    nothing is compiled again when objects, clicks and memories come and go.

    One graph takes pictures, one by one. Each other function has three, for 1, 4 and 16 objects; of more, 16 at once.
    The last ones are the last object again, and their answers are thrown away.

    Args:
        network: Answers by itself what comes once, a mask that was given, or needs no graph, an empty bank.
        compiled: Its functions by name, compiled for each shape anew.
    """

    def __init__(self, network: Network, compiled: Mapping[str, Callable[..., Any]]) -> None:
        self._network = network
        self._compiled = compiled

    def encode_image(self, images: Tensor) -> Levels:
        each = [self._compiled["encode_image"](fresh_copy(image[None])) for image in images]
        return each[0] if len(each) == 1 else Levels(*map(torch.cat, zip(*each, strict=True)))

    def attend_memory(self, features: Tensor, bank: MemoryBank) -> Tensor:
        frames, pointers = bank.memories.shape[1], bank.pointers.shape[1]
        if frames + pointers == 0:
            return self._network.attend_memory(features, bank)
        seen, heard = or_all(bank.keep_memories, bank.slots), or_all(bank.keep_pointers, bank.ages)
        most, longest = multiple(frames, self._network.config.memory_frames), multiple(pointers, POINTERS)
        remembered = [padded_to(part, most) for part in (bank.memories, bank.slots)]
        told = [padded_to(part, longest) for part in (bank.pointers, bank.ages)]
        keeps = [padded_to(seen, most), padded_to(heard, longest)]
        attend = self._compiled["attend_memory"]
        return self._by_frame(
            lambda frame, *parts: attend(frame, MemoryBank(*parts)), features, [*remembered, *told, *keeps]
        )

    def decode_masks(self, features: Tensor, levels: Levels, prompts: PromptTokens) -> Decoded:
        count, side = len(prompts.points), self._network.config.mask_size
        masks, shown = prompts.masks, prompts.keep_masks
        if masks is not None and masks.shape[-1] != side:
            return self._network.decode_masks(features, levels, prompts)
        if masks is None:
            masks = features.new_zeros(count, 1, side, side)
            shown = features.new_zeros(count, dtype=torch.bool)
        points, labels, keep = prompts.points, prompts.labels, or_all(prompts.keep, prompts.labels)
        longest = multiple(labels.shape[1], TOKENS)
        tokens = [padded_to(points, longest), padded_to(labels, longest, NOT_A_POINT), padded_to(keep, longest)]
        parts = [features.expand(count, -1, -1, -1), *tokens, masks, or_all(shown, masks[:, 0, 0, 0])]
        decode = self._compiled["decode_masks"]
        return Decoded(*call_in_batches(lambda features, *said: decode(features, levels, PromptTokens(*said)), parts))

    def encode_memory(self, features: Tensor, masks: Tensor, presence: Tensor) -> Tensor:
        return self._by_frame(self._compiled["encode_memory"], features, [masks, presence])

    def _by_frame(self, call: Callable[..., Tensor], features: Tensor, parts: Sequence[Tensor]) -> Tensor:
        """All objects of a frame together; where each has a frame of its own, one by one."""
        if len(features) == 1:
            frame = fresh_copy(features)
            return call_in_batches(lambda *rows: [call(frame, *rows)], parts)[0]
        each = zip(features, *parts, strict=True)
        return torch.cat([call(*(fresh_copy(row[None]) for row in rows)) for rows in each])


def multiple(count: int, of: int) -> int:
    """The least multiple, and not 0, that is not below a count."""
    return max(1, -(-count // of)) * of


def padded_to(part: Tensor, length: int, value: int = 0) -> Tensor:
    """A value, False where it is 0 and the tensor boolean, behind the second dimension, up to a length."""
    return torch.cat((part, part.new_full((len(part), length - part.shape[1], *part.shape[2:]), value)), dim=1)


def fresh_copy(part: Tensor) -> Tensor:
    """A copy: a tensor that lies in memory in another way, or was made in another mode, would be compiled for anew."""
    return part.clone(memory_format=torch.contiguous_format)


def call_in_batches(call: Callable[..., Sequence[Tensor]], parts: Sequence[Tensor]) -> list[Tensor]:
    """The answers of a function to any number of objects, given to it by 1, 4 or 16 of them."""
    count, first = len(parts[0]), 0
    done: list[list[Tensor]] = []
    while first < count:
        size = next((size for size in OBJECT_COUNTS if size >= count - first), OBJECT_COUNTS[-1])
        rows = torch.arange(first, first + size, device=parts[0].device).clamp(max=count - 1)
        done.append([answer[: count - first] for answer in call(*(fresh_copy(part[rows]) for part in parts))])
        first += size
    return [torch.cat(answers) for answers in zip(*done, strict=True)]
