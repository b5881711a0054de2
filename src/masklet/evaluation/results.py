"""What a run has found: read from its folder, and averaged."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from masklet.errors import EvaluationError
from masklet.metrics.summary import seen_and_unseen

RUN = "run.json"
"""The file by which a run's folder is known."""

SEQUENCES = "sequences"
"""The folder of the clips' files."""


@dataclass(frozen=True)
class ClipResult:
    """One clip.

    values  object -> measure -> value; empty if nothing of it could be scored
    course  frame -> the main measure
    frames  answered frames, in so many seconds
    memory  MiB that its process had taken at most; None if the system does not tell
    groups  object -> group, such as "seen"
    whole   measure -> value of the clip as a whole
    """

    name: str
    values: Mapping[int, Mapping[str, float]]
    course: Mapping[int, float]
    frames: int
    seconds: float
    memory: float | None
    groups: Mapping[int, str]
    whole: Mapping[str, float] = field(default_factory=dict)

    def mean(self, measure: str) -> float:
        """Over the clip's objects; NaN if nothing could be scored."""
        return mean([row[measure] for row in self.values.values()])


@dataclass(frozen=True)
class RunResult:
    """A run's folder, read.

    record  what run.json holds
    clips   those that are done, by name
    """

    folder: Path
    record: Mapping[str, Any]
    clips: tuple[ClipResult, ...]

    @property
    def name(self) -> str:
        """What was measured."""
        return str(self.record["settings"]["contender"])

    @property
    def measures(self) -> Sequence[str]:
        """The main one first."""
        return list(self.record["measures"])

    @cached_property
    def overall(self) -> dict[str, float]:
        """Every measure over the whole run: plain mean over objects, or over clips of what they have as a whole. Where
        objects are seen and unseen ones, G too."""
        rows = [row for clip in self.clips for row in clip.values.values()]
        found = {measure: mean([row[measure] for row in rows]) for measure in self.measures}
        return found | self._grouped() | self._whole()

    @property
    def scored(self) -> list[ClipResult]:
        """The clips of which something could be scored."""
        return [clip for clip in self.clips if clip.values]

    @property
    def speed(self) -> float:
        """Frames a second, over all clips."""
        seconds = sum(clip.seconds for clip in self.clips)
        return sum(clip.frames for clip in self.clips) / seconds if seconds else float("nan")

    @property
    def memory(self) -> float | None:
        """MiB at most."""
        return max((clip.memory for clip in self.clips if clip.memory is not None), default=None)

    def _grouped(self) -> dict[str, float]:
        rows = [(row, clip.groups[n]) for clip in self.clips for n, row in clip.values.items() if n in clip.groups]
        if not rows or "F" not in self.measures:
            return {}
        found = seen_and_unseen([(row["J"], row["F"]) for row, _ in rows], [group == "unseen" for _, group in rows])
        return {
            "G": found.overall,
            "J seen": found.region_seen,
            "J unseen": found.region_unseen,
            "F seen": found.boundary_seen,
            "F unseen": found.boundary_unseen,
        }

    def _whole(self) -> dict[str, float]:
        names = dict.fromkeys(name for clip in self.clips for name in clip.whole)
        return {name: mean([clip.whole[name] for clip in self.clips if name in clip.whole]) for name in names}


def read_run(folder: Path) -> RunResult:
    """A run's folder. Raises EvaluationError if it is none, is damaged, or has no clip that is done."""
    if not (folder / RUN).is_file():
        raise EvaluationError(f"{folder} holds no run; give the --out of an earlier masklet eval, which has {RUN}")
    record = read_json(folder / RUN)
    files = sorted((folder / SEQUENCES).rglob("*.json"))
    if not files:
        raise EvaluationError(f"the run in {folder} has no finished sequence; run it again to finish it")
    return RunResult(folder, record, tuple(_clip(file) for file in files))


def read_json(path: Path) -> dict[str, Any]:
    """What masklet wrote. Raises EvaluationError if it was damaged since."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EvaluationError(f"{path} cannot be read: {error}; remove it, and run again") from error
    if not isinstance(content, dict):
        raise EvaluationError(f"{path} was not written by masklet eval; remove it, and run again")
    return content


def clip_file(folder: Path, name: str) -> Path:
    """Where a clip's values are kept."""
    return folder / SEQUENCES / f"{name}.json"


def mean(values: Sequence[float]) -> float:
    """NaN for none; values that are NaN are left out."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _clip(path: Path) -> ClipResult:
    content = read_json(path)
    try:
        return ClipResult(
            content["name"],
            {int(number): row for number, row in content["values"].items()},
            {int(frame): value for frame, value in content["course"].items()},
            content["frames"],
            content["seconds"],
            content["memory_mib"],
            {int(number): group for number, group in content.get("groups", {}).items()},
            content.get("whole", {}),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EvaluationError(f"{path} was not written by masklet eval ({error}); remove it, and run again") from error
