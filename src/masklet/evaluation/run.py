"""One measurement: every clip of a data set, by one protocol, with one method, in one folder.

run.json                  what was measured, exactly; a run with other settings never mixes with it
masks/...                 as the data set wants them handed in
sequences/NAME.json       the values of each clip; a clip that has its file is not done again
sequences.csv objects.csv summary.json table.md plot.png worst/...   made of these by `masklet.evaluation.report`
"""

import json
import math
import platform
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from masklet.atomic import atomic_write, make_folder, write_whole
from masklet.datasets.base import Clip, Dataset, Layout
from masklet.errors import EvaluationError
from masklet.evaluation.methods import Method, MethodChoice, find_method
from masklet.executors import Executor, Failure
from masklet.formats.davis import open_png, read_index_png, write_index_png
from masklet.machine import peak_memory
from masklet.metrics.calibration import Calibration, merge_calibrations
from masklet.metrics.sequence import seen_and_unseen

LIBRARIES = ("masklet", "torch", "numpy", "opencv-python-headless", "av", "pillow")
"""Whose versions stand in the record."""

RUN_FILE = "run.json"
"""The file by which a run's folder is known."""

SEQUENCES_FOLDER = "sequences"
"""The folder of the clips' files."""

RUN_FOLDERS = (SEQUENCES_FOLDER, "masks", "worst")
"""All that a run writes into."""

COUNT_MEASURES = ("clicks", "alone", "switches", "NoC@", "masks/", "seconds/")
"""How the names of measures begin that are numbers of something, not shares; fewer are better."""


def is_count(measure: str) -> bool:
    """Whether a measure counts something; everything else is a share, 0..1."""
    return measure.startswith(COUNT_MEASURES)


def rises(measure: str) -> bool:
    """Whether more of a measure is better."""
    return not is_count(measure) and not measure.startswith("ECE") and not measure.endswith("decay")


def as_text(measure: str, value: float) -> str:
    """A value for people: shares in percent with one decimal, counts with two, a dash for what is not known."""
    if math.isnan(value):
        return "-"
    return f"{value:.2f}" if is_count(measure) else f"{100 * value:.1f}"


@dataclass(frozen=True)
class Submission:
    """A folder of masks."""

    folder: Path  # of all clips
    # "index": CLIP/00000.png, a pixel's value is its object; "objects": CLIP/000/00000.png, not 0 on the object
    layout: Layout

    def write(
        self,
        clip: Clip,
        frame: int,
        numbers: NDArray[np.integer],
        masks: Mapping[int, NDArray[np.bool_]],
        objects: Iterable[int] = (),
    ) -> None:
        """One frame: each pixel's object, and the whole masks, which may overlap. Raises FormatError.

        Frames have the names that they have in the data set. Of the `objects` of a video those without a mask here get
        an empty one: whoever scores wants every frame of each, also before it enters.
        """
        if self.layout == "index":
            make_folder(self.path(clip, frame).parent)
            write_index_png(self.path(clip, frame), numbers)
            return
        nothing = np.zeros(numbers.shape, np.bool_)
        for number, mask in {**dict.fromkeys(objects, nothing), **masks}.items():
            path = self.path(clip, frame, number)
            make_folder(path.parent)
            with atomic_write(path) as temporary:
                Image.fromarray(mask.astype(np.uint8) * 255).save(temporary, format="PNG")

    def read(self, clip: Clip, frame: int, objects: tuple[int, ...]) -> dict[int, NDArray[np.bool_]]:
        """The written masks of some objects in a frame. Raises FormatError if it is missing or damaged."""
        if self.layout == "index":
            numbers = read_index_png(self.path(clip, frame))
            return {number: numbers == number for number in objects}
        return {number: open_png(self.path(clip, frame, number)) > 0 for number in objects}

    def path(self, clip: Clip, frame: int, number: int = 0) -> Path:
        folder = self.folder / clip.name
        return (folder if self.layout == "index" else folder / f"{number:03d}") / f"{clip.stem(frame)}.png"


