"""Options that mean the same in several commands, prompts as they are typed, and what `--help` says of a command."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer

from masklet.errors import PromptError, nearest
from masklet.jobs.prompts import EVERY_VIDEO, PromptsByVideo, TypedPrompt, read_prompts

if TYPE_CHECKING:
    from masklet.masks.finish import Finish


def option(
    text: str,
    least: float | None = None,
    most: float | None = None,
    *,
    name: str | None = None,
    panel: str | None = None,
    **further: Any,
) -> Any:
    """An option: its help, the least and the most that it may be, its name if Typer would choose another, the panel of
    the help in which it stands, and whatever else `typer.Option` takes."""
    named = () if name is None else (name,)
    return typer.Option(*named, min=least, max=most, help=text, rich_help_panel=panel, **further)


Speed = Literal["exact", "balanced", "fast"]
"""How much is computed: the modes of `masklet.checkpoints.registry.SPEEDS`."""

ModelChoice = Annotated[str, option("Name or file of a model; see masklet models.")]
ModelFile = Annotated[
    str, typer.Argument(metavar="MODEL", help="Name or file of a model; see masklet models.", show_default=False)
]
SpeedChoice = Annotated[
    Speed | None, option("Compute less, at some cost in the masks; as the model's name says, else exact.")
]
PortChoice = Annotated[int, option("To listen on; 0 takes any that is free.", 0, 65535)]
DeviceChoice = Annotated[str | None, option("cpu, cuda or mps; the best there is if not given.")]
VIDEO_FORMATS = (
    "background", "cineform", "coco", "cutout", "cvat", "davis", "dicom-seg", "exr", "exr-float", "geojson", "geotiff",
    "gpkg", "labelme", "matte", "mots", "nifti", "nrrd", "objects", "overlay", "project", "prores", "rgba", "rtstruct",
    "sav", "soft-cutout", "stl", "webm", "yolo", "ytvis",
)  # fmt: skip
"""Formats of videos, here so that help need not load them."""

PolicyChoice = Annotated[
    str, option("What is remembered: published, a policy of an installed package, or module:Class.")
]

GROUNDER_HELP = (
    "What finds boxes for words: grounding-dino-tiny if not given, grounding-dino-base, owlv2, sam3, or a folder."
)

SCANS, MAPS = "Of volumes", "Of maps"
"""Where the help shows options of volumes, and of pictures that lie on the ground."""

Resolution = Annotated[float | None, option("Metres a pixel, whatever the file has.", 0.001, 100_000, panel=MAPS)]
LevelsChoice = Annotated[str | None, option("BLACK,WHITE, the values that are shown so, such as 0,3000.", panel=MAPS)]

CUT_OUTS = "Of films and pictures that cut objects out"
"""Where the help shows options of cut-outs."""

MAX_STEPS = 10**9
"""The most steps of a training, and the most between two events."""


@dataclass(frozen=True, kw_only=True)
class TrainingChoice:
    """How a training runs, whatever is learned."""

    settings: Annotated[
        list[str], option("FIELD=VALUE of the recipe, such as stages.*.steps=100; as often as needed.", name="--set")
    ]
    device: DeviceChoice = None
    workers: Annotated[int, option("Threads that make batches.", 1, 256)] = 2
    save_every: Annotated[int, option("Steps between checkpoints.", 1, MAX_STEPS)] = 500
    log_every: Annotated[int, option("Steps between lines of the log.", 1, MAX_STEPS)] = 20
    picture_every: Annotated[int, option("Steps between pictures of answers; 0 draws none.", 0, MAX_STEPS)] = 0
    validate_on: Annotated[
        list[str],
        option("What the model is judged on, as --data, but the split val if there are splits; as often as needed."),
    ]
    validate_every: Annotated[int, option("Steps between validations; 0 judges at the end only.", 0, MAX_STEPS)] = 0
    tensorboard: Annotated[bool, option("Write TensorBoard's files too.", name="--tensorboard")] = False


@dataclass(frozen=True, kw_only=True)
class SpanChoice:
    """The frames of a video with which something is done."""

    start: Annotated[int, option("The in point: the first frame.", 0, 10**9)] = 0
    stop: Annotated[
        int | None, option("The out point: the first frame that is left out; none if not given.", 1, 10**9)
    ] = None

    def __post_init__(self) -> None:
        if self.stop is not None and self.stop <= self.start:
            raise typer.BadParameter(f"--stop is {self.stop} and --start {self.start}; give a stop after it")


@dataclass(frozen=True, kw_only=True)
class ReadingChoice:
    """How the slices of a volume, or maps of many dates, are shown."""

    axis: Annotated[int | None, option("The axis that slices follow; the coarsest if none.", 0, 2, panel=SCANS)] = None
    window: Annotated[
        str | None, option("LEVEL,WIDTH, or brain, soft-tissue, liver, lung or bone (CT).", panel=SCANS)
    ] = None
    part: Annotated[int | None, option("Which volume of a file with several, from 0.", 0, 99_999, panel=SCANS)] = None

    isotropic: Annotated[
        bool, option("Interpolate slices until they lie as close as pixels.", name="--isotropic", panel=SCANS)
    ] = False
    resolution: Resolution = None
    levels: LevelsChoice = None

    @property
    def given(self) -> dict[str, Any]:
        """What was given, as `VolumeSlices` and `MapSeries` of `masklet.media` take it."""
        found = {name: value for name, value in vars(self).items() if value is not None and value is not False}
        if self.window is not None and "," in self.window:
            found["window"] = parse_pair(self.window, "--window", "LEVEL,WIDTH")
        if self.levels is not None:
            found["levels"] = parse_pair(self.levels, "--levels", "BLACK,WHITE")
        return found


@dataclass(frozen=True, kw_only=True)
class FinishChoice:
    """How objects are cut out: the fields of `masklet.masks.finish.Finish`."""

    show: Annotated[
        Literal["cutout", "inverse", "matte", "mattes", "removed"],
        option(
            "The objects; all but them; their alpha alone; the alpha of up to three, one each in red, green and blue; "
            "or the picture without them, their places filled.",
            panel=CUT_OUTS,
        ),
    ] = "cutout"
    only: Annotated[list[str], option("Only this object; may be given several times.", panel=CUT_OUTS)]
    edges: Annotated[
        Literal["model", "hard", "soft"],
        option("As soft as the model doubts them; hard; or into hair and fur.", panel=CUT_OUTS),
    ] = "model"
    grow: Annotated[int, option("Pixels outward; inward below 0.", -500, 500, panel=CUT_OUTS)] = 0
    feather: Annotated[float, option("Pixels over which edges fade.", 0, 500, panel=CUT_OUTS)] = 0.0
    steady: Annotated[
        float, option("Share of an edge that is the last frame's: less flicker.", 0, 0.95, panel=CUT_OUTS)
    ] = 0.0
    spill: Annotated[
        Literal["green", "blue"] | None, option("Take the shine of a screen of this colour away.", panel=CUT_OUTS)
    ] = None
    background: Annotated[
        str | None,
        option(
            "Of the format background: blur, a colour such as white or #00ff00, or the path of a picture.",
            panel=CUT_OUTS,
        ),
    ] = None
    tone_map: Annotated[
        bool, option("Make HLG and PQ films ordinary ones, of 8 bits.", name="--tone-map", panel=CUT_OUTS)
    ] = False

    def finish(self) -> "Finish":
        """The wishes."""
        from masklet.masks.finish import Finish

        return Finish(**{**vars(self), "only": tuple(self.only), "background": self.background or "blur"})


def parse_pair(text: str, name: str, expected: str) -> list[float]:
    """Two numbers with a comma between. Raises a usage error for anything else."""
    found = list(parse_numbers(text))
    if len(found) != 2:
        raise typer.BadParameter(f"{name} is {text!r}; give {expected}")
    return found


def tell(sentence: object) -> None:
    """Say what went wrong, or what a person should know, on standard error."""
    typer.echo(f"masklet: {sentence}", err=True)


def stopped() -> typer.Exit:
    """The end of a run that was stopped, which is told."""
    typer.echo("stopped; what is finished stays, and the same command goes on from there", err=True)
    return typer.Exit(130)


def parse_numbers(text: str) -> tuple[float, ...]:
    """The numbers of a list with commas between; none if it is no such list."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        return ()


