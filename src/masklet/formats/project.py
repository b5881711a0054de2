"""A project: all that was said and found of one video, from which every other format can be written later."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeVar

from masklet.errors import FormatError
from masklet.formats.base import (
    Facts,
    Fingerprint,
    FrameLike,
    ObjectId,
    ObjectLike,
    PlainFrame,
    RleMask,
    comes_evenly,
    rle_of,
)
from masklet.formats.description import Description
from masklet.masks.rle import encode_rle

Key = TypeVar("Key")
Value = TypeVar("Value")

Spans = tuple[tuple[int, int], ...]
"""Frames, as disjoint ranges (first, last), both included."""

BLOCK = 64
"""Frames that a project file keeps together; block n begins with frame n * BLOCK."""

KEPT_BLOCKS = 4
"""Blocks that stay in memory when they were read."""


@dataclass(frozen=True)
class ProjectFrame:
    """All objects in one frame, `time` in seconds since the first."""

    time: float
    objects: Mapping[ObjectId, RleMask]


class Lazy(Mapping[Key, Value]):
    """Values of which each is made, or read, when it is asked for, and not kept; `make` may raise `FormatError`."""

    def __init__(self, keys: Iterable[Key], make: Callable[[Key], Value]) -> None:
        self._keys, self._make = dict.fromkeys(keys), make

    def __getitem__(self, key: Key) -> Value:
        if key not in self._keys:
            raise KeyError(key)
        return self._make(key)

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def __iter__(self) -> Iterator[Key]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


def frames_in_blocks(
    frames: Iterable[int], read: Callable[[int], Mapping[int, ProjectFrame]]
) -> Mapping[int, ProjectFrame]:
    """Frames of a file, of which blocks are read, by their numbers; those that were read last stay in memory."""
    block = lru_cache(KEPT_BLOCKS)(read)

    def frame(number: int) -> ProjectFrame:
        if (found := block(number // BLOCK).get(number)) is None:
            raise FormatError(f"the project lacks frame {number}, which it promises; give another copy of the file")
        return found

    return Lazy(frames, frame)


@dataclass(frozen=True)
class Project:
    """The content of a `.masklet` file."""

    size: tuple[int, int]  # (height, width) of the video
    # the number of each object, by the user's names, in the order in which they were added
    indices: Mapping[ObjectId, int] = field(default_factory=dict)
    # what is said of objects, of those of which anything is
    descriptions: Mapping[ObjectId, Description] = field(default_factory=dict)
    # what was found, by frame; those of a file are read when they are asked for, which may raise FormatError
    frames: Mapping[int, ProjectFrame] = field(default_factory=dict)
    events: Sequence[Mapping[str, Any]] = ()  # the log of prompts, plain JSON; it alone rebuilds the session
    video: str = ""  # the video's name or path, as it was given
    rate: float | None = None  # frames a second, or None
    frame_count: int | None = None  # number of frames of the video, or None
    model: str = ""  # the name of the model
    weights: str = ""  # the digest of its weights, or empty
    fingerprint: Fingerprint | None = None  # identifies the video, or None
    options: Mapping[str, Any] = field(default_factory=dict)  # how it was tracked, plain JSON; empty if unknown
    # what the program that wrote the file keeps for itself, plain JSON
    notes: Mapping[str, Any] = field(default_factory=dict)
    # further files by name, such as what a tracker remembers; read like the frames, by no other program
    attachments: Mapping[str, bytes] = field(default_factory=dict)

    def results(self) -> Iterator[PlainFrame]:
        """The frames in their order, for any writer; without pictures: `dataclasses.replace(result, image=...)`."""
        for frame in sorted(self.frames):
            found = self.frames[frame]
            objects: dict[ObjectId, ObjectLike] = dict(found.objects)
            yield PlainFrame(frame, found.time, self.size, objects, self.indices, descriptions=self.descriptions)

    def facts(self) -> Facts:
        """The facts of the video, for a writer."""
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
    """A tracker's result as a project keeps it."""
    numbers = result.index_map() if len(result.objects) > 1 else None
    masks: dict[ObjectId, RleMask] = {}
    for name, item in result.objects.items():
        lost = item.mask & (numbers != result.indices[name]) if numbers is not None else None
        taken = encode_rle(lost) if lost is not None and lost.any() else None
        masks[name] = RleMask(rle_of(item), float(item.iou), float(item.presence), taken)
    return ProjectFrame(float(result.time), masks)


def spans_of(frames: Iterable[int]) -> Spans:
    """Frames in their order as ranges."""
    spans: list[tuple[int, int]] = []
    for frame in frames:
        joins = bool(spans) and spans[-1][1] == frame - 1
        spans[-1:] = [(spans[-1][0], frame)] if joins else [*spans[-1:], (frame, frame)]
    return tuple(spans)


def check_video(project: Project, fingerprint: Fingerprint) -> None:
    """Raises FormatError, saying in what they differ, if the project was made from another video."""
    known = project.fingerprint
    if known is None:
        return
    differences = []
    if known.size != fingerprint.size:
        differences.append(f"(height, width) is {known.size} there and {fingerprint.size} here")
    counts = known.frame_count, fingerprint.frame_count
    if None not in counts and counts[0] != counts[1]:
        differences.append(f"the number of frames is {counts[0]} there and {counts[1]} here")
    if not differences and known.digest == fingerprint.digest:
        return
    told = ", ".join(differences) or "its pictures differ"
    name = f" ({project.video})" if project.video else ""
    raise FormatError(f"the project was made from another video{name}: {told}; give that video")
