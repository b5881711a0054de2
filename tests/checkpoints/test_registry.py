"""Models by name: complete, true to what is published, and listed without torch."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from itertools import chain
from pathlib import Path
from types import ModuleType

import pytest

from masklet import checkpoints, nn
from masklet.checkpoints import ModelInfo, build_model, hub, list_models, registry
from masklet.checkpoints.load import blank_network
from masklet.errors import CheckpointError
from masklet.nn import NANO, VARIANTS

README = Path(__file__).parents[2] / "README.md"
PUBLISHED = json.loads((Path(__file__).parents[1] / "golden/statedict/variants.json").read_text())["variants"]


def run_python(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_nano_comes_first_and_then_the_published():
    assert [info.name for info in list_models()] == ["nano", *VARIANTS]


@pytest.mark.parametrize("info", list_models()[1:], ids=lambda info: info.name)
def test_published_facts(info: ModelInfo):
    if info.name.startswith("sam2"):
        facts = PUBLISHED[Path(info.file).stem]
        assert (info.file, info.url, info.repo) == (facts["checkpoint"], facts["checkpoint_url"], facts["hf_repo"])
        assert info.parameters == facts["parameters"]
        assert (info.licence, info.image_size) == ("Apache-2.0", 1024)
    assert info.url.endswith(info.file)
    assert info.licence
    assert info.image_size == VARIANTS[info.name].image_size
    assert not info.downloaded
    assert info.path is None
    assert info.size is None


def test_the_readme_lists_the_published_models() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| ([\d.]+) \|.*\| `([^`]+)` \|$", README.read_text(), re.MULTILINE)
    published = list_models()[1:]
    assert rows == [(info.name, f"{info.parameters / 1e6:.2f}", info.file) for info in published]


@pytest.mark.parametrize("config", [NANO, *VARIANTS.values()], ids=lambda config: config.name)
def test_parameters_are_those_of_the_network(config):
    network = blank_network(config)
    assert registry.find(config.name).parameters == sum(parameter.numel() for parameter in network.parameters())
    assert registry.config_of(config.name) == config


def test_a_file_put_by_hand_is_found():
    by_hand = hub.models_folder() / "sam2.1_hiera_tiny.pt"
    by_hand.parent.mkdir(parents=True)
    by_hand.write_bytes(b"12345")
    info = registry.find("sam2.1-tiny")
    assert info.downloaded
    assert (info.path, info.size) == (by_hand, 5)


def test_a_file_in_the_cache_of_the_hub_is_found(tmp_path: Path):
    folder = tmp_path / "hub" / "models--facebook--sam2-hiera-large"
    cached = folder / "snapshots" / "0123" / "sam2_hiera_large.pt"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"123")
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("0123")
    assert registry.find("sam2-large").path == cached


def test_a_hub_repository_is_a_name():
    assert registry.find("facebook/sam2.1-hiera-base-plus").name == "sam2.1-base-plus"
    assert registry.is_known("facebook/sam2.1-hiera-base-plus")


def test_unknown_name_is_told_with_the_nearest():
    with pytest.raises(CheckpointError) as caught:
        registry.find("sam2.1-tinny")
    assert str(caught.value) == "unknown model 'sam2.1-tinny'; nearest: sam2.1-tiny (see masklet models)"
    with pytest.raises(CheckpointError, match=r"unknown model 'zzz' \(see masklet models\)"):
        build_model("zzz")


def test_listing_imports_no_torch():
    program = "import sys; from masklet.checkpoints import list_models; list_models(); print('torch' in sys.modules)"
    assert run_python(program) == "False"


@pytest.mark.parametrize("package", [checkpoints, nn], ids=lambda package: package.__name__)
def test_lazy_packages_have_their_names(package: ModuleType):
    assert set(package.__all__) <= set(dir(package))
    assert all(package.__getattr__(name) is getattr(package, name) for name in chain(*package._LAZY.values()))
    assert all(getattr(package, name) is not None for name in package.__all__)
    with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute 'nothing'"):
        package.nothing  # noqa: B018


def test_blank_networks_need_no_sympy():
    program = (
        "import sys; from masklet.nn import NANO; from masklet.checkpoints.load import blank_network\n"
        "network = blank_network(NANO); print('sympy' in sys.modules, all(p.is_meta for p in network.parameters()))"
    )
    assert run_python(program) == "False True"
