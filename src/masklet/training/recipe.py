"""What a training is: a model, and stages one after another. Recipes are functions that return one; any field can be
changed from the command line.
"""

import ast
import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin, get_type_hints

from masklet.errors import ConfigError, nearest
from masklet.training.data.augment import FLIP_ONLY, AugmentOptions
from masklet.training.data.feed import FeedOptions
from masklet.training.losses import LossOptions
from masklet.training.optimizer import OptimizerOptions
from masklet.training.prompts import PromptOptions
from masklet.training.synthesis.clip import MOST_THINGS

Precision = Literal["float32", "bfloat16"]

SHARE = (0, 1)
MOST = 10**9
ONE_OR_MORE = (1, MOST)
BOUNDS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("frames", "stride", "picture_objects", "clip_objects"), ONE_OR_MORE),
    **dict.fromkeys(("first_frames", "corrected_frames"), ONE_OR_MORE),
    **dict.fromkeys(("clip_share", "made_up", "reverse", "whole", "least_area", "least", "most"), SHARE),
    **dict.fromkeys(("prompts.mask", "box", "from_truth", "flip", "grey", "drop_path", "dropout"), SHARE),
    **dict.fromkeys(("layer_decay", "warm_up", "end", "average"), SHARE),
    **dict.fromkeys(("leave", "look_alike", "pass_by", "cut"), SHARE),
    **dict.fromkeys(("light", "out_of_focus", "motion_blur", "jpeg", "sensor"), SHARE),
    **dict.fromkeys(("previous_missing", "previous_wrong"), SHARE),
    "things": (0, MOST_THINGS),
    "image_size": (1, 4096),
    "low_rank": (0, 1024),
    "seed": (0, 2**63 - 1),
}
"""The least and the most of fields, by the end of their path; all others lie from 0 to MOST."""


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
    """A whole training. Raises ConfigError for numbers that make no sense; see `BOUNDS`."""

    model: str  # name of the model that is trained, or of the one that a fine-tuning starts from
    stages: tuple[Stage, ...]  # one after another; each goes on with the weights of the one before
    precision: Precision = "bfloat16"  # "bfloat16" computes in it where that is safe; weights stay float32
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
    return dataclasses.replace(value, **{name: _replaced(getattr(value, name), rest, text, whole, hint)})


def _parsed(text: str, old: Any, whole: str, hint: Any) -> Any:
    if dataclasses.is_dataclass(old) or isinstance(old, Mapping) or get_args(hint)[:1] == (Stage,):
        raise ConfigError(f"{whole} has fields of its own; set one of them, such as {whole}.{_first_field(old)}")
    try:
        new = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        new = text
    if get_origin(hint) is Literal and new not in (choices := get_args(hint)):
        raise ConfigError(f"{whole} is {new!r}{nearest(str(new), choices)}; it can be {', '.join(choices)}")
    if get_origin(hint) is tuple:
        return _parsed_tuple(new if isinstance(new, tuple) else (new,), old, text, whole, hint)
    return _fitted(new, type(old), old, text, whole)


def _parsed_tuple(new: tuple[Any, ...], old: Any, text: str, whole: str, hint: Any) -> tuple[Any, ...]:
    kind, *others = get_args(hint)
    if others != [...] and len(new) != len(old):
        raise ConfigError(f"{whole} is {old!r}; {text!r} has not {len(old)} numbers")
    return tuple(_fitted(part, kind, old, text, whole) for part in new)


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
    for path, value in _numbers(recipe, ()):
        least, most = _bounds(path)
        if not least <= value <= most:
            wanted = f"a number from {least} on" if value < least and most >= MOST else f"{least} to {most}"
            raise ConfigError(f"{'.'.join(path)} is {value}; give {wanted}")


def _bounds(path: tuple[str, ...]) -> tuple[float, float]:
    return BOUNDS.get(".".join(path[-2:])) or BOUNDS.get(path[-1]) or (0, MOST)


def _numbers(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], float]]:
    """Every number in dataclasses, mappings and tuples, with its path; stages go by their names."""
    if isinstance(value, int | float):
        yield path, value
    elif dataclasses.is_dataclass(value):
        for part in dataclasses.fields(value):
            yield from _numbers(getattr(value, part.name), (*path, part.name))
    elif isinstance(value, Mapping):
        for name, part in value.items():
            yield from _numbers(part, (*path, name))
    elif isinstance(value, tuple):
        for part in value:
            yield from _numbers(part, (*path, part.name) if hasattr(part, "name") else path)
