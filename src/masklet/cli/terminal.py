"""The output on a terminal: bars on standard error (how far, how fast, how long still), and tables of 80 columns."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

T = TypeVar("T")


class Rate(ProgressColumn):
    """Frames a second; nothing for bars that count something else."""

    def render(self, task: Task) -> Text:
        """The text of the column."""
        counts_frames = task.fields.get("unit") == "frames"
        return Text(f"{task.speed:.1f} frames/s" if task.speed and counts_frames else "")


def bars(*, passing: bool = False) -> Progress:
    """Bars for a `with` block; `passing` ones are shown on a terminal alone, and go when the block ends."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=passing, disable=passing and not console.is_terminal)


@contextmanager
def bar(what: str, total: int | None = None) -> Iterator[Callable[..., None]]:
    """One passing bar. What it gives is called with how many are done and, if the total was not known before, of how
    many."""
    with bars(passing=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done, of=total: progress.update(task, completed=done, total=of)


def counted(progress: Progress, items: Iterable[T], what: str, total: int | None) -> Iterator[T]:
    """The same items, each a frame, with a bar of their own. Where the total was an estimate, the end corrects it."""
    task = progress.add_task(what, total=total, unit="frames")
    came = 0
    for item in items:
        yield item
        came += 1
        progress.update(task, completed=came)
    progress.update(task, total=came)


def as_table(title: str, rows: Sequence[Sequence[str]]) -> Table:
    """A table; the first row is its heading, the first column names, which are folded if they are long, all others
    numbers. A last row "all" stands apart."""
    heading, *rest = rows
    table = Table(title=Text(title, "table.title"), title_justify="left", box=SIMPLE_HEAD, padding=0)
    table.add_column(heading[0], overflow="fold", min_width=8)
    for name in heading[1:]:
        table.add_column(name.replace(" ", "\n").replace("/", "\n/"), justify="right", no_wrap=True)
    for place, row in enumerate(rest):
        if place and row[0] == "all":
            table.add_section()
        table.add_row(*map(Text, row))  # as they are: names may have brackets and colons
    return table
