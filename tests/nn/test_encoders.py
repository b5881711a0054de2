"""An image encoder is one file: whoever registers one can build, save, load and train it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from masklet.checkpoints import Model, build_model, load_model, save_model
from masklet.errors import ConfigError
from masklet.nn import ConvNetConfig, HieraConfig, ModelConfig, Network, config
from masklet.nn.config import (
    ENCODERS,
    Encoder,
    EncoderConfig,
    InvertedResidualConfig,
    RepViTConfig,
    TinyViTConfig,
    ViTConfig,
)
from masklet.nn.layers import Layer, Trunk
from masklet.training.data import read_data
from masklet.training.loop import RunOptions, train
from masklet.training.parts import add_drop_path
from tests.training.shapes import SIZE, TINY, recipe, write_shapes

STAGES = ((3, 1, 1, 8, 1), (3, 2, 2, 8, 2), (5, 2, 2, 16, 1), (3, 2, 2, 16, 2), (3, 2, 2, 24, 1))


@dataclass(frozen=True)
class PatchesConfig(Encoder):
    """Four patch embeddings beside each other."""

    kind = "patches"
    trunk = f"{__name__}:Patches"
    channels: int

    @property
    def widths(self) -> tuple[int, int, int, int]:
        return (self.channels,) * 4

    def check(self, image_size: int) -> None:
        if self.channels < 1:
            raise ConfigError(f"channels are {self.channels}; give at least 1")


class Patches(Trunk):
    def __init__(self, config: PatchesConfig, image_size: int) -> None:
        super().__init__()
        channels = config.channels
        self.patches = nn.ModuleList(nn.Conv2d(3, channels, 4, stride=4) for _ in range(4))
        self.extra = nn.Conv2d(channels, channels, 1)

    def layers(self) -> list[Layer]:
        return [Layer(self.patches), Layer(self.extra, (self.extra,))]

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = [F.avg_pool2d(patch(images), 2**stage) for stage, patch in enumerate(self.patches)]
        return [*maps[:3], maps[3] + self.extra(maps[3])]


@pytest.mark.parametrize("by_entry_point", [False, True])
def test_an_encoder_of_ones_own(by_entry_point: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = f"{__name__}:PatchesConfig"
    if by_entry_point:
        points = [EntryPoint("patches", target, "masklet.encoders")]
        monkeypatch.setattr(
            "importlib.metadata.entry_points", lambda group: points if group == "masklet.encoders" else []
        )
    else:
        monkeypatch.setitem(ENCODERS, "patches", target)
    model = build_model(dataclasses.replace(TINY, encoder=PatchesConfig(8)), seed=0)
    save_model(model, tmp_path / "own.safetensors")
    loaded = load_model(tmp_path / "own.safetensors", device="cpu")
    assert loaded.config == model.config
    assert loaded.digest == model.digest
    images = torch.rand(1, 3, SIZE, SIZE)
    assert all(map(torch.equal, loaded.encode_image(images), model.encode_image(images)))
    data = read_data([str(write_shapes(tmp_path / "data"))])
    trained = train(recipe(2), loaded.network, data, RunOptions(tmp_path / "run"))
    assert Model("own", trained).digest != model.digest
    assert load_model(tmp_path / "run/model.safetensors", device="cpu").config.encoder == PatchesConfig(8)


def test_a_file_cannot_name_a_module_to_be_imported() -> None:
    values = {**TINY.to_dict(), "encoder": {"kind": f"{__name__}:PatchesConfig", "channels": 8}}
    with pytest.raises(ConfigError, match=r"encoder kind is .*; known kinds: hiera, convnet, inverted_residual"):
        ModelConfig.from_dict(values)


OURS: list[EncoderConfig] = [
    HieraConfig(width=16, heads=1, depths=(1, 1, 2, 1), global_blocks=(3,), windows=(8, 4, 4, 2)),
    ConvNetConfig((8, 8, 16, 16), (1, 0, 2, 1)),
    InvertedResidualConfig(8, STAGES, detail=8),
    RepViTConfig((8, 8, 16, 16), (1, 2, 0, 1)),
    ViTConfig(width=16, heads=2, depth=3, global_blocks=(1,), window=3, grid=4),
    TinyViTConfig((8, 8, 16, 16), (1, 1, 2, 1), (1, 2, 2, 2), (3, 3, 5, 3)),
]


def test_every_kind_is_tested() -> None:
    assert [encoder.kind for encoder in OURS] == list(config.ENCODERS)


def check_shortcut(module: nn.Module, inputs: tuple[Tensor, ...], answer: Tensor) -> None:
    if answer.shape == inputs[0].shape:
        assert torch.equal(answer, inputs[0])


@pytest.mark.parametrize("encoder", OURS, ids=lambda encoder: encoder.kind)
def test_layers_are_passed_in_order_and_branches_are_added(encoder: EncoderConfig) -> None:
    """Without its branches a layer is a shortcut: what comes out is what came in, where the shape stays."""
    trunk = encoder.build(SIZE).eval()
    passed: list[nn.Module] = []
    for layer in trunk.layers():
        layer.module.register_forward_hook(lambda module, *_: passed.append(module))
        for branch in layer.branches:
            branch.register_forward_hook(lambda module, inputs, answer: torch.zeros_like(answer))
            assert any(branch is inside for inside in layer.module.modules())
    for layer in trunk.layers():
        if layer.branches:
            layer.module.register_forward_hook(check_shortcut)
    maps = trunk(torch.rand(1, 3, SIZE, SIZE, generator=torch.manual_seed(0)))
    assert passed == [layer.module for layer in trunk.layers()]
    assert tuple(len(level[0]) for level in maps) == encoder.widths
    assert [level.shape[-1] for level in maps] == [SIZE // 4, SIZE // 8, SIZE // 16, SIZE // 32]


@pytest.mark.parametrize("encoder", OURS, ids=lambda encoder: encoder.kind)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, while it compiles
@torch.no_grad()
def test_one_by_one_in_half_precision_and_as_a_graph_the_maps_are_the_same(encoder: EncoderConfig) -> None:
    trunk = encoder.build(SIZE).eval()
    images = torch.randn(2, 3, SIZE, SIZE, generator=torch.manual_seed(0))
    maps = trunk(images)
    torch._dynamo.reset()
    alone = zip(*(trunk(image[None]) for image in images), strict=True)
    ways = {
        "one by one": ([torch.cat(level) for level in alone], 1e-5),
        "graph": (torch.compile(trunk, fullgraph=True, backend="eager")(images), 1e-5),
        "half": (trunk.to(torch.bfloat16)(images.bfloat16()), 0.05),
    }
    for way, (others, most) in ways.items():
        for level, other in zip(maps, others, strict=True):
            assert (level - other).abs().sum() <= most * level.abs().sum(), way


def test_drop_path_leaves_out_only_branches_with_a_residual() -> None:
    """Without a residual the whole map would be zeros."""
    network = Network(dataclasses.replace(TINY, encoder=OURS[2]))
    add_drop_path(network, 0.5)
    hooked = [name for name, module in network.image_encoder.trunk.named_modules() if module._forward_hooks]
    assert hooked == ["blocks.2.project", "blocks.5.project"]  # and block 0, whose rate is 0; 1, 3, 4 and 6 have none
