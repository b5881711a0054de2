"""`masklet eval tracking`: whether several objects are found, and keep their identities."""

from __future__ import annotations

from masklet.cli.choices import spread_options
from masklet.cli.eval import measuring
from masklet.cli.eval.measuring import Common, First, TrackerChoice


@spread_options
def tracking(
    common: Common,
    options: TrackerChoice,
    baseline: measuring.BaselineName = None,
    prompt: measuring.FirstName = First.box,
) -> None:
    """Multi-object tracking: HOTA, DetA, AssA, MOTA, IDF1 and switches of identity, by TrackEval.

    Data sets and output are those of masklet eval vos. "all" is the mean over sequences.

    \b
    Examples:
      masklet eval tracking --dataset davis2017 --root DAVIS
      masklet eval tracking --dataset mose --root MOSE --split train --limit 20 --prompt mask
    """
    from masklet.evaluation.protocols.vos import MultiObject, Prompting

    measuring.run(
        "video",
        common,
        lambda _: MultiObject(Prompting(prompt.value)),
        f"tracking-{prompt.value}",
        baseline=baseline,
        tracking=options,
    )
