"""Tables on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table


def as_table(title: str, rows: Sequence[Sequence[str]]) -> Table:
    """A table; the first row is its heading, the first column names, all others numbers."""
    heading, *rest = rows
    table = Table(title=title, title_justify="left")
    table.add_column(heading[0], no_wrap=True)
    for name in heading[1:]:
        table.add_column(name, justify="right")
    for place, row in enumerate(rest):
        if place and row[0] == "all":
            table.add_section()
        table.add_row(*row)
    return table
