"""The log of a run: JSON lines, a line of progress, TensorBoard if it is installed; and learning curves of runs, drawn
from their logs."""

import json
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import accumulate
from math import isfinite
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from masklet.atomic import atomic_write, write_whole, writing
from masklet.errors import TrainingError, needing
from masklet.machine import peak_memory

LOG_FILE = "log.jsonl"
"""The file's name in the folder of a run."""


class Log:
    """Writes figures as they come, to a bar, and to TensorBoard if there is a `board`. A run that goes on adds to the
    same file, see `rewind`."""

    def __init__(self, folder: Path, progress: Progress, board: Any) -> None:
        self._path = folder / LOG_FILE
        self.progress, self._board = progress, board
        self._task = progress.add_task("", total=None, figures="")
        self._since, self._samples = time.monotonic(), 0

    def begin(self, stage: str, step: int, steps: int) -> None:
        self.progress.update(self._task, description=stage, completed=step, total=steps)
        self._since, self._samples = time.monotonic(), 0

    def advance(self, samples: int) -> None:
        """A step is done, which learned from so many samples."""
        self._samples += samples
        self.progress.advance(self._task)

    def write(self, stage: str, step: int, figures: Mapping[str, float]) -> None:
        """A line of figures. Raises FormatError if it cannot be written."""
        shown = {key: round(value, 6) for key, value in figures.items()}
        with writing(self._path), self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"stage": stage, "step": step, **shown}) + "\n")
        self.progress.update(
            self._task, figures=" ".join(f"{key} {value:.3g}" for key, value in list(shown.items())[:3])
        )
        if self._board is not None:
            for key, value in shown.items():
                self._board.add_scalar(f"{stage}/{key}", value, step)

    def pace(self) -> dict[str, float]:
        """Samples a second since the last time, and the most memory that was taken so far in MiB."""
        passed, memory = time.monotonic() - self._since, peak_memory()
        figures = {"samples_per_second": self._samples / passed} if passed > 0 else {}
        self._since, self._samples = time.monotonic(), 0
        return figures if memory is None else {**figures, "memory_mib": memory}

    @contextmanager
    def aside(self) -> Iterator[None]:
        """A context whose time does not count into the pace."""
        begun = time.monotonic()
        yield
        self._since += time.monotonic() - begun

    def tell(self, text: str) -> None:
        self.progress.console.print(text, markup=False, highlight=False, soft_wrap=True)


def rewind(folder: Path, done: Mapping[str, int]) -> None:
    """Drop the lines of steps that will be done again: `done` says how many of each stage count, none of those that it
    does not name. Raises FormatError if the log cannot be written."""
    path = folder / LOG_FILE
    if not path.is_file():
        return
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    kept = [line for line in lines if (found := _record(line)) and found["step"] <= done.get(found["stage"], 0)]
    if kept != lines:
        write_whole(path, "".join(kept))


def _record(line: str) -> dict[str, Any] | None:
    """The figures of a line; None if it is none, such as one that was cut off when the run was killed."""
    try:
        record: dict[str, Any] = json.loads(line)
        return record if isinstance(record["stage"], str) and isinstance(record["step"], int) else None
    except (ValueError, LookupError, TypeError):
        return None


@contextmanager
def open_log(folder: Path, *, tensorboard: bool, leads: bool) -> Iterator[Log]:
    """A log in the folder of a run. Raises TrainingError if TensorBoard is wanted and not installed.

    Of many processes only the one that leads shows a bar and writes.
    """
    name, figures = TextColumn("{task.description}"), TextColumn("{task.fields[figures]}")
    columns = (name, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), figures)
    with ExitStack() as stack:
        board = None
        if tensorboard and leads:
            with needing("train", "a log for TensorBoard", TrainingError):
                from torch.utils.tensorboard import SummaryWriter
            board = stack.enter_context(SummaryWriter(str(folder / "tensorboard")))
        progress = stack.enter_context(Progress(*columns, console=Console(stderr=True), disable=not leads))
        yield Log(folder, progress, board)


