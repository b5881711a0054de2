"""The PyTorch engine: a network of ours behind the four functions, compiled or not."""

import copy
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from masklet.engines.base import FUNCTIONS
from masklet.engines.fixed import FixedShapes
from masklet.nn import Decoded, Levels, MemoryBank, ModelConfig, Network, PromptTokens
from masklet.nn.layers import Foldable, fold_norm

SAMPLES = 1024
"""Numbers of each tensor that a digest looks at."""


@dataclass(frozen=True, repr=False, eq=False)
class Model:
    """What `load_model` and `build_model` return.

    The functions run a copy of the network whose batch normalisations are folded, see `folded`; what is saved, trained
    and known by its digest is the network itself. Whoever changes its weights makes a new `Model`.

    Attributes:
        name: The variant's name, or the one that its configuration gives.
        network: In evaluation, without gradients, its tables prepared.
        compiled: Whether the four functions go through `torch.compile`, each at its first call; see `engines.fixed`.
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
        """A fingerprint of the weights, see `digest_of`; computed when it is first asked for."""
        return digest_of(self.network.named_parameters())

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
        self.network.to(device)
        vars(self).pop("_functions", None)  # they run a copy that is where the network was

    @cached_property
    def _functions(self) -> dict[str, Callable[..., Any]]:
        network = folded(self.network)
        functions = {name: getattr(network, name) for name in FUNCTIONS}
        if self.compiled:
            fixed = FixedShapes(network, {name: torch.compile(each, dynamic=False) for name, each in functions.items()})
            functions = {name: getattr(fixed, name) for name in FUNCTIONS}
        return {name: torch.inference_mode()(each) for name, each in functions.items()}

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
            if isinstance(child, Foldable):
                setattr(module, name, placed(child.folded()))
        if isinstance(module, nn.Sequential):
            for index, (conv, norm) in enumerate(pairwise(list(module))):
                if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    module[index], module[index + 1] = placed(fold_norm(conv, norm)), nn.Identity()
    return twin


def digest_of(parameters: Iterable[tuple[str, Tensor]]) -> str:
    """A fingerprint of named tensors: a hash, 64 hexadecimal digits, of their names, shapes and some numbers of each,
    spread evenly. The numbers are rounded to bfloat16, so that weights in float32 and in bfloat16 have the same."""
    digest = hashlib.sha256()
    for name, tensor in sorted(parameters, key=lambda entry: entry[0]):
        flat = tensor.detach().flatten()
        some = flat[:: max(1, flat.numel() // SAMPLES)][:SAMPLES].to("cpu", torch.bfloat16)
        digest.update(f"{name} {tuple(tensor.shape)}\n".encode())
        digest.update(some.contiguous().view(torch.int16).numpy().tobytes())
    return digest.hexdigest()
