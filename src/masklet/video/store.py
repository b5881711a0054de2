"""Where entries go, so that memory stays flat however long the video: to unnamed files, or away.

In a file every entry is written once and never changed, so that an older state of a session still finds its own. The
newest entries are also kept in memory, because the next frames recall them. When a budget of bytes is spent, the oldest
give up what only a new pass would need: of them scores and a small form of the mask stay.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from masklet.video.disk import Slots, Tail
from masklet.video.paged import Paged
from masklet.video.state import Entries, Faint, MemoryEntry, Sighting, facts_of

LIMIT = 32.0
"""The small form of a mask has logits up to this one, inside and outside."""

MOST = 127
"""The byte of such a logit; that of its negative is the negative."""

ABSENT = -128
"""The byte of an object that is absent."""

ABSENT_LOGIT = -1024.0
"""Its logit."""


@dataclass(frozen=True)
class Place:
    """Where an entry lies, and what is small enough to stay in memory.

    `number` counts all entries that were ever put into the store.
    """

    number: int
    slot: int
    sighting: Sighting


class EntryStore:
    """Entries on disk, the newest also in memory.

    Args:
        device: Where tensors are wanted.
        budget: Bytes that may be spent on disk; None for as many as it takes. The entries that stay in memory are kept
            on disk too, whatever that takes.

    Attributes:
        device: Where tensors are wanted.
        recent: How many entries stay in memory.
    """

    def __init__(self, device: torch.device, budget: int | None = None) -> None:
        self.device = device
        self.recent = 32
        self._budget = budget
        self._count = 0
        self._whole = Slots()
        self._order: deque[int] = deque()  # slots of whole entries, the oldest first; only with a budget
        self._faint = Tail()
        self._shapes: tuple[torch.Size, torch.Size, torch.Size] | None = None
        self._cache: OrderedDict[int, MemoryEntry] = OrderedDict()

    def put(self, entry: MemoryEntry) -> Place:
        """Keep an entry, and say where. Raises `SessionError` if the disk is full."""
        self._shapes = (entry.memory.shape, entry.pointer.shape, entry.logits.shape)
        record = entry.memory.cpu().contiguous().view(torch.int16).numpy().tobytes() + b"".join(
            part.float().cpu().contiguous().numpy().tobytes() for part in (entry.pointer, entry.logits)
        )
        if self._budget is not None:
            self._make_room(self._budget, len(record))
        slot, number = self._whole.put(record), self._count
        self._count += 1
        if self._budget is not None:
            self._order.append(slot)
        self._remember(number, entry)
        return Place(number, slot, Sighting(**facts_of(entry)))

    def has(self, place: Place) -> bool:
        """Whether the whole entry is there."""
        return place.number >= len(self._faint)

    def get(self, place: Place) -> MemoryEntry:
        """The entry that was put there, if it is whole."""
        if place.number in self._cache:
            self._cache.move_to_end(place.number)
            return self._cache[place.number]
        memory, pointer, logits = self._read(place.slot)
        entry = MemoryEntry(
            memory=torch.from_numpy(memory.copy()).view(torch.bfloat16).to(self.device),
            pointer=torch.from_numpy(pointer.copy()).to(self.device),
            logits=torch.from_numpy(logits.copy()).to(self.device),
            **facts_of(place.sighting),
        )
        self._remember(place.number, entry)
        return entry

    def faint(self, place: Place) -> Faint:
        """What is left of an entry that is not whole any more."""
        assert self._shapes is not None, "nothing was put into this store"
        logits = enlarged(self._faint.get(place.number)).reshape(self._shapes[2])
        seen = place.sighting
        return Faint(seen.frame, torch.from_numpy(logits), seen.iou, seen.presence)

    def close(self) -> None:
        """Give back the files and the memory."""
        self._cache.clear()
        self._whole.close()
        self._faint.close()

    def _make_room(self, budget: int, length: int) -> None:
        """Shrink the oldest entries until one more fits."""
        while len(self._order) >= max(self.recent, (budget - self._faint.size) // length):
            self._faint.add(shrunk(self._read(self._order[0])[2]))
            self._cache.pop(len(self._faint) - 1, None)
            self._whole.give_back(self._order.popleft())

    def _read(self, slot: int) -> tuple[NDArray[np.int16], NDArray[np.float32], NDArray[np.float32]]:
        """Memory, pointer and logits of a slot."""
        assert self._shapes is not None, "nothing was put into this store"
        memory, pointer, logits = self._shapes
        begin = 2 * memory.numel()
        middle = begin + 4 * pointer.numel()
        record = self._whole.get(slot, middle + 4 * logits.numel())
        return (
            np.frombuffer(record[:begin], np.int16).reshape(memory),
            np.frombuffer(record[begin:middle], np.float32).reshape(pointer),
            np.frombuffer(record[middle:], np.float32).reshape(logits),
        )

    def _remember(self, number: int, entry: MemoryEntry) -> None:
        self._cache[number] = entry
        while len(self._cache) > self.recent:
            self._cache.popitem(last=False)


def shrunk(logits: NDArray[np.float32]) -> bytes:
    """A small form of logits: a byte for each cell, by the square root, fine at the mask's edge and coarse far from it;
    compressed. No cell changes its side."""
    size = np.rint(np.sqrt(np.abs(logits) / LIMIT) * MOST).clip(1, MOST)
    steps = np.where(logits <= ABSENT_LOGIT, ABSENT, np.where(logits > 0, size, -size))
    return zlib.compress(steps.astype(np.int8).tobytes())


def enlarged(data: bytes) -> NDArray[np.float32]:
    """Logits from their small form, flat."""
    steps = np.frombuffer(zlib.decompress(data), np.int8).astype(np.float32)
    return np.where(steps == ABSENT, np.float32(ABSENT_LOGIT), np.sign(steps) * (steps / MOST) ** 2 * LIMIT)


class RecentEntries(Entries):
    """The entries of the last frames, and those that the newest holds, in memory; others are forgotten."""

    def __init__(self, window: int, entries: Mapping[int, MemoryEntry] | None = None) -> None:
        self._window = window
        self._entries = entries or {}

    def __getitem__(self, frame: int) -> MemoryEntry:
        return self._entries[frame]

    def __iter__(self) -> Iterator[int]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def adding(self, entry: MemoryEntry) -> RecentEntries:
        oldest, held = entry.frame - self._window, {*entry.held}
        kept = {f: known for f, known in self._entries.items() if f > oldest or f in held}
        return RecentEntries(self._window, {**kept, entry.frame: entry})

    def without(self, frame: int) -> RecentEntries:
        return RecentEntries(self._window, {f: entry for f, entry in self._entries.items() if f != frame})

    def nothing(self) -> RecentEntries:
        return RecentEntries(self._window)


class StoredEntries(Entries):
    """Entries that lie in a store; those that are not whole any more are in `faint`."""

    def __init__(self, store: EntryStore, places: Paged[Place] | None = None) -> None:
        self._store = store
        self._places = Paged() if places is None else places

    def __getitem__(self, frame: int) -> MemoryEntry:
        if frame not in self:
            raise KeyError(frame)
        return self._store.get(self._places[frame])

    def __iter__(self) -> Iterator[int]:
        return (frame for frame, place in self._places.items() if self._store.has(place))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, frame: object) -> bool:
        return frame in self._places and self._store.has(self._places[frame])  # type: ignore[index]

    @property
    def faint(self) -> Mapping[int, Faint]:
        return FaintEntries(self._store, self._places)

    def sighting(self, frame: int) -> Sighting:
        if frame not in self:
            raise KeyError(frame)
        return self._places[frame].sighting

    def adding(self, entry: MemoryEntry) -> StoredEntries:
        return StoredEntries(self._store, self._places.adding(entry.frame, self._store.put(entry)))

    def without(self, frame: int) -> StoredEntries:
        return StoredEntries(self._store, self._places.without(frame))

    def nothing(self) -> StoredEntries:
        return StoredEntries(self._store)


class FaintEntries(Mapping[int, Faint]):
    """What is left of the entries that are not whole any more."""

    def __init__(self, store: EntryStore, places: Mapping[int, Place]) -> None:
        self._store = store
        self._places = places

    def __getitem__(self, frame: int) -> Faint:
        place = self._places[frame]
        if self._store.has(place):
            raise KeyError(frame)
        return self._store.faint(place)

    def __iter__(self) -> Iterator[int]:
        return (frame for frame, place in self._places.items() if not self._store.has(place))

    def __len__(self) -> int:
        return sum(1 for _ in self)
