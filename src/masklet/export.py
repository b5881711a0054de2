"""Models as graphs for other engines: `masklet export`. Above videos, because a clip is tracked by each graph that is
written, and the folder appears only if its masks are those of PyTorch.
"""

import dataclasses
import importlib.metadata
import importlib.util
import logging
import shutil
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.export import Dim

from masklet.atomic import digest_of_file, make_folder
from masklet.checkpoints.models import open_exported
from masklet.datasets.registry import recognise_dataset
from masklet.engines import DESCRIPTION_FILE
from masklet.engines.base import FUNCTIONS, Engine
from masklet.engines.graphs import INPUTS, OUTPUTS, SHARED, Exported, ExportPrecision, GraphEngine
from masklet.engines.torch import Model, folded
from masklet.errors import ConfigError, EngineError, FormatError, nearest
from masklet.masks.shape import mask_box
from masklet.nn import Levels, MemoryBank, Network, PromptTokens
from masklet.video import TrackingOptions, VideoTracker

OPSET = 18
"""Of ONNX; what every engine and the browser know."""

MIN_IOU_OF = {"float32": 0.999, "float16": 0.99, "int8": 0.98}
"""A graph whose masks of the clip have less in common with PyTorch's is refused."""

CLIP_FRAMES = 30
"""Of the clip that is tracked."""

COUNTS_TRIED = (1, 2, 3, 5)
"""Counts that graphs for any count are tried with."""

EXAMPLES, CALIBRATION_CLIPS, CALIBRATION_FRAMES = 4, 48, 4
"""Inputs of each function that graphs are compared on; clips and frames of each that int8 is calibrated with."""


@dataclass(frozen=True)
class Difference:
    """How far a function's graph is from PyTorch with so many objects: the largest absolute difference of any number,
    and the largest absolute number."""

    function: str
    objects: int
    largest: float
    scale: float


@dataclass(frozen=True)
class Parity:
    """How near an exported folder comes to PyTorch: by function and count of objects; in the IoU of each object's masks
    over all frames of the clip together; and in that of one object in one frame, the lowest."""

    differences: tuple[Difference, ...]
    clip_iou: tuple[float, ...]
    lowest_iou: float
    frames: int


def export_model(
    model: Model,
    folder: Path,
    *,
    engine: str = "onnx",
    objects: Sequence[int] = (),
    precision: ExportPrecision = "float32",
    calibration: Path | None = None,
    least_iou: float | None = None,
    frames: int = CLIP_FRAMES,
    advance: Callable[[str], None] = lambda _: None,
) -> Parity:
    """Write the four functions of a model as graphs, and compare them with PyTorch.

    Args:
        model: On the CPU, in float32.
        folder: Where to; it must not exist, or hold an export, which is replaced.
        engine: What will run the graphs, a name of `PACKINGS`.
        objects: Counts of objects that graphs are fixed to; more are taken in batches. Empty for any count with ONNX,
            and for 1, 4 and 16 with OpenVINO.
        precision: "int8" quantises the image encoder; "float16" stores all weights in half precision.
        calibration: A folder of pictures or videos with masks, which int8 needs.
        least_iou: See `MIN_IOU_OF`.
        frames: Of the clip that is tracked; 0 leaves that comparison out.
        advance: Told what is done next.

    Raises:
        EngineError: Something is not installed, or the graphs' masks are not those of PyTorch; nothing is written then.
        ConfigError: An unknown engine, options that exclude each other, or a model on another device.
        FormatError: The folder cannot be written.
    """
    _check(model, folder, engine, objects, precision, calibration)
    make_folder(folder.absolute().parent)
    with TemporaryDirectory(prefix=f".{folder.name}.", suffix=".partial", dir=folder.absolute().parent) as place:
        plain, made = Path(place) / "plain", Path(place) / "made"
        write_graphs(model, plain, advance)
        if calibration is not None:
            advance("calibrating")
            quantise(model, plain, calibration)
        advance(f"writing graphs for {engine}")
        exported = package(model, plain, made, engine=engine, objects=objects, precision=precision)
        parity = compare(model, open_exported(made), frames, advance)
        least = MIN_IOU_OF[precision] if least_iou is None else least_iou
        if parity.clip_iou and min(parity.clip_iou) < least:
            raise EngineError(
                f"the masks of the clip have an IoU of {min(parity.clip_iou):.4f} with PyTorch's, under {least}; "
                "nothing was written. Give another precision, or a lower --least-iou if that is good enough"
            )
        whole = dataclasses.replace(exported, parity=dataclasses.asdict(parity))
        (made / DESCRIPTION_FILE).write_text(whole.to_json(), encoding="utf-8")
        try:
            if folder.exists():
                folder.rename(made.parent / "old")  # it goes with the temporary folder
            made.rename(folder)
        except OSError as error:
            raise FormatError(f"{folder} cannot be written: {error.strerror}; give another place") from error
    return parity


