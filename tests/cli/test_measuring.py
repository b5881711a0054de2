"""`masklet eval vos`, `image`, `everything`, `interactive`, `tracking` and `compare`, as people type them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from masklet.video.policies import PublishedPolicy
from tests.cli.conftest import Read, Run, error_of
from tests.evaluation.conftest import index_map, make_davis, make_folder, save_mask, save_picture
from tests.evaluation.test_volumes import make_volumes


@pytest.fixture
def davis(tmp_path: Path) -> Path:
    make_davis(tmp_path / "davis")
    return tmp_path / "davis"


def test_vos_prints_a_table_and_goes_on(run: Run, davis: Path, tmp_path: Path, capsys: Read) -> None:
    command = ("eval", "vos", "--dataset", "davis2017", "--root", davis, "--baseline", "flow", "--out", tmp_path / "a")
    assert run(*command, "--limit", "1") == 0
    first = capsys.readouterr().out
    assert "J&F" in first
    assert "second" not in first
    assert run(*command) == 0
    assert "second" in capsys.readouterr().out
    assert run(*command, "--prompt", "box") == 1
    assert "give another --out, or --overwrite" in capsys.readouterr().err
    assert run(*command, "--prompt", "box", "--overwrite") == 0


def test_compare_prints_and_writes(run: Run, davis: Path, tmp_path: Path, capsys: Read) -> None:
    for baseline in ("still", "flow"):
        out = ("--baseline", baseline, "--out", tmp_path / baseline)
        assert run("eval", "vos", "--dataset", "davis2017", "--root", davis, *out) == 0
    capsys.readouterr()
    assert run("eval", "compare", tmp_path / "still", tmp_path / "flow", "--out", tmp_path / "both") == 0
    printed = capsys.readouterr().out
    assert "against still" in printed
    assert {path.name for path in (tmp_path / "both").iterdir()} == {"compare.md", "compare.csv", "compare.png"}


@pytest.mark.parametrize("way", ["offline", "online", "saved"])
def test_interactive(run: Run, davis: Path, tmp_path: Path, capsys: Read, way: str) -> None:
    options = ("--baseline", "still", "--rounds", "2", "--limit", "1", "--out", tmp_path / "a", "--way", way)
    assert run("eval", "interactive", "--dataset", "davis2017", "--root", davis, *options) == 0
    assert ("saved" if way == "saved" else "J&F@2") in capsys.readouterr().out


def test_tracking(run: Run, davis: Path, tmp_path: Path, capsys: Read) -> None:
    pytest.importorskip("trackeval", reason="HOTA and its like need TrackEval")
    options = ("--baseline", "still", "--out", tmp_path / "a", "--prompt", "mask")
    assert run("eval", "tracking", "--dataset", "davis2017", "--root", davis, *options) == 0
    assert "HOTA" in capsys.readouterr().out


def test_image(run: Run, tmp_path: Path, capsys: Read) -> None:
    make_folder(tmp_path / "own")
    options = ("--prompt", "box", "--clicks", "1", "--baseline", "grabcut", "--out", tmp_path / "a")
    assert run("eval", "image", "--dataset", "folder", "--root", tmp_path / "own", *options) == 0
    assert "IoU@1" in capsys.readouterr().out


def test_everything(run: Run, tmp_path: Path, capsys: Read) -> None:
    """Two small pictures from the command to the report; the second one by the same command again."""
    make_folder(tmp_path / "own")
    options = ("--model", "nano", "--points-per-side", "4", "--device", "cpu", "--out", tmp_path / "a")
    command = ("eval", "everything", "--dataset", "folder", "--root", tmp_path / "own", *options)
    assert run(*command, "--limit", "1") == 0
    first = (tmp_path / "a/sequences/own/first.json").stat().st_mtime_ns
    assert run(*command) == 0
    assert (tmp_path / "a/sequences/own/first.json").stat().st_mtime_ns == first
    printed = capsys.readouterr().out
    assert all(name in printed for name in ("AR@1000", "masks/picture", "seconds/picture", "own/second"))
    assert json.loads((tmp_path / "a/summary.json").read_text())["overall"]["masks/picture"] > 0
    assert len(list((tmp_path / "a/worst").glob("*.jpg"))) == 2
    assert run(*command, "--crop-layers", "1") == 1
    assert "give another --out, or --overwrite" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--dataset", "davis2071"), "there is no 'davis2071' among the datasets; nearest: davis2017"),
        (("--dataset", "davis2017", "--root", "nowhere"), "there is no folder nowhere"),
        (("--dataset", "davis2017", "--protocol", "ytvoss"), "unknown protocol 'ytvoss'; nearest: ytvos"),
        (("--dataset", "davis2017", "--model", "nanoo", "--baseline", None), "nearest: nano"),
        (("--dataset", "davis2017", "--baseline", "flwo"), "unknown baseline 'flwo'; nearest: flow; there are still"),
    ],
)
def test_wrong_names_are_told(
    run: Run, davis: Path, tmp_path: Path, capsys: Read, arguments: tuple, sentence: str
) -> None:
    options = {"--root": davis, "--baseline": "still", "--out": tmp_path / "a"}
    options |= dict(zip(arguments[::2], arguments[1::2], strict=True))
    typed = [part for pair in options.items() if pair[1] is not None for part in pair]
    assert run("eval", "vos", *typed) == 1
    error = capsys.readouterr().err
    assert sentence in error
    assert "Traceback" not in error


def test_a_damaged_sequence_is_told_in_the_end(run: Run, davis: Path, tmp_path: Path, capsys: Read) -> None:
    mask = davis / "Annotations/480p/first/00003.png"
    mask.write_bytes(mask.read_bytes()[:80])
    options = ("--baseline", "still", "--out", tmp_path / "a")
    assert run("eval", "vos", "--dataset", "davis2017", "--root", davis, *options) == 1
    captured = capsys.readouterr()
    assert "first: 00003.png cannot be read as a PNG" in captured.err
    assert "Sequences that are not done: 1" in captured.out


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (("--engine", "local"), 0, "masklet: --engine can be left out; the next version will not know it any more"),
        (("--ray-address", "auto"), 2, "give --cluster ADDRESS in their place"),
        (("--workers", "100000000000"), 2, "should be less than or equal to 1024"),
        (("--policy", "mine:Policy"), 1, "a baseline has no speed and no tracking options"),
    ],
)
def test_options_that_are_old_or_wrong(
    run: Run, davis: Path, tmp_path: Path, capsys: Read, options: tuple, code: int, sentence: str
) -> None:
    command = ("eval", "vos", "--dataset", "davis2017", "--root", davis, "--baseline", "still", "--out", tmp_path / "a")
    assert run(*command, *options) == code
    assert sentence in error_of(capsys)


@pytest.mark.parametrize(
    ("command", "option"),
    [("interactive", "--rounds"), ("interactive", "--clicks"), ("image", "--clicks"), ("vos", "--seed")],
)
def test_numbers_have_bounds(run: Run, davis: Path, capsys: Read, command: str, option: str) -> None:
    huge = "99999999999999999999"
    assert run("eval", command, "--dataset", "davis2017", "--root", davis, "--baseline", "still", option, huge) == 2
    error = capsys.readouterr().err
    assert "should be less than or equal to" in error
    assert "Traceback" not in error


def test_a_run_tells_how_it_tracked(run: Run, davis: Path, tmp_path: Path, capsys: Read) -> None:
    """Speed, policy of one's own, and any tracking option: in the record, in the name, and in what is compared."""
    command = ("eval", "vos", "--dataset", "davis2017", "--root", davis, "--device", "cpu", "--limit", "1")
    mine = ("--speed", "fast", "--policy", f"{__name__}:Mine", "--set", "fill_holes=0")
    assert run(*command, "--out", tmp_path / "plain") == 0
    assert "ECE IoU" in capsys.readouterr().out
    assert run(*command, *mine, "--out", tmp_path / "mine") == 0
    settings = json.loads((tmp_path / "mine/run.json").read_text())["settings"]
    assert settings["tracking"] == {"policy": f"{__name__}:Mine", "fill_holes": 0}
    assert settings["model"] == "nano:fast"
    assert run(*command, "--out", tmp_path / "mine") == 1
    assert "is a run with other settings" in capsys.readouterr().err
    assert run(*command, *mine[:-2], "--out", tmp_path / "mine") == 1
    assert ", tracking.fill_holes 0, now None)" in capsys.readouterr().err
    assert run("eval", "compare", tmp_path / "plain", tmp_path / "mine") == 0
    captured = capsys.readouterr()
    assert "The intervals rest on 1 sequence" in captured.err
    assert max(map(len, captured.out.splitlines())) <= 80
    assert run(*command, "--set", "corrections=published", "--baseline", "still") == 1
    assert "a baseline has no speed and no tracking options" in capsys.readouterr().err
    assert run(*command, "--set", "corrections=local", "--out", tmp_path / "c") == 0
    assert json.loads((tmp_path / "c/run.json").read_text())["settings"]["tracking"] == {"corrections": "local"}
    capsys.readouterr()
    assert run(*command, "--set", "corrections=mine", "--out", tmp_path / "b") == 1
    assert "corrections is 'mine'; give 'local' or 'published'" in capsys.readouterr().err
    assert run(*command, "--set", "corrections=1", "--out", tmp_path / "b") == 1
    assert "corrections is '1'; give corrections=VALUE, of the kind str" in capsys.readouterr().err
    assert run(*command, "--set", "fill_hole=0", "--out", tmp_path / "b") == 1
    assert "there is no tracking option 'fill_hole'; nearest: fill_holes" in capsys.readouterr().err
    assert run(*command, "--set", "fill_holes=many", "--out", tmp_path / "b") == 1
    assert "fill_holes is 'many'; give fill_holes=VALUE, of the kind int or none" in capsys.readouterr().err


