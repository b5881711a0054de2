"""`masklet train` and `masklet finetune`: what they write, and what they say of wrong calls."""

from __future__ import annotations

import csv
import json
import os
import re
from pathlib import Path

import pytest

from masklet.checkpoints import Model, load_model, save_model
from masklet.checkpoints.registry import is_known
from masklet.cli import train
from masklet.cli.train import RECIPE_NAMES
from masklet.datasets.own import read_rows
from masklet.errors import FormatError
from masklet.training.data import read_data
from masklet.training.recipes import RECIPES, Recipe, override
from tests.cli.conftest import Patch, Read, Run, error_of
from tests.training.shapes import tiny_network, write_shapes

SHORT = ("--set", "stages.*.feed.frames=2", "--set", "stages.*.feed.clip_share=0.5", "--set", "precision=float32")


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shapes(tmp_path_factory.mktemp("shapes"))


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.safetensors"
    save_model(Model("tiny-test", tiny_network().eval()), path)
    return path


def test_the_command_knows_all_recipes() -> None:
    assert tuple(RECIPES) == RECIPE_NAMES
    page = (Path(__file__).parents[2] / "docs/training.md").read_text()
    assert [name for name in RECIPES if not re.search(rf"^\| `masklet train [^|]*\b{name}`", page, re.M)] == []
    for name, recipe in RECIPES.items():
        assert is_known(recipe(name).model)
        assert override(recipe(name), ["stages.*.steps=3"]).stages[0].steps == 3


def test_a_recipe_may_have_another_name_than_its_model(monkeypatch: Patch, run: Run, tmp_path: Path) -> None:
    made: list[str] = []
    monkeypatch.setattr(train, "run_training", lambda recipe, network, *_: made.append(network.config.name))
    monkeypatch.setitem(RECIPES, "sam2.1-tiny", lambda _: RECIPES["nano"]("nano"))
    arguments = ("--data", tmp_path, "--out", tmp_path / "run", "--trunk", "random")
    assert run("train", "sam2.1-tiny", *arguments) == 0
    assert made == ["nano"]


def test_finetune_writes_a_model_that_loads(
    run: Run, tmp_path: Path, shapes: Path, checkpoint: Path, capsys: Read
) -> None:
    out = tmp_path / "run"
    write_shapes(tmp_path / "held-out", pictures=2, videos=0, split="val")
    arguments = ("--data", shapes, "--out", out, "--steps", 2, "--freeze", "image_encoder", "--device", "cpu", *SHORT)
    arguments = (*arguments, "--validate-on", tmp_path / "held-out")
    assert run("finetune", checkpoint, *arguments) == 0
    assert "0 looks like 0; 1 looks like 1" in capsys.readouterr().err  # drawn alike
    assert '"box"' in (out / "log.jsonl").read_text()
    before, after = tiny_network(), load_model(out / "model.safetensors").network
    assert after.config.name == "tiny-test"
    same = {
        name: bool((old == new).all())
        for (name, old), new in zip(before.named_parameters(), after.parameters(), strict=True)
    }
    assert all(same[name] for name in same if name.startswith("image_encoder."))
    assert not all(same.values())


def test_finetune_on_a_cpu_is_float32_unless_asked(
    monkeypatch: Patch, run: Run, tmp_path: Path, shapes: Path, checkpoint: Path
) -> None:
    recipes: list[Recipe] = []
    monkeypatch.setattr(train, "run_training", lambda recipe, *_: recipes.append(recipe))
    for device, settings in (("cpu", ()), ("cpu", ("--set", "precision=bfloat16")), ("meta", ())):
        arguments = ("--data", shapes, "--out", tmp_path / "run", "--device", device, *settings)
        assert run("finetune", checkpoint, *arguments) == 0
    assert [recipe.precision for recipe in recipes] == ["float32", "bfloat16", "bfloat16"]


def test_preview_and_pack(run: Run, tmp_path: Path, shapes: Path) -> None:
    options = ("--data", shapes, "--image-size", 64, "--frames", 2)
    assert run("train", "preview", tmp_path / "clips.mp4", *options) == 0
    assert (tmp_path / "clips.mp4").stat().st_size > 1000
    assert run("train", "pack", shapes, tmp_path / "shapes.pack", "--longest", 64) == 0
    assert run("train", "preview", tmp_path / "again.mp4", "--data", tmp_path / "shapes.pack", *options[2:]) == 0


