"""What a tracker remembers: frozen data without cycles. It can be printed, compared, saved, and undone by keeping
the old."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from masklet.formats.project import ProjectMask
from masklet.prompts import Prompt

ObjectId = int | str
"""The user's name for an object."""


@dataclass(frozen=True, eq=False)
class MemoryEntry:
    """What is known of one object in one frame.

    Attributes:
        frame: Number of the frame.
        memory: (M, h, w) bfloat16, the encoded memory.
        pointer: (C,) float32, the object pointer.
        logits: (S/4, S/4) float32, the mask before thresholding; -1024 everywhere if the object is absent.
        iou: Predicted intersection over union of the mask, 0..1.
        presence: Logit; positive if the object is in the frame.
        attended: Whether the frame looked at memories; a first prompt does not.
        backward: Whether it was followed towards the video's beginning.
    """

    frame: int
    memory: Tensor
    pointer: Tensor
    logits: Tensor
    iou: float
    presence: float
    attended: bool
    backward: bool = False


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
        prompts: What was said, by frame.
        prompted: Entries that a person answers for, by frame: prompted or locked. They condition all other frames.
        tracked: Entries that the tracker found, by frame.
        saved: Masks of a reopened session of which only mask and scores are known, by frame.
    """

    tracked: Entries
    prompts: Mapping[int, Prompt] = field(default_factory=dict)
    prompted: Mapping[int, MemoryEntry] = field(default_factory=dict)
    saved: Mapping[int, ProjectMask] = field(default_factory=dict)

    def entry(self, frame: int) -> MemoryEntry | None:
        """What is known of the frame; a person's word goes before the tracker's."""
        entry = self.prompted.get(frame)
        return self.tracked.get(frame) if entry is None else entry
