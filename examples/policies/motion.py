"""Where the object should be by now breaks ties among the candidate masks.

    masklet track clip.mp4 --box 0:1:40,60,220,240 --policy examples.policies.motion:MotionPolicy --out a

Source: the motion model of SAMURAI (Yang et al., 2024), from its description. There it outweighs the mask's own score
and harms where a camera jumps; here it only decides among candidates whose scores are nearly equal, and it counts as
much as it was right on the last frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, quantiles

import numpy as np

from masklet.engines.arrays import Array, beside, to_numpy
from masklet.nn import Decoded
from masklet.video.policies import Choice, PublishedPolicy, recent
from masklet.video.state import FrameStats, ObjectTrack
from masklet.video.step import areas_and_boxes

LEAST = 4
"""With fewer frames there is no telling where an object goes."""


@dataclass(frozen=True)
class MotionPolicy(PublishedPolicy):
    """As published, but on a tracked frame a candidate may win that scores a little less and lies where the object
    should be.

    Attributes:
        history: Frames from which motion is told.
        fading: The weight of a frame falls by this factor with each frame.
    """

    history: int = 12
    fading: float = 0.8

    def choose(
        self, decoded: Decoded, points: Array, tracks: Sequence[ObjectTrack], frame: int, *, backward: bool
    ) -> Choice:
        choice = super().choose(decoded, points, tracks, frame, backward=backward)
        masks, pointers = choice.masks.tolist(), choice.pointers.tolist()
        scores, counts = decoded.iou[:, 1:].tolist(), points.tolist()
        boxes = [
            box for _, box in areas_and_boxes(to_numpy(decoded.logits)[:, 1:].reshape(-1, *decoded.logits.shape[2:]))
        ]
        for n, track in enumerate(tracks):
            seen = [past for past in recent(track, frame, self.history, backward=backward) if past.area]
            if counts[n] or masks[n] == 0 or len(seen) < LEAST:
                continue
            bonus = self.trust(seen) * spread([past.iou for past in seen])
            expected = self.expected(seen, frame)
            total = [scores[n][c] + bonus * box_iou(expected, boxes[3 * n + c]) for c in range(3)]
            masks[n] = pointers[n] = 1 + total.index(max(total))
        return Choice(beside(points, np.array(masks)), beside(points, np.array(pointers)))

    def expected(self, seen: Sequence[FrameStats], frame: int) -> tuple[float, ...]:
        """The box on a frame, newest frame first: its centre moves on in a straight line, fitted with the scores as
        weights; its size is the weighted mean."""
        ages = np.array([abs(past.frame - frame) for past in seen], float)
        weights = np.array([past.iou for past in seen]) * self.fading**ages + 1e-6
        x0, y0, x1, y1 = np.array([past.box for past in seen], float).T
        x, y = (straight(ages, middle, weights) for middle in ((x0 + x1) / 2, (y0 + y1) / 2))
        width, height = (float(np.average(side, weights=weights)) for side in (x1 - x0, y1 - y0))
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2

    def trust(self, seen: Sequence[FrameStats]) -> float:
        """0..1: how well the newest frames lie where those before them led."""
        told = range(max(1, min(4, len(seen) - LEAST + 1)))
        return fmean(box_iou(self.expected(seen[n + 1 :], seen[n].frame), seen[n].box) for n in told)


def straight(ages: np.ndarray, values: np.ndarray, weights: np.ndarray) -> float:
    """The value at age 0 of a weighted straight line."""
    age, value = np.average(ages, weights=weights), np.average(values, weights=weights)
    variance = float(np.average((ages - age) ** 2, weights=weights))
    slope = float(np.average((ages - age) * (values - value), weights=weights)) / variance if variance else 0.0
    return float(value) - slope * float(age)


def spread(scores: Sequence[float]) -> float:
    """The distance between the quartiles: how much the model's own scores of this object vary."""
    low, _, high = quantiles(scores, n=4)
    return high - low


def box_iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union of two boxes (x0, y0, x1, y1); 0 if one is empty."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(width, 0.0) * max(height, 0.0)
    either = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both
    return both / either if either else 0.0
