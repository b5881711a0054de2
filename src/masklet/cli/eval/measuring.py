"""The common part of the commands of `masklet eval` that measure a method: their options, and the run itself."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_type_hints

import typer

from masklet.cli.choices import DeviceChoice, ModelChoice, PolicyChoice, SpeedChoice
from masklet.errors import ConfigError, nearest

if TYPE_CHECKING:
    from masklet.datasets.base import Clip, ClipKind, Dataset
    from masklet.evaluation.annotator import Annotator
    from masklet.evaluation.methods import MethodChoice
    from masklet.evaluation.protocols.base import Procedure
    from masklet.evaluation.results import ClipResult
    from masklet.evaluation.run import Measurement
    from masklet.executors import Executor, Failure

FirstName = Annotated[
    Literal["mask", "box", "click"],
    typer.Option("--prompt", help="How each object is prompted in the frame in which it enters."),
]
BaselineName = Annotated[
    Literal["still", "flow", "grabcut"] | None,
    typer.Option("--baseline", help="In place of a model: first mask kept still, carried by optical flow, or GrabCut."),
]


@dataclass(frozen=True, kw_only=True)
class Common:
    """The options that all of them have."""

    dataset: Annotated[str, typer.Option(help="Name of the data set, or module:Name of a reader.", show_default=False)]
    root: Annotated[Path, typer.Option(help="Folder of the unpacked data set.", show_default=False)]
    split: Annotated[str, typer.Option(help="Part of the data set.")] = "val"
    limit: Annotated[
        int | None,
        typer.Option(min=1, max=1_000_000_000, help="Only the first so many sequences; more can follow later."),
    ] = None
    model: ModelChoice = "nano"
    speed: SpeedChoice = None
    device: DeviceChoice = None
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run; runs/DATASET-NAME-COMMAND-OPTIONS if not given.")
    ] = None
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Begin again, even if OUT holds a part.")] = False
    workers: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Processes; one for each GPU, or one, if not given.")
    ] = None
    cluster: Annotated[
        str | None,
        typer.Option(help="Do the sequences on a Ray cluster: its address, or auto; here starts one."),
    ] = None
    engine: Annotated[str | None, typer.Option(hidden=True)] = None
    ray_address: Annotated[str | None, typer.Option(hidden=True)] = None


@dataclass(frozen=True, kw_only=True)
class TrackerChoice:
    """How videos are tracked."""

    policy: PolicyChoice = "published"
    settings: Annotated[
        list[str],
        typer.Option("--set", help="FIELD=VALUE of masklet.TrackingOptions, such as fill_holes=0; as often as needed."),
    ]

    def fields(self) -> dict[str, Any]:
        """Fields of TrackingOptions that are not the default. Raises ConfigError for what they cannot be."""
        found: dict[str, Any] = {} if self.policy == "published" else {"policy": self.policy}
        return found | dict(map(parse_setting, self.settings))


@dataclass(frozen=True, kw_only=True)
class AnnotatorChoice:
    """Who clicks."""

    annotator: Annotated[
        Literal["centre", "random"], typer.Option(help="Click on the centre of an error, or anywhere on it.")
    ] = "centre"
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Of the random annotator.")] = 0

    def made(self) -> Annotator:
        """The simulated annotator."""
        from masklet.evaluation.annotator import Annotator

        return Annotator(self.annotator, self.seed)


def parse_setting(text: str) -> tuple[str, Any]:
    """A field of TrackingOptions and its value. Raises ConfigError for another name, and a value of another kind."""
    from masklet.video import TrackingOptions

    types = {name: get_args(hint) or (hint,) for name, hint in get_type_hints(TrackingOptions).items()}
    del types["policy"]
    name, _, value = text.partition("=")
    if name not in types:
        raise ConfigError(f"there is no tracking option {name!r}{nearest(name, types)}; there are {', '.join(types)}")
    words = {"true": True, "false": False, "none": None}
    try:
        parsed = words[value.lower()] if value.lower() in words else ast.literal_eval(value)
    except (ValueError, SyntaxError):
        parsed = value
    if type(parsed) not in types[name]:
        kinds = " or ".join("none" if kind is type(None) else kind.__name__ for kind in types[name])
        raise ConfigError(f"{name} is {value!r}; give {name}=VALUE, of the kind {kinds}")
    return name, parsed


def run(
    kind: ClipKind,
    common: Common,
    procedure_for: Callable[[Dataset], Procedure],
    label: str,
    *,
    baseline: str | None = None,
    tracking: TrackerChoice | None = None,
) -> None:
    """Measure what is not done yet, with a bar; write the report and print the table. Exit code 1 if a sequence failed.

    Ctrl-C keeps the sequences that are finished. `label` ends the folder's name if none is given.
    """
    from masklet.evaluation.methods import MethodChoice
    from masklet.evaluation.run import begin, clear
    from masklet.executors import Failure

    fields = tracking.fields() if tracking else {}
    choice = MethodChoice(common.model, baseline, common.device, common.speed, fields)
    plan, executor = plan_for(kind, common, choice, procedure_for, label), executor_for(common, baseline)
    if common.overwrite:
        clear(plan.out)
    failures = []
    try:
        for clip, done in with_progress(plan, begin(plan), executor):
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


def plan_for(
    kind: ClipKind, common: Common, choice: MethodChoice, procedure_for: Callable[[Dataset], Procedure], label: str
) -> Measurement:
    """The method to measure."""
    from masklet.datasets.registry import open_dataset
    from masklet.evaluation.run import Measurement

    dataset = open_dataset(common.dataset, common.root, common.split, kind=kind, limit=common.limit)
    speed = () if choice.speed in (None, "exact") else (choice.speed,)
    options = (f"{value}" if name == "policy" else f"{name}={value}" for name, value in choice.tracking.items())
    name = "-".join([choice.baseline or Path(choice.model).stem, *speed, *options])
    out = common.out or Path("runs") / f"{common.dataset}-{name}-{label}".replace(":", ".")
    return Measurement(dataset, procedure_for(dataset), choice, out)


def executor_for(common: Common, baseline: str | None) -> Executor:
    """Where the sequences are done."""
    from masklet.executors import Pool, Ray, Serial, gpu_count

    cluster = common.cluster
    if common.engine is not None or common.ray_address is not None:
        if common.engine != "ray" and common.ray_address is not None:
            raise typer.BadParameter("--ray-address came without --engine ray; give --cluster ADDRESS in their place")
        cluster = (common.ray_address or "here") if common.engine == "ray" else cluster
        now = f"is now --cluster {cluster}" if cluster else "can be left out"
        typer.echo(f"masklet: --engine {now}; the next version will not know it any more", err=True)
    if cluster is not None:
        return Ray(None if cluster == "here" else cluster, common.workers)
    gpus = 0 if baseline else gpu_count()
    count = common.workers or max(1, gpus)
    return Serial() if count == 1 else Pool(count, gpus)


def with_progress(
    plan: Measurement, todo: list[Clip], executor: Executor
) -> Iterator[tuple[Clip, ClipResult | Failure]]:
    """Clips as they are done."""
    from masklet.cli.terminal import bars
    from masklet.evaluation.run import measure

    with bars() as progress:
        total = len(plan.dataset.clips)
        task = progress.add_task("sequences", total=total, completed=total - len(todo))
        for clip, done in measure(plan, todo, executor):
            progress.update(task, advance=1, description=clip.name)
            yield clip, done


def report(plan: Measurement) -> None:
    """Write the report, and print its table and where it lies."""
    from rich.console import Console

    from masklet.cli.terminal import as_table
    from masklet.evaluation.report import remarks, table, unfinished, write_report
    from masklet.evaluation.results import shown

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
