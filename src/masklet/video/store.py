"""Where entries go, so that memory stays flat however long the video: to an unnamed file, or away.

In a file every entry is written once and never changed, so that an older state of a session still finds its own. The
newest entries are also kept in memory, because the next frames recall them.
"""

from __future__ import annotations

import tempfile
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from masklet.video.state import Entries, MemoryEntry


@dataclass(frozen=True)
class Place:
    """Where an entry lies in the file, and what is small enough to stay in memory."""

    frame: int
    offset: int
    lengths: tuple[int, int, int]
    iou: float
    presence: float
    attended: bool
    backward: bool


class EntryStore:
    """Entries on disk, the newest also in memory.

    Attributes:
        device: Where tensors are wanted.
        recent: How many entries stay in memory.
    """

    def __init__(self, device: torch.device) -> None:
        self.recent = 32
        self.device = device
        self._file = tempfile.TemporaryFile(prefix="masklet-")  # noqa: SIM115, it lives as long as the store
        self._end = 0
        self._shapes: tuple[torch.Size, torch.Size, torch.Size] | None = None
        self._cache: OrderedDict[int, MemoryEntry] = OrderedDict()

    def put(self, entry: MemoryEntry) -> Place:
        """Keep an entry, and say where."""
        self._shapes = (entry.memory.shape, entry.pointer.shape, entry.logits.shape)
        parts = (
            entry.memory.cpu().contiguous().view(torch.int16).numpy().tobytes(),
            entry.pointer.float().cpu().numpy().tobytes(),
            zlib.compress(entry.logits.float().cpu().numpy().tobytes(), level=1),
        )
        offset, lengths = self._end, (len(parts[0]), len(parts[1]), len(parts[2]))
        self._file.seek(offset)
        self._file.write(b"".join(parts))
        self._end += sum(lengths)
        self._remember(offset, entry)
        return Place(entry.frame, offset, lengths, entry.iou, entry.presence, entry.attended, entry.backward)

    def get(self, place: Place) -> MemoryEntry:
        """The entry that was put there."""
        if place.offset in self._cache:
            self._cache.move_to_end(place.offset)
            return self._cache[place.offset]
        assert self._shapes is not None, "nothing was put into this store"
        self._file.seek(place.offset)
        memory, pointer, logits = (self._file.read(length) for length in place.lengths)
        entry = MemoryEntry(
            frame=place.frame,
            memory=self._tensor(memory, np.int16, 0).view(torch.bfloat16),
            pointer=self._tensor(pointer, np.float32, 1),
            logits=self._tensor(zlib.decompress(logits), np.float32, 2),
            iou=place.iou,
            presence=place.presence,
            attended=place.attended,
            backward=place.backward,
        )
        self._remember(place.offset, entry)
        return entry

    def close(self) -> None:
        """Give back the file and the memory."""
        self._cache.clear()
        self._file.close()

    def _remember(self, offset: int, entry: MemoryEntry) -> None:
        self._cache[offset] = entry
        while len(self._cache) > self.recent:
            self._cache.popitem(last=False)

    def _tensor(self, data: bytes, dtype: type[np.generic], which: int) -> Tensor:
        assert self._shapes is not None, "nothing was put into this store"
        array = np.frombuffer(data, dtype).reshape(self._shapes[which]).copy()
        return torch.from_numpy(array).to(self.device)


class RecentEntries(Entries):
    """The entries of the last frames, in memory; older ones are forgotten."""

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
        recent = {f: known for f, known in self._entries.items() if f > entry.frame - self._window}
        return RecentEntries(self._window, {**recent, entry.frame: entry})

    def without(self, frame: int) -> RecentEntries:
        return RecentEntries(self._window, {f: entry for f, entry in self._entries.items() if f != frame})

    def nothing(self) -> RecentEntries:
        return RecentEntries(self._window)


class StoredEntries(Entries):
    """Entries that lie in a store."""

    def __init__(self, store: EntryStore, places: Mapping[int, Place] | None = None) -> None:
        self._store = store
        self._places = places or {}

    def __getitem__(self, frame: int) -> MemoryEntry:
        return self._store.get(self._places[frame])

    def __iter__(self) -> Iterator[int]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, frame: object) -> bool:
        return frame in self._places

    def adding(self, entry: MemoryEntry) -> StoredEntries:
        return StoredEntries(self._store, {**self._places, entry.frame: self._store.put(entry)})

    def without(self, frame: int) -> StoredEntries:
        return StoredEntries(self._store, {f: place for f, place in self._places.items() if f != frame})

    def nothing(self) -> StoredEntries:
        return StoredEntries(self._store)
