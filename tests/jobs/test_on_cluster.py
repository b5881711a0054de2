"""A real cluster of two workers on this machine: slow, as starting Ray alone takes some ten seconds."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import av
import pyarrow.parquet
import pytest

import masklet
from masklet.errors import EngineError
from masklet.executors import Ray, Serial
from masklet.jobs.many import Work, run_all
from masklet.jobs.prompts import TypedPrompt
from masklet.jobs.record import VideoRecord
from masklet.jobs.sources import Source, find_videos
from masklet.jobs.track import Job
from tests.cli.conftest import GOLDEN

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed (extra: ray)"),
    pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no SIGKILL"),
    pytest.mark.filterwarnings("default"),  # Ray's own warnings are not ours
]

TINY = 300


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Many clips of two frames of 32 pixels, in two kinds, and one file that is none."""
    folder = tmp_path_factory.mktemp("tiny")
    from PIL import Image

    for kind in (0, 1):
        with av.open(str(folder / f"{kind:03}.mp4"), "w") as container:
            stream = container.add_stream("mpeg4", rate=12)
            stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
            for number in (kind, kind + 2):
                picture = Image.open(GOLDEN / f"video/frames/{number:05d}.png").convert("RGB").resize((32, 32))
                container.mux(stream.encode(av.VideoFrame.from_image(picture)))
            container.mux(stream.encode())
    for number in range(2, TINY):
        shutil.copy(folder / f"{number % 2:03}.mp4", folder / f"{number:03}.mp4")
    (folder / "damaged.mp4").write_text("a dog runs")
    return folder


@dataclass(frozen=True)
class Perilous(Work):
    """Kills its own process for one video each time and for another once, and stands still for a third."""

    marks: Path = Path()

    def __call__(self, source: Source) -> VideoRecord:
        begun = self.marks / f"{source.name}-{len(list(self.marks.glob(f'{source.name}-*')))}"
        if source.name in ("100", "101", "102"):
            begun.touch()
        if source.name == "100" or begun.name == "101-0":
            os.kill(os.getpid(), signal.SIGKILL)
        if source.name == "102":
            time.sleep(3600)
        return super().__call__(source)


def work(weights: Path, out: Path) -> Work:
    prompts = {"": [TypedPrompt(0, 1, box=(6.0, 1.0, 15.0, 13.0))]}
    return Work(Job(Path(), Path(), None, (), "forward", (), str(weights), None, "cpu"), str(out), prompts)


def test_many_tiny_clips_some_of_which_kill_their_worker(tmp_path: Path, tiny: Path, weights: Path) -> None:
    (tmp_path / "marks").mkdir()
    sources, out = find_videos([str(tiny)]), tmp_path / "out"
    perilous = Perilous(**vars(work(weights, out)), marks=tmp_path / "marks")
    found = {r.video: r for r in run_all(sources, perilous, Ray(workers=2, lease=8))}
    failed = {Path(r.video).stem: r.sentence for r in found.values() if r.status == "failed"}
    assert sorted(failed) == ["100", "102", "damaged"]
    assert "killed 3 times" in failed["100"]
    assert failed["102"] == "it did not get on for 8 s, 3 times"
    assert "is not a video that can be decoded" in failed["damaged"]
    assert {len(list((tmp_path / "marks").glob(f"{name}-*"))) for name in ("100", "102")} == {3}
    assert len(list((tmp_path / "marks").glob("101-*"))) == 2
    assert len(found) == TINY + 1
    assert pyarrow.parquet.read_table(out / "manifest.parquet").num_rows == TINY + 1

    alone = tmp_path / "alone"
    assert {r.status for r in run_all(sources[:2], work(weights, alone), Serial())} == {"done"}
    for number in range(TINY):
        if f"{number:03}" not in failed:
            for mask in (alone / f"{number % 2:03}" / "masks").iterdir():
                assert (out / f"{number:03}" / "masks" / mask.name).read_bytes() == mask.read_bytes()


def test_a_killed_driver_is_begun_again(tmp_path: Path, weights: Path, clips: Path, video: Path) -> None:
    for number in range(12):
        shutil.copy(video, clips / f"c{number}.mp4")
    out = tmp_path / "out"
    command = [sys.executable, "-m", "masklet.cli.main", "track", clips, "--box", "0:1:28,4,74,50", "--model", weights]
    command += ["--no-overlay", "--engine", "ray", "--workers", "2", "--out", out]
    driver = subprocess.Popen(list(map(str, command)), stderr=subprocess.DEVNULL)
    until = time.monotonic() + 240
    while not list(out.glob("*/done.json")) and time.monotonic() < until:
        time.sleep(0.05)
    driver.kill()
    driver.wait()
    before = len(list(out.glob("*/done.json")))
    assert 1 <= before < 14

    again = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, timeout=400)
    assert again.returncode == 0, again.stderr
    done, passed = again.stdout.split(" ")[0], again.stdout.split(", ")[1].split(" ")[0]
    assert int(done) + int(passed) == 14
    assert int(passed) >= before
    one = masklet.track_videos(clips / "a.mp4", tmp_path / "one", prompts=[BOX], model=weights, overlay=False)
    assert [r.status for r in one] == ["done"]
    for mask in (tmp_path / "one/a/masks").iterdir():
        for name in ("a", "b", "c11"):
            assert (out / name / "masks" / mask.name).read_bytes() == mask.read_bytes()


BOX = {"frame": 0, "object": 1, "box": [28, 4, 74, 50]}


def test_no_cluster_on_this_machine(tmp_path: Path, clips: Path) -> None:
    with pytest.raises(EngineError, match="start one with ray start --head"):
        list(masklet.track_videos(clips, tmp_path / "out", prompts=[BOX], executor=Ray("auto")))
