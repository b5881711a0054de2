"""Scores as rows of numbers, for CSV and JSON files."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from masklet.atomic import atomic_write
from masklet.evaluation.scoring.score import Scores
from masklet.metrics.summary import RegionAndBoundary, SeenAndUnseen

COLUMNS = ("J&F", "J mean", "J recall", "J decay", "F mean", "F recall", "F decay")
"""The numbers of a row, as DAVIS names them."""


def numbers(summary: RegionAndBoundary) -> tuple[float, ...]:
    """The values of COLUMNS, 0..1."""
    region, boundary = summary.region, summary.boundary
    return (
        summary.mean,
        region.mean,
        region.recall,
        region.decay,
        boundary.mean,
        boundary.recall,
        boundary.decay,
    )


def write_csv(scores: Scores, path: Path) -> None:
    """One row for each object, then one for each sequence and one for all, whose object is "all".

    Raises FormatError if the file cannot be written.
    """
    rows: list[tuple[object, ...]] = [("sequence", "object", "frames", *COLUMNS)]
    for sequence in scores.sequences:
        for item in sequence.objects:
            rows.append((sequence.name, item.object, len(item.frames), *numbers(item.summary())))
    for sequence in scores.sequences:
        rows.append((sequence.name, "all", _frames(scores, sequence.name), *numbers(sequence.summary())))
    rows.append(("all", "all", _frames(scores), *numbers(scores.summary())))
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def write_json(scores: Scores, path: Path, split: SeenAndUnseen | None = None) -> None:
    """Everything, with the values of each frame. Raises FormatError if the file cannot be written."""
    content: dict[str, Any] = {
        "protocol": scores.protocol,
        "overall": _named(scores.summary()),
        "sequences": {
            sequence.name: {
                "overall": _named(sequence.summary()),
                "objects": {
                    str(item.object): {
                        **_named(item.summary()),
                        "frames": item.frames.tolist(),
                        "J": item.region.tolist(),
                        "F": item.boundary.tolist(),
                    }
                    for item in sequence.objects
                },
            }
            for sequence in scores.sequences
        },
        "passed over": list(scores.extra),
    }
    if split is not None:
        content["seen and unseen"] = {**asdict(split), "overall": split.overall}
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _named(summary: RegionAndBoundary) -> dict[str, float]:
    return dict(zip(COLUMNS, numbers(summary), strict=True))


def _frames(scores: Scores, name: str | None = None) -> int:
    """Values per frame that went into a mean."""
    chosen = [sequence for sequence in scores.sequences if name in (None, sequence.name)]
    return sum(len(item.frames) for sequence in chosen for item in sequence.objects)
