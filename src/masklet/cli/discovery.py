"""The options of `masklet track --everything`, and the settings that they make together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from masklet.cli import choices

if TYPE_CHECKING:
    from masklet.discovery import DiscoveryOptions

PANEL = "With --everything"
"""Where the help shows these options."""

Everything = Annotated[
    bool, choices.option("Follow all that is found, without pointing at anything.", name="--everything")
]

option = partial(choices.option, panel=PANEL)

GROUNDER_HELP = "What finds boxes for words: grounding-dino-tiny if not given, grounding-dino-base, owlv2, or a folder."
SCORE_HELP = "The lowest score of a box for words; 0.3 if not given."
LIKENESS_HELP = "The lowest likeness to what --like shows; 0.88 if not given."


@dataclass(frozen=True, kw_only=True)
class DiscoveryChoice:
    """How things are found: fields of `DiscoveryOptions`, or, those of grids and masks, how masks of one picture are
    found. None if not given."""

    every: Annotated[int | None, option("Look for new things every so many frames; 15 if not given.", 1, 10**6)] = None
    most: Annotated[int | None, option("Follow so many things at most; 32 if not given.", 1, 254)] = None
    least_area: Annotated[
        float | None, option("A thing covers at least this share of the picture; 0.002 if not given.", 0, 1)
    ] = None
    points_per_side: Annotated[
        int | None, option("Clicks along each axis of the grid that finds things; 16 if not given.", 1, 1024)
    ] = None
    least_iou: Annotated[
        float | None, option("Masks of new things are surer of themselves than this; usual for the model.", 0, 1)
    ] = None
    least_stability: Annotated[
        float | None, option("Masks of new things change less than this at another threshold.", 0, 1)
    ] = None

    text: Annotated[str | None, option("Look for what these words name, such as 'red car . dog'.")] = None
    grounder: Annotated[str | None, option(GROUNDER_HELP)] = None
    least_score: Annotated[float | None, option(SCORE_HELP, 0, 1)] = None
    like: Annotated[
        str | None, option("Look for what is marked here: dog.jpg beside its mask dog.png, a session, or COCO.")
    ] = None
    least_likeness: Annotated[float | None, option(LIKENESS_HELP, 0, 1)] = None


OF_A_VIDEO = ("every", "most", "least_area", "text", "grounder", "least_score", "like", "least_likeness")
"""Which of these are fields of `DiscoveryOptions`; the others set how masks of one picture are found."""


def check_everything(
    everything: bool, said: Mapping[str, float | str | None], pointed: bool, direction: str, in_rows: bool
) -> bool:
    """Whether things are looked for in place of being pointed at. Raises a usage error if what was typed does not go
    together; `said` has the values of these options, by their names in Python, and `in_rows` is whether rows of a
    manifest may ask for it too."""
    given = [f"--{name.replace('_', '-')}" for name, value in said.items() if value is not None]
    ways = [*["--everything"] * everything, *(way for way in ("--text", "--like") if way in given)]
    if "--like" in ways and len(ways) > 1:
        raise typer.BadParameter(f"{' and '.join(ways)} are ways to find things; give one")
    if not ways and given and not in_rows:
        raise typer.BadParameter(f"{given[0]} sets how things are looked for; give --everything, --text or --like too")
    if ways and pointed:
        raise typer.BadParameter(
            f"{ways[0]} finds the objects itself, and --box, --point, --mask and --prompts point at them; give one or "
            "the other"
        )
    if ways and direction != "forward":
        raise typer.BadParameter(
            f"{ways[0]} goes forward, as things are found when they come in, and --direction {direction} came; leave "
            "it out"
        )
    return bool(ways)


def discovery_options(said: Mapping[str, float | str | None]) -> DiscoveryOptions:
    """How everything is looked for; what was not said is as usual."""
    from masklet.discovery import DiscoveryOptions
    from masklet.words import phrases_of

    given = {name: value for name, value in said.items() if value is not None}
    if given.get("like") == "":
        raise typer.BadParameter("--like is empty; give the file with the example")
    if "text" in given:
        phrases_of(str(given["text"]))  # says what is wrong with it, an empty one too
    usual, of_video = DiscoveryOptions(), {name: given.pop(name) for name in OF_A_VIDEO if name in given}
    return replace(usual, masks=replace(usual.masks, **given), **of_video)  # type: ignore[arg-type]
