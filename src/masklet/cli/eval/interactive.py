"""`masklet eval interactive`: videos with a simulated annotator who corrects."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from masklet.cli.choices import spread_options
from masklet.cli.eval import measuring
from masklet.cli.eval.measuring import Common, MannerChoice, TrackerChoice


class Way(str, Enum):
    """How the annotator works."""

    offline = "offline"
    online = "online"
    saved = "saved"


DEFAULT_CLICKS = {Way.offline: 3, Way.online: 3, Way.saved: 5}
"""Clicks on an object in a frame, at most."""


@spread_options
def interactive(
    common: Common,
    options: TrackerChoice,
    baseline: measuring.BaselineName = None,
    way: Annotated[
        Way, typer.Option(help="Correct the worst frame, round after round; pause in one pass; or count what it saves.")
    ] = Way.offline,
    rounds: Annotated[
        int, typer.Option(min=1, max=100, help="offline, online: annotated frames, the first included.")
    ] = 8,
    clicks: Annotated[
        int | None, typer.Option(min=1, max=100, help="On an object in such a frame; 3, with --way saved at most 5.")
    ] = None,
    target: Annotated[float, typer.Option(min=0.01, max=1, help="online, saved: IoU that needs no correction.")] = 0.75,
    annotator: measuring.MannerName = MannerChoice.centre,
    seed: measuring.Seed = 0,
) -> None:
    """Interactive video segmentation, with a simulated annotator, as in the SAM 2 paper.

    offline: J&F after each round, of which each corrects the worst frame of the video. online: one pass, which pauses
    where an object's IoU falls below the target. saved: clicks to bring every frame to the target, with the tracker and
    each frame alone. Data sets and output are those of masklet eval vos.

    \b
    Examples:
      masklet eval interactive --dataset davis2017 --root DAVIS --limit 5
      masklet eval interactive --dataset folder --root my-videos --way online --rounds 3
      masklet eval interactive --dataset folder --root my-videos --way saved --target 0.85
    """
    from masklet.evaluation.protocols.base import Procedure
    from masklet.evaluation.protocols.clicks_saved import ClicksSaved
    from masklet.evaluation.protocols.interactive import Offline, Online

    count, who = clicks or DEFAULT_CLICKS[way], measuring.annotator(annotator, seed)
    procedures: dict[Way, Procedure] = {
        Way.offline: Offline(rounds, count, who),
        Way.online: Online(rounds, count, target, who),
        Way.saved: ClicksSaved(target, count, who),
    }
    measuring.run(
        "video", common, lambda _: procedures[way], f"interactive-{way.value}", baseline=baseline, tracking=options
    )
