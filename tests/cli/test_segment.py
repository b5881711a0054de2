"""`masklet segment`: pictures in, masks out; one picture's failure is told, and the rest go on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from masklet.formats.davis import read_index_png
from masklet.formats.registry import read_masks
from masklet.image import ImagePredictor
from tests.cli.conftest import Read, Run, error_of
from tests.conftest import GOLDEN

BOX = ("--box", "30,20,130,110")


def test_one_picture_to_a_file(run: Run, tmp_path: Path, weights: Path, capsys: Read) -> None:
    cat, out = GOLDEN / "image/photo_cat.png", tmp_path / "new/mask.png"
    assert run("segment", cat, "--point", "113,75", "--point", "20,20,0", *BOX, "--model", weights, "--out", out) == 0
    predictor = ImagePredictor(weights)
    expected = predictor.predict(
        predictor.encode(cat), points=[(113, 75), (20, 20)], labels=[1, 0], boxes=(30, 20, 130, 110)
    )
    assert np.array_equal(read_index_png(out), expected[0])
    assert capsys.readouterr().out == f"1 picture done: masks in {out}\n"


def test_two_boxes_are_two_things(run: Run, tmp_path: Path, weights: Path) -> None:
    cat, out = GOLDEN / "image/photo_cat.png", tmp_path / "cat.json"
    assert run("segment", cat, *BOX, "--box", "0,0,60,60", "--model", weights, "--out", out) == 0
    assert [a["track_id"] for a in json.loads(out.read_text())["annotations"]] == [1, 2]


def test_prompts_for_each_picture_by_its_name(run: Run, tmp_path: Path, weights: Path, capsys: Read) -> None:
    photos, out, prompts = tmp_path / "photos", tmp_path / "all.json", tmp_path / "prompts.json"
    photos.mkdir()
    for name in ("a.png", "b.png", "c.png"):
        shutil.copy(GOLDEN / "image/photo_cat.png", photos / name)
    said = {
        "a.png": [{"object": "cat", "box": [30, 20, 130, 110]}, {"object": 2, "points": [[9, 9]]}],
        "b": [{"object": "cat", "points": [[113, 75], [20, 20]], "labels": [1, 0]}],
    }
    prompts.write_text(json.dumps(said))
    assert run("segment", photos, "--prompts", prompts, "--model", weights, "--out", out) == 1
    assert "c.png: nothing is said of it; give a prompt under its name" in capsys.readouterr().err
    written = json.loads(out.read_text())
    classes = {found["id"]: found["name"] for found in written["categories"]}
    files = {image["id"]: image["file_name"] for image in written["images"]}
    found = [(files[a["image_id"]], classes[a["category_id"]]) for a in written["annotations"]]
    assert found == [("a.png", "cat"), ("a.png", "object"), ("b.png", "cat")]
    predictor = ImagePredictor(weights)
    both = predictor.predict(
        predictor.encode(photos / "a.png"), points=[None, [(9, 9)]], boxes=[(30, 20, 130, 110), None]
    )
    assert [a["area"] for a in written["annotations"]][:2] == both.best.areas.tolist()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ([{"frame": 3, "object": 1, "box": [1, 2, 9, 9]}], "a picture has no frame but 0"),
        ([{"object": 1, "mask": "m.png"}], "pictures take boxes and points"),
        ([{"object": 1, "millimetres": [1, 2, 3]}], "has a place in millimetres; pictures take boxes and points"),
        ({"photo_cats": [{"object": 1, "box": [1, 2, 9, 9]}]}, "no such picture; is it photo_cat"),
    ],
)
def test_prompts_that_no_picture_can_have(run: Run, tmp_path: Path, said: object, told: str, capsys: Read) -> None:
    (tmp_path / "p.json").write_text(json.dumps(said))
    cat = GOLDEN / "image/photo_cat.png"
    assert run("segment", cat, "--prompts", tmp_path / "p.json", "--out", tmp_path / "m.png") == 2
    assert told.split("; is it")[0] in error_of(capsys)


def test_words_find_nothing_on_maps(run: Run, tmp_path: Path, capsys: Read) -> None:
    cat = GOLDEN / "image/photo_cat.png"
    assert run("segment", cat, "--text", "cat", "--out", tmp_path / "m.gpkg") == 2
    assert "--text does not go with pictures on the" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("format", "mode"), [("cutout", "RGBA"), ("soft-cutout", "RGBA"), ("overlay", "RGB"), ("davis", "P")]
)
def test_formats(run: Run, tmp_path: Path, weights: Path, format: str, mode: str) -> None:
    cat, out = GOLDEN / "image/photo_cat.png", tmp_path / "out"
    assert run("segment", cat, "--point", "9,9", "--format", format, "--model", weights, "--out", out) == 0
    with Image.open(out / "photo_cat.png") as written:
        assert (written.mode, written.size) == (mode, (226, 150))


@pytest.mark.parametrize(("format", "name"), [("labelme", "photo_cat.json"), ("yolo", "photo_cat.txt")])
def test_formats_of_annotators(run: Run, tmp_path: Path, weights: Path, format: str, name: str) -> None:
    cat, out = GOLDEN / "image/photo_cat.png", tmp_path / "out"
    assert run("segment", cat, "--point", "9,9", "--format", format, "--model", weights, "--out", out) == 0
    assert [path.name for path in out.iterdir()] == [name]


def test_soft_edges_and_a_second_look(run: Run, tmp_path: Path, weights: Path) -> None:
    cat, small = GOLDEN / "image/photo_cat.png", ("--box", "100,60,130,90")
    outs = [tmp_path / name for name in ("hard.png", "soft.png", "refined.png")]
    for out, options in zip(outs, [(), ("--soft-edges",), ("--refine",)], strict=True):
        arguments = ("segment", cat, *small, "--model", weights, "--format", "cutout", *options, "--out", out)
        assert run(*arguments) == 0
    hard, soft, refined = (np.asarray(Image.open(out))[..., 3] for out in outs)
    assert set(np.unique(hard)) <= {0, 255}
    assert len(np.unique(soft)) > 10
    predictor = ImagePredictor(weights)
    expected = predictor.predict(predictor.encode(cat), boxes=(100, 60, 130, 90), refine=True)
    assert np.array_equal(refined > 0, expected[0])


def test_a_folder_is_done_once(run: Run, tmp_path: Path, weights: Path, photos: Path, capsys: Read) -> None:
    arguments = ("segment", photos, *BOX, "--model", weights, "--out", tmp_path / "out")
    assert run(*arguments) == 0
    masks = sorted(path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*.*"))
    assert masks == [Path("a.png"), Path("b.png")]
    assert "2 pictures done" in capsys.readouterr().out

    (tmp_path / "out/a.png").write_bytes(b"mine")
    (tmp_path / "out/b.png").unlink()
    assert run(*arguments) == 0
    assert (tmp_path / "out/a.png").read_bytes() == b"mine"
    assert (tmp_path / "out/b.png").exists()
    assert "1 picture done" in (shown := capsys.readouterr().out)
    assert "1 passed over, whose masks are there (--overwrite does them again)" in shown

    assert run(*arguments, "--overwrite") == 0
    assert read_index_png(tmp_path / "out/a.png").shape == (150, 226)


def test_when_all_is_done_no_model_is_loaded(run: Run, tmp_path: Path, photos: Path, capsys: Read) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).touch()
    assert run("segment", photos, *BOX, "--model", "no-such.safetensors", "--out", tmp_path) == 0
    assert "0 pictures done" in capsys.readouterr().out


def test_a_pattern_keeps_its_folders(run: Run, tmp_path: Path, weights: Path, photos: Path) -> None:
    assert run("segment", photos / "**/*.jpg", *BOX, "--model", weights, "--out", tmp_path / "out") == 0
    assert (tmp_path / "out/a.png").exists()
    assert (tmp_path / "out/more/a.png").exists()


def test_pictures_of_one_name_in_several_folders(run: Run, tmp_path: Path, weights: Path, photos: Path) -> None:
    out = tmp_path / "all.json"
    assert run("segment", photos, photos / "more", *BOX, "--model", weights, "--out", out) == 0
    names = [entry["file_name"] for entry in json.loads(out.read_text())["images"]]
    assert names == [str(photos / "a.jpg"), str(photos / "b.png"), str(photos / "more/a.jpg")]


def test_many_pictures_of_any_size_in_one_coco_file(run: Run, tmp_path: Path, weights: Path, photos: Path) -> None:
    Image.new("RGB", (90, 70)).save(photos / "c.png")
    (photos / "broken.jpg").write_bytes(b"no picture")
    out = tmp_path / "all.json"
    assert run("segment", photos, "--box", "10,10,60,50", "--box", "5,5,20,20", "--model", weights, "--out", out) == 1
    content = json.loads(out.read_text())
    sizes = {entry["file_name"]: (entry["height"], entry["width"]) for entry in content["images"]}
    assert sizes == {"a.jpg": (150, 226), "b.png": (150, 226), "c.png": (70, 90)}
    places = {entry["id"]: entry["file_name"] for entry in content["images"]}
    assert {places[entry["image_id"]] for entry in content["annotations"]} <= set(sizes)
    numbers = [entry["track_id"] for entry in content["annotations"]]
    assert len(set(numbers)) == len(numbers), "things in different pictures are different things"
    for frame in read_masks("coco", out):
        assert all(mask.shape == frame.size for mask in frame.masks.values())
    before = out.read_bytes()
    assert run("segment", photos, "--box", "10,10,60,50", "--model", weights, "--out", out) == 0
    assert out.read_bytes() == before


def test_failures_are_told_and_the_rest_go_on(
    run: Run, tmp_path: Path, weights: Path, photos: Path, capsys: Read
) -> None:
    Image.new("RGB", (20, 20)).save(photos / "0-small.jpg")
    cut = photos / "1-cut.jpg"
    cut.write_bytes((photos / "a.jpg").read_bytes()[:1500])
    (tmp_path / "empty").mkdir()
    places = [photos, photos / "gone.jpg", photos / "notes.txt", tmp_path / "empty", tmp_path / "*.webp"]
    assert run("segment", *places, *BOX, "--model", weights, "--out", tmp_path / "out") == 1
    shown = capsys.readouterr()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b.png"]
    told = [line for line in shown.err.splitlines() if line.startswith("masklet: ")]
    assert len(told) == 6
    for sentence in (
        f"{photos / '0-small.jpg'}: the box (30, 20, 130, 110) does not lie in the picture, 20 wide and 20 high",
        f"{cut}: 1-cut.jpg cannot be read as a picture",
        f"{photos / 'gone.jpg'}: there is no file at",
        f"{photos / 'notes.txt'}: notes.txt is not a picture that can be read",
        f"there is no picture in {tmp_path / 'empty'}; give files of these kinds: .jpg",
        f"there is no picture in {tmp_path / '*.webp'}",
    ):
        assert any(sentence in line for line in told), sentence
    assert "Traceback" not in shown.err
    assert shown.out.endswith("2 pictures done: masks in " + str(tmp_path / "out") + "; 6 failed\n")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "nothing is pointed at"),
        (["--point", "3"], "give --point x,y[,0]"),
        (["--point", "3,x"], "'3,x' cannot be read"),
        (["--point", "3,4,2"], "the label 2; a label is 1 (include) or 0 (exclude)"),
        (["--box", "1,2,3"], "give --box x0,y0,x1,y1"),
        (["--point", "3,4", *BOX, *BOX], "--point came with 2 boxes"),
        ([*BOX, "--soft-edges"], "--soft-edges is for cut-outs; give --format cutout too"),
    ],
)
def test_wrong_usage(run: Run, tmp_path: Path, photos: Path, capsys: Read, options: list[str], sentence: str) -> None:
    assert run("segment", photos / "a.jpg", *options, "--out", tmp_path / "out") == 2
    assert sentence in error_of(capsys)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("pictures", "options", "sentence"),
    [
        (
            ["a.jpg"],
            ["--out", "mask.jpg"],
            "ends in .jpg; give a file that ends in .exr or .geojson or .gpkg or .json or .png",
        ),
        (["a.jpg"], ["--out", "mask.gif"], "ends in .gif; give a file that ends in .exr or .geojson or .gpkg or .json"),
        (["a.jpg"], ["--out", "mask.pgn"], "ends in .pgn; give a file"),
        (["a.jpg"], ["--out", "mask.png", "--format", "coco"], "give a file that ends in .json"),
        (["a.jpg", "b.png"], ["--out", "mask.png"], "one file for 2 pictures; give a folder"),
        (["b.png"], ["--out", "b.png"], "would take the place of the picture"),
        ([""], ["--out", ""], "would take the place of the picture"),
        (["a.jpg", "more/a.jpg"], ["--out", "out"], "would both be written to"),
    ],
)
def test_no_picture_is_replaced_and_no_mask_written_twice(
    run: Run, photos: Path, capsys: Read, pictures: list[str], options: list[str], sentence: str
) -> None:
    before = {path: path.read_bytes() for path in photos.rglob("*.*")}
    options[1] = str(photos / options[1])
    assert run("segment", *(photos / name for name in pictures), *BOX, *options, "--overwrite") == 2
    assert sentence in error_of(capsys)
    assert {path: path.read_bytes() for path in photos.rglob("*.*")} == before


@pytest.mark.parametrize("name", ["run.2", "v1.0", "there.gif"])
def test_a_folder_may_have_a_dot_in_its_name(run: Run, tmp_path: Path, weights: Path, photos: Path, name: str) -> None:
    (tmp_path / "there.gif").mkdir()
    assert run("segment", photos / "a.jpg", *BOX, "--model", weights, "--out", tmp_path / name) == 0
    assert [path.name for path in (tmp_path / name).iterdir()] == ["a.png"]


def test_an_unknown_format_and_an_unknown_model(run: Run, tmp_path: Path, photos: Path, capsys: Read) -> None:
    assert run("segment", photos / "a.jpg", *BOX, "--out", tmp_path / "out", "--format", "cutuot") == 1
    assert "unknown format 'cutuot'; nearest: cutout" in capsys.readouterr().err
    assert run("segment", photos / "a.jpg", *BOX, "--out", tmp_path / "out", "--model", "nana") == 1
    assert "unknown model 'nana'; nearest: nano" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
