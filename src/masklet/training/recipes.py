"""Recipes: functions that return the whole description of a training, which is a model, and stages one after another.
Any field can be changed from the command line.
"""

import ast
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

from masklet.errors import ConfigError, nearest
from masklet.training.batch import FLIP_ONLY, AugmentOptions, ColorJitter, PickOptions
from masklet.training.data import FeedOptions, ViewOptions
from masklet.training.losses import LossOptions
from masklet.training.parts import OptimizerOptions
from masklet.training.prompts import PromptOptions
from masklet.training.synthesis import MAX_THINGS, MadeUpOptions

TrainingPrecision = Literal["float32", "bfloat16"]

MAX_NUMBER = 10**9
ONE_OR_MORE = ("frames", "stride", "picture_objects", "clip_objects", "first_frames", "corrected_frames")
SHARE_FIELDS = (
    *("clip_share", "made_up", "reverse", "whole", "least_area", "least", "most"),
    *("prompts.mask", "box", "from_truth", "previous_missing", "previous_wrong", "flip", "grey"),
    *("drop_path", "dropout", "layer_decay", "warm_up", "end", "average"),
    *("leave", "look_alike", "pass_by", "cut", "light", "out_of_focus", "motion_blur", "jpeg", "sensor"),
)
FIELD_BOUNDS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(ONE_OR_MORE, (1, MAX_NUMBER)),
    **dict.fromkeys(SHARE_FIELDS, (0, 1)),
    "things": (0, MAX_THINGS),
    "image_size": (1, 4096),
    "low_rank": (0, 1024),
    "seed": (0, 2**63 - 1),
}
"""The least and the most of fields, by the end of their path; all others lie from 0 to MAX_NUMBER."""


@dataclass(frozen=True)
class Stage:
    """A part of a training with one size of picture and one schedule."""

    name: str  # what it is called in the log
    steps: int  # how many; 0 leaves the stage out
    image_size: int = 1024  # side of the model's square in pixels
    feed: FeedOptions = field(default_factory=FeedOptions)  # what a step learns from
    prompts: PromptOptions = field(default_factory=PromptOptions)  # how prompts are simulated
    losses: LossOptions = field(default_factory=LossOptions)  # what predictions cost
    optimizer: OptimizerOptions = field(default_factory=OptimizerOptions)  # how weights are changed
    clip_augment: AugmentOptions = field(default_factory=AugmentOptions)  # what is changed in clips
    picture_augment: AugmentOptions = FLIP_ONLY  # what is changed in pictures
    freeze: tuple[str, ...] = ()  # parts that learn nothing, such as "image_encoder"
    still_clips: bool = False  # whether the image encoder learns from pictures only
    still_norms: bool = False  # whether batch normalisations keep their statistics; else they learn them from pictures
    drop_path: float = 0.0  # share of the trunk's branches that are left out in its last block; earlier ones lose fewer
    dropout: float = 0.0  # share of the numbers in memory attention that are left out


@dataclass(frozen=True)
class Recipe:
    """A whole training. Raises ConfigError for numbers that make no sense; see `FIELD_BOUNDS`."""

    model: str  # name of the model that is trained, or of the one that a fine-tuning starts from
    stages: tuple[Stage, ...]  # one after another; each goes on with the weights of the one before
    precision: TrainingPrecision = "bfloat16"  # "bfloat16" computes in it where that is safe; weights stay float32
    recompute: bool = False  # whether activations are computed again on the way back: less memory, more time
    # with a rank over 0, only low-rank changes of the attention learn, and what is not attention stays
    low_rank: int = 0
    # how many processes share the work: "copies" of the network (DDP), or "shards" of it (FSDP)
    parallel: Literal["copies", "shards"] = "copies"
    seed: int = 123  # makes a run repeatable

    def __post_init__(self) -> None:
        check_numbers(self)
        if not any(stage.steps for stage in self.stages):
            raise ConfigError("all stages have 0 steps, so nothing learns; leave steps to one of them")


def recipe_text(recipe: Recipe) -> str:
    """All fields of a recipe, one a line."""
    return json.dumps(dataclasses.asdict(recipe), indent=1)


def override(recipe: Recipe, settings: Sequence[str]) -> Recipe:
    """A recipe with fields changed by `PATH=VALUE`, such as `stages.*.steps=100` or `seed=7`; * is all stages.

    Raises ConfigError for a path that leads nowhere and for a value of another kind.
    """
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals:
            raise ConfigError(f"{setting!r} is no setting; give PATH=VALUE, such as stages.*.steps=100")
        recipe = _replaced(recipe, path.split("."), text, path)
    return recipe


