"""The trunk that has learned to see: the package's file under our names, and what is refused."""

from __future__ import annotations

import dataclasses
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from masklet.engines.rules import normalise
from masklet.errors import CheckpointError
from masklet.nn import NANO, Network
from masklet.nn.config import LITE2
from masklet.training import trunk

SMALL = dataclasses.replace(NANO, encoder=LITE2, image_size=64)


def test_the_first_layers_see_as_in_the_package() -> None:
    network = Network(SMALL).eval()
    trunk.load_trunk(network)
    theirs = torch.load(trunk.find_file(), weights_only=True)
    pixels = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    x = F.conv2d((255 * pixels - 127) / 128, theirs["_conv_stem.weight"], stride=2, padding=1)
    norm = (theirs[f"_bn0.{name}"] for name in ("running_mean", "running_var", "weight", "bias"))
    expected = F.batch_norm(x, *norm, eps=1e-3).clamp(0, 6)
    with torch.no_grad():
        found = network.image_encoder.trunk.stem(normalise(pixels))
    # At the upper and left edge both fill up with zeros, which mean another colour there than here.
    torch.testing.assert_close(found[..., 1:, 1:], expected[..., 1:, 1:], atol=1e-4, rtol=0)


def test_every_block_gets_its_weights() -> None:
    network = Network(SMALL)
    before = {key: value.clone() for key, value in network.image_encoder.trunk.state_dict().items()}
    trunk.load_trunk(network)
    after = network.image_encoder.trunk.state_dict()
    kept = {key.split(".")[0] for key, value in after.items() if value.ndim == 4 and torch.equal(value, before[key])}
    assert kept == {"detail"}


def test_another_trunk_is_refused() -> None:
    narrower = dataclasses.replace(LITE2, stem=16)
    with pytest.raises(CheckpointError, match="another trunk than EfficientNet-Lite2"):
        trunk.load_trunk(Network(dataclasses.replace(SMALL, encoder=narrower)))


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / trunk.WEIGHTS_FILE).write_bytes(trunk.find_file().read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=r"damaged or another file: its SHA-256 is .*9656183eaeaf"):
        trunk.trunk_state(tmp_path / trunk.WEIGHTS_FILE)


class OtherVersion:
    version = "0.2.0"
    files = ()


class NoFile(OtherVersion):
    version = trunk.PACKAGE_VERSION


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (OtherVersion(), r"of version 0\.2\.0; give 0\.1\.0"),
        (NoFile(), "lacks its file"),
        (PackageNotFoundError(), r"not installed.*pip install.*--trunk random"),
    ],
)
def test_a_package_that_is_not_right(monkeypatch: pytest.MonkeyPatch, found: Any, sentence: str) -> None:
    def distribution(name: str) -> Any:
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(trunk, "distribution", distribution)
    with pytest.raises(CheckpointError, match=sentence):
        trunk.load_trunk(Network(SMALL))
