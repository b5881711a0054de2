"""Files of weights to state dicts under our names, and the metadata of our own: configuration, format and version. What
cannot be read is refused in one sentence.

Nothing of a file is run: pickles are read by torch's restricted reader, which knows tensors and plain containers only.
Tensors on the CPU are views of the mapped file, so that reading takes no memory until they are used.
"""

import json
import os
import pickle
import pickletools
import re
import sys
import warnings
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from masklet.checkpoints.names import NAMINGS
from masklet.errors import DAMAGED, CheckpointError, ConfigError
from masklet.nn.config import ModelConfig

SNAPSHOT_FILE = "model.safetensors"
"""The file that a readable folder holds: the weights of a Hugging Face snapshot."""

TORCH_SUFFIXES = (".pt", ".pth")

_CALLS = ("REDUCE", "STACK_GLOBAL", "INST", "OBJ")
"""Instructions of a pickle that name or call something."""

_ZIP_START = b"PK\x03\x04"

MAX_PICKLE = 1 << 26
"""Bytes of a pickle without its tensors, and of one value in it: 64 MiB."""

MAX_INSTRUCTIONS = 10_000_000
"""Instructions of a pickle."""

LEGACY_PICKLES = 5
"""How many follow each other in files of torch before 1.6: two marks, the machine, the content, the tensors' keys."""

WEIGHTS_FORMAT = 2
"""Raised when an older masklet could not read what this one writes."""

VERSION: str = sys.modules["masklet"].__version__
"""The version of this masklet. Looked up, not imported: the package's own module names what stands above this layer."""

MAX_IMAGE, MAX_NUMBER = 8192, 1 << 16
"""Pixels of a side of the square that a network sees; channels and all else that a configuration counts."""

CONFIG_KEY, FORMAT_KEY, VERSION_KEY = "masklet.config", "masklet.format", "masklet.version"

_HEADS = {("tokens", "plain", False): "published", ("drawn", "refined", True): "refining"}
"""Values of `prompts`, `upscaling` and `previous_mask` in format 1 -> the head that they make."""


class Weights(NamedTuple):
    """The content of a file."""

    state: dict[str, Tensor]  # under our names
    metadata: dict[str, str]  # empty but for safetensors


def read_weights(path: Path) -> Weights:
    """The tensors and metadata of a file, or of the folder of a Hugging Face snapshot.

    Raises CheckpointError for one that is not there, not complete, of no known kind, or holds not only tensors.
    """
    path = _resolve(path)
    weights = _read_torch(path) if path.suffix in TORCH_SUFFIXES else _read_safetensors(path)
    for is_theirs, rename, whose in NAMINGS:
        if is_theirs(weights.state):
            try:
                return weights._replace(state=rename(weights.state))
            except CheckpointError as error:
                raise CheckpointError(f"{path.name} has names of {whose}, but {error}") from error
    return weights


def _resolve(path: Path) -> Path:
    if os.path.isdir(path):
        if not (path / SNAPSHOT_FILE).is_file():
            raise CheckpointError(
                f"{path} is a folder without {SNAPSHOT_FILE} or model.json; give a file, the folder of a Hugging Face "
                "snapshot, or one that masklet export wrote"
            )
        path = path / SNAPSHOT_FILE
    if not os.path.isfile(path):
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
    except (SafetensorError, OSError, ValueError, TypeError, MemoryError) as error:
        problem = _text_inside(path) or f"is cut short or no safetensors file ({error})"
        raise CheckpointError(f"{path.name} {problem}; download it again") from error


