"""Many videos on a cluster: 1 and 2 workers, what a clip costs beside its frames, and a million clips simulated.

    OMP_NUM_THREADS=1 python benchmarks/scale.py [--clips 12] [--frames 24] [--jobs 400] [--price 0.04]
    python benchmarks/scale.py --simulate COSTS.json

Clips are parts of the sample clip, one object, masks as PNGs, no overlay, one thread a worker. Runs begin with the
first record, so that starting Ray and loading the model do not count. The cost of a job beside its work is measured
with jobs that do nothing.

The simulation is one of queues. A worker that is free asks the driver, which handles one job after another (its
processor time for a job, measured); the answer takes the latency that was measured with one worker. The clip is read,
and its masks are written, through a storage that all share and that serves one transfer after another (`--storage` MB
a second); then it takes its frames times the measured seconds of a frame, and the measured fixed part. Frames of a
clip are log-normal round `--mean` with a spread of 0.8; a share of `--deaths` of all tries ends in the middle and is
begun again. A worker costs `--price` an hour. Not in the model: machines that differ, a network that is full, the time
to start.
"""

from __future__ import annotations

import argparse
import heapq
import json
import platform
import random
import time
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
from rich.console import Console
from rich.table import Table

from masklet.executors import Executor, Ray, Serial
from masklet.jobs.many import track_videos

BOX = [{"frame": 0, "object": 1, "box": [40, 60, 220, 240]}]


@dataclass(frozen=True)
class Costs:
    """What was measured, in seconds.

    frame: of one frame on one core. clip: of one clip beside its frames. driver: processor time of the driver for a
    job. latency: from the end of a job to the beginning of the next, with one worker. megabytes: of a frame, with its
    masks.
    """

    frame: float
    clip: float
    driver: float
    latency: float
    megabytes: float


