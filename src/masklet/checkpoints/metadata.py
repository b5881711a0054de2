"""The metadata of our own safetensors files: configuration, format and version."""

import json
import sys
from collections.abc import Mapping
from typing import Any

from masklet.errors import CheckpointError, ConfigError
from masklet.nn import ModelConfig

FORMAT = 2
"""Raised when an older masklet could not read what this one writes."""

VERSION: str = sys.modules["masklet"].__version__
"""The version of this masklet. Looked up, not imported: the package's own module names what stands above this layer."""

LARGEST_IMAGE, LARGEST_NUMBER = 8192, 1 << 16
"""Pixels of a side of the square that a network sees; channels and all else that a configuration counts."""

CONFIG_KEY, FORMAT_KEY, VERSION_KEY = "masklet.config", "masklet.format", "masklet.version"


def describe(config: ModelConfig) -> dict[str, str]:
    """The metadata of a file that holds a model of this configuration."""
    return {
        "format": "pt",  # other libraries look for it
        FORMAT_KEY: str(FORMAT),
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
    if written not in ("1", str(FORMAT)):
        raise CheckpointError(
            f"{file} has format {written} (masklet {metadata.get(VERSION_KEY)}), this masklet {VERSION} reads formats "
            f"1 to {FORMAT}; upgrade masklet"
        )
    try:
        values = json.loads(metadata[CONFIG_KEY])
        if not isinstance(values, dict):
            raise ConfigError(f"expected a JSON object, got {type(values).__name__}")
        _check_sizes(values, tensors)
        return ModelConfig.from_dict(_from_format_1(values) if written == "1" else values)
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:  # ConfigError is a ValueError
        raise ConfigError(f"{file} holds a configuration that cannot be read: {str(error)[:400]}") from error


_HEADS = {("tokens", "plain", False): "published", ("drawn", "refined", True): "refining"}
"""Values of `prompts`, `upscaling` and `previous_mask` in format 1 -> the head that they make."""


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
        most = LARGEST_IMAGE if key == "image_size" else tensors if key.endswith("_layers") else LARGEST_NUMBER
        if abs(values) > most:
            raise ConfigError(f"{key} is over {most}")