def parse_point(text: str) -> TypedPrompt:
    """`FRAME:OBJECT:x,y`, or `FRAME:OBJECT:x,y,0` for a point that excludes; `mm:OBJECT:x,y,z[,0]` on a volume."""
    if text.startswith("mm:"):
        expected = "give --point mm:OBJECT:x,y,z[,0], such as --point mm:liver:-32,10.5,118"
        _, name, rest = _parts(f"0{text[2:]}", expected)
        x, y, z, *said = read_numbers(rest, (3, 4), text, expected)
        return TypedPrompt(0, name, labels=(_label(said, text),), millimetres=(x, y, z))
    expected = "give --point FRAME:OBJECT:x,y[,0], such as --point 0:1:120,80"
    frame, name, rest = _parts(text, expected)
    x, y, label = read_point(rest, text, expected)
    return TypedPrompt(frame, name, points=((x, y),), labels=(label,))


def parse_box(text: str) -> TypedPrompt:
    """`FRAME:OBJECT:x0,y0,x1,y1`."""
    expected = "give --box FRAME:OBJECT:x0,y0,x1,y1, such as --box 0:1:40,60,220,240"
    frame, name, rest = _parts(text, expected)
    return TypedPrompt(frame, name, box=read_numbers(rest, (4,), text, expected))