def _check(
    model: Model, folder: Path, engine: str, objects: Sequence[int], precision: str, calibration: Path | None
) -> None:
    if engine not in PACKINGS:
        raise ConfigError(f"engine is {engine!r}{nearest(engine, PACKINGS)}; give one of {', '.join(PACKINGS)}")
    if model.device.type != "cpu" or model.dtype != torch.float32:
        raise ConfigError(f"the model is in {model.dtype} on {model.device}; load it with device='cpu' and in float32")
    if model.config.version == "1":
        raise ConfigError(f"{model.name} has no memory, which exported models need; export a model of SAM 2 or EdgeTAM")
    if bad := [count for count in objects if count < 1]:
        raise ConfigError(f"objects are {', '.join(map(str, objects))}; {bad[0]} is no count, give 1 or more")
    if (precision == "int8") != (calibration is not None):
        raise ConfigError("int8 needs --calibrate, a folder of pictures or videos with masks, and nothing else does")
    lacking = [name for name in PACKINGS[engine].needs if importlib.util.find_spec(name) is None]
    if lacking:
        raise EngineError(f"exporting for {engine} needs {', '.join(lacking)}: pip install 'masklet[{engine}]'")
    if folder.exists() and not (folder / DESCRIPTION_FILE).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise FormatError(f"{folder} is there already and holds no exported model; give another place")


# --- graphs ----------------------------------------------------------------------------------------------------------


class Function(nn.Module):
    """One of the four functions as a graph has it: tensors side by side, in the order of `INPUTS`."""

    def __init__(self, network: Network, name: str) -> None:
        super().__init__()
        self.network, self.name = network, name

    def forward(self, *tensors: Tensor) -> Any:
        if self.name == "attend_memory":
            return self.network.attend_memory(tensors[0], MemoryBank(*tensors[1:]))
        if self.name == "decode_masks":
            levels = Levels(tensors[1], tensors[2], tensors[0])
            return tuple(self.network.decode_masks(tensors[0], levels, PromptTokens(*tensors[3:])))
        found = getattr(self.network, self.name)(*tensors)
        return tuple(found) if self.name == "encode_image" else found


_OBJECTS, _MEMORIES, _POINTERS, _POINTS = (
    Dim(name, min=1, max=most)
    for name, most in (("objects", 4096), ("memories", 1024), ("pointers", 1024), ("points", 4096))
)
_SECOND = {
    **dict.fromkeys(("memories", "slots"), _MEMORIES),
    **dict.fromkeys(("pointers", "ages"), _POINTERS),
    **dict.fromkeys(("points", "labels", "keep"), _POINTS),
}
"""The second size of an input, where it is free, as the first is where it counts objects; all others are fixed."""


