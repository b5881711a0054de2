"""Published files load as they are, each recognised by itself; what does not fit is refused in one sentence."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from masklet.checkpoints import Model, build_model, hub, load_model, names, save_model
from masklet.checkpoints.files import file_metadata
from masklet.errors import CheckpointError, ConfigError, EngineError
from masklet.nn import VARIANTS, ModelConfig

State = dict[str, torch.Tensor]
Published = Callable[[str], State]


class Code:
    """What a pickle can hold: a call to anything, here one that leaves a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.trace),)


def dense(state: State) -> State:
    return {key: tensor.contiguous() for key, tensor in state.items()}


def same(model: Model, state: State) -> bool:
    """Same keys and shapes, and the same first and last number of each tensor, all of whose numbers are one."""
    own = model.network.state_dict()
    return shapes(own) == shapes(state) and all(
        own[key][(end,) * own[key].ndim] == state[key][(end,) * own[key].ndim] for key in own for end in (0, -1)
    )


def shapes(state: State) -> dict[str, torch.Size]:
    return {key: tensor.shape for key, tensor in state.items()}


def refused(path: Path | str, sentence: str, error: type[Exception] = CheckpointError) -> None:
    """Loading raises exactly one sentence that fits the pattern."""
    with pytest.raises(error) as caught:
        load_model(path, device="cpu")
    message = str(caught.value)
    assert re.fullmatch(sentence, message), message
    assert "\n" not in message


@pytest.mark.parametrize("name", VARIANTS)
def test_published_files_are_recognised(name: str, published: Published, tmp_path: Path):
    state = published(name)
    torch.save({"model": state}, tmp_path / "some_name.pt")
    model = load_model(tmp_path / "some_name.pt", device="cpu")
    assert model.config == VARIANTS[name]
    assert model.name == name
    assert same(model, state)
    assert not any(tensor.is_meta for tensor in [*model.network.parameters(), *model.network.buffers()])
    assert not any(parameter.requires_grad for parameter in model.network.parameters())
    assert not model.network.training
    assert all(len(module.tables()) for module in model.network.modules() if hasattr(module, "table_names"))


def test_a_bare_state_dict_loads(published: Published, tmp_path: Path):
    torch.save(published("nano"), tmp_path / "bare.pth")
    assert load_model(str(tmp_path / "bare.pth"), device="cpu").name == "nano"