def _replaced(value: Any, path: Sequence[str], text: str, whole: str, hint: Any = None) -> Any:
    """`value` with what lies at `path` replaced by what `text` says.

    hint  the type of the field that holds the value
    """
    if not path:
        return _parsed(text, value, whole, hint)
    name, *rest = path
    if isinstance(value, tuple) and value and isinstance(value[0], Stage):
        names = [stage.name for stage in value]
        if name != "*" and name not in names:
            raise ConfigError(f"{whole}: there is no stage {name!r}; stages are {', '.join(names)}, or * for all")
        return tuple(_replaced(stage, rest, text, whole) if name in ("*", stage.name) else stage for stage in value)
    if isinstance(value, Mapping):
        key = ".".join(path)
        return {**value, key: _parsed(text, value.get(key, 0.0), whole, float)}
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        raise ConfigError(f"{whole} leads into {value!r}, which has no fields")
    fields = [part.name for part in dataclasses.fields(value)]
    if name not in fields:
        raise ConfigError(f"{whole}: there is no field {name!r}{nearest(name, fields)}; there are {', '.join(fields)}")
    hint = get_type_hints(type(value))[name]
    return replace(value, **{name: _replaced(getattr(value, name), rest, text, whole, hint)})


def _parsed(text: str, old: Any, whole: str, hint: Any) -> Any:
    if dataclasses.is_dataclass(old) or isinstance(old, Mapping) or get_args(hint)[:1] == (Stage,):
        raise ConfigError(f"{whole} has fields of its own; set one of them, such as {whole}.{_first_field(old)}")
    try:
        new = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        new = text
    if get_origin(hint) is Literal and new not in (choices := get_args(hint)):
        raise ConfigError(f"{whole} is {new!r}{nearest(str(new), choices)}; it can be {', '.join(choices)}")
    if get_origin(hint) is not tuple:
        return _fitted(new, type(old), old, text, whole)
    parts, (kind, *others) = new if isinstance(new, tuple) else (new,), get_args(hint)
    if others != [...] and len(parts) != len(old):
        raise ConfigError(f"{whole} is {old!r}; {text!r} has not {len(old)} numbers")
    return tuple(_fitted(part, kind, old, text, whole) for part in parts)


def _fitted(new: Any, kind: type, old: Any, text: str, whole: str) -> Any:
    """A value of a kind; whole numbers are real ones too."""
    if kind is float and type(new) is int:
        return float(new)
    if type(new) is not kind:
        raise ConfigError(f"{whole} is {old!r}; {text!r} is of another kind")
    return new


def _first_field(value: Any) -> str:
    if isinstance(value, tuple):
        return "*.steps"
    return next(iter(value), "NAME") if isinstance(value, Mapping) else dataclasses.fields(value)[0].name


def check_numbers(recipe: Any) -> None:
    """Raises ConfigError, with the path, for a number of a recipe that makes no sense, such as inf and nan."""
    for path, value in _numbers(dataclasses.asdict(recipe), ()):
        least, most = FIELD_BOUNDS.get(".".join(path[-2:])) or FIELD_BOUNDS.get(path[-1]) or (0, MAX_NUMBER)
        if not least <= value <= most:
            wanted = f"a number from {least} on" if value < least and most >= MAX_NUMBER else f"{least} to {most}"
            raise ConfigError(f"{'.'.join(path)} is {value}; give {wanted}")


def _numbers(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], float]]:
    """Every number in dicts and tuples, with its path; stages go by their names."""
    if isinstance(value, int | float):
        yield path, value
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from _numbers(part, (*path, name))
    elif isinstance(value, tuple):
        for part in value:
            yield from _numbers(part, (*path, part["name"]) if isinstance(part, dict) else path)


def published(model: str) -> Recipe:
    """The recipe of the SAM 2 paper: pictures, then pictures and clips, then long clips with a frozen image encoder.
    Layer decay is 0.9 for `large`, 0.8 for the others; drop path 0.2 and 0.1.

    Batches are those of the paper (256), for many large GPUs; `stages.*.feed.clips=8` and the like make them smaller.
    What is not said here is the published value by default.

    Source: SAM 2 (Ravi et al., 2024, appendix D) and the released configuration.
    """
    large = model.endswith("large")
    decay, drop_path, dropout = (0.9, 0.2, 0.1) if large else (0.8, 0.1, 0.1)
    return Recipe(
        model=model,
        stages=(
            Stage(
                "pictures",
                steps=90_000,
                feed=FeedOptions(pictures=256, clip_share=0.0),
                optimizer=OptimizerOptions(
                    rate=4e-4, parts={}, layer_decay=decay, schedule="reciprocal", warm_up=1 / 90
                ),
                drop_path=drop_path,
            ),
            Stage(
                "clips",
                steps=150_000,
                feed=FeedOptions(pictures=256, clips=256),
                optimizer=OptimizerOptions(layer_decay=decay),
                drop_path=drop_path,
                dropout=dropout,
            ),
            Stage(
                "long-clips",
                steps=50_000,
                feed=FeedOptions(clips=256, frames=16, clip_share=1.0),
                optimizer=OptimizerOptions(parts={}, layer_decay=decay),
                freeze=("image_encoder",),
                dropout=dropout,
            ),
        ),
        precision="bfloat16",
        recompute=True,
        parallel="shards" if large else "copies",
    )


