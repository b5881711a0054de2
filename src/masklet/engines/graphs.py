"""Engines over exported graphs: what `masklet export` wrote into a folder, behind the four functions.

A folder has one graph for each function, and `model.json`: configuration, constants, a digest of every file, versions,
and how near the graphs come to PyTorch.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from masklet import machine
from masklet.atomic import digest_of_file
from masklet.engines import DESCRIPTION_FILE
from masklet.engines.base import FUNCTIONS
from masklet.errors import DAMAGED, CheckpointError, EngineError, needing
from masklet.nn import Decoded, Levels, MemoryBank, ModelConfig, PromptTokens

Floats = NDArray[np.float32]

BUNDLE_FORMAT = 1
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

ExportPrecision = Literal["float32", "float16", "int8"]

CONSTANTS = ("absent_pointer", "nothing", "shrink")

SHARED = {
    "encode_image": ("images",),
    "attend_memory": ("features",),
    "decode_masks": ("stride4", "stride8"),
    "encode_memory": ("features",),
}
"""Inputs of which a frame has one for all objects; the first dimension of all others counts objects."""


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What `model.json` says, in its order.

    Attributes:
        folder: Where it lies.
        engine: What runs the graphs, one of `ENGINES`.
        weights: The digest of its weights, see `Engine.digest`.
        objects: The counts of objects that graphs run with; empty for any.
        files: The files of each function's graph, and the SHA-256 of each.
        versions: Of what wrote the folder.
        parity: Differences to PyTorch, as they were measured.
        constants: Numbers that are used beside the graphs: `absent_pointer` and `nothing`, both (C,), and
            `shrink`, 16 weights and a bias that bring a given mask to stride 4.
    """

    folder: Path
    engine: str
    precision: str
    config: ModelConfig
    weights: str
    objects: tuple[int, ...]
    inputs: Mapping[str, Sequence[str]] = field(default_factory=lambda: INPUTS)
    outputs: Mapping[str, Sequence[str]] = field(default_factory=lambda: OUTPUTS)
    files: Mapping[str, Mapping[str, str]]
    versions: Mapping[str, str]
    parity: Mapping[str, Any]
    constants: Mapping[str, Sequence[float]]

    def graph(self, function: str) -> Path:
        """The file that holds, or leads to, the graph of a function."""
        return self.folder / next(iter(self.files[function]))

    def to_json(self) -> str:
        """The text of `model.json`."""
        values = {"format": BUNDLE_FORMAT, **vars(self), "config": self.config.to_dict()}
        del values["folder"]
        return json.dumps(values, indent=1)


def read_exported(folder: Path) -> Exported:
    """What a folder holds, its files as they were written.

    Raises:
        CheckpointError: There is no description that can be understood, or a file is missing or has changed.
    """
    path = folder / DESCRIPTION_FILE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["format"] != BUNDLE_FORMAT:
            raise CheckpointError(
                f"{folder} holds graphs of format {values['format']} (masklet {values['versions'].get('masklet')}), "
                f"and this masklet runs format {BUNDLE_FORMAT}; export the model again"
            )
        files = {name: {str(file): str(digest) for file, digest in values["files"][name].items()} for name in FUNCTIONS}
        if (
            values["engine"] not in ENGINES
            or values["precision"] not in get_args(ExportPrecision)
            or not all(files.values())
        ):
            raise ValueError("unknown engine or precision, or a function without files")
        exported = Exported(
            folder=folder,
            engine=values["engine"],
            precision=values["precision"],
            config=ModelConfig.from_dict(values["config"]),
            weights=str(values["weights"]),
            objects=tuple(sorted(int(count) for count in values["objects"])),
            constants={name: list(map(float, values["constants"][name])) for name in CONSTANTS},
            files=files,
            versions=dict(values["versions"]),
            parity=dict(values["parity"]),
        )
        for name, numbers in exported.constants.items():
            if len(numbers) != (17 if name == "shrink" else exported.config.width):
                raise ValueError(f"{name} has {len(numbers)} numbers")
        if any(count < 1 for count in exported.objects):
            raise ValueError(f"objects are {exported.objects}")
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}; export the model again") from error
    except DAMAGED as error:
        reason = str(error)[:200] or type(error).__name__
        raise CheckpointError(f"{path} is no description of an exported model ({reason}); export it again") from error
    for name, digests in files.items():
        for file, digest in digests.items():
            graph = folder / file
            if Path(file).name != file or not graph.is_file():
                raise CheckpointError(
                    f"{folder} lacks {file}, the graph of {name}; copy the whole folder, or export it again"
                )
            if digest_of_file(graph) != digest:
                raise CheckpointError(
                    f"{graph} is not the file that was exported; copy the folder again, or export it again"
                )
    return exported