def write_clips(folder: Path, count: int, frames: int) -> None:
    """Parts of the sample clip."""
    source = str(resources.files("masklet") / "samples" / "clip.mp4")
    with av.open(source) as container:
        pictures = [frame for frame, _ in zip(container.decode(video=0), range(frames), strict=False)]
    for number in range(count):
        with av.open(str(folder / f"{number:04}.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=24)
            stream.width, stream.height, stream.pix_fmt = pictures[0].width, pictures[0].height, "yuv420p"
            for picture in pictures:
                picture.pts = None
                container.mux(stream.encode(picture.reformat(format="yuv420p")))
            container.mux(stream.encode(None))


def run(clips: Path, out: Path, executor: Executor) -> tuple[float, int, int]:
    """Seconds from the first record to the last, and the clips and frames that were done in them."""
    begun, videos, frames = 0.0, -1, 0
    for record in track_videos(clips, out, prompts=BOX, overlay=False, device="cpu", executor=executor):
        assert record.status == "done", record.sentence
        if videos < 0:
            begun = time.perf_counter()
        else:
            frames += record.frames
        videos += 1
    return time.perf_counter() - begun, videos, frames


def nothing(job: int) -> int:
    """The smallest job."""
    return job


def job_cost(count: int, workers: int) -> tuple[float, float]:
    """Wall time and the driver's processor time of a job that does nothing."""
    wall = cpu = 0.0
    for number, _ in enumerate(Ray(workers=workers).run(nothing, range(count + 20))):
        if number == 19:
            wall, cpu = time.perf_counter(), time.process_time()
    return (time.perf_counter() - wall) / count, (time.process_time() - cpu) / count


def measure(clips: int, frames: int, jobs: int) -> tuple[Costs, list[list[str]]]:
    """The costs, and rows of a table."""
    rows = []
    seconds: dict[str, float] = {}
    with TemporaryDirectory() as folder:
        places = {frames: Path(folder) / "long", 4: Path(folder) / "short"}
        for length, place in places.items():
            place.mkdir()
            write_clips(place, clips, length)
        for name, executor in (
            ("in this process", Serial()),
            ("Ray, 1 worker", Ray(workers=1)),
            ("Ray, 2", Ray(workers=2)),
        ):
            out = Path(folder) / name.replace(" ", "-")
            took, videos, seen = run(places[frames], out, executor)
            seconds[name] = took / videos
            rows.append([name, f"{60 * videos / took:.1f}", f"{seen / took:.1f}", f"{took / videos:.2f}"])
        short, videos, _ = run(places[4], Path(folder) / "short-out", Serial())
        files = [*(Path(folder) / "in-this-process" / "0000").rglob("*"), places[frames] / "0000.mp4"]
        megabytes = sum(path.stat().st_size for path in files if path.is_file()) / 2**20 / frames
    frame = max(1e-6, (seconds["in this process"] - short / videos) / (frames - 4))
    one, driver = job_cost(jobs, 1)
    two, _ = job_cost(jobs, 2)
    rows.append(["a job that does nothing, 1 worker", f"{60 / one:.0f}", "", f"{one:.4f}"])
    rows.append(["a job that does nothing, 2 workers", f"{60 / two:.0f}", "", f"{two:.4f}"])
    return Costs(frame, max(0.0, short / videos - 4 * frame), driver, one, megabytes), rows


def simulate(
    costs: Costs, clips: int, workers: int, mean: float, storage: float, deaths: float, seed: int = 0
) -> dict[str, float]:
    """Hours, and the share of the time in which workers, driver and storage are busy."""
    chance = random.Random(seed)
    free = [0.0] * workers
    driver = disk = working = driving = moving = end = 0.0
    spread = 0.8
    shift = -spread * spread / 2
    for _ in range(clips):
        frames = mean * chance.lognormvariate(shift, spread)
        while True:
            asked = heapq.heappop(free)
            driver = max(driver, asked) + costs.driver
            driving += costs.driver
            begun = driver + costs.latency
            move = frames * costs.megabytes / storage
            disk = max(disk, begun) + move
            moving += move
            dies = chance.random() < deaths
            work = (costs.clip + frames * costs.frame) * (chance.random() if dies else 1.0)
            working += work
            end = max(end, disk + work)
            heapq.heappush(free, disk + work)
            if not dies:
                break
    busy = {"workers": working / workers / end, "driver": driving / end, "storage": moving / end}
    return {"hours": end / 3600, **busy}


def simulated(costs: Costs, options: argparse.Namespace) -> list[list[str]]:
    """Rows of a table of a million clips."""
    rows = []
    for workers in (8, 32, 128, 256, 512):
        found = simulate(costs, options.million, workers, options.mean, options.storage, options.deaths)
        hours = found.pop("hours")
        full = max(found, key=lambda name: found[name])
        price = 1000 * hours * workers * options.price / options.million
        shares = [f"{100 * found[name]:.0f} %" for name in ("workers", "driver", "storage")]
        rows.append([str(workers), f"{hours:.1f}", *shares, full, f"{price:.2f}"])
    return rows


def shown(title: str, heading: list[str], rows: list[list[str]]) -> None:
    """Print a table."""
    table = Table(title=title, title_justify="left")
    for name in heading:
        table.add_column(name)
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def main() -> None:
    """Measure, simulate, print, and write what was measured to COSTS.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--jobs", type=int, default=400)
    parser.add_argument("--million", type=int, default=1_000_000, help="clips of the simulation")
    parser.add_argument("--mean", type=float, default=240, help="frames of a simulated clip")
    parser.add_argument("--storage", type=float, default=2000, help="MB a second that all workers share")
    parser.add_argument("--deaths", type=float, default=0.001, help="share of tries whose worker dies")
    parser.add_argument("--price", type=float, default=0.04, help="of a worker, an hour")
    parser.add_argument("--simulate", type=Path, help="costs that were measured before")
    parser.add_argument("--costs", type=Path, default=Path("COSTS.json"), help="where to keep what was measured")
    options = parser.parse_args()
    if options.simulate:
        costs = Costs(**json.loads(options.simulate.read_text())["costs"])
    else:
        costs, rows = measure(options.clips, options.frames, options.jobs)
        shown("nano, one thread a worker", ["", "a minute", "frames a second", "seconds each"], rows)
        told: dict[str, Any] = {
            "costs": asdict(costs),
            "rows": rows,
            "machine": platform.processor(),
            "options": vars(options),
        }
        options.costs.write_text(json.dumps(told, indent=1, default=str))
    print({name: round(value, 5) for name, value in asdict(costs).items()})
    heading = ["workers", "hours", "busy", "driver", "storage", "fullest", "price of 1,000 clips"]
    shown(f"{options.million} clips of {options.mean:g} frames, simulated", heading, simulated(costs, options))


if __name__ == "__main__":
    main()
