"""The order in which people should annotate, so that the next hour of clicking teaches most.

What a video or picture may teach is its doubt (how wrong the model expects to be) times its variety (how unlike it is
to all that was annotated, and to what stands before it in the queue). What it costs are seconds of a person. The queue
takes what teaches most a second, one after another.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from masklet.engines.base import Engine
from masklet.errors import FormatError, SessionError
from masklet.image import ImagePredictor
from masklet.loop.ahead import Estimate, sight_of, some, unlabelled
from masklet.loop.collect import annotated
from masklet.loop.project import Loop

QUEUE = "queue.json"
"""The file in the folder of a loop."""

LOOK, CHECK, CORRECT, WATCH = 4.0, 1.0, 4.0, 0.1
"""Seconds of a person: to begin on a video or picture; to look at a thing; to correct a doubtful mask; to watch a
frame. Guesses, of which the ratios matter."""

LEAST_VARIETY = 0.02
"""Of what looks like something annotated already: doubt counts there too."""


@dataclass(frozen=True)
class Queued:
    """A video or picture in the queue.

    Attributes:
        id: As the annotator names it.
        path: Where it lies.
        doubt: As of its estimate, 0..1.
        variety: 1 less the cosine to what is most like it, of what was annotated and what stands before it, 0..1.
        seconds: That a person will need, roughly.
    """

    id: str
    path: str
    doubt: float
    variety: float
    seconds: float


def seconds_of(estimate: Estimate) -> float:
    """What a person needs for a video or picture, roughly."""
    return LOOK + CHECK * estimate.things + CORRECT * estimate.doubtful + WATCH * estimate.frames


def ordered(estimates: Sequence[Estimate], seen: Sequence[NDArray[np.float32]]) -> list[Queued]:
    """The queue.

    Args:
        estimates: Of what nobody annotated yet, all by one model.
        seen: What that looks like which was annotated, float32 (C,) each.
    """
    if not estimates:
        return []
    sights = np.array([one.sight for one in estimates], np.float32)
    near = (sights @ np.stack(seen).T).max(axis=1, initial=0.0) if len(seen) else np.zeros(len(estimates))
    rates = np.array([one.doubt / seconds_of(one) for one in estimates])
    left, found = list(range(len(estimates))), []
    while left:
        values = rates[left] * np.maximum(1 - near[left], LEAST_VARIETY)
        place = left.pop(int(values.argmax()))
        one = estimates[place]
        variety = float(np.clip(1 - near[place], 0, 1))
        found.append(Queued(one.id, one.path, one.doubt, variety, seconds_of(one)))
        near = np.maximum(near, sights @ sights[place])
    return found


def make_queue(loop: Loop, engine: Engine, estimates: Sequence[Estimate]) -> list[Queued]:
    """Write the queue; what was not estimated stands at its end."""
    predictor = ImagePredictor(engine)
    seen = [sight_of(predictor, clip.images(some(clip.annotated))) for clip in annotated(loop)]
    queue = ordered(estimates, seen)
    known = {one.id for one in queue}
    rest = [Queued(item.id, str(item.path), 1.0, 1.0, LOOK) for item in unlabelled(loop) if item.id not in known]
    loop.write(QUEUE, [vars(one) for one in (*queue, *rest)])
    return [*queue, *rest]


def read_queue(loop: Loop) -> list[Queued]:
    """The queue as it was made last. Raises SessionError if it never was."""
    try:
        return [Queued(**one) for one in json.loads((loop.folder / QUEUE).read_text(encoding="utf-8"))]
    except FileNotFoundError:
        raise SessionError(f"there is no queue yet; first run masklet loop annotate {loop.project}") from None
    except (OSError, ValueError, TypeError) as error:
        raise FormatError(f"{loop.folder / QUEUE} cannot be read ({error}); run masklet loop annotate") from error
