"""The common part of the commands of `masklet eval` that measure a method: their options, and the run itself."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_type_hints

import typer

from masklet.cli.choices import DeviceChoice, ModelChoice, PolicyChoice, SpeedChoice, option
from masklet.errors import ConfigError, nearest

if TYPE_CHECKING:
    from masklet.datasets.base import ClipKind, Dataset
    from masklet.evaluation.annotator import Annotator
    from masklet.evaluation.methods import MethodChoice
    from masklet.evaluation.protocols.base import Procedure
    from masklet.evaluation.run import Measurement
    from masklet.executors import Executor

FirstName = Annotated[
    Literal["mask", "box", "click"],
    option("How each object is prompted in the frame in which it enters.", name="--prompt"),
]
BaselineName = Annotated[
    Literal["still", "flow", "grabcut"] | None,
    option("In place of a model: first mask kept still, carried by optical flow, or GrabCut.", name="--baseline"),
]


@dataclass(frozen=True, kw_only=True)
class Common:
    """The options that all of them have."""

    dataset: Annotated[str, option("Name of the data set, or module:Name of a reader.", show_default=False)]
    root: Annotated[Path, option("Folder of the unpacked data set.", show_default=False)]
    split: Annotated[str, option("Part of the data set.")] = "val"
    limit: Annotated[
        int | None, option("Only the first so many sequences; more can follow later.", 1, 1_000_000_000)
    ] = None
    model: ModelChoice = "nano"
    speed: SpeedChoice = None
    device: DeviceChoice = None
    out: Annotated[Path | None, option("Folder of the run; runs/DATASET-NAME-COMMAND-OPTIONS if not given.")] = None
    overwrite: Annotated[bool, option("Begin again, even if OUT holds a part.", name="--overwrite")] = False
    workers: Annotated[int | None, option("Processes; one for each GPU, or one, if not given.", 1, 1024)] = None
    cluster: Annotated[
        str | None, option("Do the sequences on a Ray cluster: its address, or auto; here starts one.")
    ] = None
    engine: Annotated[str | None, typer.Option(hidden=True)] = None
    ray_address: Annotated[str | None, typer.Option(hidden=True)] = None


@dataclass(frozen=True, kw_only=True)
class TrackerChoice:
    """How videos are tracked."""

    policy: PolicyChoice = "published"
    settings: Annotated[
        list[str],
        option("FIELD=VALUE of masklet.TrackingOptions, such as fill_holes=0; as often as needed.", name="--set"),
    ]

    def fields(self) -> dict[str, Any]:
        """Fields of TrackingOptions that are not the default. Raises ConfigError for what they cannot be."""
        found: dict[str, Any] = {} if self.policy == "published" else {"policy": self.policy}
        return found | dict(map(parse_setting, self.settings))


@dataclass(frozen=True, kw_only=True)
class AnnotatorChoice:
    """Who clicks."""

    annotator: Annotated[Literal["centre", "random"], option("Click on the centre of an error, or anywhere on it.")] = (
        "centre"
    )
    seed: Annotated[int, option("Of the random annotator.", 0, 2**63 - 1)] = 0

    def made(self) -> Annotator:
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
    from masklet.cli.terminal import bars
    from masklet.evaluation.methods import MethodChoice
    from masklet.evaluation.run import begin, clear, measure
    from masklet.executors import Failure

    fields = tracking.fields() if tracking else {}
    choice = MethodChoice(common.model, baseline, common.device, common.speed, fields)
    plan, executor = plan_for(kind, common, choice, procedure_for, label), executor_for(common, baseline)
    if common.overwrite:
        clear(plan.out)
    failures = []
    try:
        todo, total = begin(plan), len(plan.dataset.clips)
        with bars() as progress:
            task = progress.add_task("sequences", total=total, completed=total - len(todo))
            for clip, done in measure(plan, todo, executor):
                progress.update(task, advance=1, description=clip.name)
                if isinstance(done, Failure):
                    failures.append(f"{clip.name}: {done.reason}")
    except KeyboardInterrupt:
        typer.echo("stopped; what is finished stays, and the same command goes on from there", err=True)
        raise typer.Exit(130) from None
    for failure in failures:
        typer.echo(f"masklet: {failure}", err=True)
    if len(failures) < total:
        report(plan)
    if failures:
        raise typer.Exit(1)


def plan_for(
    kind: ClipKind, common: Common, choice: MethodChoice, procedure_for: Callable[[Dataset], Procedure], label: str
) -> Measurement:
    from masklet.datasets.registry import open_dataset
    from masklet.evaluation.run import Measurement

    dataset = open_dataset(common.dataset, common.root, common.split, kind=kind, limit=common.limit)
    speed = () if choice.speed in (None, "exact") else (choice.speed,)
    options = (f"{value}" if name == "policy" else f"{name}={value}" for name, value in choice.tracking.items())
    name = "-".join([choice.baseline or Path(choice.model).stem, *speed, *options])
    out = common.out or Path("runs") / f"{common.dataset}-{name}-{label}".replace(":", ".")
    return Measurement(dataset, procedure_for(dataset), choice, out)


def executor_for(common: Common, baseline: str | None) -> Executor:
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


def report(plan: Measurement) -> None:
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
