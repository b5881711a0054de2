"""Bars on standard error: how far, how fast, how long still."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

T = TypeVar("T")


class Rate(ProgressColumn):
    """Frames a second; nothing for bars that count something else."""

    def render(self, task: Task) -> Text:
        """What stands in the column."""
        counts_frames = task.fields.get("unit") == "frames"
        return Text(f"{task.speed:.1f} frames/s" if task.speed and counts_frames else "")


def bars() -> Progress:
    """Bars that are shown inside a `with` block."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


def counted(items: Iterable[T], progress: Progress, what: str, total: int | None) -> Iterator[T]:
    """The same items, each a frame, with a bar of their own. Where the total was an estimate, the end corrects it."""
    task = progress.add_task(what, total=total, unit="frames")
    came = 0
    for item in items:
        yield item
        came += 1
        progress.update(task, completed=came)
    progress.update(task, total=came)
