"""Many videos: recorded one by one, equal to single runs, gone on with, refused in a sentence."""

from __future__ import annotations

import errno
import json
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
import torch
from PIL import Image

import masklet
from masklet.discovery import DiscoveryOptions
from masklet.engines.fake import FakeEngine
from masklet.errors import FormatError, MediaError, PromptError, SessionError
from masklet.jobs import many, record
from masklet.jobs.many import Work
from masklet.jobs.places import read, write_file
from masklet.jobs.prompts import TypedPrompt
from masklet.jobs.record import Manifest, VideoRecord, leased
from masklet.jobs.sources import Source
from masklet.jobs.track import Job
from tests.cli.conftest import Run
from tests.conftest import small_network

BOX = [{"frame": 0, "object": 1, "box": [28, 4, 74, 50]}]


def track(sources: Any, out: Path | str, weights: Path, **options: Any) -> dict[str, VideoRecord]:
    settings = {"prompts": BOX, "model": weights, "overlay": False, **options}
    return {Path(found.video).name: found for found in masklet.track_videos(sources, out, **settings)}


def rows(out: Path) -> list[dict[str, Any]]:
    return pyarrow.parquet.read_table(out / "manifest.parquet").to_pylist()


def test_every_video_is_recorded_and_equal_to_a_run_of_its_own(
    run: Run, tmp_path: Path, weights: Path, clips: Path
) -> None:
    (clips / "bad.mp4").write_text("a dog runs")
    out = tmp_path / "out"
    found = track(clips, out, weights)
    assert {name: r.status for name, r in found.items()} == {"a.mp4": "done", "b.mp4": "done", "bad.mp4": "failed"}
    assert "is not a video that can be decoded" in found["bad.mp4"].sentence
    told = {Path(row["video"]).name: row for row in rows(out)}
    assert (told["a.mp4"]["frames"], told["a.mp4"]["objects"], told["a.mp4"]["out"]) == (5, 1, str(out / "a"))
    assert 0 <= told["a.mp4"]["iou"] <= 1
    assert told["a.mp4"]["seconds"] > 0
    assert told["a.mp4"]["weights"] == masklet.load_model(weights).digest
    assert json.loads(told["a.mp4"]["options"])["prompts"][0]["box"] == [28, 4, 74, 50]
    assert told["bad.mp4"]["sentence"] == found["bad.mp4"].sentence
    assert not (out / "running.json").exists()

    box = "0:1:28,4,74,50"
    assert (
        run("track", clips / "a.mp4", "--box", box, "--model", weights, "--no-overlay", "--out", tmp_path / "one") == 0
    )
    for mask in (tmp_path / "one/masks").iterdir():
        assert (out / "a/masks" / mask.name).read_bytes() == mask.read_bytes()


