"""A run: what its folder holds, how it goes on, and what it says when something is wrong."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from masklet.datasets.registry import open_dataset
from masklet.errors import EvaluationError
from masklet.evaluation import run as running
from masklet.evaluation.images import ImageClicks
from masklet.evaluation.methods import MethodChoice
from masklet.evaluation.protocols import Prompting
from masklet.evaluation.report import remarks, write_report
from masklet.evaluation.run import Measurement, begin_run, measure_clips, read_run
from masklet.evaluation.videos import SemiSupervised
from masklet.executors import Failure, Serial
from masklet.media.image_file import read_image
from tests.evaluation.conftest import Make, index_map, save_mask


def plan_of(
    make: Make, out: Path, *, name: str = "davis2017", baseline: str = "still", prompt: str = "mask"
) -> Measurement:
    procedure = SemiSupervised(Prompting(prompt))  # type: ignore[arg-type]
    return Measurement(open_dataset(name, make(name)), procedure, MethodChoice(baseline=baseline), out)


def finish(plan: Measurement) -> list[str]:
    """Do what is left; the names of the clips that were done."""
    return [clip.name for clip, _ in measure_clips(plan, begin_run(plan), Serial())]


def test_a_run_leaves_everything_in_its_folder(make: Make, tmp_path: Path) -> None:
    plan = plan_of(make, tmp_path / "run")
    assert finish(plan) == ["first", "second"]
    result, missing = write_report(plan.out, plan.dataset)
    assert not missing
    assert {path.name for path in plan.out.iterdir()} == {
        *("run.json", "masks", "sequences", "worst"),
        *("sequences.csv", "objects.csv", "summary.json", "table.md", "plot.png"),
    }
    rows = list(csv.DictReader((plan.out / "objects.csv").read_text().splitlines()))
    assert [(row["sequence"], row["object"]) for row in rows] == [(c, n) for c in ("first", "second") for n in "12"]
    assert float(rows[0]["J&F"]) == result.clips[0].values[1]["J&F"]
    summary = json.loads((plan.out / "summary.json").read_text())
    assert summary["overall"]["J&F"] == pytest.approx(np.mean([float(row["J&F"]) for row in rows]))
    assert summary["frames"] == 10
    assert summary["settings"]["method"] == "still"
    assert summary["versions"]["numpy"]
    assert "| first |" in (plan.out / "table.md").read_text()
    assert len(list((plan.out / "worst").glob("*.jpg"))) == 2
    assert min(read_image(plan.out / "plot.png").shape[:2]) > 100


def test_a_run_goes_on_where_it_was(make: Make, tmp_path: Path) -> None:
    plan = plan_of(make, tmp_path / "run")
    done = measure_clips(plan, begin_run(plan), Serial())
    next(done)
    done.close()
    assert finish(plan) == ["second"]
    assert finish(plan) == []


def test_another_prompt_is_another_run(make: Make, tmp_path: Path) -> None:
    plan = plan_of(make, tmp_path / "run")
    finish(plan)
    other = Measurement(plan.dataset, SemiSupervised(Prompting("box")), plan.choice, plan.out)
    told = r"is a run with other settings \(options\.prompting\.prompt 'mask', now 'box'\); give another --out, or --ov"
    with pytest.raises(EvaluationError, match=told):  # what is equal is not told
        begin_run(other)
    running.clear(plan.out)
    assert len(begin_run(other)) == 2


def test_masks_that_are_of_no_run_stay(make: Make, tmp_path: Path) -> None:
    """Such as those of the data, if a run is to lie in the same folder."""
    (tmp_path / "run/masks").mkdir(parents=True)
    plan = plan_of(make, tmp_path / "run")
    running.clear(plan.out)
    assert (tmp_path / "run/masks").exists()
    with pytest.raises(EvaluationError, match="holds no run, but masks, which stay there; give another --out"):
        begin_run(plan)


def test_a_damaged_clip_is_told_and_the_others_go_on(make: Make, tmp_path: Path) -> None:
    plan = plan_of(make, tmp_path / "run")
    mask = tmp_path / "davis2017/Annotations/480p/first/00003.png"
    mask.write_bytes(mask.read_bytes()[:80])
    done = {clip.name: outcome for clip, outcome in measure_clips(plan, begin_run(plan), Serial())}
    assert isinstance(done["first"], Failure)
    assert "00003.png cannot be read as a PNG" in done["first"].reason
    assert not isinstance(done["second"], Failure)
    assert "Sequences that are not done: 1" in " ".join(remarks(write_report(plan.out, plan.dataset)[0], 1))


@pytest.mark.parametrize("prompt", ["mask", "box", "click"])
def test_an_object_without_a_mask_where_it_enters_is_told(make: Make, tmp_path: Path, prompt: str) -> None:
    """Then there is nothing to prompt with."""
    plan = plan_of(make, tmp_path / "run", name="ytvos", prompt=prompt)
    mask = index_map(2)
    mask[mask == 2] = 0
    save_mask(tmp_path / "ytvos/valid/Annotations/first/00002.png", mask)
    done = {clip.name: outcome for clip, outcome in measure_clips(plan, begin_run(plan), Serial())}
    assert isinstance(done["first"], Failure)
    assert "object 2 of first enters in frame 2, where it has no mask" in done["first"].reason
    assert not isinstance(done["second"], Failure)


def test_a_damaged_picture_is_told(make: Make, tmp_path: Path) -> None:
    plan = plan_of(make, tmp_path / "run")
    frame = tmp_path / "davis2017/JPEGImages/480p/second/00002.jpg"
    frame.write_bytes(frame.read_bytes()[:200])
    done = {clip.name: outcome for clip, outcome in measure_clips(plan, begin_run(plan), Serial())}
    assert isinstance(done["second"], Failure)
    assert "00002.jpg" in done["second"].reason


def test_seen_and_unseen_are_told_apart(make: Make, tmp_path: Path) -> None:
    dataset = open_dataset("ytvos", make("ytvos"))
    plan = Measurement(dataset, SemiSupervised(rules="ytvos"), MethodChoice(baseline="still"), tmp_path / "run")
    finish(plan)
    overall = read_run(plan.out).overall
    parts = [overall[name] for name in ("J seen", "J unseen", "F seen", "F unseen")]
    assert overall["G"] == pytest.approx(np.mean(parts))
    assert overall["J unseen"] == 1  # object 2 does not move


def test_pictures_are_reported_too(make: Make, tmp_path: Path) -> None:
    dataset = open_dataset("coco", make("coco"), kind="image")
    plan = Measurement(dataset, ImageClicks("box", 1), MethodChoice(baseline="grabcut"), tmp_path / "run")
    assert len(finish(plan)) == 2
    result, _ = write_report(plan.out, dataset)
    assert result.measures == ["IoU@1"]
    assert len(list((plan.out / "worst").glob("*.jpg"))) == 2


def test_a_folder_without_a_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="holds no run"):
        read_run(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", '{"name": "first"}'])
def test_a_damaged_value_file_is_told(make: Make, tmp_path: Path, content: str) -> None:
    plan = plan_of(make, tmp_path / "run")
    finish(plan)
    (plan.out / "sequences/first.json").write_text(content)
    with pytest.raises(EvaluationError, match=r"first.json .*remove it, and run again"):
        read_run(plan.out)