def test_a_file_of_old_torch_loads(published: Published, tmp_path: Path):
    torch.save({"model": published("sam2-tiny")}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert load_model(tmp_path / "old.pt", device="cpu").name == "sam2-tiny"


def test_safetensors_with_published_names_load_and_halves_are_cast_up(published_toy: State, tmp_path: Path):
    halves = {key: tensor.half() for key, tensor in published_toy.items()}
    save_file(halves, tmp_path / "a.safetensors")
    model = load_model(tmp_path / "a.safetensors", device="cpu")
    assert model.name == "toy"
    assert model.dtype == torch.float32
    assert same(model, {key: tensor.float() for key, tensor in halves.items()})


def test_a_snapshot_in_the_naming_of_transformers_loads(published_toy: State, tmp_path: Path):
    save_file(names.to_transformers(published_toy), tmp_path / "model.safetensors", metadata={"format": "pt"})
    for path in (tmp_path, tmp_path / "model.safetensors"):
        model = load_model(path, device="cpu")
        assert model.name == "toy"
        assert same(model, published_toy)


def test_a_name_finds_the_file_that_was_put_by_hand(published: Published):
    by_hand = hub.models_folder() / "sam2.1_hiera_tiny.pt"
    by_hand.parent.mkdir(parents=True)
    torch.save({"model": published("sam2.1-tiny")}, by_hand)
    assert load_model("sam2.1-tiny", device="cpu").name == "sam2.1-tiny"
    assert load_model("facebook/sam2.1-hiera-tiny", device="cpu").name == "sam2.1-tiny"
    torch.save({"model": published("sam2-tiny")}, by_hand)
    refused("sam2.1-tiny", r".*sam2\.1_hiera_tiny\.pt holds sam2-tiny, not sam2\.1-tiny; put the right file there.*")


def test_nano_in_the_package(tmp_path, monkeypatch, toy_config):
    (tmp_path / "weights").mkdir()
    save_model(build_model("nano", seed=1), tmp_path / "weights" / "nano.safetensors", dtype="float16")
    monkeypatch.setattr("masklet.checkpoints.registry.resources.files", lambda package: tmp_path)
    model = load_model(device="cpu")
    assert (model.name, model.dtype) == ("nano", torch.float32)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", torch.float16])
def test_precision(dtype: str | torch.dtype, toy_config, tmp_path: Path):
    save_model(build_model(toy_config, seed=1), tmp_path / "toy.safetensors")
    model = load_model(tmp_path / "toy.safetensors", device="cpu", dtype=dtype)
    expected = dtype if isinstance(dtype, torch.dtype) else getattr(torch, dtype)
    assert model.dtype == expected
    assert {parameter.dtype for parameter in model.network.parameters()} == {expected}
    assert model.network.sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix.dtype == torch.float32
    levels = model.encode_image(torch.zeros(1, 3, 64, 64, dtype=expected))
    assert levels.stride16.dtype == expected


def test_what_can_not_be_had_here(toy_config, tmp_path: Path):
    save_model(build_model(toy_config, seed=1), tmp_path / "toy.safetensors")
    for arguments, sentence in (
        ({"device": "cudo"}, "device 'cudo' is unknown; give cpu, cuda, cuda:0 or mps"),
        ({"device": "cuda:99"}, "device 'cuda:99' is not here: PyTorch finds"),
        ({"dtype": "float23"}, "dtype 'float23' is none of float32, bfloat16, float16; nearest: float32"),
        ({"dtype": torch.int8}, "dtype torch.int8 is none of float32, bfloat16, float16"),
    ):
        with pytest.raises(EngineError, match=f"^{re.escape(sentence)}"):
            load_model(tmp_path / "toy.safetensors", **arguments)


def test_any_device_is_chosen_when_none_is_given(toy_config, tmp_path: Path):
    save_model(build_model(toy_config, seed=1), tmp_path / "toy.safetensors")
    expected = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert load_model(tmp_path / "toy.safetensors").device.type == expected


def test_wrong_paths(tmp_path: Path):
    refused(tmp_path / "a.pt", r"\S+/a\.pt does not exist")
    refused("sam2.1-tinny.pt", r"sam2\.1-tinny\.pt does not exist")
    refused("~nobody_of_this_name/a.pt", r"~nobody_of_this_name/a\.pt does not exist")
    refused(tmp_path, r"\S+ is a folder without model\.safetensors or model\.json; give a file, .*")
    refused("sam2.1-tinny", r"unknown model 'sam2\.1-tinny'; nearest: sam2\.1-tiny \(see masklet models\)")
    (tmp_path / "a.onnx").write_bytes(b"1")
    refused(tmp_path / "a.onnx", r"a\.onnx is of no known kind; files of weights end in \.safetensors, \.pt or \.pth")


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_files_that_are_no_weights(suffix: str, tmp_path: Path):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"")
    refused(path, rf"a\{suffix} is empty; download it again")
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n")
    refused(
        path,
        rf"a\{suffix} is a text file that begins with 'version https://git-lfs\S+', not weights; download it again",
    )
    path.write_bytes(bytes(range(256)))
    refused(path, rf"a\{suffix} is .*; download it again")


def test_files_cut_short(published: Published, tmp_path: Path):
    torch.save({"model": published("nano")}, tmp_path / "a.pt")
    save_file(dense(published("nano")), tmp_path / "a.safetensors")
    for path, sentence in (
        (tmp_path / "a.pt", r"a\.pt is cut short; download it again"),
        (tmp_path / "a.safetensors", r"a\.safetensors is cut short or no safetensors file \(.*\); download it again"),
    ):
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        refused(path, sentence)