def write_graphs(model: Model, folder: Path, advance: Callable[[str], None] = lambda _: None) -> None:
    """Write all functions of a model as ONNX in float32 into a new folder, `FUNCTION.onnx`, each for any count of
    objects, memories, pointers and points."""
    folder.mkdir()
    network = folded(model.network)
    for name in FUNCTIONS:
        advance(f"exporting {name}")
        second = {key: {1: _SECOND[key]} if key in _SECOND else {} for key in INPUTS[name]}
        free = tuple({} if key in SHARED[name] else {0: _OBJECTS, **second[key]} for key in INPUTS[name])
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                Function(network, name).eval(),
                examples(network, name),
                dynamo=True,
                verbose=False,
                opset_version=OPSET,
                input_names=list(INPUTS[name]),
                output_names=list(OUTPUTS[name]),
                dynamic_shapes=(free,),
            )
        assert program is not None, "the exporter returns a program"
        for node in program.model.graph:
            node.metadata_props.clear()  # where in our source it comes from
        program.save(folder / f"{name}.onnx")


def examples(network: Network, name: str, count: int = 3) -> tuple[Tensor, ...]:
    """Made-up inputs of a function's graph, by which its shapes are known."""
    config, generator = network.config, torch.Generator().manual_seed(0)
    cells, side = config.memory_size, config.image_size
    masks = config.mask_size if name == "decode_masks" else side
    shapes: dict[str, tuple[int, ...]] = {
        "images": (1, 3, side, side),
        "features": (count if name == "decode_masks" else 1, config.width, cells, cells),
        "memories": (count, 2, *config.memory_shape),
        "slots": (count, 2),
        "pointers": (count, 4, config.width),
        "ages": (count, 4),
        "stride4": (1, config.width // 8, 4 * cells, 4 * cells),
        "stride8": (1, config.width // 4, 2 * cells, 2 * cells),
        "points": (count, 3, 2),
        "labels": (count, 3),
        "keep": (count, 3),
        "masks": (count, 1, masks, masks),
        "keep_masks": (count,),
        "presence": (count,),
    }
    whole = {"slots": (0, config.memory_frames), "labels": (-1, 4)}
    scale = {"points": side, "ages": 1}

    def made(key: str) -> Tensor:
        if key in whole:
            return torch.randint(*whole[key], shapes[key], generator=generator)
        if key in scale:
            return torch.rand(shapes[key], generator=generator) * scale[key]
        if key.startswith("keep"):
            return torch.ones(shapes[key], dtype=torch.bool)
        return torch.randn(shapes[key], generator=generator)

    return tuple(map(made, INPUTS[name]))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what exporters and quantisers tell their own developers."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def package(
    model: Model,
    graphs: Path,
    folder: Path,
    *,
    engine: str,
    objects: Sequence[int] = (),
    precision: ExportPrecision = "float32",
) -> Exported:
    """Make the folder of an engine, which must not exist, from ONNX graphs; those of int8 are quantised already."""
    folder.mkdir()
    packing = PACKINGS[engine]
    for name in FUNCTIONS:
        packing.write(graphs / f"{name}.onnx", folder, precision)
    return _described(model, folder, engine, tuple(sorted(set(objects))) or packing.objects, precision)


def _as_onnx(graph: Path, folder: Path, precision: ExportPrecision) -> None:
    shutil.copy(graph, folder)
    if precision == "float16":
        _halve(folder / graph.name)


def _as_openvino(graph: Path, folder: Path, precision: ExportPrecision) -> None:
    import openvino

    found = openvino.convert_model(graph)
    openvino.save_model(found, folder / f"{graph.stem}.xml", compress_to_fp16=precision == "float16")


def _halve(path: Path) -> None:
    """A graph that computes in half precision, and takes and gives float32."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    with _quiet():
        onnx.save(convert_float_to_float16(onnx.load(path), keep_io_types=True), path)


@dataclass(frozen=True)
class Packing:
    """How the folder of an engine is made of ONNX graphs."""

    write: Callable[
        [Path, Path, ExportPrecision], None
    ]  # takes a graph to the folder; its name stays, without the ending
    endings: tuple[str, ...]  # of the files that it writes; the first is what the engine opens
    needs: tuple[str, ...]  # modules that exporting needs; the extra that installs them is called as the engine
    objects: tuple[int, ...] = ()  # counts that graphs are fixed to, where none are given; empty for any


_ONNX = ("onnx", "onnxscript", "onnxruntime")

PACKINGS = {
    "onnx": Packing(_as_onnx, ("onnx",), _ONNX),
    "openvino": Packing(_as_openvino, ("xml", "bin"), (*_ONNX, "openvino"), (1, 4, 16)),
}
"""By the names of `masklet.engines.graphs.ENGINES`, which run them."""


def _described(model: Model, folder: Path, engine: str, objects: tuple[int, ...], precision: str) -> Exported:
    """The description of a folder of graphs, written."""
    network = model.network
    shrink = network.mask_downsample
    assert shrink.bias is not None, "shrinking has a bias"
    packing = PACKINGS[engine]
    exported = Exported(
        folder=folder,
        engine=engine,
        precision=precision,
        config=model.config,
        weights=model.digest,
        objects=objects,
        constants={
            "absent_pointer": network.no_obj_ptr.flatten().tolist(),
            "nothing": network.no_mem_embed.flatten().tolist(),
            "shrink": [*shrink.weight.flatten().tolist(), *shrink.bias.tolist()],
        },
        files={
            name: {f"{name}.{end}": digest_of_file(folder / f"{name}.{end}") for end in packing.endings}
            for name in FUNCTIONS
        },
        versions={"masklet": sys.modules["masklet"].__version__, **versions_of(("torch", *packing.needs))},
        parity={},
    )
    (folder / DESCRIPTION_FILE).write_text(exported.to_json(), encoding="utf-8")
    return exported


def versions_of(modules: Iterable[str]) -> dict[str, str]:
    """The versions of modules, whose packages may have other names: `onnxruntime` may come with `onnxruntime-gpu`."""
    packages = importlib.metadata.packages_distributions()
    return {name: importlib.metadata.version(packages.get(name, [name])[0]) for name in modules}


# --- parity ----------------------------------------------------------------------------------------------------------


@contextmanager
def recording(engine: GraphEngine, most: int, names: Sequence[str] = FUNCTIONS) -> Iterator[dict[str, list[list[Any]]]]:
    """Keep what goes into the graphs of an engine inside the `with` block: some inputs of each function."""
    run = engine.run
    kept: dict[str, list[list[Any]]] = {name: [] for name in names}

    def recorded(name: str, count: int | None, inputs: list[Any]) -> list[Any]:
        if name in kept:
            kept[name].append(inputs)
            if len(kept[name]) > most:  # the last ones are of full banks, the first of prompts
                del kept[name][most // 2]
        return run(name, count, inputs)

    engine.run = recorded  # type: ignore[method-assign]
    try:
        yield kept
    finally:
        engine.run = run  # type: ignore[method-assign]


def compare(
    model: Model, engine: GraphEngine, frames: int = CLIP_FRAMES, advance: Callable[[str], None] = lambda _: None
) -> Parity:
    """Compare a folder's graphs with the model, on what goes into them while a clip of so many frames is tracked."""
    network = model.network
    kept = {name: [[part.numpy() for part in examples(network, name, 1)]] for name in FUNCTIONS}
    clip_iou: tuple[float, ...] = ()
    lowest = 1.0
    if frames:
        advance("tracking a clip by the graphs")
        with recording(engine, EXAMPLES) as kept:
            ours = track_clip(engine, frames)
        advance("tracking it by PyTorch")
        theirs = track_clip(model, frames)
        clip_iou, lowest = _ious(ours, theirs)
    advance("comparing the functions")
    differences = [
        _difference(network, engine, name, count, kept[name])
        for name in FUNCTIONS
        for count in ((1,) if name == "encode_image" else engine.exported.objects or COUNTS_TRIED)
    ]
    return Parity(tuple(differences), clip_iou, lowest, frames)


def track_clip(engine: Engine, frames: int = CLIP_FRAMES) -> NDArray[np.bool_]:
    """The masks of two objects, one of them corrected half-way, in the clip of the package: bool (T, 2, H, W)."""
    path = Path(str(resources.files("masklet") / "samples" / "clip.mp4"))
    with VideoTracker(path, engine, options=TrackingOptions(corrections="published")) as tracker:
        tracker.add_box(frame=0, object=1, box=(214, 92, 392, 302))
        tracker.add_points(frame=0, object=2, points=[(560, 200)])
        middle = frames // 2
        found = {result.frame: result for result in tracker.propagate(0, middle + 1)}
        tracker.add_points(frame=middle, object=1, points=[(330, 200), (20, 20)], labels=[1, 0])
        found.update((result.frame, result) for result in tracker.propagate(middle, frames))
        return np.stack([[found[frame].objects[n].mask for n in (1, 2)] for frame in sorted(found)])


def _ious(ours: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> tuple[tuple[float, ...], float]:
    """Of each object over all frames, and the lowest of one object in one frame."""
    both, either = ((ours & theirs).sum(axis=(2, 3)), (ours | theirs).sum(axis=(2, 3)))
    each = both / np.maximum(either, 1) + (either == 0)
    together = both.sum(axis=0) / np.maximum(either.sum(axis=0), 1) + (either.sum(axis=0) == 0)
    return tuple(map(float, together)), float(each.min())


def _difference(
    network: Network, engine: GraphEngine, name: str, count: int, inputs: list[list[NDArray[Any]]]
) -> Difference:
    """The largest difference of a function with so many objects, which are the recorded ones in turn."""
    function, largest, scale = Function(network, name), 0.0, 0.0
    for arrays in inputs:
        parts = [
            part if key in SHARED[name] else part[np.arange(count) % len(part)]
            for key, part in zip(INPUTS[name], arrays, strict=True)
        ]
        with torch.inference_mode():
            answer = function(*(torch.from_numpy(np.ascontiguousarray(part)) for part in parts))
        expected = [part.numpy() for part in ([answer] if isinstance(answer, Tensor) else answer)]
        for ours, theirs in zip(engine.run_objects(name, parts), expected, strict=True):
            largest = max(largest, float(np.abs(ours - theirs).max()))
            scale = max(scale, float(np.abs(theirs).max()))
    return Difference(name, count, largest, scale)


# --- int8 ------------------------------------------------------------------------------------------------------------


def quantise(model: Model, graphs: Path, data: Path) -> None:
    """Quantise the ONNX graph of the image encoder, which int8 pays for, in place, with what goes in while two objects
    of some clips are followed."""
    import onnxruntime.quantization as quantization

    clips = recognise_dataset(data).read(data, "train").clips
    if not clips:
        raise FormatError(f"{data} has no pictures or videos of the split 'train' to calibrate with")
    engine = open_exported(_described(model, graphs, "onnx", (), "float32").folder)
    with recording(engine, CALIBRATION_CLIPS * CALIBRATION_FRAMES, ("encode_image",)) as kept:
        for clip in clips[:: -(-len(clips) // CALIBRATION_CLIPS)]:
            with clip.open() as source, VideoTracker(source, engine) as tracker:
                first = clip.annotated[0]
                for number, mask in islice(clip.masks(first).items(), 2):
                    tracker.add_box(frame=first, object=number, box=mask_box(mask))
                for _ in islice(tracker.propagate(first), CALIBRATION_FRAMES):
                    pass
    given = iter([{"images": images} for (images,) in kept["encode_image"]])

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> Any:
            return next(given, None)

    path = graphs / "encode_image.onnx"
    with _quiet():
        quantization.quantize_static(
            path,
            path,
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            op_types_to_quantize=["Conv", "MatMul", "Gemm"],
        )
