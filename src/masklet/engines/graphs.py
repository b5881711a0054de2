"""Engines over exported graphs: what `masklet export` wrote into a folder, behind the four functions.

A folder has one graph for each function, and `model.json`: configuration, constants, a digest of every file, versions,
and how near the graphs come to PyTorch. `engines/onnx.py` and `engines/openvino.py` run graphs; all else is here.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from masklet.engines.base import FUNCTIONS
from masklet.errors import CheckpointError
from masklet.nn import Decoded, Levels, MemoryBank, ModelConfig, PromptTokens

DESCRIPTION = "model.json"
"""The file by which an exported folder is known."""

FORMAT = 1
"""Raised when an older masklet could not run what this one exports."""

INPUTS: dict[str, tuple[str, ...]] = {
    "encode_image": ("images",),
    "attend_memory": ("features", "memories", "slots", "pointers", "ages"),
    "decode_masks": ("features", "stride4", "stride8", "points", "labels", "keep", "masks", "keep_masks"),
    "encode_memory": ("features", "masks", "presence"),
}
"""What the graph of each function takes. Nothing may be left out, so that there is one graph of each."""

OUTPUTS: dict[str, tuple[str, ...]] = {
    "encode_image": Levels._fields,
    "attend_memory": ("conditioned",),
    "decode_masks": Decoded._fields,
    "encode_memory": ("memory",),
}

SHARED = {
    "attend_memory": ("features",),
    "decode_masks": ("stride4", "stride8"),
    "encode_memory": ("features",),
}
"""Inputs of which a frame has one for all objects; the first dimension of all others counts objects."""

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Exported:
    """What `model.json` says.

    Attributes:
        folder: Where it lies.
        engine: What runs the graphs, "onnx" or "openvino".
        precision: "float32", "float16" or "int8".
        config: The configuration of the network.
        weights: The digest of its weights, see `Engine.digest`.
        objects: The counts of objects that graphs run with; empty for any.
        constants: Numbers that are used beside the graphs: `absent_pointer` and `nothing`, both (C,), and
            `shrink`, 16 weights and a bias that bring a given mask to stride 4.
        files: The files of each function's graph, and the SHA-256 of each.
        versions: Of what wrote the folder.
        parity: Differences to PyTorch, as they were measured.
    """

    folder: Path
    engine: str
    precision: str
    config: ModelConfig
    weights: str
    objects: tuple[int, ...]
    constants: Mapping[str, Sequence[float]]
    files: Mapping[str, Mapping[str, str]]
    versions: Mapping[str, str]
    parity: Mapping[str, Any]

    def graph(self, function: str) -> Path:
        """The file that holds, or leads to, the graph of a function."""
        return self.folder / next(iter(self.files[function]))

    def to_json(self) -> str:
        """The text of `model.json`."""
        values = {
            "format": FORMAT,
            "engine": self.engine,
            "precision": self.precision,
            "config": self.config.to_dict(),
            "weights": self.weights,
            "objects": self.objects,
            "inputs": INPUTS,
            "outputs": OUTPUTS,
            "files": self.files,
            "versions": self.versions,
            "parity": self.parity,
            "constants": self.constants,
        }
        return json.dumps(values, indent=1)


def read_exported(folder: Path) -> Exported:
    """What a folder holds, its files as they were written.

    Raises:
        CheckpointError: There is no description that can be understood, or a file is missing or has changed.
        ConfigError: Its configuration makes no sense.
    """
    path = folder / DESCRIPTION
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["format"] != FORMAT:
            raise CheckpointError(
                f"{folder} holds graphs of format {values['format']} (masklet {values['versions'].get('masklet')}), "
                f"and this masklet runs format {FORMAT}; export the model again"
            )
        files = {name: {str(file): str(digest) for file, digest in values["files"][name].items()} for name in FUNCTIONS}
        if not all(map(len, files.values())) or {values["engine"], values["precision"]} - _KNOWN:
            raise ValueError("unknown engine or precision, or a function without files")
        exported = Exported(
            folder=folder,
            engine=values["engine"],
            precision=values["precision"],
            config=ModelConfig.from_dict(values["config"]),
            weights=str(values["weights"]),
            objects=tuple(sorted(int(count) for count in values["objects"])),
            constants={name: list(map(float, values["constants"][name])) for name in _LENGTHS},
            files=files,
            versions=dict(values["versions"]),
            parity=dict(values["parity"]),
        )
        _check_constants(exported)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}; export the model again") from error
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        reason = str(error)[:200] or type(error).__name__
        raise CheckpointError(f"{path} is no description of an exported model ({reason}); export it again") from error
    for name, digests in files.items():
        for file, digest in digests.items():
            _check_file(folder, name, file, digest)
    return exported


_KNOWN = {"onnx", "openvino", "float32", "float16", "int8"}

_LENGTHS = {"absent_pointer": None, "nothing": None, "shrink": 17}
"""Name of a constant -> how many numbers it has, None for as many as the network is wide."""


def _check_constants(exported: Exported) -> None:
    for name, length in _LENGTHS.items():
        if len(exported.constants[name]) != (length or exported.config.width):
            raise ValueError(f"{name} has {len(exported.constants[name])} numbers")
    if any(count < 1 for count in exported.objects):
        raise ValueError(f"objects are {exported.objects}")


def _check_file(folder: Path, name: str, file: str, digest: str) -> None:
    path = folder / file
    if Path(file).name != file or not path.is_file():
        raise CheckpointError(f"{folder} lacks {file}, the graph of {name}; copy the whole folder, or export it again")
    if digest_of_file(path) != digest:
        raise CheckpointError(f"{path} is not the file that was exported; copy the folder again, or export it again")


def digest_of_file(path: Path) -> str:
    """The SHA-256 of a file, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