def test_a_pack_holds_what_lies_elsewhere(run: Run, tmp_path: Path, shapes: Path) -> None:
    """An index may name files by their whole paths, as that of a loop does, and a picture twice, with other masks."""
    (tmp_path / "index").mkdir()
    first, *rest = read_rows(shapes, "train")
    for row in rest:
        row |= {key: str(shapes / row[key]) for key in ("path", "masks")}
    near = {key: os.path.relpath(shapes / first[key], tmp_path / "index") for key in ("path", "masks")}
    with (tmp_path / "index/index.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, first)
        table.writeheader()
        table.writerows([first | near, *rest, rest[0]])
    assert run("train", "pack", tmp_path / "index", tmp_path / "a.pack", "--longest", 64) == 0
    found = [clip for part in read_data([str(tmp_path / "a.pack")]) for clip in part.clips]
    assert len(found) == len(rest) + 2
    assert all(clip.read(clip.annotated[:1])[0].masks.areas() for clip in found)
    content = bytearray((tmp_path / "a.pack").read_bytes())
    content[content.rfind(b"PK\x01\x02") + 10] ^= 99  # how the last member is compressed
    (tmp_path / "damaged.pack").write_bytes(content)
    with pytest.raises(FormatError, match=r"damaged.pack cannot be unpacked"):
        read_data([str(tmp_path / "damaged.pack")])


def test_a_machine_that_has_packs_only(run: Run, tmp_path: Path, checkpoint: Path) -> None:
    data = write_shapes(tmp_path / "data", pictures=2, videos=1, frames=3)
    table = (data / "index.csv").read_text()
    for split in ("train", "val"):
        (data / "index.csv").write_text(table.replace(",train,", f",{split},"))
        arguments = ("--longest", 64, *(() if split == "train" else ("--split", split)))
        assert run("train", "pack", data, tmp_path / f"{split}.pack", *arguments) == 0
    arguments = ("--data", tmp_path / "train.pack", "--validate-on", tmp_path / "val.pack", "--out", tmp_path / "run")
    assert run("finetune", checkpoint, *arguments, "--steps", 1, "--device", "cpu", *SHORT) == 0
    judged = json.loads((tmp_path / "run/log.jsonl").read_text().splitlines()[-1])
    assert {"box", "click", "video"} <= set(judged)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--data", "EMPTY"), "is empty; give a folder with pictures and their masks"),
        (("--data", "SHAPES", "--licence", "free"), "no rows of the licence 'free'"),
        (("--data", "SHAPES", "--set", "stages.*.optimizer.rat=1"), "there is no field 'rat'; nearest: rate"),
        (("--data", "SHAPES", "--set", "stages.x.steps=1"), "there is no stage 'x'; stages are finetune"),
        (("--data", "SHAPES", "--set", "stages.*.steps=many"), "'many' is of another kind"),
        (("--data", "SHAPES", "--set", "precision=bf16"), "'bf16'; nearest: bfloat16; it can be float32, bfloat16"),
        (("--data", "SHAPES", "--set", "stages.*.optimizer.schedule=cosin"), "nearest: cosine; it can be cosine, rec"),
        (("--data", "SHAPES", "--freeze", "image_encodr"), "no part 'image_encodr' to freeze; nearest: image_encoder"),
        (("--data", "SHAPES", "--image-size", "100"), "image_size 100 is no multiple"),
    ],
)
def test_wrong_calls(
    run: Run, tmp_path: Path, shapes: Path, checkpoint: Path, capsys: Read, arguments: tuple[str, ...], said: str
) -> None:
    (tmp_path / "empty").mkdir()
    places = {"EMPTY": tmp_path / "empty", "SHAPES": shapes}
    filled = (places.get(argument, argument) for argument in arguments)
    assert run("finetune", checkpoint, "--out", tmp_path / "run", "--device", "cpu", *filled) == 1
    error = capsys.readouterr().err
    assert "masklet: " in error
    assert said in " ".join(error.split())
    assert "Traceback" not in error


def test_a_checkpoint_of_another_variant(
    run: Run, tmp_path: Path, shapes: Path, checkpoint: Path, capsys: Read
) -> None:
    assert run("train", "nano", "--start", checkpoint, "--data", shapes, "--out", tmp_path / "run") == 1
    assert "holds tiny-test, not nano" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("option", "value", "bound"),
    [
        ("--workers", 257, "less than or equal to 256"),
        ("--save-every", 0, "greater than or equal to 1"),
        ("--log-every", 10**10, "less than or equal to 1000000000"),
        ("--validate-every", -1, "greater than or equal to 0"),
        ("--steps", 0, "greater than or equal to 1"),
        ("--image-size", 5000, "less than or equal to 4096"),
        ("--low-rank", -1, "greater than or equal to 0"),
    ],
)
def test_numbers_have_bounds(run: Run, tmp_path: Path, capsys: Read, option: str, value: int, bound: str) -> None:
    assert run("finetune", "nano", "--data", tmp_path, "--out", tmp_path / "run", option, value) == 2
    assert bound in error_of(capsys)
    assert not (tmp_path / "run").exists()