class Mine(PublishedPolicy):
    """A policy of somebody's own."""


def test_names_of_sequences_stand_as_they_are(run: Run, tmp_path: Path, capsys: Read) -> None:
    """Also with what Rich takes for its markup."""
    for frame in range(3):
        save_picture(tmp_path / f"JPEGImages/dog[a]:cat:/{frame:05d}.jpg", frame)
        save_mask(tmp_path / f"Annotations/dog[a]:cat:/{frame:05d}.png", index_map(frame))
    options = ("--baseline", "still", "--out", tmp_path / "a")
    assert run("eval", "vos", "--dataset", "mose", "--root", tmp_path, *options) == 0
    captured = capsys.readouterr()
    assert "dog[a]:cat:" in captured.out
    assert "dog[a]:cat:" in captured.err


def test_runs_of_models_with_dots_have_folders_of_their_own(
    run: Run, davis: Path, tmp_path: Path, capsys: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As docs/evaluation.md has it: runs/davis2017-sam2.1-tiny-vos-mask."""
    monkeypatch.chdir(tmp_path)
    asked = []
    monkeypatch.setattr("masklet.evaluation.run.begin_run", lambda plan: asked.append(plan.out) or [])
    command = ("eval", "vos", "--dataset", "davis2017", "--root", davis)
    for model in ("sam2.1-tiny", "sam2.1-large", tmp_path / "mine.safetensors"):
        (tmp_path / "mine.safetensors").touch()
        assert run(*command, "--model", model) == 1  # no run is there to report
    assert [path.name for path in asked] == [
        f"davis2017-{name}-vos-mask" for name in ("sam2.1-tiny", "sam2.1-large", "mine")
    ]
    capsys.readouterr()


def test_a_run_of_other_data_is_another_run(run: Run, davis: Path, tmp_path: Path, capsys: Read) -> None:
    """Two folders of one's own may well have sequences of the same names."""
    make_davis(tmp_path / "other")
    command = ("eval", "vos", "--dataset", "davis2017", "--baseline", "still", "--out", tmp_path / "a")
    assert run(*command, "--root", davis) == 0
    assert run(*command, "--root", tmp_path / "other") == 1
    assert "is a run with other settings (root" in capsys.readouterr().err
    record = json.loads((tmp_path / "a/run.json").read_text())
    del record["settings"]["root"]  # as the first runs had it
    (tmp_path / "a/run.json").write_text(json.dumps(record))
    assert run(*command, "--root", davis) == 0


def test_volumes(run: Run, tmp_path: Path, capsys: Read) -> None:
    root = make_volumes(tmp_path)
    command = ["eval", "volumes", "--dataset", "volumes", "--root", root, "--baseline", "still"]
    assert run(*command, "--window", "100,300", "--out", tmp_path / "run", "--find-ends") == 0
    printed = capsys.readouterr().out
    assert "Dice" in printed
    assert "NSD" in printed
    assert run(*command, "--out", tmp_path / "other", "--window", "lungs") == 1
    assert "there is no window 'lungs'" in capsys.readouterr().err
