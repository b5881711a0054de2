"""Which models have a name: `nano`, which ships in the package, and published ones; and their speed modes: as
published, or on a smaller square, with less to compute at some cost in the masks.

Imports no torch, so that models can be listed at once.
"""

import dataclasses
import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from masklet.checkpoints import hub
from masklet.engines import DESCRIPTION_FILE
from masklet.errors import CheckpointError, ConfigError, nearest
from masklet.nn.config import COARSEST_STRIDE, VARIANTS, ModelConfig
from masklet.nn.config import NANO as NANO_CONFIG

NANO = "nano"
"""Our own model, which is in the package."""


class Release(NamedTuple):
    """A model's facts."""

    parameters: int  # trained numbers, so that listing builds none
    repo: str | None  # on the Hugging Face hub; None for the model that is in the package
    url: str | None  # where the file was published, too; its last part is the file's name
    hub_file: str | None = None  # the file in the repository, if it has another name there
    licence: str = "Apache-2.0"  # of the weights


def _first(size: str, parameters: int, file: str) -> Release:
    url = f"https://dl.fbaipublicfiles.com/segment_anything/{file}"
    return Release(parameters, f"facebook/sam-vit-{size}", url, "model.safetensors")


RELEASES = {
    NANO: Release(6_189_206, None, None, licence="Apache-2.0, trained on open data (docs/nano.md)"),
    **{
        f"{family}-{size}": Release(
            parameters + further,
            f"facebook/{family}-hiera-{size}",
            f"https://dl.fbaipublicfiles.com/segment_anything_2/{date}/{family}_hiera_{size.replace('-', '_')}.pt",
        )
        for family, date, further in (("sam2", "072824", 0), ("sam2.1", "092824", 16_512))  # two small parts more
        for size, parameters in (
            ("tiny", 38_945_986),
            ("small", 46_043_842),
            ("base-plus", 80_833_666),
            ("large", 224_430_130),
        )
    },
    "edgetam": Release(
        13_895_794,
        "facebook/EdgeTAM",
        "https://github.com/facebookresearch/EdgeTAM/raw/main/checkpoints/edgetam.pt",
    ),
    "sam1-vit-b": _first("base", 93_735_472, "sam_vit_b_01ec64.pth"),
    "sam1-vit-l": _first("large", 312_342_832, "sam_vit_l_0b3195.pth"),
    "sam1-vit-h": _first("huge", 641_090_608, "sam_vit_h_4b8939.pth"),
    "mobile-sam": Release(
        9_808_452, "dhkim2810/MobileSAM", "https://github.com/ChaoningZhang/MobileSAM/raw/master/weights/mobile_sam.pt"
    ),
}
"""The models by name: ours, then the published ones."""

_CONFIGS = {NANO: NANO_CONFIG, **VARIANTS}

_NAMES = {name: name for name in RELEASES} | {release.repo: name for name, release in RELEASES.items() if release.repo}
"""Names of models and of their repositories -> names of models."""

SPEEDS = {"exact": 1.0, "balanced": 0.75, "fast": 0.5}
"""Modes by name, the slowest first, and the side of the model's square in each as a share of its own. docs/speed.md
has the cost of each, and what was tried beside them."""


@dataclass(frozen=True)
class ModelInfo:
    """A model's facts, without loading it.

    Attributes:
        name: What `load_model` takes.
        parameters: Trained numbers.
        image_size: Side of the square, in pixels, to which every picture is brought.
        file: Name of the weights' file, as published.
        url: Where the file was published; None for `nano`.
        repo: Its repository on the Hugging Face hub; None for `nano`.
        licence: SPDX identifier of the weights' licence.
        path: The file on this machine; None if it is not here.
        size: Bytes of that file; None if it is not here.
    """

    name: str
    parameters: int
    image_size: int
    file: str
    url: str | None
    repo: str | None
    licence: str
    path: Path | None
    size: int | None

    @property
    def downloaded(self) -> bool:
        return self.path is not None


def list_models() -> list[ModelInfo]:
    """Every model with a name: `nano` first, then the published ones."""
    return [find(name) for name in RELEASES]


def find(name: str) -> ModelInfo:
    """The model of a name or a hub repository (`facebook/sam2.1-hiera-tiny`). Raises CheckpointError for another."""
    if name not in _NAMES:
        raise CheckpointError(f"unknown model {name!r}{nearest(name, RELEASES)} (see masklet models)")
    name = _NAMES[name]
    parameters, repo, url, hub_file, licence = RELEASES[name]
    file = url.rpartition("/")[2] if url else f"{name}.safetensors"
    shipped = Path(str(resources.files("masklet") / "weights" / file))
    path = hub.local_file(repo, file, hub_file) if repo else shipped if shipped.is_file() else None
    return ModelInfo(
        name=name,
        parameters=parameters,
        image_size=_CONFIGS[name].image_size,
        file=file,
        url=url,
        repo=repo,
        licence=licence,
        path=path,
        size=path.stat().st_size if path else None,
    )


def fetch(info: ModelInfo) -> Path:
    """The model's file on this machine, downloaded if it is not here yet. Raises CheckpointError, which says where to
    put the file by hand, if it cannot be had."""
    if info.path is not None:
        return info.path
    if info.repo is None or info.url is None:
        raise CheckpointError(
            f"the weights of {info.name} are missing from this installation (weights/{info.file}); reinstall masklet, "
            f"or take random ones with build_model({info.name!r})"
        )
    return hub.download(info.name, info.repo, RELEASES[info.name].hub_file or info.file, info.url)


def is_known(name: str) -> bool:
    """Whether `find` would find it."""
    return name in _NAMES


def config_of(name: str) -> ModelConfig:
    """The configuration of a model that `find` finds."""
    return _CONFIGS[find(name).name]


def with_speed(config: ModelConfig, speed: str, image_size: int | None) -> ModelConfig:
    """The configuration in a speed mode, or at an image size if one is given. Its name says which, `nano:fast` or
    `nano:160`, so that `load_model` finds it again. Raises ConfigError for an unknown mode and an impossible size."""
    check_speed(speed)
    if image_size is not None:
        name = config.name if image_size == config.image_size else f"{config.name}:{image_size}"
        return dataclasses.replace(config, name=name, image_size=image_size)
    if speed == "exact":
        return config
    side = round(config.image_size * SPEEDS[speed] / COARSEST_STRIDE) * COARSEST_STRIDE
    return dataclasses.replace(config, name=f"{config.name}:{speed}", image_size=side)


def check_speed(speed: str) -> None:
    """Raises ConfigError if there is no such mode."""
    if speed not in SPEEDS:
        raise ConfigError(f"speed is {speed!r}; give one of {', '.join(SPEEDS)}{nearest(speed, SPEEDS)}")


def is_name(name: str) -> bool:
    """Whether a model is known by this name, with or without a speed mode behind it."""
    return is_known(name.partition(":")[0])


def exported_folder(name_or_path: str | os.PathLike[str]) -> tuple[Path, str] | None:
    """A folder that `masklet export` wrote, and the mark behind its name, a mode or an image size; else None."""
    if isinstance(name_or_path, str) and is_name(name_or_path):
        return None
    plain, _, mark = str(name_or_path).rpartition(":")
    for place, behind in ((os.fspath(name_or_path), ""), (plain, mark)):
        folder = Path(os.path.expanduser(place))
        if place and os.path.isfile(folder / DESCRIPTION_FILE):
            return folder, behind
    return None
