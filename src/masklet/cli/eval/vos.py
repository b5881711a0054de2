"""`masklet eval vos`: objects that are told once, followed through videos."""

from __future__ import annotations

from typing import Annotated

import typer

from masklet.cli.eval import measuring
from masklet.cli.eval.measuring import Common, Engine, First, Manner

RULES = {"folder": "davis2017"}
"""By whose rules a data set is scored, where that is not its own name."""


def vos(
    dataset: measuring.Name,
    root: measuring.Root,
    split: measuring.Split = "val",
    model: measuring.ModelName = "nano",
    baseline: measuring.BaselineName = None,
    prompt: Annotated[
        First, typer.Option(help="How each object is told in the frame in which it enters.")
    ] = First.mask,
    clicks: Annotated[int, typer.Option(min=1, help="With --prompt click: clicks on each object.")] = 1,
    protocol: Annotated[
        str | None, typer.Option(help="Which frames and objects count, as in masklet eval score; the data set's own.")
    ] = None,
    annotator: measuring.MannerName = Manner.centre,
    seed: measuring.Seed = 0,
    out: measuring.Out = None,
    limit: measuring.Limit = None,
    workers: measuring.Workers = None,
    engine: measuring.EngineName = Engine.local,
    ray_address: measuring.RayAddress = None,
    device: measuring.Device = None,
    overwrite: measuring.Overwrite = False,
) -> None:
    """Semi-supervised video object segmentation: J and F of objects that are told once and then followed.

    Data sets: davis2016, davis2017, ytvos, sav, mose, lvos, and folder, your own videos with index PNGs.

    Writes OUT/masks as the data set wants them handed in, OUT/sequences.csv, objects.csv, summary.json, table.md,
    plot.png and OUT/worst. Sequences that are done are not done again.

    \b
    Examples:
      masklet eval vos --dataset davis2017 --root DAVIS --model sam2.1-tiny
      masklet eval vos --dataset davis2017 --root DAVIS --prompt click --clicks 3
      masklet eval vos --dataset folder --root my-videos --baseline flow
    """
    from masklet.evaluation.protocols.semi_supervised import SemiSupervised
    from masklet.evaluation.protocols.telling import Telling

    count = clicks if prompt is First.click else 0
    telling = Telling(prompt.value, count, measuring.annotator(annotator, seed))
    common = Common(dataset, root, split, limit, model, baseline, device, out, workers, engine, ray_address, overwrite)
    measuring.run(
        "video",
        common,
        lambda found: SemiSupervised(telling, protocol or RULES.get(found.name, found.name)),
        f"vos-{prompt.value}{count or ''}",
    )
