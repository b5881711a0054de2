"""The simulated annotator: clicks and boxes by the true mask."""

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from masklet.masks.shape import central_click, mask_box, random_click
from masklet.metrics.region import Mask, region_similarity
from masklet.prompts import Prompt

Manner = Literal["centre", "random"]


@dataclass(frozen=True)
class Annotator:
    """Where it clicks is the same for the same seed, clip, object, frame and number of the click."""

    # "centre": the centre of the largest error, with no chance in it; "random": any wrong pixel
    manner: Manner = "centre"
    seed: int = 0  # of what is drawn

    def click(
        self, predicted: Mask | None, truth: Mask, void: Mask | None = None, *, occasion: str = ""
    ) -> Prompt | None:
        """A click on an error, or None if there is none; `predicted` is None before the first answer.

        Unknown pixels are never clicked. The occasion names clip, object, frame and number of the click.
        """
        if void is not None:
            truth = truth & ~void
            predicted = None if predicted is None else predicted & ~void
        if self.manner == "centre":
            click = central_click(predicted, truth)
        else:
            chance = np.random.default_rng((self.seed, zlib.crc32(occasion.encode())))
            click = random_click(predicted, truth, chance)
        return None if click is None else Prompt(points=((float(click.x), float(click.y)),), labels=(click.label,))

    def clicks(
        self,
        count: int,
        ask: Callable[[Prompt], Mask],
        predicted: Mask | None,
        truth: Mask,
        void: Mask | None = None,
        *,
        occasion: str = "",
        good: float = math.inf,
    ) -> tuple[int, Mask | None]:
        """Click up to so many times, each time looking at the new answer, until that has an IoU of `good`: clicks made,
        and the last answer."""
        for made in range(count):
            if predicted is not None and math.isfinite(good) and region_similarity(predicted, truth, void) >= good:
                return made, predicted
            click = self.click(predicted, truth, void, occasion=f"{occasion}/{made}")
            if click is None:
                return made, predicted
            predicted = ask(click)
        return count, predicted


def box_prompt(mask: Mask) -> Prompt:
    """The smallest box around a mask that is not empty."""
    x0, y0, x1, y1 = (float(edge) for edge in mask_box(mask))
    return Prompt(box=(x0, y0, x1, y1))