class GraphEngine:
    """The four functions over the graphs of a folder; tensors go in and come out on the CPU, in float32.

    Banks with padding are taken apart, so that no graph needs to know of it. Objects go through a graph in batches of
    the counts that it was exported for, and through memory attention one by one where that is quicker.

    Attributes:
        exported: The folder.
        at_once: At most so many objects go through a function together; those that are not named have no bound.
    """

    def __init__(self, exported: Exported, at_once: Mapping[str, int]) -> None:
        self.exported = exported
        self.at_once = at_once
        self.config = exported.config
        self.device = torch.device("cpu")
        self.dtype = torch.float32
        whole = exported.weights + exported.precision
        self.digest = hashlib.sha256(whole.encode()).hexdigest() if exported.precision == "int8" else exported.weights
        self.absent_pointer = torch.tensor([exported.constants["absent_pointer"]])
        self._nothing = torch.tensor(exported.constants["nothing"])[:, None, None]
        *weight, bias = exported.constants["shrink"]
        self._shrink = torch.tensor(weight).view(1, 1, 4, 4), torch.tensor([bias])

    def run(self, name: str, count: int | None, inputs: list[NDArray[Any]]) -> list[NDArray[np.float32]]:
        """Run a graph.

        Args:
            name: Of the function.
            count: The number of objects that it is fixed to; None for a graph that takes any, or counts none.
            inputs: In the order of `INPUTS`.
        """
        raise NotImplementedError

    def encode_image(self, images: Tensor) -> Levels:
        """See `Engine.encode_image`."""
        each = [self._run("encode_image", None, [image]) for image in images.split(1)]
        return Levels(*map(torch.cat, zip(*each, strict=True)))

    def attend_memory(self, features: Tensor, bank: MemoryBank) -> Tensor:
        """See `Engine.attend_memory`."""
        count = len(bank.memories)
        own = features.split(1) if len(features) == count > 1 else [features] * count
        if bank.keep_memories is not None or bank.keep_pointers is not None:
            pairs = zip(own, _unpadded(bank), strict=True)
            return torch.cat([self.attend_memory(one, alone) for one, alone in pairs])
        if bank.memories.shape[1] + bank.pointers.shape[1] == 0:
            return (features + self._nothing).expand(count, -1, -1, -1)
        remembered = [bank.memories, bank.slots, bank.pointers, bank.ages]
        if len(features) == 1:
            return self.run_objects("attend_memory", [features, *remembered])[0]
        parts = zip(own, *(part.split(1) for part in remembered), strict=True)
        return torch.cat([self.run_objects("attend_memory", list(part))[0] for part in parts])

    def decode_masks(self, features: Tensor, levels: Levels, prompts: PromptTokens) -> Decoded:
        """See `Engine.decode_masks`."""
        count, side = len(prompts.points), self.config.mask_size
        keep = torch.ones_like(prompts.labels, dtype=torch.bool) if prompts.keep is None else prompts.keep
        masks, shown = prompts.masks, prompts.keep_masks
        if masks is None:
            masks, shown = torch.zeros(count, 1, side, side), torch.zeros(count, dtype=torch.bool)
        elif masks.shape[-1] == self.config.image_size:
            masks = F.conv2d(masks.float(), *self._shrink, stride=4)
        shown = torch.ones(count, dtype=torch.bool) if shown is None else shown
        features = features.expand(count, -1, -1, -1)
        inputs = [features, levels.stride4, levels.stride8, prompts.points, prompts.labels, keep, masks, shown]
        return Decoded(*self.run_objects("decode_masks", inputs))

    def encode_memory(self, features: Tensor, masks: Tensor, presence: Tensor) -> Tensor:
        """See `Engine.encode_memory`."""
        if len(features) == 1:
            return self.run_objects("encode_memory", [features, masks, presence])[0]
        parts = zip(features.split(1), masks.split(1), presence.split(1), strict=True)
        return torch.cat([self.run_objects("encode_memory", list(part))[0] for part in parts])

    def run_objects(self, name: str, inputs: list[Tensor]) -> list[Tensor]:
        """Run a function, its inputs in the order of `INPUTS`, in batches of objects."""
        if name == "encode_image":
            return self._run(name, None, inputs)
        shared = [position for position, each in enumerate(INPUTS[name]) if each in SHARED[name]]
        count = next(len(tensor) for position, tensor in enumerate(inputs) if position not in shared)
        parts = []
        for rows, fixed in self._batches(name, count):
            batch = [part if position in shared else part[rows] for position, part in enumerate(inputs)]
            real = len(batch[-1])
            if fixed is not None and real < fixed:
                batch = [part if position in shared else _filled(part, fixed) for position, part in enumerate(batch)]
            parts.append([part[:real] for part in self._run(name, fixed, batch)])
        return parts[0] if len(parts) == 1 else [torch.cat(part) for part in zip(*parts, strict=True)]

    def _batches(self, name: str, count: int) -> Iterator[tuple[slice, int | None]]:
        """Which objects go through a function together, and the count that its graph is fixed to."""
        most, first = self.at_once.get(name, max(count, 1)), 0
        counts = [fixed for fixed in self.exported.objects if fixed <= most] or self.exported.objects[:1]
        while first < count or first == count == 0:
            rest = count - first
            fixed = max((size for size in counts if size <= rest), default=counts[0]) if counts else None
            yield slice(first, first + (fixed or most)), fixed
            first += fixed or most

    def _run(self, name: str, count: int | None, inputs: list[Tensor]) -> list[Tensor]:
        arrays = [(part.float() if part.is_floating_point() else part).contiguous().numpy() for part in inputs]
        return [torch.from_numpy(array) for array in self.run(name, count, arrays)]

    def __repr__(self) -> str:
        facts = f"{self.config.name}, {self.config.image_size} px, {self.exported.precision}"
        return f"{type(self).__name__}({facts}, {self.exported.folder})"


def _filled(part: Tensor, count: int) -> Tensor:
    """Rows repeated up to a count: their answers are thrown away."""
    return torch.cat((part, part[-1:].expand(count - len(part), *part.shape[1:])))


def _unpadded(bank: MemoryBank) -> Iterator[MemoryBank]:
    """The bank of each object alone, without padding."""
    memories = torch.ones_like(bank.slots, dtype=torch.bool) if bank.keep_memories is None else bank.keep_memories
    pointers = torch.ones_like(bank.ages, dtype=torch.bool) if bank.keep_pointers is None else bank.keep_pointers
    for n, (seen, told) in enumerate(zip(memories, pointers, strict=True)):
        yield MemoryBank(
            bank.memories[n : n + 1, seen],
            bank.slots[n : n + 1, seen],
            bank.pointers[n : n + 1, told],
            bank.ages[n : n + 1, told],
        )