@pytest.mark.parametrize("kind", ["archive", "pickle of protocol 2", "pickle of protocol 4"])
def test_code_in_a_file_does_not_run(kind: str, published: Published, tmp_path: Path):
    trace, path = tmp_path / "trace", tmp_path / "a.pt"
    content = {"model": published("nano"), "extra": Code(trace)}
    if kind == "archive":
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps({"model": Code(trace)}, protocol=int(kind[-1])))
    refused(
        path, r"a\.pt holds code( \(\S+\.mkdir\))?, not only tensors, and was not opened; ask for it as \.safetensors"
    )
    assert not trace.exists()
    torch.load(path, weights_only=False) if kind == "archive" else pickle.loads(path.read_bytes())
    assert trace.exists(), "the file was harmless, so nothing was proved"


def test_content_that_is_no_state_dict(tmp_path: Path):
    for content, sentence in (
        ([1, 2], r"a\.pt holds a value of type list; a state dict, or \{'model': state dict\}, was expected"),
        ({"model": {}}, r"a\.pt holds an empty dict; a state dict, .*"),
        ({"model": {"a": 1}}, r"a\.pt holds a value of type int under 'a', where a tensor was expected"),
        (
            {"conv.weight": torch.zeros(1)},
            r"a\.pt is no checkpoint of SAM 2 or its kind: its first keys are conv\.weight",
        ),
    ):
        torch.save(content, tmp_path / "a.pt")
        refused(tmp_path / "a.pt", sentence)


def test_a_file_of_the_first_segment_anything_with_more_in_it(tmp_path: Path):
    keys = (
        "image_encoder.pos_embed",
        "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
        "mask_decoder.hf.w",
    )
    torch.save({key: torch.zeros(1) for key in keys}, tmp_path / "sam_hq.pth")
    refused(
        tmp_path / "sam_hq.pth",
        r"sam_hq\.pth has names of the first Segment Anything, but the table of names has no place for 1 key "
        r"\(mask_decoder\.hf\.w\)",
    )


def test_keys_and_shapes_that_differ(published: Published, tmp_path: Path):
    def told(state: State, sentence: str) -> None:
        torch.save({"model": state}, tmp_path / "a.pt")
        refused(tmp_path / "a.pt", sentence)

    state = published("sam2.1-tiny")
    told(
        {**state, "no_obj_ptr": torch.zeros(1, 128)},
        r"a\.pt does not fit sam2\.1-tiny: it has 1 tensor in other shapes \(no_obj_ptr \(1, 128\) for \(1, 256\)\)",
    )
    told(
        {key: tensor for key, tensor in state.items() if not key.startswith("memory_attention.norm")},
        r"a\.pt does not fit sam2\.1-tiny: it lacks 2 tensors \(memory_attention\.norm\.weight, .*\.bias\)",
    )
    image_only = {key: tensor for key, tensor in state.items() if not key.startswith(("memory_", "obj_ptr"))}
    told(
        {**image_only, "extra": state["no_obj_ptr"]},
        r"a\.pt does not fit sam2\.1-tiny: it lacks \d+ tensors \(\S+, \S+, \S+, \.\.\.\) and "
        r"has 1 tensor too many \(extra\); is it an image-only export\?",
    )
    told(
        {key: tensor for key, tensor in state.items() if "blocks.11." not in key},
        r"a\.pt does not fit sam2\.1-tiny: it lacks 12 tensors \(image_encoder\.trunk\.blocks\.11\.norm1\.weight, .*\)",
    )
    told(
        {key: tensor for key, tensor in state.items() if key != "no_obj_embed_spatial"},
        r"a\.pt does not fit sam2\.1-tiny: it lacks 1 tensor \(no_obj_embed_spatial\)",
    )
    wide = {**state, "image_encoder.trunk.patch_embed.proj.bias": torch.zeros(200)}
    told(wide, r"a\.pt does not fit sam2\.1-tiny: it has 1 tensor in other shapes \(\S+bias \(200,\) for \(96,\)\)")


def test_names_of_transformers_that_differ(tmp_path: Path):
    save_file({"vision_encoder.backbone.x": torch.zeros(1)}, tmp_path / "model.safetensors")
    refused(
        tmp_path,
        r"model\.safetensors has names of transformers, but the table of names has no place for 1 key "
        r"\(vision_encoder\.backbone\.x\)",
    )


