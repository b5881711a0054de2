"""`masklet name`: masks get the names of the examples that they look like."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import masklet
import masklet.words
from masklet.formats.base import Facts, PlainFrame, mask_only
from masklet.formats.coco import COCO
from masklet.formats.davis import DAVIS
from masklet.formats.description import Description
from masklet.formats.writer import Writer
from tests.cli.conftest import Patch, Read, Run, error_of
from tests.image.test_names import COLOURS, SIZE, scene
from tests.test_words import BySize


def write_coco(folder: Path, names: list[str], *, known: bool, first: int) -> Path:
    """Pictures of one thing each, and a COCO file of their masks, with classes if they are known."""
    folder.mkdir()
    files = [f"{number}.png" for number in range(len(names))]
    with Writer(COCO.open, folder / "masks.json", Facts(SIZE, names=files, own_sizes=True)) as sink:
        for number, name in enumerate(names):
            image, mask = scene(name, first + number)
            Image.fromarray(image).save(folder / files[number])
            said = {number + 1: Description(category=name)} if known else {}
            objects, indices = {number + 1: mask_only(mask)}, {number + 1: number + 1}
            sink.write(PlainFrame(number, 0.0, SIZE, objects, indices, descriptions=said))
    return folder / "masks.json"


def classes(path: Path) -> dict[str, str]:
    """The class of the one mask of each picture."""
    content: dict[str, Any] = json.loads(path.read_text())
    names = {one["id"]: one["name"] for one in content["categories"]}
    files = {one["id"]: one["file_name"] for one in content["images"]}
    return {files[one["image_id"]]: names[one["category_id"]] for one in content["annotations"]}


def test_names_of_a_coco_file_go_to_another(run: Run, tmp_path: Path, capsys: Read) -> None:
    labelled = write_coco(tmp_path / "labelled", [*COLOURS] * 6, known=True, first=0)
    plain = write_coco(tmp_path / "plain", ["plum", "cherry", "lime", "plum"], known=False, first=50)
    out = tmp_path / "named.json"
    assert run("name", plain, "--like", labelled, "--out", out, "--least", "0.2") == 0
    assert classes(out) == {"0.png": "plum", "1.png": "cherry", "2.png": "lime", "3.png": "plum"}
    assert "2 plum" in capsys.readouterr().out
    likeness = [one["attributes"]["likeness"] for one in json.loads(out.read_text())["annotations"]]
    assert all(0.2 <= value <= 1 for value in likeness)
    assert run("name", plain, "--like", labelled, "--out", out, "--least", "1") == 0
    assert set(classes(out).values()) == {"object"}
    assert "4 (none of these)" in capsys.readouterr().out


def test_names_of_a_list(run: Run, tmp_path: Path, capsys: Read, monkeypatch: Patch) -> None:
    class ByBrightness:
        def compare(self, crops: list[Any], names: list[str]) -> Any:
            shares = np.array([(crop != 128).any(axis=2).mean() for crop in crops], np.float32)
            return np.stack([shares, 1 - shares], axis=1)

    monkeypatch.setattr(masklet.words, "load_namer", lambda *_: ByBrightness())
    plain, out = write_coco(tmp_path / "plain", ["plum", "lime"], known=False, first=0), tmp_path / "named.json"
    assert run("name", plain, "--names", "Thing . nothing", "--out", out) == 0
    assert set(classes(out).values()) <= {"thing", "nothing"}
    assert "2 objects in" in capsys.readouterr().out
    assert run("name", plain, "--out", out) == 2
    assert "give one of --like, masks with names, --names, such as 'cat . dog', and --captions" in error_of(capsys)


def test_captions_become_attributes(run: Run, tmp_path: Path, weights: Path, capsys: Read, monkeypatch: Patch) -> None:
    monkeypatch.setattr(masklet.words, "load_captioner", lambda *_: BySize())
    plain, out = write_coco(tmp_path / "plain", ["plum", "lime"], known=False, first=0), tmp_path / "told.json"
    assert run("name", plain, "--captions", "--out", out) == 0
    told = [(one["attributes"]["caption"], one["area"]) for one in json.loads(out.read_text())["annotations"]]
    assert [text for text, _ in told] == [f"a thing of {area} pixels" for _, area in told]
    assert capsys.readouterr().out == f"2 objects in {out}\n"
    assert run("name", plain, "--captions", "--least", "0.5", "--out", out) == 2
    assert "--least is for names" in error_of(capsys)
    (tmp_path / "clip").mkdir()
    for number in range(3):
        Image.fromarray(np.full((*SIZE, 3), 90, np.uint8)).save(tmp_path / f"clip/{number}.png")
    with masklet.VideoTracker(tmp_path / "clip", masklet.load_model(weights)) as tracker:
        for frame, side in enumerate((8, 20, 12)):
            mask = np.zeros(SIZE, bool)
            mask[4 : 4 + side, 6 : 6 + side] = True
            tracker.add_mask(frame=frame, object=1, mask=mask)
        tracker.save(tmp_path / "a.masklet")
    command = ["name", tmp_path / "a.masklet", "--captions", "--format", "ytvis", "--out", tmp_path / "video.json"]
    assert run(*command) == 0
    assert "a thing of 400 pixels" in (tmp_path / "video.json").read_text(), "the largest mask of an object is told of"


def test_an_object_of_a_session_gets_one_name(run: Run, tmp_path: Path, weights: Path) -> None:
    labelled = write_coco(tmp_path / "labelled", [*COLOURS] * 6, known=True, first=0)
    image, mask = scene("lime", 60)
    (tmp_path / "clip").mkdir()
    for number in range(7):
        Image.fromarray(image).save(tmp_path / f"clip/{number}.png")
    with masklet.VideoTracker(tmp_path / "clip", masklet.load_model(weights)) as tracker:
        tracker.add_mask(frame=0, object=3, mask=mask)
        list(tracker.propagate())
        tracker.save(tmp_path / "session.masklet")
    out = tmp_path / "named.json"
    command = ["name", tmp_path / "session.masklet", "--like", labelled, "--format", "coco", "--out", out]
    assert run(*command, "--least", "0.1") == 0
    content = json.loads(out.read_text())
    assert [one["name"] for one in content["categories"]] == ["lime"]
    assert {one["track_id"] for one in content["annotations"]} == {3}


def test_what_is_missing_is_said(run: Run, tmp_path: Path, capsys: Read) -> None:
    labelled = write_coco(tmp_path / "labelled", [*COLOURS], known=True, first=0)
    plain = write_coco(tmp_path / "plain", ["plum"], known=False, first=9)
    out = tmp_path / "out.json"

    def said(*more: str | Path) -> str:
        assert run("name", *more, "--out", out) == 1
        assert not out.exists()
        return capsys.readouterr().err

    assert "no mask of masks.json has a name; give its objects classes first" in said(plain, "--like", plain)
    assert "only of 'lime'; give some of at least two" in said(
        plain, "--like", write_coco(tmp_path / "one", ["lime"], known=True, first=3)
    )
    (tmp_path / "plain/0.png").unlink()
    assert "masks.json names the picture '0.png', which is not in" in said(plain, "--like", labelled)
    assert run("name", plain, "--like", labelled, "--pictures", tmp_path / "labelled", "--out", out) == 0
    out.unlink()
    (tmp_path / "index").mkdir()
    Image.fromarray(np.eye(9, dtype=np.uint8)).save(tmp_path / "index/00000.png")
    assert "index does not say where its pictures are; give them too" in said(tmp_path / "index", "--like", labelled)


def test_masks_of_some_pictures_are_compared_with_these(run: Run, tmp_path: Path) -> None:
    labelled = write_coco(tmp_path / "labelled", [*COLOURS] * 6, known=True, first=0)
    (tmp_path / "walk").mkdir()
    for number, name in enumerate(["cherry", "cherry", "plum"]):
        image, mask = scene(name, 50 + number)
        Image.fromarray(image).save(tmp_path / f"walk/shot-{number}.png")
    with Writer(DAVIS.open, tmp_path / "masks", Facts(SIZE, names=["shot-2.jpg"])) as sink:
        sink.write(PlainFrame(0, 0.0, SIZE, {1: mask_only(mask)}, {1: 1}))
    options = ("--pictures", tmp_path / "walk", "--like", labelled, "--least", "0.2", "--format", "coco")
    assert run("name", tmp_path / "masks", *options, "--out", tmp_path / "named.json") == 0
    assert set(classes(tmp_path / "named.json").values()) == {"plum"}
