"""The log of a run: JSON lines, a line of progress, TensorBoard if it is installed, pictures of answers."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from masklet.atomic import atomic_write, make_folder, write_error, write_whole
from masklet.errors import TrainingError
from masklet.machine import peak_memory
from masklet.masks.draw import draw_overlay
from masklet.nn import Network
from masklet.training.batch import Batch
from masklet.training.prompts import Plan
from masklet.training.unroll import Unroll, enlarge

MOST_CLIPS, MOST_FRAMES = 4, 8
"""What is drawn of a batch."""

LOG = "log.jsonl"
"""The file's name in the folder of a run."""


class Log:
    """Writes figures as they come. A run that goes on adds to the same file, see `rewind`.

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
        """A line of figures. Raises FormatError if it cannot be written."""
        shown = {key: round(value, 6) for key, value in figures.items()}
        self._append(json.dumps({"stage": stage, "step": step, **shown}) + "\n")
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
            raise write_error(self._path, error) from error


def rewind(folder: Path, done: Mapping[str, int]) -> None:
    """Drop the lines of steps that will be done again. Raises FormatError if the log cannot be written.

    Args:
        folder: Of the run.
        done: For each stage, how many steps count; those that are not named have none.
    """
    path = folder / LOG
    if not path.is_file():
        return
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    kept = [line for line in lines if _counts(line, done)]
    if kept != lines:
        write_whole(path, "".join(kept))


def _counts(line: str, done: Mapping[str, int]) -> bool:
    try:
        figures = json.loads(line)
        return bool(figures["step"] <= done.get(figures["stage"], 0))
    except (ValueError, LookupError, TypeError):  # cut off when the run was killed
        return False


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


@torch.no_grad()
def save_pictures(network: Network, batch: Batch, plan: Plan, path: Path) -> None:
    """Write a picture: for each clip a row of frames with the true masks, and one with the network's last answers.

    Raises FormatError if it cannot be written.
    """
    answers = {p.frame: p.decoded for p in Unroll(network, batch, plan).predictions()}
    rows = []
    for clip in range(min(len(batch.seeds), MOST_CLIPS)):
        owned = (batch.owners == clip).nonzero()[:, 0]
        frames = range(min(batch.frames, MOST_FRAMES))
        found = batch.masks.clone()
        for frame, decoded in answers.items():
            best = decoded.logits[torch.arange(len(found)), decoded.iou.argmax(dim=1)][:, None]
            found[:, frame] = enlarge(best, found.shape[-1])[:, 0] > 0
        for masks in (batch.masks, found):
            rows.append(np.hstack([_drawn(batch.images[clip, frame], masks[owned, frame]) for frame in frames]))
    make_folder(path.parent)
    with atomic_write(path) as temporary:
        Image.fromarray(np.vstack(rows)).save(temporary, format="JPEG", quality=85)


def _drawn(image: Tensor, masks: Tensor) -> NDArray[np.uint8]:
    pixels = np.ascontiguousarray(image.permute(1, 2, 0).cpu().numpy())
    return draw_overlay(pixels, dict(enumerate(masks.cpu().numpy(), start=1)))