MIN_STAGE_STEPS = 10
"""Stages of fewer steps are left out where there are longer ones: they only pass by."""

SMOOTHING = 0.25
"""Share of a new figure in the average that is drawn."""

LEARNED = "iou"
"""Mean IoU of the answers while learning, of all prompts and corrections."""

CURVES = {LEARNED: "while learning, IoU", "box": "a box", "click": "one click", "video": "video, J&F"}
"""Figures of a log that are drawn, and what they are called."""

Curve = list[tuple[int, float]]


def plot_training(runs: Sequence[Path], out: Path) -> int:
    """Draw the learning curves of runs in these folders, in the order of time, steps of all runs and stages counted on;
    a dotted line is where a stage begins. The picture's ending is that of a format of matplotlib, such as .png or .svg.
    Returns the steps that are drawn.

    Raises TrainingError if a log is missing or damaged, none holds a figure, or matplotlib is missing, and FormatError
    if the picture cannot be written.
    """
    curves, begins, steps = read_curves(runs)
    with needing("eval", "a plot", TrainingError):
        from matplotlib.figure import Figure
    figure = Figure(figsize=(7.2, 3.4), layout="constrained")
    kinds = figure.canvas.get_supported_filetypes()
    if out.suffix.removeprefix(".").lower() not in kinds:
        raise TrainingError(f"{out.name} is no picture that is drawn; give one of .{', .'.join(sorted(kinds))}")
    axes = figure.add_subplot()
    for name, title in CURVES.items():
        if name not in curves:
            continue
        at, values = zip(*curves[name], strict=True)
        if name == LEARNED:  # a running average: batches differ more than the model changes
            means = list(accumulate(values, lambda mean, new: mean + SMOOTHING * (new - mean)))
            axes.plot(at, means, color="0.6", linewidth=1, label=title)
        else:
            axes.plot(at, values, marker="o", markersize=3.5, label=title)
    for step, stage in begins.items():
        axes.axvline(step, color="0.8", linewidth=0.8, linestyle=":")
        axes.annotate(stage, (step, 1.01), xycoords=("data", "axes fraction"), fontsize=7, color="0.4")
    axes.set(xlabel="steps", ylim=(0, max(0.8, *(value for points in curves.values() for _, value in points))))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3)
    figure.legend(frameon=False, fontsize=8, loc="outside right center")
    with atomic_write(out) as temporary:
        figure.savefig(temporary, dpi=150, format=out.suffix.removeprefix("."))
    return steps


def read_curves(runs: Sequence[Path]) -> tuple[dict[str, Curve], dict[int, str], int]:
    """-> (figure -> (step, value); first step -> stage; steps). Raises TrainingError as `plot_training`."""
    curves: dict[str, Curve] = defaultdict(list)
    begins: dict[int, str] = {}
    done, found = 0, stages(runs)
    for records in [records for records in found if records[-1]["step"] >= MIN_STAGE_STEPS] or found:
        begins[done] = records[0]["stage"]
        for record in records:
            for name in CURVES:
                if isinstance(value := record.get(name), float | int) and isfinite(value):
                    curves[name].append((done + record["step"], float(value)))
        done += records[-1]["step"]
    if not curves:
        raise TrainingError(f"the log of {runs[0]} holds no figure yet; let the training run longer")
    return curves, begins, done


def stages(runs: Sequence[Path]) -> list[list[dict[str, Any]]]:
    """The records of each stage of each run."""
    found: list[list[dict[str, Any]]] = []
    for record in (record for run in runs for record in _records(run)):
        before = found[-1][-1] if found else None
        if before is None or record["stage"] != before["stage"] or record["step"] < before["step"]:
            found.append([])
        found[-1].append(record)
    return found


def _records(run: Path) -> list[dict[str, Any]]:
    path = run / LOG_FILE
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f"{run} holds no {LOG_FILE} of a training that can be read: {error}") from error
    found = [_record(line) for line in lines]
    if None in found[:-1]:
        raise TrainingError(f"line {found.index(None) + 1} of {path} is no record of a step; is it damaged?")
    return [record for record in found if record is not None]
