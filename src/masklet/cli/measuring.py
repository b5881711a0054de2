"""The common part of the commands of `masklet eval` that measure a method: their options, and the run itself."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_type_hints

import typer

from masklet.cli.choices import DeviceChoice, ModelChoice, PolicyChoice, SpeedChoice, option, stopped
from masklet.errors import ConfigError, nearest

if TYPE_CHECKING:
    from masklet.datasets.base import ClipKind, Dataset
    from masklet.evaluation.annotator import Annotator
    from masklet.evaluation.protocols.base import Procedure
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

    def opened(self, kind: ClipKind) -> Dataset:
        """The data set. Raises what `open_dataset` raises."""
        from masklet.datasets.registry import open_dataset

        return open_dataset(self.dataset, self.root, self.split, kind=kind, limit=self.limit)

    def executor(self, baseline: str | None) -> Executor:
        """Where sequences are done. `--engine ray` is an earlier name of `--cluster`."""
        from masklet.executors import Pool, Ray, Serial, gpu_count

        cluster = self.cluster
        if self.engine is not None or self.ray_address is not None:
            if self.engine != "ray" and self.ray_address is not None:
                raise typer.BadParameter(
                    "--ray-address came without --engine ray; give --cluster ADDRESS in their place"
                )
            cluster = (self.ray_address or "here") if self.engine == "ray" else cluster
            now = f"is now --cluster {cluster}" if cluster else "can be left out"
            typer.echo(f"masklet: --engine {now}; the next version will not know it any more", err=True)
        if cluster is not None:
            return Ray(None if cluster == "here" else cluster, self.workers)
        gpus = 0 if baseline else gpu_count()
        count = self.workers or max(1, gpus)
        return Serial() if count == 1 else Pool(count, gpus)


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
    common: Common,
    dataset: Dataset,
    procedure: Procedure,
    label: str,
    baseline: str | None = None,
    tracking: TrackerChoice | None = None,
) -> None:
    """Measure what is not done yet, with a bar; write the report and print the table. Exit code 1 if a sequence failed.

    Ctrl-C keeps the sequences that are finished. `label` ends the folder's name if none is given.
    """
    from rich.console import Console

    from masklet.cli.terminal import as_table, bars
    from masklet.evaluation.methods import MethodChoice
    from masklet.evaluation.report import remarks, table, unfinished, write_report
    from masklet.evaluation.results import shown
    from masklet.evaluation.run import Measurement, begin, clear, measure
    from masklet.executors import Failure

    fields = tracking.fields() if tracking else {}
    speed = () if common.speed in (None, "exact") else (common.speed,)
    options = (f"{value}" if name == "policy" else f"{name}={value}" for name, value in fields.items())
    name = "-".join([baseline or Path(common.model).stem, *speed, *options])
    out = common.out or Path("runs") / f"{common.dataset}-{name}-{label}".replace(":", ".")
    choice = MethodChoice(common.model, baseline, common.device, common.speed, fields)
    plan, executor = Measurement(dataset, procedure, choice, out), common.executor(baseline)
    if common.overwrite:
        clear(out)
    failures = []
    try:
        todo, total = begin(plan), len(dataset.clips)
        with bars() as progress:
            task = progress.add_task("sequences", total=total, completed=total - len(todo))
            for clip, done in measure(plan, todo, executor):
                progress.update(task, advance=1, description=clip.name)
                if isinstance(done, Failure):
                    failures.append(f"{clip.name}: {done.reason}")
    except KeyboardInterrupt:
        raise stopped() from None
    for failure in failures:
        typer.echo(f"masklet: {failure}", err=True)
    if len(failures) < total:
        result, missing = write_report(out, dataset)
        settings = result.record["settings"]
        title = f"{result.name}, {settings['protocol']} on {settings['dataset']}; shares in percent"
        Console().print(as_table(title, table(result)))
        if further := [f"{n} {shown(n, value)}" for n, value in result.overall.items() if n not in result.measures]:
            typer.echo(", ".join(further))
        for sentence in remarks(result, unfinished(out, dataset)):
            typer.echo(sentence)
        typer.echo(f"masks, tables, plot and the worst sequences are in {out}")
        if missing:
            typer.echo(f"masklet: {missing}", err=True)
    if failures:
        raise typer.Exit(1)
