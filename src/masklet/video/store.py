"""Where known frames go, so that memory stays flat however long the video: to unnamed files, or away.

A frame is written once and never changed, so that an older state of a session still finds its own. The newest are also
kept in memory, because the next frames recall them. When a budget of bytes is spent, the oldest give up their memory,
which can be encoded again: their scores, their pointer and a packed form of their logits stay.
"""

from __future__ import annotations

import tempfile
import zlib
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import IO

import numpy as np
from numpy.typing import NDArray

from masklet.engines.arrays import Array, as_memory, from_bits, given, to_bits, to_numpy
from masklet.engines.base import Engine
from masklet.engines.rules import ABSENT_LOGIT
from masklet.errors import FormatError, SessionError
from masklet.formats.base import RleMask
from masklet.formats.project_file import Lazy
from masklet.video.state import STRIP_FACTS, Columns, FrameStats, KnownFrame, KnownFrames, columns_of, stats_of

Floats = NDArray[np.float32]

Place = tuple[int, int]
"""Where a record begins in a file, and its length."""

PAGE_FRAMES = 128
"""Frames of a page of `StoredFrames`."""

PACKED_LIMIT = 32.0
"""Packed logits reach up to this one, inside and outside."""

MOST = 2047
"""The step of such a logit; that of its negative is the negative."""

ABSENT = -2048
"""The step of an object that is absent."""


@dataclass(eq=False, slots=True)
class StoredFrame:
    """A frame in the store, and what of it is small enough to stay in memory."""

    stats: FrameStats
    exact_mask: RleMask | None = None
    # reads the packed form and the exact mask of a frame that lies in a project file
    saved: Callable[[int], tuple[bytes, RleMask | None]] | None = None
    whole_at: Place | None = None  # in the store's file, with its memory
    packed_at: Place | None = None  # without it


