"""Volumes: each object gets one box on its middle slice and is followed in both directions."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from masklet.datasets.base import Clip
from masklet.errors import EvaluationError
from masklet.evaluation.images import stacked
from masklet.evaluation.methods import Method
from masklet.evaluation.protocols import MaskedFrame, Stopwatch, answers, box_prompt, objects_of
from masklet.evaluation.run import ClipResult, Submission
from masklet.media.frames import FrameSource, ListedFrames
from masklet.media.volume import VolumeSlices
from masklet.metrics.region import Mask
from masklet.metrics.volume import TOLERANCE, dice, surface_distances
from masklet.prompts import Prompt
from masklet.video.ends import outside


@dataclass(frozen=True)
class Volumes:
    """Dice and normalised surface Dice of every object of a volume.

    The middle slice is the middle one of those on which the object is.
    """

    # how slices are shown: a name, or level and width; None for the percentiles of `VolumeSlices`
    window: str | tuple[float, ...] | None = None
    find_ends: bool = False  # whether slices beyond an object's ends are left out, as `mark_ends` does
    tolerance: float = TOLERANCE  # of surfaces, in millimetres
    name: str = "volumes"
    measures: tuple[str, ...] = ("Dice", "NSD")

    def run(self, clip: Clip, method: Method, submission: Submission) -> ClipResult:
        """Every slice is answered and handed in. Raises EvaluationError for what is no volume, or has no object."""
        if not isinstance(clip.video, Path):
            raise EvaluationError(f"{clip.name} is no volume; give --dataset volumes")
        source, watch = VolumeSlices(clip.video, window=self.window), Stopwatch()
        truth = {n: np.zeros((len(source), *source.size), np.bool_) for n in objects_of(clip)}
        for frame in clip.annotated:
            for number, mask in clip.masks(frame).items():
                truth[number][frame] = mask
        slices = {number: np.flatnonzero(mask.any(axis=(1, 2))) for number, mask in truth.items()}
        middle = {number: int(there[(len(there) - 1) // 2]) for number, there in slices.items()}
        boxes = {number: box_prompt(truth[number][k]) for number, k in middle.items()}
        found = {number: np.zeros_like(mask) for number, mask in truth.items()}
        iou = {number: np.zeros(len(source)) for number in truth}
        last = len(source) - 1
        for back, way in ((True, Turned(source)), (False, source)):
            prompts = {number: (last - k if back else k, boxes[number]) for number, k in middle.items()}
            for answer in follow(way, method, prompts, watch):
                frame = last - answer.result.frame if back else answer.result.frame
                for number, mask in answer.masks.items():
                    if (frame <= middle[number]) if back else (frame >= middle[number]):
                        found[number][frame], iou[number][frame] = mask, answer.result.objects[number].iou
        if self.find_ends:
            leave_out_ends(found, iou, middle, source)
        for frame in range(len(source)):
            masks = {number: mask[frame] for number, mask in found.items()}
            submission.write(clip, frame, stacked(masks), masks)
        axis, shown = source.geometry.axis, source.geometry.shown
        spacing = [source.geometry.spacing[one] for one in (axis, shown[1], shown[0])]
        values = {}
        for number, mask in truth.items():
            apart = surface_distances(found[number], mask, spacing, tolerance=self.tolerance)
            values[number] = {"Dice": dice(found[number], mask), "NSD": apart.nsd}
        per_frame = {
            frame: float(np.mean([dice(found[n][frame], mask[frame]) for n, mask in truth.items()]))
            for frame in range(len(source))
        }
        return ClipResult(clip.name, values, per_frame, len(source), watch.seconds)


def follow(
    source: FrameSource, method: Method, prompts: Mapping[int, tuple[int, Prompt]], watch: Stopwatch
) -> list[MaskedFrame]:
    """The slices from the first prompt on."""
    with method.track(source) as session:
        for number, (frame, prompt) in prompts.items():
            with watch:
                session.prompt(frame, number, prompt)
        return list(answers(session.follow(min(frame for frame, _ in prompts.values())), watch))


def leave_out_ends(
    found: Mapping[int, Mask], iou: Mapping[int, NDArray[np.float64]], middle: Mapping[int, int], source: VolumeSlices
) -> None:
    """Empty the masks (T, H, W) of slices beyond an object's ends."""
    for number, masks in found.items():

        def inside(frame: int, masks: Mask = masks) -> NDArray[np.float32]:
            return source.values(frame)[masks[frame]]

        for first, last in list(outside([middle[number]], range(len(source)), inside, iou[number].__getitem__)):
            masks[first : last + 1] = False


class Turned(ListedFrames):
    """The slices in the other order."""

    def __init__(self, source: VolumeSlices) -> None:
        self._source = source
        super().__init__(len(source), None)

    def _image(self, frame: int) -> NDArray[np.uint8]:
        return self._source.read(len(self) - 1 - frame).image

    def _name(self, frame: int) -> str:
        return f"slice {len(self) - 1 - frame}"
