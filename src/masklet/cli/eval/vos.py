"""`masklet eval vos`: objects that are prompted once, followed through videos."""

from __future__ import annotations

from typing import Annotated

import typer

from masklet.cli.choices import spread_options
from masklet.cli.eval import measuring
from masklet.cli.eval.measuring import Common, First, MannerChoice, TrackerChoice

USUAL = "davis2017"
"""The scoring protocol of data sets without one of their own."""


@spread_options
def vos(
    common: Common,
    options: TrackerChoice,
    baseline: measuring.BaselineName = None,
    prompt: measuring.FirstName = First.mask,
    clicks: Annotated[int, typer.Option(min=1, max=100, help="With --prompt click: clicks on each object.")] = 1,
    protocol: Annotated[
        str | None, typer.Option(help="Which frames and objects count, as in masklet eval score; the data set's own.")
    ] = None,
    annotator: measuring.MannerName = MannerChoice.centre,
    seed: measuring.Seed = 0,
) -> None:
    """Semi-supervised video object segmentation: J and F of objects that are prompted once and then followed.

    Data sets: davis2016, davis2017, ytvos, sav, mose, lvos, and folder, your own videos with index PNGs.

    Writes OUT/masks as the data set wants them handed in, OUT/sequences.csv, objects.csv, summary.json, table.md,
    plot.png and OUT/worst. Sequences that are done are not done again.

    \b
    Examples:
      masklet eval vos --dataset davis2017 --root DAVIS --model sam2.1-tiny
      masklet eval vos --dataset davis2017 --root DAVIS --prompt click --clicks 3
      masklet eval vos --dataset folder --root my-videos --baseline flow
    """
    from masklet.evaluation.protocols.vos import Prompting, SemiSupervised
    from masklet.metrics.protocols import PROTOCOLS

    count = clicks if prompt is First.click else 0
    prompting = Prompting(prompt.value, count, measuring.annotator(annotator, seed))
    measuring.run(
        "video",
        common,
        lambda found: SemiSupervised(prompting, protocol or (found.name if found.name in PROTOCOLS else USUAL)),
        f"vos-{prompt.value}{count or ''}",
        baseline=baseline,
        tracking=options,
    )