def test_metadata_that_makes_no_sense(toy_config, tmp_path: Path):
    state = build_model(toy_config, seed=1).network.state_dict()
    good = file_metadata(toy_config)

    def told(config: str, sentence: str) -> None:
        save_file(state, tmp_path / "a.safetensors", metadata=good | {"masklet.config": config})
        refused(
            tmp_path / "a.safetensors", r"a\.safetensors holds a configuration that cannot be " + sentence, ConfigError
        )

    told("{", r"read: .*")
    told("[1]", r"read: expected a JSON object, got list")
    told("{}", r"read: encoder kind is None; .*")
    told('{"encoder": "hiera"}', r"read: .*")
    told(good["masklet.config"].replace('"width": 32', '"width": 33'), r"read: memory_width 8 does not divide .*")
    told(good["masklet.config"].replace('"head_width"', '"head_size"'), r"read: .*head_size.*")
    told(good["masklet.config"].replace('"depths": [1, 2, 2, 1]', '"depths": ["1", 2, 2, 1]'), r"(read|built): .*")
    save_file(state, tmp_path / "a.safetensors", metadata=good | {"masklet.format": "3"})
    refused(
        tmp_path / "a.safetensors",
        r"a\.safetensors has format 3 \(masklet \S+\), this masklet \S+ reads formats 1 to 2; .*",
    )


def test_own_files_that_do_not_fit(toy_config, tmp_path: Path):
    state = build_model(toy_config, seed=1).network.state_dict()
    del state["maskmem_tpos_enc"]
    save_file(state, tmp_path / "a.safetensors", metadata=file_metadata(toy_config))
    refused(tmp_path / "a.safetensors", r"a\.safetensors does not fit toy: it lacks 1 tensor \(maskmem_tpos_enc\)")


def test_the_folder_of_a_name_is_not_the_name(tmp_path: Path, monkeypatch, published: Published):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "some").mkdir()
    refused("some", r"some is a folder without model\.safetensors or model\.json; .*")
    torch.save({"model": published("nano")}, tmp_path / "x.pt")
    shutil.copy(tmp_path / "x.pt", tmp_path / "some" / "y.pt")
    assert load_model("some/y.pt", device="cpu").name == load_model("x.pt", device="cpu").name == "nano"


def test_files_of_format_1_are_read(toy_config: ModelConfig, tmp_path: Path):
    """What is one field now, the head, were three."""
    config = dataclasses.replace(toy_config, head="refining")
    state = build_model(config, seed=1).network.state_dict()
    values = config.to_dict()
    del values["head"]

    def write(**fields: object) -> Path:
        metadata = file_metadata(config) | {"masklet.format": "1", "masklet.config": json.dumps(values | fields)}
        save_file(state, tmp_path / "a.safetensors", metadata=metadata)
        return tmp_path / "a.safetensors"

    earlier = {"prompts": "drawn", "upscaling": "refined", "previous_mask": True, "memory_pool": 1}
    assert load_model(write(**earlier), device="cpu").config == config
    for trial in ({"previous_mask": False}, {"upscaling": "plain"}, {"memory_pool": 2}, {"prompts": ["drawn"]}):
        refused(
            write(**{**earlier, **trial}), r"a\.safetensors holds a configuration that cannot be read: .*", ConfigError
        )


def test_calibrations_of_earlier_files_hold_for_followed_objects_too(toy_config: ModelConfig, tmp_path: Path):
    model = build_model(dataclasses.replace(toy_config, head="refining"), seed=1)
    path, key = tmp_path / "a.safetensors", "sam_mask_decoder.calibration.iou"

    def written(iou: torch.Tensor) -> Path:
        save_file({**model.network.state_dict(), key: iou}, path, metadata=file_metadata(model.config))
        return path

    loaded = load_model(written(torch.tensor([0.1, 0.9, 0.2])), device="cpu")
    torch.testing.assert_close(loaded.network.state_dict()[key], torch.tensor([[0.1, 0.9, 0.2]] * 2))
    refused(
        written(torch.zeros(7)), r"a\.safetensors does not fit .*: it has 1 tensor in other shapes \(\S+iou \(7,\).*"
    )