def _read_torch(path: Path) -> Weights:
    mapped = zipfile.is_zipfile(path)  # files of torch before 1.6 are no zip archives and cannot be mapped
    try:
        _check_archive(path) if mapped else _check_pickles(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is then refused, in our own words
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except (*DAMAGED, pickle.UnpicklingError, AssertionError, ImportError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path.name} {_torch_problem(path, error)}") from error
    return Weights(_tensors_of(content, path), {})


def _check_archive(path: Path) -> None:
    """Raise CheckpointError for members that unpack to more than they take in the file, and for a large pickle."""
    with zipfile.ZipFile(path) as members:
        for info in members.infolist():
            if info.file_size > info.compress_size:
                raise CheckpointError(f"{path.name} holds {info.filename} compressed, which torch does not write")
            if info.filename.endswith(".pkl") and info.file_size > MAX_PICKLE:
                raise CheckpointError(f"{path.name} holds {info.file_size} bytes beside its tensors; {_TOO_LARGE}")


def _check_pickles(path: Path) -> None:
    """Raise CheckpointError where the pickles of an old file are very long, or hold a very long value. They are read as
    lists of instructions, up to the first that makes no sense."""
    with path.open("rb") as file, suppress(ValueError, IndexError):
        steps = 0
        for _ in range(LEGACY_PICKLES):
            for _step in pickletools.genops(_Bounded(file)):  # type: ignore[arg-type]
                steps += 1
                if steps > MAX_INSTRUCTIONS or file.tell() > MAX_PICKLE:
                    raise CheckpointError(f"{path.name} holds a very long pickle; {_TOO_LARGE}")


_TOO_LARGE = "give a file of tensors alone"


class _Bounded:
    """A file of which no value is read that is longer than any in a checkpoint."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.tell = file.tell

    def read(self, length: int) -> bytes:
        if length > MAX_PICKLE:
            raise CheckpointError(f"{Path(self._file.name).name} holds a value of {length} bytes; {_TOO_LARGE}")
        return self._file.read(length)

    def readline(self) -> bytes:
        return self._file.readline(MAX_PICKLE)


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
            return any(code.name in _CALLS for code, _, _ in pickletools.genops(_Bounded(file)))  # type: ignore[arg-type]
    except (ValueError, IndexError, CheckpointError):
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


def file_metadata(config: ModelConfig) -> dict[str, str]:
    """The metadata of a file that holds a model of this configuration."""
    return {
        "format": "pt",  # other libraries look for it
        FORMAT_KEY: str(WEIGHTS_FORMAT),
        VERSION_KEY: VERSION,
        CONFIG_KEY: json.dumps(config.to_dict()),
    }


def read_config(metadata: Mapping[str, str], file: str, tensors: int) -> ModelConfig | None:
    """The configuration that the metadata of a safetensors file hold; None if they are not ours. A network of more
    blocks than the file has tensors cannot be meant.

    Raises CheckpointError for a format of a newer masklet, and ConfigError for what cannot be understood.
    """
    if CONFIG_KEY not in metadata:
        return None
    written = metadata.get(FORMAT_KEY)
    if written not in ("1", str(WEIGHTS_FORMAT)):
        raise CheckpointError(
            f"{file} has format {written} (masklet {metadata.get(VERSION_KEY)}), this masklet {VERSION} reads formats "
            f"1 to {WEIGHTS_FORMAT}; upgrade masklet"
        )
    try:
        values = json.loads(metadata[CONFIG_KEY])
        if not isinstance(values, dict):
            raise ConfigError(f"expected a JSON object, got {type(values).__name__}")
        _check_sizes(values, tensors)
        return ModelConfig.from_dict(_from_format_1(values) if written == "1" else values)
    except DAMAGED as error:  # ConfigError is a ValueError
        raise ConfigError(f"{file} holds a configuration that cannot be read: {str(error)[:400]}") from error


def _from_format_1(values: Mapping[str, Any]) -> dict[str, Any]:
    """Four fields became one. Raises ConfigError for a model of a trial, which cannot be built any more."""
    others = dict(values)
    told = (others.pop("prompts", "tokens"), others.pop("upscaling", "plain"), others.pop("previous_mask", False))
    pool = others.pop("memory_pool", 1)
    if told not in _HEADS or pool != 1:
        raise ConfigError(
            f"prompts, upscaling, previous_mask and memory_pool are {', '.join(map(repr, (*told, pool)))}, as in "
            "trials before this version; train it again"
        )
    return {**others, "head": _HEADS[told]}


def _check_sizes(values: object, tensors: int, key: str = "") -> None:
    """Raise `ConfigError` for numbers by which a network, or the time to build it, would be beyond reason."""
    if isinstance(values, dict):
        for name, value in values.items():
            _check_sizes(value, tensors, str(name)[:40])
    elif isinstance(values, list):
        if len(values) > 256:
            raise ConfigError(f"{key} has {len(values)} entries")
        blocks = [value[-1] if key == "stages" and isinstance(value, list) and value else value for value in values]
        if key in ("depths", "stages") and sum(count for count in blocks if type(count) is int) > tensors:
            raise ConfigError(f"{key} are {values!r:.80}, in a file of {tensors} tensors")
        for value in values:
            _check_sizes(value, tensors, key)
    elif isinstance(values, int):
        most = MAX_IMAGE if key == "image_size" else tensors if key.endswith("_layers") else MAX_NUMBER
        if abs(values) > most:
            raise ConfigError(f"{key} is over {most}")
