"""Speed modes: what each changes, by argument and by name; sizes that a model cannot have."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from masklet.checkpoints import load_model, save_model
from masklet.checkpoints.registry import SPEEDS, with_speed
from masklet.cli.choices import Speed
from masklet.errors import ConfigError
from masklet.nn import NANO, VARIANTS, ModelConfig


def test_exact_changes_nothing() -> None:
    assert all(with_speed(config, "exact", None) == config for config in (NANO, *VARIANTS.values()))


@pytest.mark.parametrize("config", [NANO, *VARIANTS.values()], ids=lambda config: config.name)
@pytest.mark.parametrize("speed", SPEEDS)
def test_every_model_has_every_mode(config: ModelConfig, speed: str) -> None:
    assert with_speed(config, speed, None).image_size <= config.image_size


def test_the_command_line_offers_all_modes() -> None:
    assert list(get_args(Speed)) == list(SPEEDS)


@torch.inference_mode()
def test_a_fast_model_has_the_weights_of_the_exact_one() -> None:
    exact, fast = load_model("nano", device="cpu"), load_model("nano", device="cpu", speed="fast")
    assert (fast.name, fast.config.image_size) == ("nano:fast", 160)
    own, other = exact.network.state_dict(), fast.network.state_dict()
    assert all(torch.equal(own[key], other[key]) for key in own)
    assert fast.encode_image(torch.zeros(1, 3, 128, 128)).stride16.shape == (1, 128, 8, 8)


def test_a_name_tells_the_mode_or_the_size(tmp_path: Path) -> None:
    assert load_model("nano:fast", device="cpu").config == load_model("nano", device="cpu", speed="fast").config
    small = load_model("nano", device="cpu", image_size=160)
    assert (small.name, small.config.image_size) == ("nano:160", 160)
    assert load_model(small.name, device="cpu").config == small.config
    save_model(small, tmp_path / "small.safetensors")
    assert load_model(tmp_path / "small.safetensors", device="cpu").config == small.config
    assert load_model("nano", device="cpu", image_size=320).name == "nano"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"speed": "fats"}, r"speed is 'fats'; give one of exact, balanced, fast; nearest: fast"),
        ({"image_size": 200}, r"image_size 200 is no multiple of 32, the coarsest stride; give 192 or 224"),
        ({"image_size": 10}, r"image_size 10 is no multiple of 32, the coarsest stride; give 32"),
        (
            {"image_size": 100, "speed": "fast"},
            r"image_size 100 is no multiple of 32, the coarsest stride; give 96 or 128",
        ),
        ({"image_size": 0}, r"image_size is 0; give a whole number of at least 1"),
    ],
)
def test_what_a_model_cannot_be(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_model("nano", device="cpu", **arguments)  # type: ignore[arg-type]


def test_a_wrong_mode_is_told_before_anything_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("masklet.checkpoints.registry.fetch", lambda _: pytest.fail("something was downloaded"))
    with pytest.raises(ConfigError, match="nearest: fast"):
        load_model("sam2.1-tiny:fats")


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("nano:fast", {"speed": "exact"}, "asks for fast, and the call for exact"),
        ("nano:fast", {"image_size": 160}, "asks for fast, and the call for 160"),
        ("nano:160", {"speed": "fast"}, "asks for 160, and the call for fast"),
    ],
)
def test_a_name_and_a_call_that_differ_are_told(name: str, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_model(name, device="cpu", **arguments)
    same = {"speed": "fast"} if name.endswith("fast") else {"image_size": 160}
    assert load_model(name, device="cpu", **same).name == name  # type: ignore[arg-type]