class GraphEngine:
    """The four functions of an `Engine` by the graphs of a folder; NumPy's arrays go in and come out, in float32.

    Banks with padding are taken apart, so that no graph needs to know of it. Objects go through a graph in batches of
    the counts that it was exported for, and on a CPU through memory attention one by one, which is quicker. `threads`
    are those of each function; None for as many as `machine.threads` says.
    """

    def __init__(self, exported: Exported, on_cpu: bool, threads: int | None) -> None:
        self.exported = exported
        self._on_cpu, self._threads = on_cpu, threads or machine.threads()
        self._graph = cache(self._opened)  # by function and count, as it is first needed
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
        """Run the graph of a function, its inputs in the order of `INPUTS`. `count` is the number of objects that it is
        fixed to; None for one that takes any, or counts none."""
        raise NotImplementedError

    def _opened(self, name: str, count: int | None) -> Any:
        """What runs the graph of a function with a count of objects. Raises CheckpointError if it cannot be run."""
        raise NotImplementedError

    def encode_image(self, images: Floats) -> Levels:
        each = [self._run("encode_image", None, [images[n : n + 1]]) for n in range(len(images))]
        return Levels(*(_joined(level) for level in zip(*each, strict=True)))

    def attend_memory(self, features: Floats, bank: MemoryBank) -> Floats:
        count = len(bank.memories)
        own = [features[n : n + 1] for n in range(count)] if len(features) == count > 1 else [features] * count
        if bank.keep_memories is not None or bank.keep_pointers is not None:
            return _joined([self.attend_memory(*pair) for pair in zip(own, _unpadded(bank), strict=True)])
        if bank.memories.shape[1] + bank.pointers.shape[1] == 0:
            return np.broadcast_to(features + self._nothing, (count, *features.shape[1:]))
        return self._by_frames("attend_memory", [features, bank.memories, bank.slots, bank.pointers, bank.ages])

    def decode_masks(self, features: Floats, levels: Levels, prompts: PromptTokens) -> Decoded:
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
        shared = [place for place, each in enumerate(INPUTS[name]) if each in SHARED[name]]
        count = next(len(part) for place, part in enumerate(inputs) if place not in shared)
        most = 1 if self._on_cpu and name == "attend_memory" else max(count, 1)
        counts = [fixed for fixed in self.exported.objects if fixed <= most] or self.exported.objects[:1]
        parts: list[list[Any]] = []
        first = 0
        while first < count or not parts:
            fixed = max((size for size in counts if size <= count - first), default=counts[0]) if counts else None
            rows = slice(first, first + (fixed or most))
            batch = [part if place in shared else _filled(part[rows], fixed) for place, part in enumerate(inputs)]
            parts.append([part[: count - first] for part in self._run(name, fixed, batch)])
            first = rows.stop
        return [_joined(part) for part in zip(*parts, strict=True)]

    def _run(self, name: str, count: int | None, inputs: list[Any]) -> list[Any]:
        floats = [part.astype(np.float32, copy=False) if part.dtype.kind == "f" else part for part in inputs]
        return self.run(name, count, [np.ascontiguousarray(part) for part in floats])

    def __repr__(self) -> str:
        facts = f"{self.config.name}, {self.config.image_size} px, {self.exported.precision}"
        return f"{type(self).__name__}({facts}, {self.exported.folder})"


def _joined(parts: Sequence[Any]) -> Any:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _filled(part: Any, count: int | None) -> Any:
    """The last row repeated up to a count: the answers of those are thrown away."""
    missing = 0 if count is None else count - len(part)
    return np.concatenate((part, *[part[-1:]] * missing)) if missing else part


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