def test_again_does_what_is_left(tmp_path: Path, weights: Path, clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    (clips / "b.mp4").rename(clips / "later.mp4")
    first = track(str(clips / "a.mp4"), out, weights)
    before = (out / "a/done.json").stat().st_mtime_ns
    second = track(clips, out, weights)
    assert second["a.mp4"] == replace(first["a.mp4"], before=True)
    assert not second["later.mp4"].before
    assert (out / "a/done.json").stat().st_mtime_ns == before
    assert [Path(row["video"]).name for row in rows(out)] == ["a.mp4", "later.mp4"]

    assert "was made with" in track(clips / "a.mp4", out, weights, policy=QUALITY)["a.mp4"].sentence
    assert {Path(row["video"]).name: row["status"] for row in rows(out)} == {"a.mp4": "failed", "later.mp4": "done"}
    assert track(clips, out, weights)["a.mp4"].before
    with (clips / "a.mp4").open("ab") as file:  # another video of the same name
        file.write(b"\0")
    assert not track(clips / "a.mp4", out, weights, overwrite=True)["a.mp4"].before


def test_a_model_that_was_written_anew_is_loaded_again(tmp_path: Path, weights: Path, clips: Path) -> None:
    file, network = tmp_path / "model.safetensors", small_network()
    file.write_bytes(weights.read_bytes())
    (first,) = track(clips / "a.mp4", tmp_path / "one", file).values()
    with torch.no_grad():
        next(network.parameters()).add_(1)
    masklet.save_model(masklet.Model("golden-small", network), file)
    (second,) = track(clips / "a.mp4", tmp_path / "two", file).values()
    assert second.weights == masklet.load_model(file).digest != first.weights


def test_an_overlay_that_is_wanted_later_is_made(tmp_path: Path, weights: Path, clips: Path) -> None:
    out, film = tmp_path / "out", tmp_path / "out/a/overlay.mp4"
    assert not track(clips / "a.mp4", out, weights)["a.mp4"].before
    assert not track(clips / "a.mp4", out, weights, overlay=True)["a.mp4"].before
    assert film.exists()
    assert track(clips / "a.mp4", out, weights, overlay=True)["a.mp4"].before


QUALITY = "examples.policies.quality:QualityPolicy"


def test_a_manifest_says_more_than_the_options(tmp_path: Path, weights: Path, clips: Path) -> None:
    lines: list[dict[str, Any]] = [
        {"path": "clips/a.mp4", "prompts": [{"frame": 3, "object": 2, "box": [28, 4, 74, 50]}], "name": "late"},
        {"path": "clips/b.mp4", "prompts": [{"frame": 99, "box": [28, 4, 74, 50]}]},
        {"path": "clips/none.mp4", "prompts": BOX},
        {"path": "clips/more/a.mp4", "prompts": [{"frame": 0, "circle": 3}]},
        {"path": "clips/notes.txt"},
    ]
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, lines)))
    found = list(masklet.track_videos(tmp_path / "m.jsonl", tmp_path / "out", model=weights, overlay=False))
    assert [(r.status, r.frames) for r in found] == [("done", 2)] + [("failed", 0)] * 4
    assert "99" in found[1].sentence
    assert "frame" in found[1].sentence
    assert found[2].sentence.endswith("give a video that exists")
    assert "which is no prompt (it has ['circle'])" in found[3].sentence
    assert "nothing is said of it" in found[4].sentence
    assert sorted(path.name for path in (tmp_path / "out/late/masks").iterdir()) == ["00003.png", "00004.png"]


def test_a_row_may_ask_for_everything(tmp_path: Path, weights: Path, clips: Path) -> None:
    (tmp_path / "m.csv").write_text(
        'path,everything,prompts\nclips/a.mp4,true,\nclips/b.mp4,yes,"[{""box"": [28, 4, 74, 50]}]"\n'
    )
    first, second = masklet.track_videos(tmp_path / "m.csv", tmp_path / "out", model=weights, overlay=False)
    assert (first.status, json.loads(first.options)["everything"]) == ("done", True)
    assert second.sentence == "its row has prompts and everything; give one or the other"


