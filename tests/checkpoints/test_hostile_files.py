"""Files of weights that mean harm are refused before anything of their promised size is built or unpacked."""

from __future__ import annotations

import json
import pickle
import resource
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from masklet.checkpoints import build_model, load_model, save_model
from masklet.errors import CheckpointError, ConfigError
from tests.fuzz.readers import bounded


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "a.safetensors"
    save_model(build_model("nano", seed=0, image_size=64), path)
    return path.read_bytes()


def with_config(whole: bytes, path: Path, **changes: Any) -> Path:
    """The file with other values in its configuration."""
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + length])
    config = json.loads(header["__metadata__"]["masklet.config"])
    for key, value in changes.items():
        (config["encoder"] if key in config["encoder"] else config)[key] = value
    header["__metadata__"]["masklet.config"] = json.dumps(config)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + whole[8 + length :])
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {"image_size": 2**31},
        {"image_size": 2**20},
        {"width": 2**31},
        {"attention_layers": 10**6},
        {"memory_frames": 2**31},
        {"decoder_mlp": 2**40},
        {"stages": [[3, 1, 1, 8, 10**9]] * 5},
        {"stages": [[3, 1, 1, 8, 1]] * 10**5},
    ],
)
def test_configurations_beyond_reason_are_refused(changes: dict[str, Any], whole: bytes, tmp_path: Path) -> None:
    if "stages" in changes and b"stages" not in whole:
        changes = {"depths": [2**31] * 4 if len(changes["stages"]) < 10 else [1] * 10**5}
    path = with_config(whole, tmp_path / "a.safetensors", **changes)
    with bounded(), pytest.raises(ConfigError, match=r"a\.safetensors holds a configuration that cannot be read: "):
        load_model(path)


def test_a_compressed_archive_is_refused_unopened(tmp_path: Path) -> None:
    with (
        zipfile.ZipFile(tmp_path / "a.pt", "w", zipfile.ZIP_DEFLATED) as members,
        members.open("a/data.pkl", "w") as file,
    ):
        for _ in range(256):
            file.write(bytes(1 << 20))
    with bounded(), pytest.raises(CheckpointError, match=r"a\.pt holds a/data\.pkl compressed"):
        load_model(tmp_path / "a.pt")


def test_a_long_value_of_an_old_pickle_is_not_read(tmp_path: Path) -> None:
    length = 3 << 30
    with (tmp_path / "a.pt").open("wb") as file:
        file.write(pickle.PROTO + b"\2" + pickle.BINBYTES8 + length.to_bytes(8, "little"))
        file.truncate(length)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with bounded(), pytest.raises(CheckpointError, match=r"a\.pt holds a value of 3221225472 bytes"):
        load_model(tmp_path / "a.pt")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB


def test_nested_json_in_a_header_is_one_sentence(whole: bytes, tmp_path: Path) -> None:
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + length])
    header["__metadata__"]["masklet.config"] = "[" * 100_000
    text = json.dumps(header).encode()
    (tmp_path / "a.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + whole[8 + length :])
    with pytest.raises(ConfigError, match="holds a configuration that cannot be read"):
        load_model(tmp_path / "a.safetensors")


def test_old_and_new_files_of_torch_are_still_read(tmp_path: Path) -> None:
    state = build_model("nano", seed=0).network.state_dict()
    for name, new in (("new.pt", True), ("old.pt", False)):
        torch.save({"model": state}, tmp_path / name, _use_new_zipfile_serialization=new)
        assert load_model(tmp_path / name).config.name == "nano"
