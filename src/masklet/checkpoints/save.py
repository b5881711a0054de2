"""Models to files: safetensors with the configuration inside, so that they load with no name given."""

import os
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from masklet.atomic import atomic_write
from masklet.checkpoints.load import choose_dtype, precision
from masklet.checkpoints.metadata import describe
from masklet.engines.torch import Model
from masklet.errors import CheckpointError, FormatError

_PERMISSIONS = 0o644
"""The permissions of written files; the writer itself makes them readable by their owner alone."""


def save_model(model: Model, path: str | os.PathLike[str], *, dtype: str | torch.dtype | None = None) -> None:
    """Write a model's weights and configuration; a file that is there is replaced at once or not at all.

    Args:
        model: What to write.
        path: Ends in `.safetensors`; its folder must exist. Raises CheckpointError if it cannot be written.
        dtype: Precision in the file; None keeps the model's. "float16" halves a file for shipping. Raises EngineError
            for an unknown one, and CheckpointError if a weight is too large for it.
    """
    target = Path(path)
    if target.suffix != ".safetensors":
        raise CheckpointError(f"{target.name} does not end in .safetensors, the format that models are saved in")
    if not target.parent.is_dir():
        raise CheckpointError(f"folder {target.parent} does not exist; make it first")
    state = _portable(model, choose_dtype(dtype) if dtype else model.dtype)
    try:
        with atomic_write(target, durable=True) as temporary:
            save_file(state, temporary, metadata=describe(model.config))
            temporary.chmod(_PERMISSIONS)
    except FormatError as error:
        raise CheckpointError(str(error)) from error
    except SafetensorError as error:
        raise CheckpointError(f"{target} cannot be written: {error}") from error


def _portable(model: Model, dtype: torch.dtype) -> dict[str, Tensor]:
    """The state dict on the CPU, each tensor dense and alone in its memory, as safetensors wants them."""
    state: dict[str, Tensor] = {}
    owners: set[int] = set()
    for key, tensor in model.network.state_dict().items():
        written = tensor.detach().to("cpu", precision(key, tensor, dtype)).contiguous()
        if written.isinf().any() and not tensor.isinf().any():
            raise CheckpointError(f"{key} holds numbers too large for {dtype}; save as float32")
        storage = written.untyped_storage()
        if storage.nbytes() != written.nbytes or storage.data_ptr() in owners:
            written = written.clone()
        owners.add(written.untyped_storage().data_ptr())
        state[key] = written
    return state
