"""`masklet eval compare`: several runs beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from masklet.evaluation.compare import Comparison


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Folders of runs.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="Folder for compare.md, compare.csv and compare.png.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Of the draws of the intervals.")] = 0,
) -> None:
    """Hold runs against the first: means with 95 % intervals, differences, and sequences won, tied and lost.

    Intervals come from drawing sequences with replacement, 10,000 times. Only sequences that all runs have count, in
    every column and in the plot.

    \b
    Examples:
      masklet eval compare runs/davis2017-nano-vos-mask runs/davis2017-flow-vos-mask
      masklet eval compare runs/a runs/b runs/c --out comparison
    """
    from rich.console import Console

    from masklet.cli.terminal import as_table
    from masklet.evaluation.compare import cautions, compare_runs, comparison_table
    from masklet.evaluation.results import read_run

    comparison = compare_runs([read_run(folder) for folder in runs], seed)
    settings = comparison.runs[0].run.record["settings"]
    sequences = "1 sequence" if len(comparison.clips) == 1 else f"{len(comparison.clips)} sequences"
    title = f"{settings['protocol']} on {settings['dataset']}, {sequences}, against {comparison.runs[0].name}"
    Console().print(as_table(title, comparison_table(comparison)))
    for sentence in cautions(comparison):
        typer.echo(sentence, err=True)
    if out:
        write(comparison, title, out)
        typer.echo(f"compare.md, compare.csv and compare.png are in {out}")


def write(comparison: Comparison, title: str, out: Path) -> None:
    """The table, the values of each sequence, and a plot."""
    from masklet.atomic import make_folder, write_whole
    from masklet.evaluation.compare import cautions, clip_table, full_table
    from masklet.evaluation.report import as_markdown, plot_runs, write_csv

    make_folder(out)
    lines = [f"{title}. Shares in percent.", "", *as_markdown(full_table(comparison)), "", *cautions(comparison)]
    write_whole(out / "compare.md", "\n".join([*lines, ""]))
    write_csv(out / "compare.csv", clip_table(comparison))
    names = [item.name for item in comparison.runs]
    plot_runs([item.run for item in comparison.runs], names, comparison.clips, out / "compare.png")
