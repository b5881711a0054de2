"""What is told of a run: a JSON line, a line of progress, and TensorBoard where it is installed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from masklet.errors import TrainingError
from masklet.formats.atomic import unwritable

LOG = "log.jsonl"
"""The file's name in the folder of a run."""


class Log:
    """Writes figures as they come. A run that goes on adds to the same file.

    Args:
        folder: Of the run.
        progress: The bar.
        board: TensorBoard's writer, or None.
    """

    def __init__(self, folder: Path, progress: Progress, board: Any) -> None:
        self._path = folder / LOG
        self.progress, self._board = progress, board
        self._task = progress.add_task("", total=None, figures="")
        self._since, self._samples = time.monotonic(), 0

    def begin(self, stage: str, step: int, steps: int) -> None:
        """A stage begins, or goes on."""
        self.progress.update(self._task, description=stage, completed=step, total=steps)
        self._since, self._samples = time.monotonic(), 0

    def advance(self, samples: int) -> None:
        """A step is done, which learned from so many samples."""
        self._samples += samples
        self.progress.advance(self._task)

    def write(self, stage: str, step: int, figures: Mapping[str, float]) -> None:
        """Figures of the steps since the last time. Raises FormatError if they cannot be written."""
        passed = time.monotonic() - self._since
        speed = {"samples_per_second": self._samples / passed} if passed > 0 and self._samples else {}
        if torch.cuda.is_available():
            speed["gpu_memory_mb"] = torch.cuda.max_memory_allocated() / 2**20
        self._since, self._samples = time.monotonic(), 0
        shown = {key: round(value, 6) for key, value in {**figures, **speed}.items()}
        self._append(json.dumps({"stage": stage, "step": step, **shown}) + "\n")
        self.progress.update(
            self._task, figures=" ".join(f"{key} {value:.3g}" for key, value in list(shown.items())[:3])
        )
        if self._board is not None:
            for key, value in shown.items():
                self._board.add_scalar(f"{stage}/{key}", value, step)

    def tell(self, text: str) -> None:
        """Say something on the terminal."""
        self.progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        if self._board is not None:
            self._board.close()

    def _append(self, line: str) -> None:
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line)
        except OSError as error:
            raise unwritable(self._path, error) from error


@contextmanager
def open_log(folder: Path, *, tensorboard: bool, leads: bool) -> Iterator[Log]:
    """A log in the folder of a run. Raises TrainingError if TensorBoard is wanted and not installed.

    Of many processes only the one that leads shows a bar and writes.
    """
    board = _open_board(folder) if tensorboard and leads else None
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[figures]}"),
    )
    with Progress(*columns, console=Console(stderr=True), disable=not leads) as progress:
        log = Log(folder, progress, board)
        try:
            yield log
        finally:
            log.close()


def _open_board(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise TrainingError("TensorBoard is not installed; pip install 'masklet[train]'") from error
    return SummaryWriter(str(folder / "tensorboard"))
