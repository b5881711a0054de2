"""What a tracker remembers: frozen data without cycles. It can be printed, compared, saved, and undone by keeping
the old."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from torch import Tensor

from masklet.formats.base import RleMask
from masklet.masks.rle import Rle
from masklet.prompts import Prompt

ObjectId = int | str
"""The user's name for an object."""


Box = tuple[int, int, int, int]
"""(x0, y0, x1, y1); x1 and y1 one past the last; all 0 around nothing."""


@dataclass(frozen=True, eq=False, slots=True)
class Sighting:
    """What is small of an entry: all but its tensors. It is at hand for every frame without reading a file.

    Attributes:
        frame: Number of the frame.
        iou: Predicted intersection over union of the mask, 0..1.
        presence: Logit; positive if the object is in the frame.
        attended: Whether the frame looked at memories; a first prompt does not.
        backward: Whether it was followed towards the video's beginning.
        area: Cells of the low-resolution mask that are inside.
        box: Around these cells.
        remembered: Whether later frames may recall it as one of the recent ones; a policy decides.
        held: Frames that stay known from here on, however far they fall behind; a policy decides.
        colours: Signature of the frame's colours, see `masklet.video.cuts`.
        cut: Whether a scene cut lies between the frame before and this one.
        paused: Whether nothing is remembered since a scene cut, because the object was not surely seen again.
    """

    frame: int
    iou: float = field(kw_only=True)
    presence: float = field(kw_only=True)
    attended: bool = field(kw_only=True)
    backward: bool = field(default=False, kw_only=True)
    area: int = field(default=0, kw_only=True)
    box: Box = field(default=(0, 0, 0, 0), kw_only=True)
    remembered: bool = field(default=True, kw_only=True)
    held: tuple[int, ...] = field(default=(), kw_only=True)
    colours: bytes = field(default=b"", kw_only=True)
    cut: bool = field(default=False, kw_only=True)
    paused: bool = field(default=False, kw_only=True)


@dataclass(frozen=True, eq=False, slots=True)
class MemoryEntry(Sighting):
    """What is known of one object in one frame.

    Attributes:
        memory: (M, h, w) bfloat16, the encoded memory.
        pointer: (C,) float32, the object pointer.
        logits: (S/4, S/4) float32, the mask before thresholding; -1024 everywhere if the object is absent.
        exact_mask: The mask of the picture's size where it is final, such as one that a person gave; the logits are
            then only what the network reads. None where the mask comes from the logits.
    """

    memory: Tensor
    pointer: Tensor
    logits: Tensor
    exact_mask: Rle | None = field(default=None, kw_only=True)


def facts_of(seen: Sighting) -> dict[str, Any]:
    """All but the tensors, by name; numbers, truths, whole numbers in tuples, and bytes."""
    return {fact.name: getattr(seen, fact.name) for fact in fields(Sighting)}


@dataclass(frozen=True, eq=False)
class Faint:
    """What is left of an entry that gave up its memory: it is shown, and not recalled.

    Attributes:
        frame: Number of the frame.
        logits: (S/4, S/4) float32, rounded and within -32 and 32; -1024 everywhere if the object is absent.
        iou: Predicted intersection over union of the mask, 0..1.
        presence: Logit; positive if the object is in the frame.
    """

    frame: int
    logits: Tensor
    iou: float
    presence: float


class Entries(Mapping[int, MemoryEntry]):
    """What was tracked of an object, by frame. Immutable: adding an entry gives another mapping."""

    @property
    def faint(self) -> Mapping[int, Faint]:
        """Frames whose entries gave up their memory; they are not among the entries any more."""
        return {}

    def sighting(self, frame: int) -> Sighting:
        """What is small of an entry. Raises `KeyError` if the frame is not known."""
        return self[frame]

    @abstractmethod
    def adding(self, entry: MemoryEntry) -> Entries:
        """With one more entry, which takes the place of an older one on its frame."""

    @abstractmethod
    def without(self, frame: int) -> Entries:
        """Without a frame, known or not."""

    @abstractmethod
    def nothing(self) -> Entries:
        """No entries, kept in the same way."""


@dataclass(frozen=True, eq=False)
class ObjectTrack:
    """One object: what was said about it, and what came of it.

    Attributes:
        number: Its number in index maps, from 1; given once and kept.
        prompts: What was said, by frame.
        prompted: Entries that a person answers for, by frame: prompted or locked. They condition all other frames.
        tracked: Entries that the tracker found, by frame.
        saved: Masks of a reopened session of which only mask and scores are known, by frame.
        saved_backward: Frames into which the object was followed backward before the session was saved.
    """

    tracked: Entries
    prompts: Mapping[int, Prompt] = field(default_factory=dict)
    prompted: Mapping[int, MemoryEntry] = field(default_factory=dict)
    saved: Mapping[int, RleMask] = field(default_factory=dict)
    saved_backward: frozenset[int] = frozenset()
    number: int = 1

    def entry(self, frame: int) -> MemoryEntry | None:
        """What is known of the frame; a person's word goes before the tracker's."""
        entry = self.prompted.get(frame)
        return self.tracked.get(frame) if entry is None else entry

    def sighting(self, frame: int) -> Sighting | None:
        """What is small of that entry, without reading a file."""
        if frame in self.prompted:
            return self.prompted[frame]
        return self.tracked.sighting(frame) if frame in self.tracked else None
