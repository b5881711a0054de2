"""`masklet eval score`: masks that any tool wrote, against the truth. `masklet eval compare`: several runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from masklet.cli.choices import option

if TYPE_CHECKING:
    from rich.console import Console

    from masklet.evaluation.scoring import FolderScores
    from masklet.metrics.summary import RegionAndBoundary, SeenAndUnseen


def score(
    pred: Annotated[Path, option("Folder of the predicted masks.", show_default=False)],
    gt: Annotated[Path, option("Folder of the true masks.", show_default=False)],
    protocol: Annotated[
        str | None,
        option(
            "davis2016, davis2017, ytvos, sav, mose, mosev2, lvos or all; if not given, "
            "davis2017 for index PNGs and sav for a folder per object."
        ),
    ] = None,
    sequences: Annotated[Path | None, option("A text file with a sequence in each line: only these count.")] = None,
    meta: Annotated[Path | None, option("ytvos: the meta.json of the truth, for G.")] = None,
    train_meta: Annotated[
        Path | None, option("ytvos: the meta.json of the training split, whose categories are seen.")
    ] = None,
    csv: Annotated[Path | None, option("Write a row per object, per sequence and for all.")] = None,
    json: Annotated[Path | None, option("Write everything, with the values of each frame.")] = None,
    workers: Annotated[int | None, option("Processes; one per core if not given.", 1, 1024)] = None,
) -> None:
    """Score masks that any tool wrote: J, F and J&F of every sequence, as the published tools compute them.

    Both folders hold SEQUENCE/00000.png ..., where a pixel's value is its object, or SEQUENCE/OBJECT/00000.png ...
    as SA-V has it. Frames that the truth has not are passed over.

    \b
    Examples:
      masklet eval score --pred out --gt DAVIS/Annotations/480p --sequences DAVIS/ImageSets/2017/val.txt
      masklet eval score --pred out --gt sav_val/Annotations_6fps --csv scores.csv
      masklet eval score --pred out --gt valid/Annotations --protocol ytvos --meta meta.json --train-meta train.json
    """
    if (meta is None) != (train_meta is None):
        raise typer.BadParameter("--meta and --train-meta go together: both are needed to tell seen from unseen")

    from rich.console import Console

    from masklet.cli.terminal import bar
    from masklet.datasets.files import listed, read_names
    from masklet.evaluation.scoring import score_folders, split_scores, write_scores_csv, write_scores_json

    names = read_names(sequences) if sequences else None
    with bar("scoring frames") as report:
        scores = score_folders(pred, gt, protocol, names=names, workers=workers, progress=report)
    split = split_scores(scores, meta, train_meta) if meta and train_meta else None
    if csv:
        write_scores_csv(scores, csv)
    if json:
        write_scores_json(scores, json, split)
    show(scores, split, Console())
    if scores.extra:
        typer.echo(f"masklet: passed over {listed(scores.extra)}: predicted, and not among what is scored", err=True)


def show(scores: FolderScores, split: SeenAndUnseen | None, console: Console) -> None:
    """Print a row for each sequence, and the mean over all objects."""
    from masklet.cli.terminal import as_table
    from masklet.evaluation.results import shown
    from masklet.evaluation.scoring import SCORE_COLUMNS

    def row(name: str, objects: int, summary: RegionAndBoundary) -> list[str]:
        return [name, str(objects), *(shown("J", value) for value in summary.values())]

    rows = [row(each.name, len(each.objects), each.summary()) for each in scores.sequences]
    overall = row("all", sum(len(each.objects) for each in scores.sequences), scores.summary())
    console.print(as_table(f"{scores.protocol}, in percent", [["sequence", "objects", *SCORE_COLUMNS], *rows, overall]))
    if split:
        console.print(", ".join(f"{name} {shown(name, value)}" for name, value in split.named().items()))


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Folders of runs.", show_default=False)],
    out: Annotated[Path | None, option("Folder for compare.md, compare.csv and compare.png.")] = None,
    seed: Annotated[int, option("Of the draws of the intervals.", 0, 2**63 - 1)] = 0,
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
    from masklet.evaluation.compare import cautions, compare_runs, comparison_table, write_comparison
    from masklet.evaluation.results import read_run

    comparison = compare_runs([read_run(folder) for folder in runs], seed)
    settings = comparison.runs[0].run.record["settings"]
    sequences = "1 sequence" if len(comparison.clips) == 1 else f"{len(comparison.clips)} sequences"
    title = f"{settings['protocol']} on {settings['dataset']}, {sequences}, against {comparison.runs[0].name}"
    Console().print(as_table(title, comparison_table(comparison)))
    for sentence in cautions(comparison):
        typer.echo(sentence, err=True)
    if out:
        write_comparison(comparison, title, out)
        typer.echo(f"compare.md, compare.csv and compare.png are in {out}")