class FrameStore:
    """Known frames on disk, within a budget of bytes if there is one, in arrays of an engine. The `recent` newest are
    also in memory, and whole on disk, whatever that takes. `encode` encodes the memory of a frame again."""

    def __init__(
        self,
        engine: Engine,
        budget: int | None = None,
        encode: Callable[[KnownFrame], KnownFrame] | None = None,
    ) -> None:
        self.engine, self._budget, self._encode = engine, budget, encode
        self.recent = 32
        config = engine.config
        self._side = config.mask_size
        self._layout = np.dtype(
            [
                ("memory", np.uint16, config.memory_shape),
                ("pointer", np.float32, (config.width,)),
                ("logits", np.float32, (self._side, self._side)),
            ]
        )
        self._file = tempfile.TemporaryFile(prefix="masklet-", buffering=0)  # noqa: SIM115, lives as long as this
        self._end = 0
        self._free: list[int] = []  # where frames lay that gave up their memory
        self._whole: deque[StoredFrame] = deque()  # frames with their memory, the oldest first
        self._packed_bytes = 0
        self._cache: OrderedDict[StoredFrame, KnownFrame] = OrderedDict()

    def put(self, known: KnownFrame) -> StoredFrame:
        """Keep a frame. Raises `SessionError` if the disk is full."""
        record = StoredFrame(FrameStats(**stats_of(known)), known.exact_mask)
        if known.memory is None or known.pointer is None:
            self._pack(record, known.pointer, known.logits)
        else:
            parts = to_bits(known.memory), to_numpy(known.pointer), to_numpy(known.logits)
            if self._budget is not None:
                self._make_room(self._budget)
            record.whole_at = self._write(b"".join(part.tobytes() for part in parts), self._free)
            self._whole.append(record)
            self._remember(record, known)
        return record

    def get(self, record: StoredFrame) -> KnownFrame:
        """The frame of a record, without its memory if that is gone."""
        if (cached := self._cache.get(record)) is not None:
            self._cache.move_to_end(record)
            return cached
        pointer: Floats | None
        if record.whole_at is None:
            packed, mask = self._away(record)
            memory, (pointer, logits) = None, unpack(packed, self._side)
        else:
            whole = self._parts(record.whole_at)
            memory, mask = as_memory(given(self.engine, from_bits(whole["memory"]))), record.exact_mask
            pointer, logits = whole["pointer"], whole["logits"]
        known = KnownFrame(
            memory=memory,
            pointer=None if pointer is None else given(self.engine, pointer),
            logits=given(self.engine, logits),
            exact_mask=mask,
            **stats_of(record.stats),
        )
        if memory is not None:
            self._remember(record, known)
        return known

    def whole(self, record: StoredFrame) -> KnownFrame:
        """The frame of a record with its memory."""
        known = self.get(record)
        if known.memory is None:
            assert self._encode is not None, "nothing encodes memories again"
            known = self._encode(known)
            self._remember(record, known)
        return known

    def packed(self, record: StoredFrame) -> bytes:
        """The packed form of a record, which is made once."""
        if record.saved is None and record.packed_at is None:
            known = self.get(record)
            self._pack(record, known.pointer, known.logits)
        return self._away(record)[0]

    def close(self) -> None:
        """Give back the files and the memory."""
        self._cache.clear()
        self._file.close()

    def _away(self, record: StoredFrame) -> tuple[bytes, RleMask | None]:
        """The packed form of a record, and its exact mask."""
        if record.saved is not None:
            return record.saved(record.stats.frame)
        assert record.packed_at is not None, "a frame is kept whole or packed"
        return self._read(record.packed_at), record.exact_mask

    def _make_room(self, budget: int) -> None:
        """Take the memories of the oldest frames until one more fits."""
        while len(self._whole) >= max(self.recent, (budget - self._packed_bytes) // self._layout.itemsize):
            oldest = self._whole[0]
            assert oldest.whole_at is not None, "it has its memory"
            if oldest.packed_at is None:
                whole = self._parts(oldest.whole_at)
                self._pack(oldest, whole["pointer"], whole["logits"])
            self._free.append(oldest.whole_at[0])
            oldest.whole_at = None
            self._cache.pop(self._whole.popleft(), None)

    def _pack(self, record: StoredFrame, pointer: Array | None, logits: Array) -> None:
        record.packed_at = self._write(packed_frame(pointer, logits), [])
        self._packed_bytes += record.packed_at[1]

    def _parts(self, place: Place) -> np.void:
        """The bits of the memory, pointer and logits of a place."""
        found: np.void = np.frombuffer(bytearray(self._read(place)), self._layout)[0]
        return found

    def _write(self, record: bytes, free: list[int]) -> Place:
        """Keep a record in a free place, or at the end of the file, and say where."""
        begin = free[-1] if free else self._end
        try:
            write_record(self._file, begin, record)
        except OSError as error:
            raise SessionError(
                f"what is tracked cannot be kept on disk: {error.strerror or error}; make room in "
                f"{tempfile.gettempdir()}, or track with a smaller TrackingOptions(disk_budget=...); what was found "
                "before stays"
            ) from error
        if free:
            free.pop()
        self._end = max(self._end, begin + len(record))
        return begin, len(record)

    def _read(self, place: Place) -> bytes:
        self._file.seek(place[0])
        return self._file.read(place[1])

    def _remember(self, record: StoredFrame, known: KnownFrame) -> None:
        self._cache[record] = known
        while len(self._cache) > self.recent:
            self._cache.popitem(last=False)


def packed_frame(pointer: Array | None, logits: Array) -> bytes:
    """Pointer and logits, without the memory, in few bytes.

    The pointer is exact. Logits are kept by their square roots in 12 bits, so that they are off by at most 0.00002 at
    the mask's edge, 0.004 at 2 and 0.016 at 32, the highest. No cell changes its side.
    """
    exact = b"" if pointer is None else to_numpy(pointer).tobytes()
    cells = to_numpy(logits)
    size = np.rint(np.sqrt(np.abs(cells) / PACKED_LIMIT) * MOST).clip(1, MOST)
    steps = np.where(cells <= ABSENT_LOGIT, ABSENT, np.where(cells > 0, size, -size))
    low_and_high = steps.astype("<i2").view(np.uint8).reshape(-1, 2).T  # apart they are shorter
    return len(exact).to_bytes(4, "little") + exact + zlib.compress(low_and_high.tobytes(), 1)


def unpack(data: bytes, side: int) -> tuple[Floats | None, Floats]:
    """Pointer (C,) and logits (side, side) from their packed form. Raises `FormatError` if it is damaged."""
    end = 4 + 4 * pointer_length(data)
    unpacking = zlib.decompressobj()
    try:
        low_and_high = unpacking.decompress(data[end:], 2 * side**2 + 1)
        pointer = np.frombuffer(data[4:end], np.float32)
    except (zlib.error, ValueError) as error:
        raise FormatError(f"a mask that the project remembers is damaged: {error}; give another copy") from error
    if len(low_and_high) != 2 * side**2 or not unpacking.eof:
        raise FormatError(
            f"a mask that the project remembers has {len(low_and_high) / 2} whole cells, and {side} x {side} are "
            "expected; give another copy of the file, or the model that it was made with"
        )
    steps = np.frombuffer(low_and_high, np.uint8).reshape(2, -1).T.copy().view("<i2").ravel()
    curve = np.sign(steps) * (steps.astype(np.float32) / MOST) ** 2 * np.float32(PACKED_LIMIT)
    logits = np.where(steps == ABSENT, np.float32(ABSENT_LOGIT), curve).reshape(side, side)
    return (pointer.copy() if len(pointer) else None), logits


def pointer_length(data: bytes) -> int:
    """The numbers of the pointer in a packed form."""
    return int.from_bytes(data[:4], "little") // 4


class LazyPage(Lazy[int, StoredFrame]):
    """A page of frames that lie in a project file, made when one is asked for; `columns` has their stats before."""

    def __init__(self, columns: Columns, make: Callable[[], Mapping[int, StoredFrame]]) -> None:
        made = cache(make)
        super().__init__(columns["frame"].tolist(), lambda frame: made()[frame])
        self.columns = columns


class StoredFrames(KnownFrames):
    """Frames that lie in a store, in pages of neighbouring ones. It never changes: one with a frame more shares all
    pages but one with the one before it, so that adding the ten-thousandth frame costs what the tenth did."""

    def __init__(self, store: FrameStore, pages: Mapping[int, Mapping[int, StoredFrame]] | None = None) -> None:
        self._store = store
        self._pages = pages or {}

    def __getitem__(self, frame: int) -> KnownFrame:
        return self._store.get(self._pages[frame // PAGE_FRAMES][frame])

    def __iter__(self) -> Iterator[int]:
        return (frame for page in self._pages.values() for frame in page)

    def __len__(self) -> int:
        return sum(len(page) for page in self._pages.values())

    def stats(self, frame: int) -> FrameStats | None:
        record = self._find(frame)
        return None if record is None else record.stats

    def every(self) -> Iterator[FrameStats]:
        return (record.stats for page in self._pages.values() for record in page.values())

    def columns(self) -> Columns:
        lazy = [page.columns for page in self._pages.values() if isinstance(page, LazyPage)]
        made = (page.values() for page in self._pages.values() if not isinstance(page, LazyPage))
        parts = [*lazy, columns_of(record.stats for page in made for record in page)]
        return {fact: np.concatenate([part[fact] for part in parts]) for fact in STRIP_FACTS}

    def whole(self, frame: int) -> KnownFrame:
        return self._store.whole(self._pages[frame // PAGE_FRAMES][frame])

    def packed(self, frame: int) -> bytes:
        """The packed form of a frame, see `packed_frame`."""
        return self._store.packed(self._pages[frame // PAGE_FRAMES][frame])

    def differing(self, other: StoredFrames) -> set[int]:
        """Frames that only one of both has, or that differ. Pages that both share cost nothing."""
        pages = ((self._pages.get(page, {}), other._pages.get(page, {})) for page in {*self._pages, *other._pages})
        differ = ((a, b) for a, b in pages if a is not b)
        return {f for a, b in differ for f in {*a, *b} if not a or not b or a.get(f) is not b.get(f)}

    def adding(self, known: KnownFrame) -> StoredFrames:
        return self._changed({known.frame: self._store.put(known)})

    def taking(self, frames: Iterable[int], other: KnownFrames) -> StoredFrames:
        return self._changed({f: stored(other)._find(f) for f in frames})

    def has_from(self, frame: int, other: KnownFrames) -> bool:
        """Whether a frame is the very one that another object has, or had."""
        return self._find(frame) is stored(other)._find(frame)

    def nothing(self) -> StoredFrames:
        return StoredFrames(self._store)

    def _find(self, frame: int) -> StoredFrame | None:
        page = self._pages.get(frame // PAGE_FRAMES)
        return None if page is None else page.get(frame)

    def _changed(self, records: Mapping[int, StoredFrame | None]) -> StoredFrames:
        """With other records of some frames; None takes a frame away."""
        changed: dict[int, dict[int, StoredFrame | None]] = {}
        for frame, record in records.items():
            changed.setdefault(frame // PAGE_FRAMES, {})[frame] = record
        pages = dict(self._pages)
        for number, new in changed.items():
            kept = self._pages.get(number, {})
            merged = new if new.keys() >= set(kept) else {**kept, **new}  # so that no page is read to be dropped
            pages[number] = {frame: record for frame, record in merged.items() if record is not None}
        return StoredFrames(self._store, {number: page for number, page in pages.items() if page})


def stored(frames: KnownFrames) -> StoredFrames:
    """The frames of an object of a video tracker: those of all objects lie in one store."""
    assert isinstance(frames, StoredFrames), "only what lies in a store is packed, and taken by another object"
    return frames


class RecentFrames(KnownFrames):
    """The last frames, and the anchors of the newest, in memory; others are forgotten."""

    def __init__(self, window: int, frames: Mapping[int, KnownFrame] | None = None) -> None:
        self._window = window
        self._frames = frames or {}

    def __getitem__(self, frame: int) -> KnownFrame:
        return self._frames[frame]

    def __iter__(self) -> Iterator[int]:
        return iter(self._frames)

    def __len__(self) -> int:
        return len(self._frames)

    def stats(self, frame: int) -> FrameStats | None:
        return self._frames.get(frame)

    def adding(self, known: KnownFrame) -> RecentFrames:
        oldest, anchors = known.frame - self._window, {*known.anchors}
        kept = {f: frame for f, frame in self._frames.items() if f > oldest or f in anchors}
        return RecentFrames(self._window, {**kept, known.frame: known})

    def taking(self, frames: Iterable[int], other: KnownFrames) -> RecentFrames:
        changed = {f: other.get(f) for f in frames}
        taken = {f: known for f, known in {**self._frames, **changed}.items() if known is not None}
        return RecentFrames(self._window, taken)

    def nothing(self) -> RecentFrames:
        return RecentFrames(self._window)


def write_record(file: IO[bytes], place: int, record: bytes) -> None:
    """Write all of a record; a full disk takes a part before it refuses."""
    file.seek(place)
    rest = memoryview(record)
    while rest:
        rest = rest[file.write(rest) :]
