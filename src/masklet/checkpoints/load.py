"""Networks: built of a configuration, by name or from a file ready to use, and written to a file."""

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor
from torch.overrides import TorchFunctionMode

from masklet.atomic import atomic_write
from masklet.checkpoints import registry
from masklet.checkpoints.files import TORCH_SUFFIXES, Weights, file_metadata, read_config, read_weights
from masklet.engines.torch import Model
from masklet.errors import DAMAGED, CheckpointError, ConfigError, EngineError, FormatError, nearest
from masklet.nn import NANO, VARIANTS, ModelConfig, Network
from masklet.nn.first import FirstNetwork
from masklet.nn.mask_decoder import ScoreCalibration

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

FOURIER_MATRIX = "sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
"""Stays float32 always: rounded to bfloat16 it would move points by a pixel or two, and it is 1 KB."""

_TRUNK = "image_encoder.trunk."
_ONLY_21 = ("no_obj_embed_spatial", "obj_ptr_tpos_proj.weight", "obj_ptr_tpos_proj.bias")
_IN_VIDEO_ONLY = "memory_encoder.out_proj.weight"

_IN_ALL_BUT_SAM1 = "sam_mask_decoder.obj_score_token.weight"

_PERMISSIONS = 0o644
"""The permissions of written files; the writer itself makes them readable by their owner alone."""


def build_model(name_or_config: str | ModelConfig, *, seed: int | None = None, **overrides: Any) -> Model:
    """A model with random weights, in float32 on the CPU.

    Args:
        name_or_config: A name of `list_models()`, or a configuration.
        seed: Makes the weights repeatable and leaves torch's random numbers as they were.
        **overrides: Fields of `ModelConfig` to change: `build_model("sam2.1-tiny", image_size=512)`.

    Raises CheckpointError for an unknown name, and ConfigError for an unknown field or values that cannot be built.
    """
    config = registry.config_of(name_or_config) if isinstance(name_or_config, str) else name_or_config
    fields = {field.name for field in dataclasses.fields(ModelConfig)}
    for name in overrides:
        if name not in fields:
            raise ConfigError(f"a model has no field {name!r}{nearest(name, fields)}")
    config = dataclasses.replace(config, **overrides)
    with torch.random.fork_rng(devices=(), enabled=seed is not None):
        if seed is not None:
            torch.default_generator.manual_seed(seed)  # the CPU's alone; torch.manual_seed would seed every device
        network = network_of(config)
    return Model(config.name, network.eval().requires_grad_(False).prepare())


def load_torch_model(
    name_or_path: str | os.PathLike[str],
    *,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    compile: bool = False,
    speed: str | None = None,
    image_size: int | None = None,
) -> Model:
    """As `load_model`, for those who need the network itself, to train or to save it.

    Raises CheckpointError for a folder that `masklet export` wrote, besides.
    """
    if registry.exported_folder(name_or_path) is not None:
        raise CheckpointError(
            f"{name_or_path} holds graphs for another engine, no network; give the weights that it was exported from"
        )
    chosen_device, chosen_dtype = choose_device(device), choose_dtype(dtype)
    if isinstance(name_or_path, str) and registry.is_name(name_or_path):
        name_or_path, speed, image_size = _unmarked(name_or_path, speed, image_size)
    speed = speed or "exact"
    registry.check_speed(speed)  # before anything is downloaded
    path, expected_name = _locate(name_or_path)
    weights = _with_calibration(read_weights(path))
    network = _fitting_network(weights, path.name)
    name = network.config.name
    if expected_name not in (None, name):
        raise CheckpointError(f"{path} holds {name}, not {expected_name}; put the right file there, or remove this one")
    config = registry.with_speed(network.config, speed, image_size)
    network = network if config == network.config else blank_network(config)
    state = {
        key: tensor.to(chosen_device, precision(key, tensor, chosen_dtype)) for key, tensor in weights.state.items()
    }
    return Model(config.name, load_weights(network, state), compile)


def _unmarked(name: str, speed: str | None, image_size: int | None) -> tuple[str, str | None, int | None]:
    """The name alone, with the mode and image size that are given or in its mark. Raises ConfigError if they differ."""
    plain, _, mark = name.partition(":")
    given = speed if image_size is None else str(image_size)
    if mark and given and given != mark:
        raise ConfigError(f"the name {name} asks for {mark}, and the call for {given}; give one of them")
    if mark.isdecimal():
        return plain, speed, int(mark)
    return plain, mark or speed, image_size


def _locate(name_or_path: str | os.PathLike[str]) -> tuple[Path, str | None]:
    """The file, and the name of the model that it must hold if a name was given."""
    if not isinstance(name_or_path, str):
        return Path(name_or_path), None
    if registry.is_known(name_or_path):
        info = registry.find(name_or_path)
        return registry.fetch(info), info.name
    path = Path(os.path.expanduser(name_or_path))
    looks_like_path = len(path.parts) > 1 or path.suffix in (*TORCH_SUFFIXES, ".safetensors") or os.path.exists(path)
    if not looks_like_path:
        registry.find(name_or_path)  # raises, with the nearest name
    return path, None


def _with_calibration(weights: Weights) -> Weights:
    """Files of our own models that are older than the calibration of scores get one that changes nothing; those older
    than its row for followed objects have the same there."""
    if not any(key.startswith("sam_mask_decoder.refine_") for key in weights.state):
        return weights
    fresh = ScoreCalibration().state_dict(prefix="sam_mask_decoder.calibration.")
    state = {**fresh, **weights.state}
    for key, rows in fresh.items():
        if state[key].shape == rows.shape[1:]:
            state[key] = state[key].repeat(len(rows), 1)
    return weights._replace(state=state)