# --- what runs graphs ------------------------------------------------------------------------------------------------


class OnnxEngine(GraphEngine):
    """A folder of ONNX graphs in ONNX Runtime. `device` is "cpu", or the short name of an execution provider, such as
    "cuda", "tensorrt", "coreml" or "dml", with a number behind a colon if there are several devices; None takes CUDA if
    it is there. Raises EngineError if ONNX Runtime is not installed, or lacks the provider."""

    def __init__(self, exported: Exported, device: str | None = None, threads: int | None = None) -> None:
        with needing("onnx", str(exported.folder), EngineError):
            import onnxruntime
        available = onnxruntime.get_available_providers()
        short = {name.removesuffix("ExecutionProvider").lower(): name for name in available}
        best = "cuda" if "cuda" in short else "cpu"
        kind, _, number = (best if device is None else device).lower().partition(":")
        if kind not in short:
            raise EngineError(
                f"device {device!r} is not here: this ONNX Runtime has {', '.join(sorted(short))}; give one of them, "
                "or install an ONNX Runtime with its execution provider"
            )
        self._provider, self._options = short[kind], [{"device_id": number}] if number else None
        super().__init__(exported, kind == "cpu", threads)

    def run(self, name: str, count: int | None, inputs: list[Floats]) -> list[Floats]:
        return self._graph(name, count).run(None, dict(zip(INPUTS[name], inputs, strict=True)))

    def _opened(self, name: str, count: int | None) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.log_severity_level = 3  # errors alone; what fails is raised besides
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # the next frame is encoded beside it
        if count is not None:
            options.add_free_dimension_override_by_name("objects", count)
        path = self.exported.graph(name)
        try:
            return onnxruntime.InferenceSession(path, options, [self._provider], self._options)
        except Exception as error:  # its errors have no base of their own
            raise CheckpointError(f"{path} cannot be run by {self._provider}: {error}") from error


class OpenVinoEngine(GraphEngine):
    """A folder of OpenVINO graphs, for processors and graphics of Intel, and processors of ARM. `device` is "cpu",
    "gpu", "npu" or "auto", with a number behind a point if there are several; None takes the CPU. Raises EngineError if
    OpenVINO is not installed, or does not find the device.

    Each count of objects is a compiled graph of its own: with a free count OpenVINO 2026.4 answered wrongly.
    """

    def __init__(self, exported: Exported, device: str | None = None, threads: int | None = None) -> None:
        with needing("openvino", str(exported.folder), EngineError):
            import openvino
        self._core = openvino.Core()
        self._target = (device or "cpu").replace(":", ".").upper()
        if self._target not in (here := [*self._core.available_devices, "AUTO"]):
            found = ", ".join(name.lower() for name in here)
            raise EngineError(f"device {device!r} is not here: OpenVINO finds {found}; give one of them")
        super().__init__(exported, self._target == "CPU", threads)

    def run(self, name: str, count: int | None, inputs: list[Floats]) -> list[Floats]:
        request, lock = self._graph(name, count)
        with lock:
            request.infer(inputs, share_inputs=True)
            return [request.get_output_tensor(place).data.copy() for place in range(len(OUTPUTS[name]))]

    def _opened(self, name: str, count: int | None) -> tuple[Any, Lock]:
        settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        if self._on_cpu:
            settings["INFERENCE_NUM_THREADS"] = self._threads
        path = self.exported.graph(name)
        try:
            model = self._core.read_model(path)
            if count is not None:
                each = [each for each in INPUTS[name] if each not in SHARED[name]]
                model.reshape({each: [count, *list(model.input(each).partial_shape)[1:]] for each in each})
            return self._core.compile_model(model, self._target, settings).create_infer_request(), Lock()
        except RuntimeError as error:
            raise CheckpointError(f"{path} cannot be run by OpenVINO on {self._target}: {error}") from error


ENGINES = {"onnx": OnnxEngine, "openvino": OpenVinoEngine}
"""What runs the graphs of a folder, by the name that its description says."""
