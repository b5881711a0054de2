"""What those commands of `masklet eval` share that measure a contender: their options, and the run itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from masklet.datasets.base import Clip, Dataset, Kind
    from masklet.evaluation.annotator import Annotator
    from masklet.evaluation.protocols.base import Procedure
    from masklet.evaluation.run import Done, Plan
    from masklet.evaluation.spread import Failure, Spread


class Engine(str, Enum):
    """Where sequences are done."""

    local = "local"
    ray = "ray"


class Baseline(str, Enum):
    """What can take a model's place."""

    still = "still"
    flow = "flow"
    grabcut = "grabcut"


class First(str, Enum):
    """How an object is told."""

    mask = "mask"
    box = "box"
    click = "click"


class Manner(str, Enum):
    """Where the simulated annotator clicks on an error."""

    centre = "centre"
    random = "random"


Name = Annotated[str, typer.Option("--dataset", help="Name of the data set.", show_default=False)]
Root = Annotated[Path, typer.Option(help="Folder of the unpacked data set.", show_default=False)]
Split = Annotated[str, typer.Option(help="Part of the data set.")]
Out = Annotated[Path | None, typer.Option(help="Folder of the run; runs/COMMAND-DATASET-NAME-OPTIONS if not given.")]
ModelName = Annotated[str, typer.Option(help="Name or file of a model; see masklet models.")]
BaselineName = Annotated[
    Baseline | None,
    typer.Option(help="In place of a model: first mask kept still, carried by optical flow, or GrabCut."),
]
Device = Annotated[str | None, typer.Option(help="cpu, cuda or mps; the best there is if not given.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the first so many sequences; more can follow later.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes; one for each GPU, or one, if not given.")]
EngineName = Annotated[Engine, typer.Option(help="This machine, or a Ray cluster.")]
RayAddress = Annotated[
    str | None, typer.Option(help="Of a Ray cluster, such as auto; one on this machine if not given.")
]
MannerName = Annotated[Manner, typer.Option("--annotator", help="Click on the centre of an error, or anywhere on it.")]
Seed = Annotated[int, typer.Option(help="Of the random annotator.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Begin again, even if OUT holds a part.")]


@dataclass(frozen=True)
class Common:
    """The options that all of them have, as they were typed."""

    dataset: str
    root: Path
    split: str
    limit: int | None
    model: str
    baseline: Baseline | None
    device: str | None
    out: Path | None
    workers: int | None
    engine: Engine
    ray_address: str | None
    overwrite: bool


def annotator(manner: Manner, seed: int) -> Annotator:
    """The simulated annotator."""
    from masklet.evaluation.annotator import Annotator

    return Annotator(manner.value, seed)


def run(kind: Kind, common: Common, procedure_for: Callable[[Dataset], Procedure], label: str) -> None:
    """Measure what is not done yet, with a bar; write the report and print the table. Exit code 1 if a sequence failed.

    Ctrl-C keeps the sequences that are finished. `label` ends the folder's name if none is given.
    """
    from masklet.evaluation.run import begin, clear
    from masklet.evaluation.spread import Failure

    plan, spread = plan_for(kind, common, procedure_for, label), spread_for(common)
    if common.overwrite:
        clear(plan.out)
    failures = []
    try:
        for clip, done in with_progress(plan, begin(plan), spread):
            if isinstance(done, Failure):
                failures.append(f"{clip.name}: {done.reason}")
    except KeyboardInterrupt:
        typer.echo("stopped; what is finished stays, and the same command goes on from there", err=True)
        raise typer.Exit(130) from None
    for failure in failures:
        typer.echo(f"masklet: {failure}", err=True)
    if len(failures) < len(plan.dataset.clips):
        report(plan)
    if failures:
        raise typer.Exit(1)


def plan_for(kind: Kind, common: Common, procedure_for: Callable[[Dataset], Procedure], label: str) -> Plan:
    """What is to be measured."""
    from masklet.datasets.registry import open_dataset
    from masklet.evaluation.contenders.registry import Choice
    from masklet.evaluation.run import Plan

    baseline = common.baseline.value if common.baseline else None
    dataset = open_dataset(common.dataset, common.root, common.split, kind=kind, limit=common.limit)
    out = common.out or Path("runs") / f"{common.dataset}-{baseline or Path(common.model).stem}-{label}"
    return Plan(dataset, procedure_for(dataset), Choice(common.model, baseline, common.device), out)


def spread_for(common: Common) -> Spread:
    """Where the sequences are done."""
    from masklet.evaluation.spread import Here, Processes, Ray, gpu_count

    if common.engine is Engine.ray:
        return Ray(common.ray_address, common.workers)
    if common.ray_address is not None:
        raise typer.BadParameter("--ray-address came without --engine ray; give both")
    gpus = 0 if common.baseline else gpu_count()
    count = common.workers or max(1, gpus)
    return Here() if count == 1 else Processes(count, gpus)


def with_progress(plan: Plan, todo: list[Clip], spread: Spread) -> Iterator[tuple[Clip, Done | Failure]]:
    """Clips as they are done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from masklet.evaluation.run import measure

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        total = len(plan.dataset.clips)
        task = bar.add_task("sequences", total=total, completed=total - len(todo))
        for clip, done in measure(plan, todo, spread):
            bar.update(task, advance=1, description=clip.name)
            yield clip, done


def report(plan: Plan) -> None:
    """Write the report, and print its table and where it lies."""
    from rich.console import Console

    from masklet.cli.eval.printing import as_table
    from masklet.evaluation.report.numbers import shown
    from masklet.evaluation.report.tables import remarks, table
    from masklet.evaluation.report.write import unfinished, write_report

    result, missing = write_report(plan.out, plan.dataset)
    settings = result.record["settings"]
    title = f"{result.name}, {settings['protocol']} on {settings['dataset']}; shares in percent"
    Console().print(as_table(title, table(result)))
    if further := [f"{n} {shown(n, value)}" for n, value in result.overall.items() if n not in result.measures]:
        typer.echo(", ".join(further))
    for sentence in remarks(result, unfinished(plan.out, plan.dataset)):
        typer.echo(sentence)
    typer.echo(f"masks, tables, plot and the worst sequences are in {plan.out}")
    if missing:
        typer.echo(f"masklet: {missing}", err=True)
