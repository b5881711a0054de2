"""Options that mean the same in several commands, and what `--help` says of a command."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from enum import Enum
from typing import Annotated

import typer


class Speed(str, Enum):
    """How much is computed: the modes of `masklet.checkpoints.registry.SPEEDS`."""

    exact = "exact"
    balanced = "balanced"
    fast = "fast"


ModelChoice = Annotated[str, typer.Option(help="Name or file of a model; see masklet models.")]
SpeedChoice = Annotated[
    Speed | None,
    typer.Option(help="Compute less, at some cost in the masks (docs/speed.md); as the model's name says, else exact."),
]
DeviceChoice = Annotated[str | None, typer.Option(help="cpu, cuda or mps; the best there is if not given.")]
BackgroundChoice = Annotated[
    str | None,
    typer.Option(help="Of the format background: blur, a colour such as white or #00ff00, or the path of a picture."),
]
PolicyChoice = Annotated[
    str, typer.Option(help="What is remembered: published, or module:Class of your own (docs/policies.md).")
]


def help_of(command: Callable[..., None]) -> str:
    r"""A command's docstring without the line breaks of the source. Examples, which begin with \b, keep theirs."""
    paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    return "\n\n".join(text if text.startswith("\b") else text.replace("\n", " ") for text in paragraphs)
