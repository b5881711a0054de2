"""How a video is tracked."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from masklet.errors import ConfigError, FormatError, is_within
from masklet.nn import ModelConfig
from masklet.video.policies import MemoryPolicy, make_policy

PUBLISHED_HOLE = 8 / 256**2
"""Largest hole that is filled as published: 8 of the 256 x 256 cells of a low-resolution mask."""


Corrections = Literal["local", "published"]
"""Which frames a correction may change."""


@dataclass(frozen=True)
class TrackingOptions:
    """How a video is tracked. The defaults are the published settings, but for local corrections.

    Attributes:
        policy: Decides which masks count, what stays known and what is recalled: a name, `module:Class`, or a policy;
            see docs/policies.md.
        fill_holes: Holes of at most this many cells of the low-resolution mask are filled; None for the published share
            of the mask. 0 fills none.
        non_overlapping: Whether each pixel is given to the surest object alone.
        binarise_prompted: Whether the mask of a prompted frame is remembered as a binary one.
        disk_budget: Bytes on disk for what a video tracker finds, in the folder for temporary files; None for as many
            as it takes, some 0.8 MB for each object and frame of a model for 1024 pixels. When they are spent, the
            frames that were tracked first give up their memory, which is encoded again where it is needed.
        corrections: "local": a prompt changes frames up to its neighbouring prompts, where the new answer is surer, and
            no click empties a mask; see docs/tracking.md. "published": every pass takes every frame anew, as the
            published video predictor does.
        feature_budget: Bytes of memory for features of frames that a video tracker has encoded, so that corrections
            do not wait for the encoder again; 0.5 MB a frame for `nano`, 17 MB for a model for 1024 pixels.
    """

    policy: str | MemoryPolicy = "published"
    fill_holes: int | None = None
    non_overlapping: bool = False
    binarise_prompted: bool = True
    disk_budget: int | None = 8 * 2**30
    corrections: Corrections = "local"
    feature_budget: int = 0

    def __post_init__(self) -> None:
        """Raise `ConfigError` for a number below 0, and for unknown rules of corrections."""
        if self.corrections not in get_args(Corrections):
            raise ConfigError(f"corrections is {self.corrections!r}; give 'local' or 'published'")
        for name in ("fill_holes", "disk_budget", "feature_budget"):
            if (value := getattr(self, name)) is not None and not is_within(value, 0, float("inf")):
                raise ConfigError(f"{name} is {value!r}; give 0 or more, or None")

    def policy_for(self, config: ModelConfig) -> MemoryPolicy:
        """The policy; a named one gets as many slots as the model has. Raises `ConfigError` for an unknown name."""
        return make_policy(self.policy, config.memory_frames) if isinstance(self.policy, str) else self.policy

    def largest_hole(self, config: ModelConfig) -> int:
        """Holes of at most so many cells of a low-resolution mask are filled."""
        return int(PUBLISHED_HOLE * config.mask_size**2) if self.fill_holes is None else self.fill_holes


def options_to_json(options: TrackingOptions) -> dict[str, Any]:
    """Plain values that JSON knows; a policy that has no name is null."""
    values = {part.name: getattr(options, part.name) for part in fields(options)}
    return {**values, "policy": options.policy if isinstance(options.policy, str) else None}


def options_from_json(record: Mapping[str, Any]) -> TrackingOptions:
    """The options that `options_to_json` wrote. Those that are missing, as in files of the first versions, are the
    usual ones; unknown ones are passed over.

    Raises `FormatError` for values of another kind, for a policy that has no name, and for one of a module: a file
    cannot have code run.
    """
    known = {}
    for name in (part.name for part in fields(TrackingOptions) if part.name in record):
        known[name] = value = record[name]
        if name == "policy" and (value is None or ":" in str(value)):
            what = "of its own" if value is None else str(value)[:100]
            raise FormatError(f"the session has a policy {what}, which no file can bring; give options with it")
        if type(value) not in _OPTIONS.get(name, (bool,)):
            raise FormatError(
                f"the project's option {name} is {value!r:.99}; give another copy of the file, or options"
            )
    return TrackingOptions(**known)


_OPTIONS = {
    "policy": (str,),
    "corrections": (str,),
    "feature_budget": (int,),
    "fill_holes": (int, type(None)),
    "disk_budget": (int, type(None)),
}
"""Kinds of options that are no truths."""