def parse_mask(text: str) -> TypedPrompt:
    """`FRAME:OBJECT:PNG`."""
    frame, name, rest = _parts(text, "give --mask FRAME:OBJECT:PNG, such as --mask 0:1:dog.png")
    return TypedPrompt(frame, name, mask=Path(rest))


def read_point(values: str, text: str, expected: str) -> tuple[float, float, int]:
    """`x,y`, or `x,y,LABEL`; 1 stands for no label. Raises a usage error that shows all that was typed, the text."""
    x, y, *said = read_numbers(values, (2, 3), text, expected)
    return x, y, _label(said, text)


def _label(said: Sequence[float], text: str) -> int:
    if said and said[0] not in (0, 1):
        raise typer.BadParameter(f"'{text}' has the label {said[0]:g}; a label is 1 (include) or 0 (exclude)")
    return int(said[0]) if said else 1


def read_numbers(values: str, counts: tuple[int, ...], text: str, expected: str) -> tuple[float, ...]:
    """So many numbers with commas between. Raises a usage error as `read_point` does."""
    found = parse_numbers(values)
    if len(found) not in counts:
        raise typer.BadParameter(f"'{text}' cannot be read; {expected}")
    return found


def with_file(typed: Sequence[TypedPrompt], path: Path | None) -> PromptsByVideo:
    """The prompts that were typed, which hold for every video, and those of a JSON file, if there is one. What
    `masklet.jobs.prompts.read_prompts` refuses is wrong usage."""
    said = {EVERY_VIDEO: [*typed]}
    try:
        for name, more in (read_prompts(path) if path else {}).items():
            said[name] = [*said.get(name, []), *more]
    except PromptError as error:
        raise typer.BadParameter(str(error)) from None
    return said


def check_names(videos: Sequence[Path], said: PromptsByVideo, what: str = "video") -> None:
    """Raise a usage error for a name that no video, or no picture, has."""
    known = {EVERY_VIDEO, *(video.name for video in videos), *(video.stem for video in videos)}
    for name in said:
        if name not in known:
            raise typer.BadParameter(f"there are prompts for {name!r}, and no such {what}{nearest(name, known)}")


def _parts(text: str, expected: str) -> tuple[int, int | str, str]:
    from masklet.prompts import check_name  # here, so that help needs no NumPy

    frame, *rest = text.split(":", 2)
    is_frame = frame.isascii() and frame.isdecimal() and len(frame) < 10
    if not is_frame or len(rest) != 2 or not all(part.strip() for part in rest):
        raise typer.BadParameter(f"'{text}' cannot be read; {expected}")
    name, what = rest
    is_number = name.isascii() and name.isdecimal() and len(name) <= 50
    try:
        return int(frame), check_name(int(name) if is_number else name), what
    except PromptError as error:
        raise typer.BadParameter(str(error)) from None


def spread_options(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose parameters that are dataclasses of options are spread out, each field an option of its own. A
    list that is not given is empty."""
    hints = get_type_hints(command, include_extras=True)
    given = inspect.signature(command).parameters
    groups = {name: hints[name] for name in given if is_dataclass(hints[name])}
    parameters, names = [], {}
    for name, parameter in given.items():
        if name not in groups:
            parameters.append(parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        types = get_type_hints(groups[name], include_extras=True)
        names[name] = [field.name for field in fields(groups[name])]
        for field in inspect.signature(groups[name]).parameters.values():
            default = [] if get_origin(get_args(types[field.name])[0]) is list else field.default
            parameters.append(field.replace(annotation=types[field.name], default=default))

    @wraps(command)
    def spread(**typed: Any) -> None:
        made = {name: group(**{key: typed.pop(key) for key in names[name]}) for name, group in groups.items()}
        command(**made, **typed)

    spread.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    spread.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return spread


def help_of(command: Callable[..., None]) -> str:
    r"""A command's docstring without the line breaks of the source. Examples, which begin with \b, keep theirs."""
    paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    return "\n\n".join(text if text.startswith("\b") else text.replace("\n", " ") for text in paragraphs)
