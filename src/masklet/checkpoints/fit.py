"""Which configuration a state dict belongs to, and whether it fits it wholly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor

from masklet.errors import CheckpointError
from masklet.nn import NANO, VARIANTS, HieraConfig, ModelConfig

_TRUNK = "image_encoder.trunk."
_BLOCKS = _TRUNK + "blocks."
_WIDTH_KEYS = (_TRUNK + "patch_embed.proj.bias", _BLOCKS + "0.norm1.bias", _BLOCKS + "0.norm1.weight")
_ONLY_21 = ("no_obj_embed_spatial", "obj_ptr_tpos_proj.weight", "obj_ptr_tpos_proj.bias")

_IN_VIDEO_ONLY = "memory_encoder.out_proj.weight"

_SAM1_STARTS = ("image_encoder.blocks.", "image_encoder.patch_embed.", "vision_encoder.layers.")
"""Of the published files of Segment Anything 1, of MobileSAM's like, and of transformers."""


def recognise(state: Mapping[str, Tensor], file: str) -> ModelConfig:
    """The named configuration that is nearest to a state dict: by its trunk's width and depth, and 2.1's own keys.

    Raises:
        CheckpointError: It is of SAM 1, or of no SAM 2 at all.
    """
    if any(key.startswith(_SAM1_STARTS) for key in state):
        raise CheckpointError(f"{file} is a checkpoint of Segment Anything 1, another network; give one of SAM 2")
    if not any(key.startswith(_TRUNK) for key in state):
        raise CheckpointError(f"{file} is no checkpoint of SAM 2: its first keys are {_some(state)}")
    if any(key.startswith(_TRUNK + "stages.") for key in state):
        return NANO
    version = "2.1" if any(key in state for key in _ONLY_21) else "2.0"
    width = next((len(state[key]) for key in _WIDTH_KEYS if key in state), 0)
    depth = len({key.removeprefix(_BLOCKS).split(".")[0] for key in state if key.startswith(_BLOCKS)})

    def distance(config: ModelConfig) -> tuple[int, int]:
        assert isinstance(config.encoder, HieraConfig), "all published models have Hiera trunks"
        return abs(config.encoder.width - width), abs(sum(config.encoder.depths) - depth)

    return min((config for config in VARIANTS.values() if config.version == version), key=distance)


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