@dataclass(frozen=True)
class ClipResult:
    """What a method did on one clip."""

    name: str  # of the clip
    # object -> measure -> value; empty if nothing of the clip is known that could be scored
    values: Mapping[int, Mapping[str, float]]
    per_frame: Mapping[int, float]  # frame -> the main measure over all objects, to find the frames worth a look
    frames: int  # answered frames
    seconds: float  # that the method took for them, without reading true masks, scoring and writing
    # measure -> value of the clip as a whole, where it is of no single object, such as masks/picture
    clip_metrics: Mapping[str, float] = field(default_factory=dict)
    # what the method estimates ("IoU", "presence") -> estimates beside what came of them
    calibration: Mapping[str, Calibration] = field(default_factory=dict)
    memory: float | None = None  # MiB that its process had taken at most; None if the system does not report it
    groups: Mapping[int, str] = field(default_factory=dict)  # object -> group, such as "seen"

    def mean(self, measure: str) -> float:
        """Over the clip's objects; NaN if nothing could be scored."""
        return mean([row[measure] for row in self.values.values()])


class Procedure(Protocol):
    """A protocol with its options: a frozen dataclass of plain values, which stand in the record of a run.

    name      of the protocol
    measures  what it measures, the main measure first
    """

    @property
    def name(self) -> str: ...

    @property
    def measures(self) -> tuple[str, ...]: ...

    def run(self, clip: Clip, method: Method, submission: Submission) -> ClipResult:
        """Ask, score, and hand the masks in. Raises MediaError and FormatError for files that are damaged."""
        ...


@dataclass(frozen=True)
class Measurement:
    """A measurement, and where it is kept."""

    dataset: Dataset
    procedure: Procedure
    choice: MethodChoice
    out: Path  # folder of the run


def begin_run(plan: Measurement) -> list[Clip]:
    """Write run.json, or check that it says the same; the clips that are still to be done.

    Raises EvaluationError if the folder holds a run with other settings, or masks without any run, CheckpointError if
    the model cannot be loaded, and FormatError if the folder cannot be written.
    """
    path, record = plan.out / RUN_FILE, run_record(plan)
    if path.exists():
        settings = record["settings"]
        before = {"root": settings["root"], **read_json(path)["settings"]}  # the first runs did not write it
        if told := list(differences(before, settings)):
            raise EvaluationError(
                f"{plan.out} is a run with other settings ({', '.join(told)}); give another --out, or --overwrite to "
                "begin again"
            )
    else:
        if there := [name for name in RUN_FOLDERS if (plan.out / name).exists()]:
            raise EvaluationError(f"{plan.out} holds no run, but {there[0]}, which stay there; give another --out")
        make_folder(plan.out)
        write_whole(path, json.dumps(record, indent=1))
    return undone(plan.out, plan.dataset)


def differences(before: Mapping[str, Any], now: Mapping[str, Any], inside: str = "") -> Iterator[str]:
    """What another run has other than this one, each value by its name and those of the records around it; settings
    that only an earlier version wrote are passed over."""
    for key in {**before, **now} if inside else now:
        old, value, name = before.get(key), now.get(key), f"{inside}{key}"
        if isinstance(value, dict) and isinstance(old, dict):
            yield from differences(old, value, f"{name}.")
        elif old != value:
            yield f"{name} {old!r}, now {value!r}"


def clear(out: Path) -> None:
    """Remove an earlier run from a folder, and nothing else."""
    if not (out / RUN_FILE).is_file():
        return
    for name in RUN_FOLDERS:
        shutil.rmtree(out / name, ignore_errors=True)
    for name in ("sequences.csv", "objects.csv", "summary.json", "table.md", "plot.png", RUN_FILE):
        (out / name).unlink(missing_ok=True)


def measure_clips(
    plan: Measurement, clips: list[Clip], executor: Executor
) -> Iterator[tuple[Clip, ClipResult | Failure]]:
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