def _fitting_network(weights: Weights, file: str) -> Network:
    """A blank network that the weights fit wholly."""
    config = read_config(weights.metadata, file, len(weights.state)) or recognise(weights.state, file)
    try:
        network = blank_network(config)
    except DAMAGED as error:  # the configuration came from outside
        raise ConfigError(f"{file} holds a configuration that cannot be built: {error}") from error
    check_fit(weights.state, network.state_dict(), file, config.name)
    return network


def recognise(state: Mapping[str, Tensor], file: str) -> ModelConfig:
    """The named configuration whose trunk is nearest to that of a state dict, of the version whose keys it has. Raises
    CheckpointError if it is of no model that is known."""
    if not any(key.startswith(_TRUNK) for key in state):
        raise CheckpointError(f"{file} is no checkpoint of SAM 2 or its kind: its first keys are {_some(state)}")
    version = "2.1" if any(key in state for key in _ONLY_21) else "2.0" if _IN_ALL_BUT_SAM1 in state else "1"
    trunk = {(key, tensor.shape) for key, tensor in state.items() if key.startswith(_TRUNK)}
    named = (config for config in (NANO, *VARIANTS.values()) if config.version == version)
    return min(named, key=lambda config: len(trunk ^ _trunk_of(config)))


@cache
def _trunk_of(config: ModelConfig) -> set[tuple[str, torch.Size]]:
    """Names and shapes of all tensors of a configuration's trunk."""
    with torch.device("meta"), _NoRandomNumbers():
        trunk = config.encoder.build(config.image_size)
    return {(_TRUNK + key, tensor.shape) for key, tensor in trunk.state_dict().items()}


def check_fit(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], file: str, name: str) -> None:
    """Raise `CheckpointError` unless a state dict has exactly the keys and shapes that are expected."""
    missing = [key for key in expected if key not in state]
    unknown = [key for key in state if key not in expected]
    other = [
        f"{key} {tuple(state[key].shape)} for {tuple(expected[key].shape)}"
        for key in expected
        if key in state and state[key].shape != expected[key].shape
    ]
    problems = [
        f"{verb} {len(keys)} {'tensor' if len(keys) == 1 else 'tensors'} {rest}({_some(keys)})"
        for verb, rest, keys in (
            ("lacks", "", missing),
            ("has", "too many ", unknown),
            ("has", "in other shapes ", other),
        )
        if keys
    ]
    if problems:
        hint = "; is it an image-only export?" if _IN_VIDEO_ONLY in missing else ""
        raise CheckpointError(f"{file} does not fit {name}: it {' and '.join(problems)}{hint}")


def _some(keys: Iterable[str]) -> str:
    first = list(keys)
    return ", ".join(first[:3]) + (", ..." if len(first) > 3 else "")


def choose_device(device: str | torch.device | None) -> torch.device:
    """The device that is asked for; else cuda, else mps, else cpu. Raises EngineError if it is unknown or not here."""
    if device is None:
        mps = "mps" if torch.backends.mps.is_available() else "cpu"
        return torch.device("cuda" if torch.cuda.is_available() else mps)
    try:
        chosen = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise EngineError(f"device {device!r} is unknown; give cpu, cuda, cuda:0 or mps") from error
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise EngineError(f"device {str(chosen)!r} is not here: PyTorch finds {torch.cuda.device_count()} CUDA devices")
    if chosen.type == "mps" and not torch.backends.mps.is_available():
        raise EngineError("device 'mps' is not here: it needs a Mac with Apple silicon")
    return chosen


def choose_dtype(dtype: str | torch.dtype | None) -> torch.dtype:
    """The precision that is asked for, else float32. Raises EngineError if it is none of the three of a model."""
    chosen = DTYPES.get(dtype) if isinstance(dtype, str) else dtype or torch.float32
    if chosen is None or chosen not in DTYPES.values():
        hint = nearest(dtype, DTYPES) if isinstance(dtype, str) else ""
        raise EngineError(f"dtype {dtype!r} is none of {', '.join(DTYPES)}{hint}")
    return chosen


def precision(key: str, tensor: Tensor, dtype: torch.dtype) -> torch.dtype:
    """The precision that a tensor has in a model of a precision: counts stay whole, the Fourier matrix float32."""
    if not tensor.is_floating_point():
        return tensor.dtype
    return torch.float32 if key == FOURIER_MATRIX else dtype


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
            save_file(state, temporary, metadata=file_metadata(model.config))
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


class _NoRandomNumbers(TorchFunctionMode):
    """Leaves out normal numbers, whose form on the device "meta" takes seconds to import."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        if name == "normal_":
            return args[0] if args else (kwargs or {})["tensor"]
        return (torch.empty if name == "randn" else func)(*args, **(kwargs or {}))


def blank_network(config: ModelConfig) -> Network:
    """A network of shapes and names, without numbers: it takes no time and no memory."""
    with torch.device("meta"), _NoRandomNumbers():
        return network_of(config)


def network_of(config: ModelConfig) -> Network:
    return FirstNetwork(config) if config.version == "1" else Network(config)


def load_weights(network: Network, state: dict[str, Tensor]) -> Network:
    """Give a blank network weights, which must fit, and make it ready: evaluation, no gradients, tables prepared."""
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False).prepare()
