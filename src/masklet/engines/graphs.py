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
from numpy.typing import NDArray

from masklet.atomic import digest_of_file
from masklet.engines import DESCRIPTION
from masklet.engines.base import FUNCTIONS
from masklet.errors import CheckpointError
from masklet.nn import Decoded, Levels, MemoryBank, ModelConfig, PromptTokens

Floats = NDArray[np.float32]

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


class GraphEngine:
    """The four functions over the graphs of a folder; NumPy's arrays go in and come out, floats in float32.

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
        self.device = "cpu"
        self.dtype = np.dtype(np.float32)
        whole = exported.weights + exported.precision
        self.digest = hashlib.sha256(whole.encode()).hexdigest() if exported.precision == "int8" else exported.weights
        self.absent_pointer = np.array([exported.constants["absent_pointer"]], np.float32)
        self._nothing = np.array(exported.constants["nothing"], np.float32)[:, None, None]
        *weight, bias = exported.constants["shrink"]
        self._shrink = np.array(weight, np.float32).reshape(4, 4), np.float32(bias)

    def run(self, name: str, count: int | None, inputs: list[Floats]) -> list[Floats]:
        """Run a graph.

        Args:
            name: Of the function.
            count: The number of objects that it is fixed to; None for a graph that takes any, or counts none.
            inputs: In the order of `INPUTS`.
        """
        raise NotImplementedError

    def encode_image(self, images: Floats) -> Levels:
        """See `Engine.encode_image`."""
        each = [self._run("encode_image", None, [images[n : n + 1]]) for n in range(len(images))]
        return Levels(*(_joined(level) for level in zip(*each, strict=True)))

    def attend_memory(self, features: Floats, bank: MemoryBank) -> Floats:
        """See `Engine.attend_memory`."""
        count = len(bank.memories)
        own = [features[n : n + 1] for n in range(count)] if len(features) == count > 1 else [features] * count
        if bank.keep_memories is not None or bank.keep_pointers is not None:
            return _joined([self.attend_memory(*pair) for pair in zip(own, _unpadded(bank), strict=True)])
        if bank.memories.shape[1] + bank.pointers.shape[1] == 0:
            return np.broadcast_to(features + self._nothing, (count, *features.shape[1:]))
        return self._by_frames("attend_memory", [features, bank.memories, bank.slots, bank.pointers, bank.ages])

    def decode_masks(self, features: Floats, levels: Levels, prompts: PromptTokens) -> Decoded:
        """See `Engine.decode_masks`."""
        count, side = len(prompts.points), self.config.mask_size
        keep = np.ones(prompts.labels.shape, np.bool_) if prompts.keep is None else prompts.keep
        masks: Any = prompts.masks
        shown: Any = np.ones(count, np.bool_) if prompts.keep_masks is None else prompts.keep_masks
        if masks is None:
            masks, shown = np.zeros((count, 1, side, side), np.float32), np.zeros(count, np.bool_)
        elif masks.shape[-1] == self.config.image_size:
            weight, bias = self._shrink
            masks = np.einsum("nchiwj,ij->nchw", masks.reshape(count, 1, side, 4, side, 4), weight) + bias
        features = np.broadcast_to(features, (count, *features.shape[1:]))
        inputs = [features, levels.stride4, levels.stride8, prompts.points, prompts.labels, keep, masks, shown]
        return Decoded(*self.run_objects("decode_masks", inputs))

    def encode_memory(self, features: Floats, masks: Floats, presence: Floats) -> Floats:
        """See `Engine.encode_memory`."""
        return self._by_frames("encode_memory", [features, masks, presence])

    def _by_frames(self, name: str, inputs: list[Any]) -> Floats:
        """The answer of a function: for all objects at once, or one by one where each has a frame of its own."""
        count = len(inputs[0])
        parts = [inputs] if count == 1 else [[part[n : n + 1] for part in inputs] for n in range(count)]
        return _joined([self.run_objects(name, part)[0] for part in parts])

    def run_objects(self, name: str, inputs: list[Any]) -> list[Any]:
        """Run a function, its inputs in the order of `INPUTS`, in batches of objects."""
        if name == "encode_image":
            return self._run(name, None, inputs)
        shared = [position for position, each in enumerate(INPUTS[name]) if each in SHARED[name]]
        count = next(len(part) for position, part in enumerate(inputs) if position not in shared)
        parts = []
        for rows, fixed in self._batches(name, count):
            batch = [part if position in shared else part[rows] for position, part in enumerate(inputs)]
            real = len(batch[-1])
            if fixed is not None and real < fixed:
                batch = [part if position in shared else _filled(part, fixed) for position, part in enumerate(batch)]
            parts.append([part[:real] for part in self._run(name, fixed, batch)])
        return [_joined(part) for part in zip(*parts, strict=True)]

    def _batches(self, name: str, count: int) -> Iterator[tuple[slice, int | None]]:
        """Which objects go through a function together, and the count that its graph is fixed to."""
        most, first = self.at_once.get(name, max(count, 1)), 0
        counts = [fixed for fixed in self.exported.objects if fixed <= most] or self.exported.objects[:1]
        while first < count or first == count == 0:
            rest = count - first
            fixed = max((size for size in counts if size <= rest), default=counts[0]) if counts else None
            yield slice(first, first + (fixed or most)), fixed
            first += fixed or most

    def _run(self, name: str, count: int | None, inputs: list[Any]) -> list[Any]:
        floats = [part.astype(np.float32, copy=False) if part.dtype.kind == "f" else part for part in inputs]
        return self.run(name, count, [np.ascontiguousarray(part) for part in floats])

    def __repr__(self) -> str:
        facts = f"{self.config.name}, {self.config.image_size} px, {self.exported.precision}"
        return f"{type(self).__name__}({facts}, {self.exported.folder})"


def _joined(parts: Sequence[Any]) -> Any:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _filled(part: Any, count: int) -> Any:
    """Rows repeated up to a count: their answers are thrown away."""
    return np.concatenate((part, *[part[-1:]] * (count - len(part))))


def _unpadded(bank: MemoryBank) -> Iterator[MemoryBank]:
    """The bank of each object alone, without padding."""
    memories = np.ones(bank.slots.shape, np.bool_) if bank.keep_memories is None else bank.keep_memories
    pointers = np.ones(bank.ages.shape, np.bool_) if bank.keep_pointers is None else bank.keep_pointers
    for n, (seen, told) in enumerate(zip(memories, pointers, strict=True)):
        yield MemoryBank(
            bank.memories[n : n + 1, seen],
            bank.slots[n : n + 1, seen],
            bank.pointers[n : n + 1, told],
            bank.ages[n : n + 1, told],
        )
