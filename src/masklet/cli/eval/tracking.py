"""`masklet eval tracking`: whether several objects are found, and told from each other, all along."""

from __future__ import annotations

from typing import Annotated

import typer

from masklet.cli.eval import measuring
from masklet.cli.eval.measuring import Common, Engine, First


def tracking(
    dataset: measuring.Name,
    root: measuring.Root,
    split: measuring.Split = "val",
    model: measuring.ModelName = "nano",
    baseline: measuring.BaselineName = None,
    prompt: Annotated[First, typer.Option(help="How each object is told in the frame in which it enters.")] = First.box,
    out: measuring.Out = None,
    limit: measuring.Limit = None,
    workers: measuring.Workers = None,
    engine: measuring.EngineName = Engine.local,
    ray_address: measuring.RayAddress = None,
    device: measuring.Device = None,
    overwrite: measuring.Overwrite = False,
) -> None:
    """Multi-object tracking: HOTA, DetA, AssA, MOTA, IDF1 and switches of identity, by TrackEval.

    Data sets and output are those of masklet eval vos. "all" is the mean over sequences.

    \b
    Examples:
      masklet eval tracking --dataset davis2017 --root DAVIS
      masklet eval tracking --dataset mose --root MOSE --split train --limit 20 --prompt mask
    """
    from masklet.evaluation.protocols.telling import Telling
    from masklet.evaluation.protocols.tracking import MultiObject

    common = Common(dataset, root, split, limit, model, baseline, device, out, workers, engine, ray_address, overwrite)
    measuring.run("video", common, lambda _: MultiObject(Telling(prompt.value)), f"tracking-{prompt.value}")