def finetune(
    model: str,
    *,
    steps: int,
    image_size: int,
    freeze: tuple[str, ...] = (),
    low_rank: int = 0,
    precision: TrainingPrecision = "bfloat16",
) -> Recipe:
    """Going on from a checkpoint on one's own data: one stage of clips; pictures that the data holds are learned too,
    one step in five. Batch normalisations keep their statistics: a single picture is too little for them.

    Rates, of learning and of dropping, are those of the released fine-tuning on MOSE. The defaults are meant for one
    card of 24 GB: one clip a step, bfloat16, activations computed again on the way back.
    """
    return Recipe(
        model=model,
        stages=(
            Stage(
                "finetune",
                steps=steps,
                image_size=image_size,
                feed=FeedOptions(pictures=1, picture_objects=8, clips=1, clip_objects=3, frames=8, clip_share=0.8),
                optimizer=OptimizerOptions(
                    rate=5e-6, parts={"image_encoder": 0.6}, layer_decay=0.9, warm_up=0.05, end=0.1, average=0.99
                ),
                freeze=freeze,
                still_norms=True,
                drop_path=0.1,
                dropout=0.1,
            ),
        ),
        precision=precision,
        recompute=True,
        low_rank=low_rank,
    )


def finetune_small(model: str, *, steps: int, image_size: int, freeze: tuple[str, ...] = ()) -> Recipe:
    """`finetune` for small models of our own and what two cores can do: higher rates, short clips, losses on the cells
    of the logits, nothing left out."""
    recipe = finetune(model, steps=steps, image_size=image_size, freeze=freeze, precision="float32")
    (stage,) = recipe.stages
    stage = replace(
        stage,
        feed=replace(stage.feed, clips=2, clip_objects=1, frames=4, clip_share=1.0),
        prompts=replace(stage.prompts, corrections=1),
        losses=replace(stage.losses, pixels="cells"),
        optimizer=replace(stage.optimizer, rate=1e-4, layer_decay=1.0),
        drop_path=0.0,
        dropout=0.0,
    )
    return replace(recipe, stages=(stage,), recompute=False)


COLOUR_AUGMENTATION = AugmentOptions(
    turn=0.0, shear=0.0, clip_jitter=ColorJitter(0.4, 0.3, 0.4), grey=0.08, frame_jitter=ColorJitter(0.05, 0.05, 0.05)
)
PARTIAL_VIEWS = ViewOptions(whole=0.5, least_area=0.25, aspect=0.4)
OF_ALL_SIZES = PickOptions(least=0.001, most=0.9, size_power=0.3)
EVENTFUL_CLIPS = MadeUpOptions(leave=0.35, look_alike=0.35, pass_by=0.4, pace=0.6)

PICTURE_FEED = FeedOptions(
    pictures=64,
    picture_objects=6,
    picture_total=224,
    clips=32,
    clip_objects=3,
    clip_total=80,
    frames=6,
    clip_share=0.0,
    stride=3,
    balance=0.7,
    view=PARTIAL_VIEWS,
    pick=OF_ALL_SIZES,
    scene=EVENTFUL_CLIPS,
)


def nano(model: str) -> Recipe:
    """Our own small model, from a trunk that was trained on ImageNet: pictures at 256 pixels, then pictures and clips
    at 320. Eight minutes of one large GPU (docs/nano.md); a day or more of a laptop's CPU.

    What differs from the published recipe was measured (docs/lab-log.md): random parts of pictures, losses on the cells
    of the logits with every candidate learning, strong changes of colour, most clips made up from pictures, an image
    encoder that learns from pictures only once clips come in. The trunk learns slowly, as it can see already. In some
    followed frames the mask of the frame before is left out or wrong, so that memories are learned too. `masklet train
    calibrate` comes after.
    """
    pictures = Stage(
        "pictures-256",
        steps=980,
        image_size=256,
        feed=PICTURE_FEED,
        prompts=PromptOptions(corrections=2, first_frames=1, corrected_frames=2),
        losses=LossOptions(candidates="all", pixels="cells"),
        optimizer=OptimizerOptions(
            rate=1.6e-3,
            parts={"image_encoder.trunk": 0.3},
            layer_decay=1.0,
            weight_decay=0.03,
            warm_up=0.05,
            end=0.2,
            clip=1.0,
            average=0.99,
        ),
        clip_augment=COLOUR_AUGMENTATION,
        picture_augment=COLOUR_AUGMENTATION,
    )
    clips = replace(
        pictures,
        name="clips-320",
        steps=500,
        image_size=320,
        feed=replace(PICTURE_FEED, clip_share=0.6, made_up=0.6),
        prompts=replace(pictures.prompts, previous_missing=0.25, previous_wrong=0.08),
        optimizer=replace(
            pictures.optimizer,
            rate=8e-4,
            parts={"image_encoder": 0.4, "image_encoder.trunk": 0.25},
            warm_up=0.04,
            end=0.03,
        ),
        still_clips=True,
        still_norms=True,
    )
    return Recipe(model=model, stages=(pictures, clips), precision="float32")


RECIPES: dict[str, Callable[[str], Recipe]] = {
    "nano": nano,
    **{f"sam2.1-{size}": published for size in ("tiny", "small", "base-plus", "large")},
}
"""Name of a model -> the recipe that trains it, a function of the name."""
