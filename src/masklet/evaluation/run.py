"""One measurement: every clip of a data set, by one protocol, with one method, in one folder.

run.json                  what was measured, exactly; a run with other settings never mixes with it
masks/...                 as the data set wants them handed in
sequences/NAME.json       the values of each clip; a clip that has its file is not done again
sequences.csv objects.csv summary.json table.md plot.png worst/...   made of these by `masklet.evaluation.report`
"""

import json
import platform
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from masklet.atomic import make_folder, write_whole
from masklet.datasets.base import Clip, Dataset
from masklet.errors import EvaluationError
from masklet.evaluation.methods import MethodChoice, find_method
from masklet.evaluation.protocols import Procedure
from masklet.evaluation.results import RUN, ClipResult, Submission, clip_file, read_json, write_clip
from masklet.executors import Executor, Failure
from masklet.machine import peak_memory

LIBRARIES = ("masklet", "torch", "numpy", "opencv-python-headless", "av", "pillow")
"""Whose versions stand in the record."""


@dataclass(frozen=True)
class Measurement:
    """A measurement, and where it is kept."""

    dataset: Dataset
    procedure: Procedure
    choice: MethodChoice
    out: Path  # folder of the run


def begin(plan: Measurement) -> list[Clip]:
    """Write run.json, or check that it says the same; the clips that are still to be done.

    Raises EvaluationError if the folder holds a run with other settings, CheckpointError if the model cannot be loaded,
    and FormatError if the folder cannot be written.
    """
    path, record = plan.out / RUN, describe(plan)
    if path.exists():
        before = read_json(path)["settings"]
        settings = record["settings"].items()
        if told := [f"{key} {before.get(key)!r}, now {now!r}" for key, now in settings if before.get(key) != now]:
            raise EvaluationError(
                f"{plan.out} is a run with other settings ({', '.join(told)}); give another --out, or --overwrite to "
                "begin again"
            )
    else:
        make_folder(plan.out)
        write_whole(path, json.dumps(record, indent=1))
    return [clip for clip in plan.dataset.clips if not clip_file(plan.out, clip.name).exists()]


def clear(out: Path) -> None:
    """Remove an earlier run from a folder, and nothing else."""
    for name in ("sequences", "masks", "worst"):
        shutil.rmtree(out / name, ignore_errors=True)
    for name in (RUN, "sequences.csv", "objects.csv", "summary.json", "table.md", "plot.png"):
        (out / name).unlink(missing_ok=True)


def measure(plan: Measurement, clips: list[Clip], executor: Executor) -> Iterator[tuple[Clip, ClipResult | Failure]]:
    """Do clips, and keep each as soon as it is done. A clip that fails is reported, and the others go on."""
    submission = Submission(plan.out / "masks", plan.dataset.layout)
    work = partial(measure_clip, plan.procedure, plan.choice, submission)
    for clip, done in executor.run(work, clips):
        if isinstance(done, ClipResult):
            write_clip(plan.out, done)
        yield clip, done


def measure_clip(procedure: Procedure, choice: MethodChoice, submission: Submission, clip: Clip) -> ClipResult:
    result = procedure.run(clip, find_method(choice), submission)
    return replace(result, memory=peak_memory(), groups=dict(clip.groups))


def describe(plan: Measurement) -> dict[str, Any]:
    """The record of a run: its settings, by which it is known again, and what it ran on."""
    measured = find_method(plan.choice)
    return {
        "settings": {
            "method": measured.name,
            **{key: value for key, value in measured.facts.items() if key != "device"},
            "dataset": plan.dataset.name,
            "split": plan.dataset.split,
            "protocol": plan.procedure.name,
            "options": json.loads(json.dumps(asdict(plan.procedure))),  # type: ignore[call-overload]
        },
        "measures": list(plan.procedure.measures),
        "kind": plan.dataset.clips[0].kind,
        "device": measured.facts.get("device", "cpu"),
        "machine": {"system": platform.platform(), "processor": platform.processor() or platform.machine()},
        "versions": {"python": platform.python_version(), **versions()},
        "command": sys.argv[1:],
    }


def versions() -> dict[str, str]:
    """Versions of the libraries that results may depend on."""
    found = {}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):  # masklet itself, run from a checkout; another build of OpenCV
            found[name] = version(name)
    return found
