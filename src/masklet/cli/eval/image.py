"""`masklet eval image`: objects in pictures, by a box or clicks."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from masklet.cli.choices import spread_options
from masklet.cli.eval import measuring
from masklet.cli.eval.measuring import Common, MannerChoice


class Begin(str, Enum):
    """What comes first."""

    click = "click"
    box = "box"


@spread_options
def image(
    common: Common,
    baseline: measuring.BaselineName = None,
    prompt: Annotated[Begin, typer.Option(help="What comes first; everything after it is a click.")] = Begin.click,
    clicks: Annotated[int, typer.Option(min=1, max=100, help="Answers to each object; the box counts as one.")] = 5,
    annotator: measuring.MannerName = MannerChoice.centre,
    seed: measuring.Seed = 0,
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
    from masklet.evaluation.protocols.images import ImageClicks

    procedure = ImageClicks(prompt.value, clicks, measuring.annotator(annotator, seed))
    measuring.run("image", common, lambda _: procedure, f"image-{prompt.value}{clicks}", baseline=baseline)