def test_a_row_may_have_an_example_of_what_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clip in which nothing is like it is done, with no objects and a sentence."""
    monkeypatch.setattr(many, "engine_of", lambda *_: FakeEngine())
    picture = np.full((60, 80, 3), (40, 70, 40), np.uint8)
    picture[10:40, 10:40] = (240, 230, 200)
    Image.fromarray(picture).save(tmp_path / "cup.jpg", quality=95)
    Image.fromarray((picture[..., 0] > 99).astype(np.uint8) * 255).save(tmp_path / "cup.png")
    for name, shown in (("with", picture), ("without", np.full_like(picture, 90)), ("third", picture), ("4", picture)):
        (tmp_path / name).mkdir()
        for frame in range(3):
            Image.fromarray(shown).save(tmp_path / name / f"{frame:05d}.png")
    lines: list[dict[str, Any]] = [
        {"path": "with", "like": "cup.jpg"},
        {"path": "without", "like": "cup.jpg"},
        {"path": "third", "like": "mug.jpg"},
        {"path": "4", "like": "cup.jpg", "everything": True},
    ]
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, lines)))
    found = list(masklet.track_videos(tmp_path / "m.jsonl", tmp_path / "out", overlay=False))
    assert [(r.status, r.objects, r.frames) for r in found[:2]] == [("done", 1, 3), ("done", 0, 3)]
    assert found[0].sentence == ""
    assert found[1].sentence == "nothing in it is like cup.jpg; a --least-likeness below 0.88 finds more"
    assert found[2].sentence.startswith(f"there is no file at {tmp_path / 'mug.jpg'}; give a picture with its mask")
    assert found[3].sentence == "its row has everything and like; give one or the other"
    again = masklet.track_videos(tmp_path / "m.jsonl", tmp_path / "out", overlay=False)
    assert [r.before for r in again] == [True, True, False, False]
    sharper = DiscoveryOptions(least_likeness=1.0)
    (first, *_) = masklet.track_videos(tmp_path / "m.jsonl", tmp_path / "new", overlay=False, looking=sharper)
    assert (first.status, first.objects) == ("done", 0)


def test_results_by_url(tmp_path: Path, weights: Path, clips: Path) -> None:
    write_file("memory://in/a.mp4", (clips / "a.mp4").read_bytes())
    write_file("memory://in/small.safetensors", weights.read_bytes())
    os.environ["MASKLET_HOME"], home = str(tmp_path / "home"), os.environ.get("MASKLET_HOME")
    try:
        first = track("memory://in/a.mp4", "memory://out", Path("x"), model="memory://in/small.safetensors")["a.mp4"]
    finally:
        os.environ.pop("MASKLET_HOME") if home is None else os.environ.update(MASKLET_HOME=home)
    assert (first.status, first.sentence, first.out) == ("done", "", "memory://out/a")
    assert read("memory://out/a/masks/00004.png").startswith(b"\x89PNG")
    assert json.loads(read("memory://out/a/done.json"))["frames"] == 5
    again = track("memory://in/a.mp4", "memory://out", Path("x"), model="memory://in/small.safetensors")["a.mp4"]
    assert again == replace(first, before=True)


def test_two_runs_on_one_folder(tmp_path: Path, weights: Path, clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = str(tmp_path / "out")
    with leased(out), pytest.raises(SessionError, match=r"another run works there, process \d+ on .* s ago; wait"):
        track(clips, out, weights)
    assert track(clips / "a.mp4", out, weights)["a.mp4"].status == "done"

    lease = Path(out, record.LEASE_FILE)
    holder = {"host": socket.gethostname(), "pid": 2**22 + 1, "token": "x", "time": time.time()}
    lease.write_text(json.dumps(holder))  # its process is gone
    with leased(out):
        assert json.loads(lease.read_text())["pid"] == os.getpid()
    lease.write_text(json.dumps({**holder, "pid": os.getpid()}))  # so is that of a container that had the same number
    with leased(out):
        pass
    elsewhere = {**holder, "host": "elsewhere"}
    lease.write_text(json.dumps(elsewhere))
    with pytest.raises(SessionError, match="on elsewhere"), leased(out):
        pass
    lease.write_text(json.dumps({**elsewhere, "time": time.time() - 61}))
    with leased(out):
        pass
    assert not lease.exists()


@pytest.mark.parametrize("formats", [(), ("coco",)], ids=["all outputs", "one of them"])
def test_a_disk_that_fills_under_the_masks_is_told_from_a_video_that_fails(
    tmp_path: Path, weights: Path, clips: Path, monkeypatch: pytest.MonkeyPatch, formats: tuple[str, ...]
) -> None:
    """By the cause a cluster gives up the worker, and another one does its video."""
    real = os.replace

    def full(source: Path, target: Path) -> None:
        if target.suffix == ".png":
            raise OSError(errno.ENOSPC, "No space left on device", str(target))
        real(source, target)

    monkeypatch.setattr(os, "replace", full)
    job = Job(Path(), Path(), None, (), "forward", formats, str(weights), None, "cpu")
    work = Work(job, str(tmp_path / "out"), {"": [TypedPrompt(0, 1, box=(28, 4, 74, 50))]})
    with pytest.raises(FormatError, match="No space left on device") as caught:
        work(Source(str(clips / "a.mp4"), "a"))
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.ENOSPC


def test_of_two_runs_that_begin_at_one_moment_one_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, over, beat = Barrier(2), Barrier(2), record.beat

    def together(*given: Any) -> None:
        time.sleep(0.05 * begun.wait(30))  # both have seen a free folder; one is later
        beat(*given)

    def run(_: int) -> bool:
        try:
            with leased(str(tmp_path)):
                over.wait(30)
                return True
        except SessionError:
            over.wait(30)
            return False

    monkeypatch.setattr(record, "beat", together)
    monkeypatch.setattr(record, "SETTLE", 10 * record.SETTLE)
    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(run, range(2))) == [False, True]


def test_the_lease_shows_that_the_run_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "HEARTBEAT_SECONDS", 0.01)
    with leased(str(tmp_path)):
        first = json.loads((tmp_path / record.LEASE_FILE).read_text())["time"]
        until = time.monotonic() + 30
        while json.loads((tmp_path / record.LEASE_FILE).read_text())["time"] == first and time.monotonic() < until:
            time.sleep(0.01)
        assert json.loads((tmp_path / record.LEASE_FILE).read_text())["time"] > first


def test_a_run_that_was_taken_for_gone_leaves_the_folder_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a laptop slept: neither its signs of life nor its end are those of the run that took over."""
    monkeypatch.setattr(record, "HEARTBEAT_SECONDS", 0.01)
    lease = tmp_path / record.LEASE_FILE
    taken = json.dumps({"host": "elsewhere", "pid": 2, "token": "x", "time": time.time()})
    with leased(str(tmp_path)):
        time.sleep(0.05)
        record.write_file(str(lease), taken.encode())
        time.sleep(0.1)
    assert lease.read_text() == taken


