"""Configurations: what is refused, and that what is written is read again."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
import torch

from masklet.errors import ConfigError
from masklet.nn import NANO, VARIANTS, ConvNetConfig, HieraConfig, ModelConfig, Network
from masklet.nn.config import LITE0, RepViTConfig
from tests.conftest import GOLDEN, SMALL

PUBLISHED = {
    name: f"sam2{version}_hiera_{size.replace('-', '_')}"
    for name in VARIANTS
    if name.startswith("sam2")
    for version, size in [name.removeprefix("sam2").split("-", 1)]
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_names_and_shapes_of_the_weights_are_the_published_ones(name: str) -> None:
    published = json.loads((GOLDEN / f"statedict/{PUBLISHED[name]}.json").read_text())
    with torch.device("meta"):
        ours = {key: list(value.shape) for key, value in Network(VARIANTS[name]).state_dict().items()}
    assert ours == published


@pytest.mark.parametrize("config", [*VARIANTS.values(), NANO, SMALL], ids=lambda config: config.name)
def test_what_is_written_is_read_again(config: ModelConfig) -> None:
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_nano_has_at_most_ten_million_parameters() -> None:
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in Network(NANO).parameters()) <= 10_000_000


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"image_size": 1000}, "image_size 1000 is no multiple of 32"),
        ({"image_size": 320_000_000}, "image_size is 320000000; give 16384 at most"),
        ({"image_size": 0}, "image_size is 0; give a whole number of at least 1"),
        ({"image_size": 512.0}, "image_size is 512.0; give a whole number"),
        ({"memory_width": 48}, "memory_width 48 does not divide width 256"),
        ({"width": 100, "memory_width": 50}, "width 100 must be a multiple of 8"),
        ({"version": "2.2"}, "version is '2.2'; give '2.0' or '2.1'"),
        ({"head": "sharp"}, "head is 'sharp'; give 'published' or 'refining'"),
        ({"memory_grid": 12}, "memory_grid is 12; give a divisor of 64, the side of the coarse features, or None"),
        ({"memory_grid": 0}, "memory_grid is 0; give a divisor of 64"),
    ],
)
def test_what_cannot_be_built_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said.replace("(", r"\(")):
        dataclasses.replace(VARIANTS["sam2.1-tiny"], **changes)


def test_an_image_size_that_the_windows_do_not_fit_is_refused() -> None:
    """Windows of 12 cells at stride 4 need a multiple of 48 pixels, though the strides alone would do with 32."""
    trunk = HieraConfig(width=24, heads=1, depths=(1, 1, 1, 1), global_blocks=(), windows=(12, 4, 14, 7))
    with pytest.raises(ConfigError, match="image_size 1024 is no multiple of 48, which windows of 12 cells"):
        ModelConfig("odd", trunk)


def test_a_pooling_block_cannot_be_global() -> None:
    trunk = HieraConfig(width=24, heads=1, depths=(1, 2, 2, 1), global_blocks=(3,))
    with pytest.raises(ConfigError, match=r"global_blocks \(3,\) hold \[3\], the first blocks of a stage"):
        ModelConfig("odd", trunk)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"name": "x", "encoder": {"kind": "resnet"}}, "encoder kind is 'resnet'; known kinds: hiera, convnet"),
        ({"name": "x", "encoder": {"kind": "convnet", "size": 3}}, "does not fit this version of masklet"),
        ({**NANO.to_dict(), "colour": "red"}, "does not fit this version of masklet.*colour"),
    ],
)
def test_a_foreign_configuration_is_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        ModelConfig.from_dict(values)


@pytest.mark.parametrize(
    "config",
    [
        dataclasses.replace(SMALL, image_size=256, memory_frames=64),
        dataclasses.replace(SMALL, width=32, memory_width=8, attention_layers=1, decoder_layers=3, fusion_layers=1),
        dataclasses.replace(SMALL, encoder=ConvNetConfig((8, 16, 24, 32), (1, 1, 1, 1)), image_size=96),
        dataclasses.replace(SMALL, version="2.0", head="refining"),
    ],
    ids=["long memory", "narrow", "convolutions", "2.0, refining"],
)
def test_another_model_is_one_line(config: ModelConfig) -> None:
    with torch.inference_mode():
        network = Network(config).eval().prepare()
        levels = network.encode_image(torch.zeros(2, 3, config.image_size, config.image_size))
    side = config.image_size
    assert levels.stride4.shape == (2, config.width // 8, side // 4, side // 4)
    assert levels.stride8.shape == (2, config.width // 4, side // 8, side // 8)
    assert levels.stride16.shape == (2, config.width, side // 16, side // 16)


@pytest.mark.parametrize("encoder", ["hiera", None, ["convnet"], {"kind": "convnet"}])
def test_an_encoder_that_is_none_is_refused(encoder: Any) -> None:
    with pytest.raises(ConfigError, match="give one of HieraConfig, ConvNetConfig, InvertedResidualConfig"):
        dataclasses.replace(NANO, encoder=encoder)


@pytest.mark.parametrize("encoder", ["hiera", None, ["convnet"]])
def test_a_written_encoder_that_is_none_is_refused(encoder: Any) -> None:
    with pytest.raises(ConfigError, match="encoder kind is None"):
        ModelConfig.from_dict({"name": "x", "encoder": encoder})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"width": 30, "heads": 4}, "width 30 of the trunk is no multiple of its 4 heads"),
        ({"heads": 0}, "give four whole numbers of at least 1"),
        ({"depths": (1, 1)}, "depths of the trunk are"),
        ({"depths": (0, 1, 1, 1)}, "depths of the trunk are"),
        ({"global_blocks": (99,)}, "the trunk has blocks 0 to 3"),
    ],
)
def test_a_trunk_that_cannot_be_built_is_refused(changes: dict[str, Any], said: str) -> None:
    trunk = HieraConfig(**{"width": 24, "heads": 1, "depths": (1, 1, 1, 1), "global_blocks": (), **changes})
    with pytest.raises(ConfigError, match=said):
        ModelConfig("odd", trunk)


def test_a_repvit_has_two_channels_at_least() -> None:
    """Half of them make the first map."""
    with pytest.raises(ConfigError, match="widths"):
        ModelConfig("odd", RepViTConfig((1, 8, 8, 8), (1, 1, 1, 1)))
    ModelConfig("even", RepViTConfig((2, 8, 8, 8), (1, 1, 1, 1)), version="2.0")


def test_the_advice_on_image_sizes_holds() -> None:
    trunk = HieraConfig(width=24, heads=1, depths=(1, 1, 1, 1), global_blocks=(), windows=(7, 4, 14, 7))
    with pytest.raises(ConfigError, match="give 224"):
        ModelConfig("odd", trunk, image_size=128)
    ModelConfig("even", trunk, image_size=224)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"stages": ((3, 2, 1, 8, 1),) * 4}, "strides .* give four 2s, and none at the beginning"),
        ({"stages": ((3, 1, 1, 8, 1), *((3, 2, 1, 8, 1),) * 3)}, "give four 2s"),
        ({"stages": ((4, 1, 1, 8, 1), *((3, 2, 1, 8, 1),) * 4)}, r"\(4, 1, 1, 8, 1\) of the trunk is none; give \(odd"),
        ({"stages": ((3, 1, 1, 8), *((3, 2, 1, 8, 1),) * 4)}, "of the trunk is none"),
        ({"detail": -1}, "give numbers of channels"),
    ],
)
def test_a_table_that_is_no_trunk(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        dataclasses.replace(NANO, encoder=dataclasses.replace(LITE0, **changes))


def test_the_trunk_gives_the_widths_that_its_table_tells() -> None:
    config = dataclasses.replace(NANO, encoder=LITE0, image_size=64)
    maps = Network(config).image_encoder.trunk(torch.zeros(1, 3, 64, 64))
    assert [tuple(found.shape[1:]) for found in maps] == [(56, 16, 16), (40, 8, 8), (112, 4, 4), (320, 2, 2)]
    assert LITE0.widths == (56, 40, 112, 320)
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize("family", ["sam2", "sam2.1"])
@pytest.mark.parametrize(
    ("size", "width", "depths", "global_blocks", "windows", "background"),
    [
        ("tiny", 96, (1, 2, 7, 2), (5, 7, 9), (8, 4, 14, 7), 7),
        ("small", 96, (1, 2, 11, 2), (7, 10, 13), (8, 4, 14, 7), 7),
        ("base-plus", 112, (2, 3, 16, 3), (12, 16, 20), (8, 4, 14, 7), 14),
        ("large", 144, (2, 6, 36, 4), (23, 33, 43), (8, 4, 16, 8), 7),
    ],
)
def test_published_trunks(
    family: str,
    size: str,
    width: int,
    depths: tuple[int, ...],
    global_blocks: tuple[int, ...],
    windows: tuple[int, ...],
    background: int,
) -> None:
    """Windows and global blocks are in no weight, so that loading would not notice a slip."""
    encoder = VARIANTS[f"{family}-{size}"].encoder
    assert isinstance(encoder, HieraConfig)
    assert (encoder.width, encoder.depths, encoder.global_blocks) == (width, depths, global_blocks)
    assert (encoder.windows, encoder.background) == (windows, background)
