"""PyTorch, ONNX Runtime and OpenVINO beside each other, with the same weights and threads.

    python benchmarks/engines.py nano [--threads 2] [--int8 DATA] [--objects 1 4 10] [--rounds 7] [--graphs DIR]
    python benchmarks/engines.py sam2.1-tiny --random

A followed frame is encoded, attends seven memories and sixteen pointers, is decoded without a prompt (with the mask
before it, if the model wants that) and is remembered. Engines take turns in every round; medians. Seconds are those of
the processor with one thread (other work disturbs them little), of the clock with more. `--graphs` keeps the graphs
there, and takes those that are there already. `--clip` tracks the sample clip besides, one object, video decoded;
`--ahead` does so with each next frame encoded in a thread, and tells the seconds of the two busiest threads (Linux;
with `--threads 1` they are the two sides) and those of the clock, which want a machine with nothing else to do;
`--cold` starts a program and clicks once.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import masklet
from masklet import machine
from masklet.checkpoints import build_model
from masklet.checkpoints.load import load_torch_model
from masklet.checkpoints.models import open_exported
from masklet.engines.arrays import as_memory, given
from masklet.engines.base import Engine
from masklet.engines.graphs import GraphEngine
from masklet.engines.rules import no_prompts, pad_prompts, remember
from masklet.engines.torch import Model
from masklet.export import package, quantise, write_graphs
from masklet.nn import Levels, MemoryBank
from masklet.prompts import Prompt

MEMORIES, POINTERS = 7, 16

CLIP = Path(str(resources.files("masklet") / "samples" / "clip.mp4"))

Task = Callable[[Engine], object]


def opened(model: Model, folder: Path, data: Path | None, threads: int) -> dict[str, Engine]:
    """All engines, PyTorch first; their graphs lie in a folder, which is made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    engines: dict[str, Engine] = {"PyTorch": model}
    kinds = {"float32": folder / "plain"} | ({"int8": folder / "plain8"} if data else {})
    for precision, graphs in kinds.items():
        if not graphs.is_dir():
            write_graphs(model, graphs)
            if precision == "int8":
                assert data is not None, "int8 has data"
                quantise(model, graphs, data)
        for engine in ("onnx", "openvino"):
            place = folder / f"{engine}-{precision}"
            if not place.is_dir():
                package(model, graphs, place, engine=engine, precision=precision)
            name = {"onnx": "ONNX Runtime", "openvino": "OpenVINO"}[engine]
            label = name if precision == "float32" else f"{name} {precision}"
            engines[label] = open_exported(place, "cpu", threads)
    return engines


def tasks(model: Model, counts: list[int]) -> dict[str, Task]:
    """What is measured, by name."""
    config, noise = model.config, np.random.default_rng(0)
    side = config.image_size
    image = noise.standard_normal((1, 3, side, side), np.float32)
    levels: dict[Engine, Levels] = {}

    def encode(engine: Engine) -> Levels:
        levels[engine] = engine.encode_image(given(engine, image))
        return levels[engine]

    def clicked(engine: Engine) -> object:
        features = engine.attend_memory(levels[engine].stride16, bank(1, 0, 0)(engine))
        click = Prompt(points=((side / 2, side / 2),), labels=(1,))
        return engine.decode_masks(features, levels[engine], pad_prompts(engine, [click], (side, side)))

    def bank(count: int, memories: int, pointers: int) -> Callable[[Engine], MemoryBank]:
        found = noise.standard_normal((count, memories, *config.memory_shape), np.float32)
        slots = np.tile(np.arange(memories), (count, 1))
        told, ages = noise.standard_normal((count, pointers, config.width), np.float32), noise.random((count, pointers))
        rest = slots, told, ages.astype(np.float32)
        return lambda engine: MemoryBank(as_memory(given(engine, found)), *(given(engine, part) for part in rest))

    def followed(count: int) -> Task:
        remembered = bank(count, min(MEMORIES, config.memory_frames), POINTERS)
        before = noise.standard_normal((count, 1, config.mask_size, config.mask_size), np.float32)

        def frame(engine: Engine) -> object:
            seen = encode(engine)
            features = engine.attend_memory(seen.stride16, remembered(engine))
            prompts = no_prompts(engine, count)
            prompts = prompts._replace(masks=given(engine, before)) if config.previous_mask else prompts
            decoded = engine.decode_masks(features, seen, prompts)
            return remember(engine, seen, decoded.logits[:, 0], [False] * count, decoded.presence)

        return frame

    follow = {f"followed frame, {count} object{'s' * (count > 1)}": followed(count) for count in counts}
    return {"encode": encode, "click": clicked, **follow}


def tracked(engine: Engine) -> object:
    """The sample clip by one object, from its box: per frame."""
    with masklet.VideoTracker(CLIP, engine) as tracker:
        tracker.add_box(frame=0, object=1, box=(428, 103, 502, 204))
        return sum(1 for _ in tracker.propagate())


