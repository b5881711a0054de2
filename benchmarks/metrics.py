"""How long it takes to score masks: 2,000 frames of 854 x 480 with two objects.

    python benchmarks/metrics.py [--frames 2000] [--subset 100] [--workers 2] [--output benchmarks/results/metrics.json]

One side is `masklet eval score`, from PNGs in folders to J and F of every object, reading included. The other is the
plain way, written out below: one process, one object after another, whole pictures. It scores a part of the frames,
of which the time per frame is taken; both must give the same values there. Masks are ellipses with a rough edge that
move and grow; files are in the page cache. Each figure is the median of the runs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from masklet.evaluation.scoring import score_folders
from masklet.formats.davis import write_index_png

SIZE = (480, 854)
LENGTH = 100
"""Frames of a sequence."""


def picture(frame: int, sequence: int, shift: float) -> np.ndarray:
    """An index map with two rough ellipses; `shift` moves them and changes their edges."""
    indices = np.zeros(SIZE, np.uint8)
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    for number in (1, 2):
        phase = frame / 15 + sequence + 3 * number
        edge = 1 + 0.08 * np.sin(7 * angle + phase) + 0.02 * np.sin(31 * angle + shift)
        x = SIZE[1] * (0.5 + 0.25 * np.cos(0.7 * phase) * (-1) ** number) + shift + 130 * edge * np.cos(angle)
        y = SIZE[0] * (0.5 + 0.2 * np.sin(phase)) + shift + 90 * edge * np.sin(angle)
        cv2.fillPoly(indices, [np.stack([x, y], axis=1).round().astype(np.int32)], number)
    return indices


def make(folder: Path, frames: int) -> None:
    """FOLDER/gt and FOLDER/pred."""
    for place in range(0, frames, LENGTH):
        sequence = place // LENGTH
        for side, shift in (("gt", 0.0), ("pred", 4.0)):
            maps = folder / side / f"{sequence:03d}"
            maps.mkdir(parents=True)
            for frame in range(min(LENGTH, frames - place)):
                write_index_png(maps / f"{frame:05d}.png", picture(frame, sequence, shift))


def plainly(folder: Path, sequences: Sequence[str]) -> dict[str, list[list[float]]]:
    """J and F of both objects in the inner frames of sequences, the straightforward way."""
    values: dict[str, list[list[float]]] = {}
    for name in sequences:
        files = sorted((folder / "gt" / name).iterdir())[1:-1]
        for file in files:
            truth = np.array(Image.open(file))
            predicted = np.array(Image.open(folder / "pred" / name / file.name))
            for number in (1, 2):
                ours, theirs = predicted == number, truth == number
                pair = [plain_region(ours, theirs), plain_boundary(ours, theirs)]
                values.setdefault(f"{name}/{number}", []).append(pair)
    return values


def plain_region(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Intersection over union."""
    union = np.sum(ours | theirs)
    return float(np.sum(ours & theirs) / union) if union else 1.0


def plain_boundary(ours: np.ndarray, theirs: np.ndarray) -> float:
    """F of outlines in whole pictures."""
    radius = int(np.ceil(0.008 * np.linalg.norm(SIZE)))
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disk = (x**2 + y**2 <= radius**2).astype(np.uint8)
    edges = [plain_outline(mask) for mask in (ours, theirs)]
    wide = [cv2.dilate(edge.astype(np.uint8), disk) > 0 for edge in edges]
    precision = np.sum(edges[0] & wide[1]) / np.sum(edges[0])
    recall = np.sum(edges[1] & wide[0]) / np.sum(edges[1])
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def plain_outline(mask: np.ndarray) -> np.ndarray:
    """Where a mask differs from its right, lower or lower right neighbour."""
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    return (mask ^ padded[:-1, 1:]) | (mask ^ padded[1:, :-1]) | (mask ^ padded[1:, 1:])


def seconds_of(call: Callable[[], Any], runs: int) -> tuple[float, Any]:
    """Median wall time, and what the last call gave."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        result = call()
        times.append(time.perf_counter() - start)
    return statistics.median(times), result


def measure(frames: int, subset: int, workers: int, runs: int) -> dict[str, Any]:
    """Both sides, on the same files."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, frames)
        names = sorted(path.name for path in (folder / "gt").iterdir())[: max(1, subset // LENGTH)]
        cv2.setNumThreads(1)
        ours, scores = seconds_of(lambda: score_folders(folder / "pred", folder / "gt", workers=workers), runs)
        alone, _ = seconds_of(lambda: score_folders(folder / "pred", folder / "gt", names=names, workers=1), runs)
        plain, values = seconds_of(lambda: plainly(folder, names), runs)
        count = sum(len(list((folder / "gt" / name).iterdir())) for name in names)
    for sequence in scores.sequences[: len(names)]:
        for item in sequence.objects:
            both = np.stack([item.region, item.boundary], axis=1)
            assert np.allclose(both, values[f"{sequence.name}/{item.object}"], rtol=0, atol=1e-12), "values differ"
    return {
        "frames": frames,
        "subset": count,
        "workers": workers,
        "seconds": ours,
        "milliseconds a frame": {
            f"masklet, {workers} processes": 1e3 * ours / frames,
            "masklet, 1 process": 1e3 * alone / count,
            "plain, 1 process": 1e3 * plain / count,
        },
    }


def describe_machine() -> dict[str, Any]:
    """Where the figures were taken."""
    processors = Path("/proc/cpuinfo")
    lines = processors.read_text().splitlines() if processors.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    return {"processor": names[0] if names else platform.processor(), "cores": os.cpu_count(), "commit": commit or None}


def show(results: dict[str, Any]) -> None:
    """Print the table."""
    rows = results["milliseconds a frame"]
    slowest = rows["plain, 1 process"]
    table = Table("", "ms a frame", "times as fast", title=f"{results['frames']} frames in {results['seconds']:.1f} s")
    for name, value in rows.items():
        table.add_row(name, f"{value:.2f}", f"{slowest / value:.1f}")
    Console().print(table)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description="How long it takes to score masks.")
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--subset", type=int, default=200, help="frames that the plain way scores")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "metrics.json")
    options = parser.parse_args(arguments)
    results = measure(options.frames, options.subset, options.workers, options.runs)
    results["machine"] = describe_machine()
    show(results)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
