"""Options that mean the same in several commands, what they may not ask for, and what `--help` says of a command."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer

if TYPE_CHECKING:
    from masklet.masks.finish import Finish

Speed = Literal["exact", "balanced", "fast"]
"""How much is computed: the modes of `masklet.checkpoints.registry.SPEEDS`."""

ModelChoice = Annotated[str, typer.Option(help="Name or file of a model; see masklet models.")]
SpeedChoice = Annotated[
    Speed | None,
    typer.Option(help="Compute less, at some cost in the masks; as the model's name says, else exact."),
]
DeviceChoice = Annotated[str | None, typer.Option(help="cpu, cuda or mps; the best there is if not given.")]
VIDEO_FORMATS = (
    "background", "cineform", "coco", "cutout", "cvat", "davis", "dicom-seg", "exr", "exr-float", "labelme", "matte",
    "mots", "nifti", "nrrd", "objects", "overlay", "project", "prores", "rgba", "rtstruct", "sav", "soft-cutout", "stl",
    "webm", "yolo", "ytvis",
)  # fmt: skip
"""Formats of videos, here so that help need not load them."""

PolicyChoice = Annotated[str, typer.Option(help="What is remembered: published, or module:Class of your own.")]

DataChoice = Annotated[
    list[str],
    typer.Option(
        help="PATH, KIND:PATH or PATH@WEIGHT of training data; may be given several times.", show_default=False
    ),
]
LicenceChoice = Annotated[str | None, typer.Option(help="Of an index, only rows of this licence group, such as open.")]
RunFolder = Annotated[Path, typer.Option(help="Folder of the run; the same again goes on with it.", show_default=False)]

SCANS = "Of volumes"
"""Where the help shows options of volumes."""

OfCutOuts = partial(typer.Option, rich_help_panel="Of films and pictures that cut objects out")
OfVolumes = partial(typer.Option, rich_help_panel=SCANS)

MAPS = "Of maps"
"""Where the help shows options of pictures that lie on the ground."""

PIPE = Path("-")
"""The path that means standard output."""


MOST_STEPS = 10**9
"""The most steps of a training, and the most between two events."""


@dataclass(frozen=True, kw_only=True)
class TrainingChoice:
    """How a training runs, whatever is learned."""

    settings: Annotated[
        list[str],
        typer.Option("--set", help="FIELD=VALUE of the recipe, such as stages.*.steps=100; as often as needed."),
    ]
    device: DeviceChoice = None
    workers: Annotated[int, typer.Option(min=1, max=256, help="Threads that make batches.")] = 2
    save_every: Annotated[int, typer.Option(min=1, max=MOST_STEPS, help="Steps between checkpoints.")] = 500
    log_every: Annotated[int, typer.Option(min=1, max=MOST_STEPS, help="Steps between lines of the log.")] = 20
    picture_every: Annotated[
        int, typer.Option(min=0, max=MOST_STEPS, help="Steps between pictures of answers; 0 draws none.")
    ] = 0
    validate_on: Annotated[
        list[str],
        typer.Option(
            help="What the model is judged on, as --data, but the split val if there are splits; as often as needed."
        ),
    ]
    validate_every: Annotated[
        int, typer.Option(min=0, max=MOST_STEPS, help="Steps between validations; 0 judges at the end only.")
    ] = 0
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write TensorBoard's files too.")] = False


@dataclass(frozen=True, kw_only=True)
class VolumeChoice:
    """How the slices of a volume are shown."""

    axis: Annotated[int | None, OfVolumes(min=0, max=2, help="The axis that slices follow; the coarsest if none.")] = (
        None
    )
    window: Annotated[str | None, OfVolumes(help="LEVEL,WIDTH, or brain, soft-tissue, liver, lung or bone (CT).")] = (
        None
    )
    part: Annotated[int | None, OfVolumes(min=0, max=99_999, help="Which volume of a file with several, from 0.")] = (
        None
    )
    isotropic: Annotated[
        bool, OfVolumes("--isotropic", help="Interpolate slices until they lie as close as pixels.")
    ] = False

    @property
    def given(self) -> dict[str, Any]:
        """What was given, as `masklet.media.volume.VolumeSlices` takes it."""
        found = {name: value for name, value in vars(self).items() if value not in (None, False)}
        if self.window is not None and "," in self.window:
            found["window"] = list(numbers(self.window))
            if len(found["window"]) != 2:
                raise typer.BadParameter(f"--window is {self.window!r}; give LEVEL,WIDTH")
        return found


@dataclass(frozen=True, kw_only=True)
class FinishChoice:
    """How objects are cut out: the fields of `masklet.masks.finish.Finish`."""

    show: Annotated[
        Literal["cutout", "inverse", "matte", "mattes", "removed"],
        OfCutOuts(
            help="The objects; all but them; their alpha alone; the alpha of up to three, one each in red, green and "
            "blue; or the picture without them, their places filled."
        ),
    ] = "cutout"
    only: Annotated[list[str], OfCutOuts(help="Only this object; may be given several times.")]
    edges: Annotated[
        Literal["model", "hard", "soft"],
        OfCutOuts(help="As soft as the model doubts them; hard; or into hair and fur."),
    ] = "model"
    grow: Annotated[int, OfCutOuts(min=-500, max=500, help="Pixels outward; inward below 0.")] = 0
    feather: Annotated[float, OfCutOuts(min=0, max=500, help="Pixels over which edges fade.")] = 0.0
    steady: Annotated[
        float, OfCutOuts(min=0, max=0.95, help="Share of an edge that is the last frame's: less flicker.")
    ] = 0.0
    spill: Annotated[
        Literal["green", "blue"] | None, OfCutOuts(help="Take the shine of a screen of this colour away.")
    ] = None
    background: Annotated[
        str | None,
        OfCutOuts(help="Of the format background: blur, a colour such as white or #00ff00, or the path of a picture."),
    ] = None
    tone_map: Annotated[bool, OfCutOuts("--tone-map", help="Make HLG and PQ films ordinary ones, of 8 bits.")] = False

    def finish(self) -> "Finish":
        """The wishes."""
        from masklet.masks.finish import Finish

        return Finish(**{**vars(self), "only": tuple(self.only), "background": self.background or "blur"})


@dataclass(frozen=True, kw_only=True)
class MapChoice:
    """How pictures that lie on the ground are looked at."""

    resolution: Annotated[
        float | None,
        typer.Option(min=0.001, max=100_000, help="Metres a pixel, whatever the file has.", rich_help_panel=MAPS),
    ] = None
    simplify: Annotated[
        float,
        typer.Option(min=0, max=1000, help="Leave out corners within so many pixels.", rich_help_panel=MAPS),
    ] = 0.0

    def check(self, mapped: bool) -> None:
        """Raise a usage error if polygons are to be simplified where none are written."""
        if self.simplify and not mapped:
            raise typer.BadParameter("--simplify is for polygons of maps; give an --out that ends in .gpkg or .geojson")


def numbers(text: str) -> tuple[float, ...]:
    """The numbers of a list with commas between; none if it is no such list."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        return ()


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
