"""Files of weights to state dicts under our names. What cannot be read is refused in one sentence.

Nothing of a file is run: pickles are read by torch's restricted reader, which knows tensors and plain containers only.
Tensors on the CPU are views of the mapped file, so that reading takes no memory until they are used.
"""

from __future__ import annotations

import pickle
import pickletools
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from masklet.checkpoints.names import from_transformers, is_transformers
from masklet.errors import CheckpointError

SNAPSHOT_FILE = "model.safetensors"
"""What a folder must hold to be read: the weights of a Hugging Face snapshot."""

TORCH_SUFFIXES = (".pt", ".pth")

_CALLS = ("REDUCE", "STACK_GLOBAL", "INST", "OBJ")
"""Instructions of a pickle that name or call something."""

_ZIP_START = b"PK\x03\x04"


class Weights(NamedTuple):
    """What a file holds."""

    state: dict[str, Tensor]
    """Under our names."""
    metadata: dict[str, str]
    """Empty but for safetensors."""


def read_weights(path: Path) -> Weights:
    """The tensors and metadata of a file, or of the folder of a Hugging Face snapshot.

    Raises:
        CheckpointError: Not there, not complete, not of a known kind, or not only tensors.
    """
    path = _resolve(path)
    weights = _read_torch(path) if path.suffix in TORCH_SUFFIXES else _read_safetensors(path)
    if not is_transformers(weights.state):
        return weights
    try:
        return weights._replace(state=from_transformers(weights.state))
    except CheckpointError as error:
        raise CheckpointError(f"{path.name} has names of transformers, but {error}") from error


def _resolve(path: Path) -> Path:
    if path.is_dir():
        if not (path / SNAPSHOT_FILE).is_file():
            raise CheckpointError(
                f"{path} is a folder without {SNAPSHOT_FILE}; give a file, or the folder of a Hugging Face snapshot"
            )
        path = path / SNAPSHOT_FILE
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist")
    if path.suffix not in (*TORCH_SUFFIXES, ".safetensors"):
        raise CheckpointError(
            f"{path.name} is of no known kind; files of weights end in .safetensors, {' or '.join(TORCH_SUFFIXES)}"
        )
    if path.stat().st_size == 0:
        raise CheckpointError(f"{path.name} is empty; download it again")
    return path


def _read_safetensors(path: Path) -> Weights:
    try:
        with safe_open(path, framework="pt") as file:
            return Weights({key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {})  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        problem = _text_inside(path) or f"is cut short or no safetensors file ({error})"
        raise CheckpointError(f"{path.name} {problem}; download it again") from error


def _read_torch(path: Path) -> Weights:
    mapped = zipfile.is_zipfile(path)  # files of torch before 1.6 are no zip archives and cannot be mapped
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is then refused, in our own words
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except (pickle.UnpicklingError, RuntimeError, OSError, EOFError, ValueError, KeyError, AttributeError) as error:
        raise CheckpointError(f"{path.name} {_torch_problem(path, error)}") from error
    return Weights(_tensors_of(content, path), {})


def _torch_problem(path: Path, error: Exception) -> str:
    code = re.search(r"GLOBAL (\S+)", str(error))
    if code or _calls_code(path):
        named = f" ({code[1]})" if code else ""
        return f"holds code{named}, not only tensors, and was not opened; ask for it as .safetensors"
    if text := _text_inside(path):
        return f"{text}; download it again"
    with path.open("rb") as file:
        if file.read(4) == _ZIP_START and not zipfile.is_zipfile(path):
            return "is cut short; download it again"
    return f"is no PyTorch checkpoint ({type(error).__name__}); download it again"


def _calls_code(path: Path) -> bool:
    """Whether a file is a bare pickle that calls something. It is read as a list of instructions; none is done."""
    try:
        with path.open("rb") as file:
            return any(code.name in _CALLS for code, _, _ in pickletools.genops(file))
    except ValueError:
        return False


def _text_inside(path: Path) -> str:
    """A description of a file that is text (a Git LFS pointer, a web page); an empty string if it is not."""
    with path.open("rb") as file:
        start = file.read(200)
    if not start.isascii() or b"\0" in start:
        return ""
    return f"is a text file that begins with {start.decode().splitlines()[0][:40]!r}, not weights"


def _tensors_of(content: Any, path: Path) -> dict[str, Tensor]:
    """The state dict inside `{'model': ...}`, or the content itself."""
    state = content.get("model", content) if isinstance(content, Mapping) else content
    if not isinstance(state, Mapping) or not state:
        raise CheckpointError(
            f"{path.name} holds {_kind(state)}; a state dict, or {{'model': state dict}}, was expected"
        )
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise CheckpointError(f"{path.name} holds {_kind(value)} under {key!r}, where a tensor was expected")
    return dict(state)


def _kind(value: Any) -> str:
    return "an empty dict" if value == {} else f"a value of type {type(value).__name__}"
