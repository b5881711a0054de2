"""Models by name, from a file, or from a folder of graphs. Imports no torch unless the model is a network."""

from __future__ import annotations

import os
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from masklet.checkpoints import registry
from masklet.engines.base import Engine, as_engine
from masklet.engines.graphs import ENGINES, GraphEngine, read_exported
from masklet.errors import ConfigError, EngineError

if TYPE_CHECKING:
    import torch

    from masklet.engines.torch import Model


def load_engine(model: str | PathLike[str] | Engine, *, device: str | torch.device | None = None) -> Engine:
    """The engine of a name or a path, as `load_model` gives it; an engine that is given is the answer itself.

    Raises:
        CheckpointError, ConfigError: The model cannot be loaded.
        EngineError: What was given is neither a name, nor a path, nor an engine.
    """
    return load_model(model, device=device) if isinstance(model, str | PathLike) else as_engine(model)


def load_model(
    name_or_path: str | os.PathLike[str] = "nano",
    *,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    compile: bool = False,
    speed: str | None = None,
    image_size: int | None = None,
) -> Model | GraphEngine:
    """A model with its weights, ready to use.

    Args:
        name_or_path: A name of `list_models()`, downloaded if it is not here yet; or a file: published `.pt`,
            `.safetensors` with the same names or those of transformers, a folder that holds `model.safetensors`, or
            what `save_model` wrote. Which model a file holds is seen from its tensors. Or a folder that
            `masklet export` wrote, whose graphs run in the engine that it was exported for (docs/engines.md).
        device: Such as "cuda:1"; None takes cuda, else mps, else cpu. For an exported folder what its engine calls its
            devices, such as "tensorrt" or "gpu".
        dtype: "float32" (also for None, whatever the file stores), "bfloat16" or "float16".
        speed: "exact" as published, also for None; "balanced" or "fast" stretch pictures to a smaller square and
            compute less, at some cost in the masks. Written behind the name it means the same: "sam2.1-tiny:fast".
            docs/speed.md has the cost of each mode.
        image_size: Side of that square, in pixels, whatever the mode says. "sam2.1-tiny:512" means the same.
        compile: Whether the four functions go through `torch.compile`, each at its first call.

    Raises:
        CheckpointError: Unknown name, or weights that cannot be had, read or fitted.
        ConfigError: Unknown speed mode, or another one than the name says; an image size that the model cannot have;
            a file whose own configuration makes no sense.
        EngineError: A device, dtype or engine that is not to be had here.
    """
    if (exported := registry.exported_folder(name_or_path)) is not None:
        folder, mark = exported
        size, mode = (int(mark), None) if mark.isdecimal() else (None, mark or None)
        asked = ("dtype", dtype), ("speed", speed), ("speed", mode), ("compile", compile or None)
        return _fixed(open_exported(folder, None if device is None else str(device)), (image_size, size), asked)
    try:
        from masklet.checkpoints.load import load_torch_model
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise EngineError(
            f"{name_or_path} needs PyTorch, which is not installed: pip install torch; or give a folder that `masklet "
            "export` wrote"
        ) from error
    return load_torch_model(
        name_or_path, device=device, dtype=dtype, compile=compile, speed=speed, image_size=image_size
    )


def open_exported(folder: Path, device: str | None = None, threads: int | None = None) -> GraphEngine:
    """The engine of a folder that `masklet export` wrote.

    Args:
        folder: Where it lies.
        device: As its engine calls its devices; None for the engine's own choice.
        threads: Of each function; None for as many as PyTorch takes.

    Raises:
        CheckpointError: The folder cannot be read, or is not as it was written.
        EngineError: Its engine is not installed, or does not have the device.
    """
    exported = read_exported(folder)
    return ENGINES[exported.engine](exported, device, threads)


def _fixed(engine: GraphEngine, sizes: Iterable[int | None], asked: Iterable[tuple[str, object]]) -> GraphEngine:
    """An exported engine. Raises ConfigError if something is asked of it that was decided when it was exported."""
    folder, side = engine.exported.folder, engine.config.image_size
    for size in sizes:
        if size not in (None, side):
            raise ConfigError(
                f"{folder} was exported for {side} pixels, not {size}; export it again with --image-size {size}"
            )
    if given := [f"{name} {value}" for name, value in asked if value not in (None, "exact", "float32")]:
        raise ConfigError(f"{folder} runs as it was exported, not with {', '.join(given)}; leave that out")
    return engine
