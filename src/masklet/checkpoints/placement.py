"""Where a model runs and in which precision: what a user may write, and state dicts brought there."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from masklet.errors import EngineError, nearest

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

FOURIER_MATRIX = "sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
"""Stays float32 always: rounded to bfloat16 it would move points by a pixel or two, and it is 1 KB."""


def choose_device(device: str | torch.device | None) -> torch.device:
    """The device that is asked for; else cuda, else mps, else cpu, whichever is there.

    Raises:
        EngineError: No such device, or not here.
    """
    if device is None:
        return torch.device(_best())
    try:
        chosen = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise EngineError(f"device {device!r} is unknown; give cpu, cuda, cuda:0 or mps") from error
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise EngineError(f"device {str(chosen)!r} is not here: PyTorch finds {torch.cuda.device_count()} CUDA devices")
    if chosen.type == "mps" and not torch.backends.mps.is_available():
        raise EngineError("device 'mps' is not here: it needs a Mac with Apple silicon")
    return chosen


def _best() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def choose_dtype(dtype: str | torch.dtype | None) -> torch.dtype:
    """The precision that is asked for; float32 if none is.

    Raises:
        EngineError: It is none of the three that a model can have.
    """
    chosen = torch.float32 if dtype is None else DTYPES.get(dtype) if isinstance(dtype, str) else dtype
    if chosen not in DTYPES.values():
        hint = nearest(dtype, DTYPES) if isinstance(dtype, str) else ""
        raise EngineError(f"dtype {dtype!r} is none of {', '.join(DTYPES)}{hint}")
    assert chosen is not None, "None is in no table"
    return chosen


def place(state: Mapping[str, Tensor], device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
    """The state dict on a device in a precision; what is there already is not copied."""
    return {key: tensor.to(device, precision(key, tensor, dtype)) for key, tensor in state.items()}


def precision(key: str, tensor: Tensor, dtype: torch.dtype) -> torch.dtype:
    """The precision that a tensor has in a model of a precision: counts stay whole, the Fourier matrix float32."""
    if not tensor.is_floating_point():
        return tensor.dtype
    return torch.float32 if key == FOURIER_MATRIX else dtype
