"""`masklet eval score`: masks of any tool against the truth."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from masklet.formats.davis import write_index_png
from tests.cli.conftest import Read, Run


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    """FOLDER/pred and FOLDER/gt with two sequences of four frames; one is perfect, one is half right."""
    truth, half = np.zeros((12, 16), np.uint8), np.zeros((12, 16), np.uint8)
    truth[2:10, 2:14] = half[2:10, 2:8] = 1
    for place, index_map in {"gt/cat": truth, "gt/dog": truth, "pred/cat": truth, "pred/dog": half}.items():
        folder = tmp_path / place
        folder.mkdir(parents=True)
        for frame in range(4):
            write_index_png(folder / f"{frame:05d}.png", index_map)
    return tmp_path


def test_a_table_and_files(run: Run, masks: Path, capsys: Read) -> None:
    files = ("--csv", masks / "scores.csv", "--json", masks / "scores.json")
    assert run("eval", "score", "--pred", masks / "pred", "--gt", masks / "gt", "--workers", 1, *files) == 0
    printed = capsys.readouterr().out
    assert "davis2017, in percent" in printed
    assert "100.0" in next(line for line in printed.splitlines() if "cat" in line)
    assert "50.0" in next(line for line in printed.splitlines() if "dog" in line)
    assert json.loads((masks / "scores.json").read_text())["overall"]["J mean"] == 0.75
    assert (masks / "scores.csv").read_text().startswith("sequence,object,frames,J&F,J mean,")


def test_only_the_sequences_of_a_list(run: Run, masks: Path, capsys: Read) -> None:
    (masks / "val.txt").write_text("dog\ndog\n")
    chosen = ("--sequences", masks / "val.txt", "--protocol", "all")
    assert run("eval", "score", "--pred", masks / "pred", "--gt", masks / "gt", *chosen) == 0
    printed = capsys.readouterr()
    assert "cat" not in printed.out
    assert printed.out.count("dog") == 1
    assert "masklet: passed over cat: predicted, and not among what is scored" in printed.err


def test_youtube_vos(run: Run, masks: Path, capsys: Read) -> None:
    def meta(name: str, **categories: str) -> Path:
        videos = {video: {"objects": {"1": {"category": category}}} for video, category in categories.items()}
        (masks / name).write_text(json.dumps({"videos": videos}))
        return masks / name

    command = ("eval", "score", "--pred", masks / "pred", "--gt", masks / "gt", "--workers", 1)
    given = ("--meta", meta("a.json", cat="cat", dog="yak"), "--train-meta", meta("b.json", tom="cat"))
    assert run(*command, "--protocol", "ytvos", *given) == 0
    assert "J seen 100.0, J unseen 50.0" in capsys.readouterr().out
    both = ("--meta", meta("a.json", cat="cat", dog="cat"), *given[2:])
    assert run(*command, "--protocol", "ytvos", *both, "--json", masks / "scores.json") == 0
    values = json.loads((masks / "scores.json").read_text(), parse_constant=pytest.fail)["seen and unseen"]
    assert (values["region_seen"], values["region_unseen"], values["overall"]) == (0.75, None, None)
    assert run(*command, *given[:2]) == 2
    assert "go together" in capsys.readouterr().err


def test_wrong_input_has_its_sentence_and_leaves_nothing(run: Run, masks: Path, capsys: Read) -> None:
    command = ("eval", "score", "--pred", masks / "pred", "--gt", masks / "gt", "--workers", 1)
    assert run(*command, "--protocol", "davis17") == 1
    assert "nearest: davis2017" in capsys.readouterr().err
    (masks / "pred/dog/00002.png").unlink()
    assert run(*command, "--csv", masks / "scores.csv") == 1
    error = capsys.readouterr().err
    assert error.startswith("masklet: ")
    assert "lacks 1 of 4 frames: 2" in error
    assert "Traceback" not in error
    assert not (masks / "scores.csv").exists()
