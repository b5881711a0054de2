"""`masklet eval`: commands that measure, one that scores what any tool wrote, and one that compares runs."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_type_hints

import typer

from masklet.cli import choices
from masklet.cli.choices import help_of, option, spread_options, stopped, tell
from masklet.cli.pictures import EverythingChoice
from masklet.errors import ConfigError, nearest

if TYPE_CHECKING:
    from masklet.datasets.base import ClipKind, Dataset
    from masklet.evaluation.protocols import Annotator
    from masklet.evaluation.run import Procedure
    from masklet.executors import Executor

Way = Literal["offline", "online", "saved"]

FirstName = Annotated[
    Literal["mask", "box", "click"],
    option("How each object is prompted in the frame in which it enters.", name="--prompt"),
]
BaselineName = Annotated[
    str | None,
    option(
        "In place of a model, such as still (the first mask kept), flow (carried by optical flow) or grabcut.",
        name="--baseline",
    ),
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
    model: choices.ModelChoice = "nano"
    speed: choices.SpeedChoice = None
    device: choices.DeviceChoice = None
    out: Annotated[Path | None, option("Folder of the run; runs/DATASET-NAME-COMMAND-OPTIONS if not given.")] = None
    overwrite: Annotated[bool, option("Begin again, even if OUT holds a part.", name="--overwrite")] = False
    workers: Annotated[int | None, option("Processes; one for each GPU, or one, if not given.", 1, 1024)] = None
    cluster: Annotated[
        str | None, option("Do the sequences on a Ray cluster: its address, or auto; here starts one.")
    ] = None
    engine: Annotated[str | None, typer.Option(hidden=True)] = None
    ray_address: Annotated[str | None, typer.Option(hidden=True)] = None

    def opened(self, kind: ClipKind) -> Dataset:
        """The videos or pictures that are measured on."""
        from masklet.datasets.registry import open_dataset

        return open_dataset(self.dataset, self.root, self.split, kind=kind, limit=self.limit)


@dataclass(frozen=True, kw_only=True)
class TrackerChoice:
    """How videos are tracked."""

    policy: choices.PolicyChoice = "published"
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
        from masklet.evaluation.protocols import Annotator

        return Annotator(self.annotator, self.seed)


def parse_setting(text: str) -> tuple[str, Any]:
    """A field of TrackingOptions and its value. Raises ConfigError for another name, and a value of another kind."""
    from masklet.video import TrackingOptions

    hints = {name: get_args(hint) or (hint,) for name, hint in get_type_hints(TrackingOptions).items()}
    types = {name: [kind if isinstance(kind, type) else str for kind in kinds] for name, kinds in hints.items()}
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
        kinds = " or ".join("none" if kind is type(None) else kind.__name__ for kind in dict.fromkeys(types[name]))
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
    from masklet.evaluation.report import remarks, table, write_report
    from masklet.evaluation.run import Measurement, begin_run, clear, measure_clips, undone
    from masklet.executors import Failure

    fields = tracking.fields() if tracking else {}
    choice = MethodChoice(common.model, baseline, common.device, common.speed, fields)
    speed = () if choice.speed in (None, "exact") else (choice.speed,)
    options = (f"{value}" if name == "policy" else f"{name}={value}" for name, value in fields.items())
    model = Path(common.model)
    of_model = model.stem if model.is_file() else model.name  # names have dots: sam2.1-tiny
    name = "-".join([common.dataset, baseline or of_model, *speed, *options, label])
    plan = Measurement(dataset, procedure, choice, common.out or Path("runs") / name.replace(":", "."))
    executor = executor_for(common, baseline)
    if common.overwrite:
        clear(plan.out)
    failures = []
    try:
        todo, total = begin_run(plan), len(dataset.clips)
        with bars() as progress:
            task = progress.add_task("sequences", total=total, completed=total - len(todo))
            for clip, done in measure_clips(plan, todo, executor):
                progress.update(task, advance=1, description=clip.name)
                if isinstance(done, Failure):
                    failures.append(f"{clip.name}: {done.reason}")
    except KeyboardInterrupt:
        raise stopped() from None
    for failure in failures:
        tell(failure)
    if len(failures) == total:
        raise typer.Exit(1)
    result, missing = write_report(plan.out, dataset)
    settings = result.record["settings"]
    title = f"{result.name}, {settings['protocol']} on {settings['dataset']}; shares in percent"
    Console().print(as_table(title, table(result)))
    for sentence in remarks(result, len(undone(plan.out, dataset))):
        typer.echo(sentence)
    typer.echo(f"masks, tables, plot and the worst sequences are in {plan.out}")
    if missing:
        tell(missing)
    if failures:
        raise typer.Exit(1)


def executor_for(common: Common, baseline: str | None) -> Executor:
    from masklet.executors import Pool, Ray, Serial, gpu_count

    cluster = common.cluster
    if common.engine is not None or common.ray_address is not None:
        if common.engine != "ray" and common.ray_address is not None:
            raise typer.BadParameter("--ray-address came without --engine ray; give --cluster ADDRESS in their place")
        cluster = (common.ray_address or "here") if common.engine == "ray" else cluster
        now = f"is now --cluster {cluster}" if cluster else "can be left out"
        tell(f"--engine {now}; the next version will not know it any more")
    if cluster is not None:
        return Ray(None if cluster == "here" else cluster, common.workers)
    gpus = 0 if baseline else gpu_count()
    count = common.workers or max(1, gpus)
    return Serial() if count == 1 else Pool(count, gpus)


@spread_options
def vos(
    common: Common,
    options: TrackerChoice,
    baseline: BaselineName = None,
    prompt: FirstName = "mask",
    clicks: Annotated[int, option("With --prompt click: clicks on each object.", 1, 100)] = 1,
    protocol: Annotated[
        str | None, option("Which frames and objects count, as in masklet eval score; the data set's own.")
    ] = None,
    *,
    who: AnnotatorChoice,
) -> None:
    """Semi-supervised video object segmentation: J and F of objects that are prompted once and then followed.

    Data sets: davis2016, davis2017, ytvos, sav, mose, lvos, folder, index, frames, your own by module:Name.

    Writes OUT/masks as the data set wants them handed in, OUT/sequences.csv, objects.csv, summary.json, table.md,
    plot.png and OUT/worst. Sequences that are done are not done again.

    \b
    Examples:
      masklet eval vos --dataset davis2017 --root DAVIS --model sam2.1-tiny
      masklet eval vos --dataset davis2017 --root DAVIS --prompt click --clicks 3
      masklet eval vos --dataset folder --root my-videos --baseline flow
    """
    from masklet.evaluation.protocols import Prompting
    from masklet.evaluation.videos import SemiSupervised
    from masklet.metrics.sequence import PROTOCOLS

    count = clicks if prompt == "click" else 0
    dataset = common.opened("video")
    rules = protocol or (dataset.name if dataset.name in PROTOCOLS else "davis2017")
    procedure = SemiSupervised(Prompting(prompt, count, who.made()), rules)
    run(common, dataset, procedure, f"vos-{prompt}{count or ''}", baseline, options)


@spread_options
def tracking(common: Common, options: TrackerChoice, baseline: BaselineName = None, prompt: FirstName = "box") -> None:
    """Multi-object tracking: HOTA, DetA, AssA, MOTA, IDF1 and switches of identity, by TrackEval.

    Data sets and output are those of masklet eval vos. "all" is the mean over sequences.

    \b
    Examples:
      masklet eval tracking --dataset davis2017 --root DAVIS
      masklet eval tracking --dataset mose --root MOSE --split train --limit 20 --prompt mask
    """
    from masklet.evaluation.protocols import Prompting
    from masklet.evaluation.videos import MultiObject

    procedure = MultiObject(Prompting(prompt))
    run(common, common.opened("video"), procedure, f"tracking-{prompt}", baseline, options)


@spread_options
def interactive(
    common: Common,
    options: TrackerChoice,
    baseline: BaselineName = None,
    way: Annotated[
        Way, option("Correct the worst frame, round after round; pause in one pass; or count what it saves.")
    ] = "offline",
    rounds: Annotated[int, option("offline, online: annotated frames, the first included.", 1, 100)] = 8,
    clicks: Annotated[
        int | None, option("On an object in such a frame; 3, with --way saved at most 5.", 1, 100)
    ] = None,
    target: Annotated[float, option("online, saved: IoU that needs no correction.", 0.01, 1)] = 0.75,
    *,
    who: AnnotatorChoice,
) -> None:
    """Interactive video segmentation, with a simulated annotator, as in the SAM 2 paper.

    offline: J&F after each round, of which each corrects the worst frame of the video. online: one pass, which pauses
    where an object's IoU falls below the target. saved: clicks to bring every frame to the target, with the tracker and
    each frame alone. Data sets and output are those of masklet eval vos.

    \b
    Examples:
      masklet eval interactive --dataset davis2017 --root DAVIS --limit 5
      masklet eval interactive --dataset folder --root my-videos --way online --rounds 3
      masklet eval interactive --dataset folder --root my-videos --way saved --target 0.85
    """
    from masklet.evaluation.videos import ClicksSaved, Offline, Online

    count, annotator = clicks or (5 if way == "saved" else 3), who.made()
    procedures: dict[Way, Procedure] = {
        "offline": Offline(rounds, count, annotator),
        "online": Online(rounds, count, annotator, good=target),
        "saved": ClicksSaved(target, count, annotator),
    }
    run(common, common.opened("video"), procedures[way], f"interactive-{way}", baseline, options)


@spread_options
def image(
    common: Common,
    baseline: BaselineName = None,
    prompt: Annotated[Literal["click", "box"], option("What comes first; everything after it is a click.")] = "click",
    clicks: Annotated[int, option("Answers to each object; the box counts as one.", 1, 100)] = 5,
    *,
    who: AnnotatorChoice,
) -> None:
    """Pictures: mean IoU after 1, 3 and 5 clicks, each on the centre of the largest error.

    With ten clicks or more it counts the clicks to IoUs of 85 and 90 % too. Data sets: coco, lvis, and folder, your own
    pictures with index PNGs. Output is that of masklet eval vos; OUT/masks holds index PNGs after the last click.

    \b
    Examples:
      masklet eval image --dataset coco --root COCO --limit 500
      masklet eval image --dataset folder --root pictures --prompt box --clicks 1
      masklet eval image --dataset folder --root pictures --clicks 20 --baseline grabcut
    """
    from masklet.evaluation.images import ImageClicks

    procedure = ImageClicks(prompt, clicks, who.made())
    run(common, common.opened("image"), procedure, f"image-{prompt}{clicks}", baseline)


@spread_options
def everything(common: Common, choice: EverythingChoice) -> None:
    """Zero-shot masks of everything in pictures: how well they cover the annotated objects.

    Mean IoU of the best mask of each object, recall at IoUs of 50 and 75 %, COCO's average recall with 100 and 1000
    masks a picture, masks and seconds a picture. Baselines need prompts, so there are none here. Data sets
    and output are those of masklet eval image; OUT/masks holds the best masks, and a COCO JSON with all.

    \b
    Examples:
      masklet eval everything --dataset coco --root COCO --limit 100
      masklet eval everything --dataset folder --root pictures --points-per-side 16
      masklet eval everything --dataset lvis --root LVIS --model sam2.1-tiny --crop-layers 1 --most-overlap 0.9
    """
    from masklet.evaluation.images import Everything
    from masklet.image import EverythingOptions

    procedure = Everything(EverythingOptions(**vars(choice)))
    run(common, common.opened("image"), procedure, "everything")


@spread_options
def volumes(
    common: Common,
    options: TrackerChoice,
    baseline: BaselineName = None,
    window: Annotated[str | None, option("LEVEL,WIDTH, or brain, soft-tissue, liver, lung or bone (CT).")] = None,
    tolerance: Annotated[float, option("Millimetres between surfaces, for NSD.", 0, 1000)] = 2.0,
    find_ends: Annotated[bool, option("Leave out slices beyond an object's ends.", name="--find-ends")] = False,
) -> None:
    """Volumes: Dice and normalised surface Dice from one box on the middle slice, followed in both directions.

    ROOT holds images/NAME.nii.gz and labels/NAME.nii.gz, or imagesTr and labelsTr as the Medical Segmentation Decathlon
    and nnU-Net do. Every number of a label map is an object.

    \b
    Examples:
      masklet eval volumes --dataset volumes --root Task09_Spleen --split train --window soft-tissue --limit 5
      masklet eval volumes --dataset volumes --root scans --find-ends --tolerance 1
    """
    from masklet.evaluation.videos import Volumes

    shown = choices.ReadingChoice(window=window).given.get("window")
    procedure = Volumes(tuple(shown) if isinstance(shown, list) else shown, find_ends, tolerance)
    run(common, common.opened("video"), procedure, "volumes", baseline, options)


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

    from masklet.cli.terminal import as_table, bar
    from masklet.datasets.frame_folders import first_names, read_names
    from masklet.evaluation.run import as_text
    from masklet.evaluation.scoring import (
        SCORE_COLUMNS,
        score_folders,
        split_scores,
        write_scores_csv,
        write_scores_json,
    )

    names = read_names(sequences) if sequences else None
    with bar("scoring frames") as report:
        scores = score_folders(pred, gt, protocol, names=names, workers=workers, progress=report)
    split = split_scores(scores, meta, train_meta) if meta and train_meta else None
    if csv:
        write_scores_csv(scores, csv)
    if json:
        write_scores_json(scores, json, split)
    rows = [
        [each.name, str(len(each.objects)), *(as_text("J", value) for value in each.summary().values())]
        for each in (*scores.sequences, scores.overall)
    ]
    table = [["sequence", "objects", *SCORE_COLUMNS], *rows]
    Console().print(as_table(f"{scores.protocol}, in percent", table))
    if split:
        typer.echo(", ".join(f"{name} {as_text(name, value)}" for name, value in split.named().items()))
    if scores.extra:
        tell(f"passed over {first_names(scores.extra)}: predicted, and not among what is scored")


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
    from masklet.evaluation.report import cautions, compare_runs, comparison_table, write_comparison
    from masklet.evaluation.run import read_run

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


app = typer.Typer(
    name="eval",
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Measure how good masks are, by the field's protocols.",
)
for command in (vos, image, everything, interactive, tracking, volumes, score, compare):
    app.command(help=help_of(command))(command)
