"""A project: all that was said and found of one video, from which every other format can be written later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from masklet.errors import FormatError
from masklet.formats.base import (
    Facts,
    Fingerprint,
    FrameLike,
    ObjectId,
    ObjectLike,
    PlainFrame,
    comes_evenly,
    distance_logits,
    surest,
)
from masklet.masks.rle import Rle, decode_rle, encode_rle

LOST_LOGIT = 2.0**-10
"""Logit of a pixel that is in a mask, and that another object has: lower than any other that is inside."""


@dataclass(frozen=True)
class ProjectMask:
    """One object in one frame: its mask as run lengths, and its scores. The mask is made when it is asked for.

    lost  those of its pixels that another object has in index maps; None where it has them all
    """

    rle: Rle
    iou: float
    presence: float
    lost: Rle | None = None

    @property
    def mask(self) -> NDArray[np.bool_]:
        """bool (H, W). Raises FormatError if the run lengths are damaged."""
        return decode_rle(self.rle)

    def full_logits(self) -> NDArray[np.float32]:
        """float32 (H, W): twice the distance to the mask's edge in pixels, positive inside, at most 32; where another
        object has the pixel, barely inside."""
        logits = distance_logits(self.mask)
        return logits if self.lost is None else np.where(decode_rle(self.lost), np.float32(LOST_LOGIT), logits)


@dataclass(frozen=True)
class ProjectFrame:
    """All objects in one frame, `time` in seconds since the first."""

    time: float
    objects: Mapping[ObjectId, ProjectMask]


@dataclass(frozen=True)
class Project:
    """What a `.masklet` file holds.

    size         (height, width) of the video
    indices      the number of each object, by the user's names, in the order in which they were added
    frames       what was found, by frame
    events       the log of prompts, plain JSON; it alone rebuilds the session
    video        the video's name or path, as it was given
    rate         frames a second, or None
    frame_count  number of frames of the video, or None
    model        the name of the model
    weights      by what its weights are known again, or empty
    fingerprint  by what the video is known again, or None
    options      how it was tracked, plain JSON; empty if that is not told
    notes        what the program that wrote the file keeps for itself, plain JSON
    attachments  further files by name, such as what a tracker remembers; not read by other programs
    """

    size: tuple[int, int]
    indices: Mapping[ObjectId, int] = field(default_factory=dict)
    frames: Mapping[int, ProjectFrame] = field(default_factory=dict)
    events: Sequence[Mapping[str, Any]] = ()
    video: str = ""
    rate: float | None = None
    frame_count: int | None = None
    model: str = ""
    weights: str = ""
    fingerprint: Fingerprint | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    attachments: Mapping[str, bytes] = field(default_factory=dict)

    def results(self) -> Iterator[PlainFrame]:
        """The frames in their order, for any writer; without pictures: `dataclasses.replace(result, image=...)`."""
        for frame in sorted(self.frames):
            found = self.frames[frame]
            objects: dict[ObjectId, ObjectLike] = dict(found.objects)
            yield PlainFrame(frame, found.time, self.size, objects, self.indices)

    def facts(self) -> Facts:
        """What a writer is told of the video."""
        times = [self.frames[frame].time for frame in sorted(self.frames)]
        return Facts(
            self.size,
            self.rate,
            self.frame_count,
            self.video,
            model=self.model,
            fingerprint=self.fingerprint,
            events=self.events,
            steady=comes_evenly(self.rate, sorted(self.frames), times),
        )


def project_frame(result: FrameLike) -> ProjectFrame:
    """What a project keeps of a tracker's result."""
    numbers = surest(result) if len(result.objects) > 1 else None
    masks: dict[ObjectId, ProjectMask] = {}
    for name, item in result.objects.items():
        mask = item.mask
        lost = mask & (numbers != result.indices[name]) if numbers is not None else mask[:0]
        masks[name] = ProjectMask(
            encode_rle(mask), float(item.iou), float(item.presence), encode_rle(lost) if lost.any() else None
        )
    return ProjectFrame(float(result.time), masks)


def check_video(project: Project, fingerprint: Fingerprint) -> None:
    """Raises FormatError, saying in what they differ, if the project was made from another video."""
    known = project.fingerprint
    if known is None:
        return
    there, here = known.frame_count, fingerprint.frame_count
    differences = []
    if known.size != fingerprint.size:
        differences.append(f"(height, width) is {known.size} there and {fingerprint.size} here")
    if there is not None and here is not None and there != here:
        differences.append(f"the number of frames is {there} there and {here} here")
    if not differences and known.digest != fingerprint.digest:
        differences.append("its pictures differ")
    if not differences:
        return
    name = f" ({project.video})" if project.video else ""
    raise FormatError(f"the project was made from another video{name}: {', '.join(differences)}; give that video")