def test_the_manifest_is_written_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "SAVING_SECONDS", -1.0)
    monkeypatch.setattr(record, "SHARE_OF_SAVING", float("inf"))
    manifest = Manifest(str(tmp_path))
    manifest.add(VideoRecord("a.mp4", "a", "failed", "no"))
    assert [row["sentence"] for row in rows(tmp_path)] == ["no"]
    manifest.add(VideoRecord("a.mp4", "a", "done", frames=3, iou=0.5))
    assert [(row["status"], row["frames"], row["iou"]) for row in rows(tmp_path)] == [("done", 3, 0.5)]


def test_names_that_are_no_utf8_are_recorded(tmp_path: Path) -> None:
    for _ in range(2):
        manifest = Manifest(str(tmp_path))
        manifest.add(VideoRecord("caf\udce9.mp4", "caf\udce9", "done"))
        manifest.close()
    assert [row["video"] for row in rows(tmp_path)] == ["caf\\udce9.mp4"]


def test_without_pyarrow_the_manifest_is_json_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Any:
        raise FormatError("Parquet needs pyarrow")

    monkeypatch.setattr(record, "import_parquet", missing)
    for place in ("a", "b"):
        manifest = Manifest(str(tmp_path))
        manifest.add(VideoRecord(f"{place}.mp4", place, "done"))
        manifest.close()
    lines = [json.loads(line) for line in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    assert [line["video"] for line in lines] == ["a.mp4", "b.mp4"]


def test_what_is_wrong_for_all_is_said_at_once(tmp_path: Path, clips: Path, weights: Path) -> None:
    with pytest.raises(PromptError, match="which is no prompt"):
        track(clips, tmp_path / "out", weights, prompts=[{"circle": 3}])
    with pytest.raises(MediaError, match="there is no video in"):
        track(str(tmp_path / "*.mp4"), tmp_path / "out", weights)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/manifest.parquet").write_text("a diary")
    with pytest.raises(FormatError, match="is no manifest of a run"):
        track(clips, tmp_path / "out", weights)


def test_processes_and_metrics_on_the_command_line(
    run: Run, tmp_path: Path, weights: Path, clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wishes = ("--box", "0:1:28,4,74,50", "--model", weights, "--no-overlay", "--out", tmp_path / "out")
    assert run("track", clips / "a.mp4", clips / "a.mp4", *wishes, "--workers", "2") == 0  # in a process of its own
    assert capsys.readouterr().out == f"1 video done: masks in {tmp_path / 'out'}\n"
    command = ("track", clips, clips / "nothing.mp4", *wishes, "--overwrite")
    assert run(*command, "--metrics", tmp_path / "masklet.prom") == 1
    shown = capsys.readouterr()
    assert shown.out == f"2 videos done, 1 failed: masks in {tmp_path / 'out'}\n"
    assert "masklet: nothing.mp4: " in shown.err
    told = (tmp_path / "masklet.prom").read_text()
    for line in ('masklet_videos{state="done"} 2', 'masklet_videos{state="failed"} 1', "masklet_frames_total 10"):
        assert f"{line}\n" in told


def test_metrics_that_cannot_be_written_are_met_first(
    run: Run, tmp_path: Path, weights: Path, clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("track", clips, "--box", "0:1:28,4,74,50", "--model", weights, "--out", tmp_path / "out")
    assert run(*command, "--metrics", tmp_path / "missing/x.prom") == 1
    assert "x.prom cannot be written" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--engine", "onnx"), "--engine onnx is not known"),
        (("--address", "auto"), "--address came without --engine ray"),
    ],
)
def test_wrong_usage(
    run: Run, tmp_path: Path, clips: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], said: str
) -> None:
    assert run("track", clips, "--box", "0:1:28,4,74,50", "--out", tmp_path / "out", *options) == 2
    assert said in " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert not (tmp_path / "out").exists()