def run_record(plan: Measurement) -> dict[str, Any]:
    """The record of a run: its settings, by which it is known again, and what it ran on."""
    measured = find_method(plan.choice)
    return {
        "settings": {
            "method": measured.name,
            **{key: value for key, value in measured.facts.items() if key != "device"},
            "dataset": plan.dataset.name,
            "split": plan.dataset.split,
            "root": plan.dataset.root and str(plan.dataset.root.resolve()),
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


@dataclass(frozen=True)
class RunResult:
    """A run's folder, read."""

    folder: Path
    record: Mapping[str, Any]  # what run.json holds
    clips: tuple[ClipResult, ...]  # those that are done, by name

    @property
    def name(self) -> str:
        return str(self.record["settings"]["method"])

    @property
    def measures(self) -> Sequence[str]:
        return list(self.record["measures"])

    @cached_property
    def overall(self) -> dict[str, float]:
        """Every measure over the whole run: plain mean over objects, or over clips of what they have as a whole. Where
        objects are seen and unseen ones, G too; and the expected calibration errors of what a model estimates."""
        rows = [(row, clip.groups.get(n)) for clip in self.clips for n, row in clip.values.items()]
        found = {measure: mean([row[measure] for row, _ in rows]) for measure in self.measures}
        grouped = [(row, group) for row, group in rows if group is not None]
        if grouped and "F" in self.measures:
            means = [(row["J"], row["F"]) for row, _ in grouped]
            found |= seen_and_unseen(means, [group == "unseen" for _, group in grouped]).named()
        for name in dict.fromkeys(name for clip in self.clips for name in clip.clip_metrics):
            found[name] = mean([clip.clip_metrics[name] for clip in self.clips if name in clip.clip_metrics])
        for name in dict.fromkeys(name for clip in self.clips for name in clip.calibration):
            parts = [clip.calibration[name] for clip in self.clips if name in clip.calibration]
            found[f"ECE {name}"] = merge_calibrations(parts).error
        return found

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
        return max((clip.memory for clip in self.clips if clip.memory is not None), default=None)


def read_run(folder: Path) -> RunResult:
    """A run's folder. Raises EvaluationError if the folder holds no run, is damaged, or has no clip that is done."""
    if not (folder / RUN_FILE).is_file():
        raise EvaluationError(f"{folder} holds no run; give the --out of an earlier masklet eval, which has {RUN_FILE}")
    record = read_json(folder / RUN_FILE)
    if "method" not in record.get("settings", {}) or "measures" not in record:
        raise EvaluationError(f"the run in {folder} was made by another version of masklet; measure it again")
    files = sorted((folder / SEQUENCES_FOLDER).rglob("*.json"))
    if not files:
        raise EvaluationError(f"the run in {folder} has no finished sequence; run it again to finish it")
    return RunResult(folder, record, tuple(map(_read_clip, files)))


def read_json(path: Path) -> dict[str, Any]:
    """The content of a JSON file that masklet wrote. Raises EvaluationError if it is damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EvaluationError(f"{path} cannot be read: {error}; remove it, and run again") from error
    if not isinstance(content, dict):
        raise EvaluationError(f"{path} was not written by masklet eval; remove it, and run again")
    return content


def clip_file(folder: Path, name: str) -> Path:
    return folder / SEQUENCES_FOLDER / f"{name}.json"


def undone(folder: Path, dataset: Dataset) -> list[Clip]:
    """The clips of a data set that are still to be done."""
    return [clip for clip in dataset.clips if not clip_file(folder, clip.name).exists()]


def json_number(value: float) -> float | None:
    """A value for JSON, which has no NaN."""
    return None if math.isnan(value) else value


def mean(values: Sequence[float]) -> float:
    """NaN for none; values that are NaN are left out."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def write_clip(folder: Path, result: ClipResult) -> None:
    """Keep a clip's values. Raises FormatError if the file cannot be written."""
    path, content = clip_file(folder, result.name), asdict(result)
    content["memory_mib"] = content.pop("memory")
    make_folder(path.parent)
    write_whole(path, json.dumps(content, indent=1))


def _read_clip(path: Path) -> ClipResult:
    content = read_json(path)
    try:
        numbered = {
            key: {int(number): value for number, value in content.get(key, {}).items()}
            for key in ("values", "per_frame", "groups")
        }
        calibration = {
            name: Calibration(*(tuple(part[key]) for key in ("counts", "estimated", "true")))
            for name, part in content.pop("calibration").items()
        }
        memory = content.pop("memory_mib")
        return ClipResult(**{**content, **numbered}, memory=memory, calibration=calibration)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EvaluationError(
            f"{path} was not written by this version of masklet eval ({error}); remove it, and run again"
        ) from error
