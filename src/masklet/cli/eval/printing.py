"""Tables on the terminal, which fit 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table


def as_table(title: str, rows: Sequence[Sequence[str]]) -> Table:
    """A table; the first row is its heading, the first column names, which are folded if they are long, all others
    numbers. A last row "all" stands apart."""
    heading, *rest = rows
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=0)
    table.add_column(heading[0], overflow="fold", min_width=8)
    for name in heading[1:]:
        table.add_column(name.replace(" ", "\n").replace("/", "\n/"), justify="right", no_wrap=True)
    for place, row in enumerate(rest):
        if place and row[0] == "all":
            table.add_section()
        table.add_row(*row)
    return table