def ahead(engine: Engine) -> list[float]:
    """Seconds of the clock that a frame of the sample clip takes, one object, while each next frame is encoded in a
    thread, with as many threads of its own as the engine was opened with; and those of a processor that the two busiest
    threads take."""
    with patch.object(machine, "threads", return_value=2), masklet.VideoTracker(CLIP, engine) as tracker:
        tracker.add_box(frame=0, object=1, box=(428, 103, 502, 204))
        results = tracker.propagate()
        for _ in range(4):  # nothing is encoded ahead of the first, and graphs are made
            next(results)
        before, began = seconds_of_threads(), time.perf_counter()
        frames = sum(1 for _ in results)
        clock, after = time.perf_counter() - began, seconds_of_threads()
    taken = sorted((seconds - before.get(thread, 0) for thread, seconds in after.items()), reverse=True)
    return [seconds / frames for seconds in (clock, *taken[:2])]


def seconds_of_threads() -> dict[str, float]:
    """Of a processor, by thread of this process."""
    found = {}
    for thread in Path("/proc/self/task").iterdir():
        user, system = (thread / "stat").read_text().rpartition(")")[2].split()[11:13]
        found[thread.name] = (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    return found


COLD = """
import sys, time
began, used = time.perf_counter(), time.process_time()
if {torch}: sys.modules["torch"] = None
import masklet
tracker = masklet.VideoTracker({clip!r}, {model!r})
tracker.add_points(frame=0, object=1, points=[(465, 150)]).objects[1].mask
print(time.perf_counter() - began, time.process_time() - used)
"""


def cold_start(model: str, *, torch: bool, rounds: int) -> tuple[float, float]:
    """Median seconds, of the clock and of the processor, from a started Python to the mask of a first click in a video:
    masklet is imported, the model loaded, the frame read. With or without PyTorch to be had."""
    program = COLD.format(torch=not torch, clip=str(CLIP), model=model)
    command = [sys.executable, "-c", program]
    told = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(rounds)]
    clock, processor = zip(*(map(float, one.split()) for one in told), strict=True)
    return statistics.median(clock), statistics.median(processor)


def measure(task: Task, engines: dict[str, Engine], rounds: int, clock: Callable[[], float]) -> dict[str, float]:
    """Median seconds of each engine; the first call of each counts for nothing."""
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    for turn in range(rounds + 1):
        for name, engine in engines.items():
            began = clock()
            task(engine)
            if turn:
                seconds[name].append(clock() - began)
    return {name: statistics.median(found) for name, found in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="nano")
    parser.add_argument("--random", action="store_true", help="random weights")
    parser.add_argument("--image-size", type=int)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 4, 10])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--int8", type=Path, metavar="DATA", help="int8 too, calibrated with this data")
    parser.add_argument("--graphs", type=Path)
    parser.add_argument("--clip", action="store_true")
    parser.add_argument("--ahead", action="store_true", help="the threads of the sample clip")
    parser.add_argument("--cold", action="store_true", help="the start of a program too, without PyTorch")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    clock = time.process_time if args.threads == 1 else time.perf_counter
    sized = {"image_size": args.image_size} if args.image_size else {}
    model = (
        build_model(args.model, seed=0, **sized) if args.random else load_torch_model(args.model, device="cpu", **sized)
    )
    with TemporaryDirectory() as temporary:
        engines = opened(model, args.graphs or Path(temporary), args.int8, args.threads)
        found = {name: measure(task, engines, args.rounds, clock) for name, task in tasks(model, args.objects).items()}
        if args.clip:
            found["tracked clip, a frame"] = {
                name: seconds / 30 for name, seconds in measure(tracked, engines, 1, clock).items()
            }
        if args.ahead:
            rows = ("by the clock", "busiest thread", "and the next")
            turns = {name: [ahead(engine) for _ in range(args.rounds)] for name, engine in engines.items()}
            for place, row in enumerate(rows):
                found[f"tracked clip, a frame: {row}"] = {
                    name: statistics.median(turn[place] for turn in each) for name, each in turns.items()
                }
        if args.cold:
            places = {"PyTorch": args.model} | {
                name: str(engine.exported.folder) for name, engine in engines.items() if isinstance(engine, GraphEngine)
            }
            found["first click, from the start"] = {
                name: cold_start(place, torch=name == "PyTorch", rounds=args.rounds)[args.threads == 1]
                for name, place in places.items()
            }
    table = Table(title=f"{model.config.name}, {args.threads} threads: milliseconds", title_justify="left")
    for column in ("", *engines, "best / PyTorch"):
        table.add_column(column, justify="right" if column else "left")
    for name, seconds in found.items():
        cells = [f"{1000 * seconds[each]:.1f}" if each in seconds else "" for each in engines]
        best = f"{seconds['PyTorch'] / min(seconds.values()):.2f}" if "PyTorch" in seconds else ""
        table.add_row(name, *cells, best)
    Console(width=120).print(table)
    facts = {"machine": platform.processor(), "threads": args.threads, "rounds": args.rounds, "seconds": found}
    print(json.dumps({"model": model.config.name, **facts}))


if __name__ == "__main__":
    main()
