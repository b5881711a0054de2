"""Where known frames go, so that memory stays flat however long the video: to unnamed files, or away.

A frame is written once and never changed, so that an older state of a session still finds its own. The newest are also
kept in memory, because the next frames recall them. When a budget of bytes is spent, the oldest give up their memory,
which can be encoded again: their scores, their pointer and a packed form of their logits stay.
"""

from __future__ import annotations

import tempfile
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import IO, TypeVar

import numpy as np
from numpy.typing import NDArray

from masklet.engines.arrays import Array, as_memory, from_bits, given, to_bits, to_numpy
from masklet.engines.base import Engine
from masklet.engines.rules import ABSENT_LOGIT
from masklet.errors import FormatError, SessionError
from masklet.video.overlap import FinalMask
from masklet.video.state import STRIP, Columns, FrameStats, KnownFrame, KnownFrames, columns_of, stats_of

T = TypeVar("T")

Floats = NDArray[np.float32]

Place = tuple[int, int]
"""Where a record begins in a file, and its length."""

PAGE = 128
"""Frames that are kept together in a `PersistentMap`."""

LIMIT = 32.0
"""Packed logits reach up to this one, inside and outside."""

MOST = 2047
"""The step of such a logit; that of its negative is the negative."""

ABSENT = -2048
"""The step of an object that is absent."""


@dataclass(frozen=True)
class Record:
    """A frame in the store, and what of it is small enough to stay in memory.

    `number` counts all records that were ever put there. `saved` reads the packed form and the exact mask of a frame
    that lies in a project file.
    """

    number: int
    stats: FrameStats
    exact_mask: FinalMask | None = None
    saved: Callable[[int], tuple[bytes, FinalMask | None]] | None = None


class FrameStore:
    """Known frames on disk, the newest also in memory.

    Args:
        engine: Whose arrays the frames hold.
        budget: Bytes that may be spent on disk; None for as many as it takes. The frames that stay in memory are kept
            whole on disk too, whatever that takes.
        encode: Encodes the memory of a frame again.

    Attributes:
        engine: Whose arrays the frames hold.
        recent: How many frames stay in memory.
    """

    def __init__(
        self,
        engine: Engine,
        budget: int | None = None,
        encode: Callable[[KnownFrame], KnownFrame] | None = None,
    ) -> None:
        self.engine = engine
        self.recent = 32
        self._side = engine.config.mask_size
        self._budget = budget
        self._encode = encode
        self._count = 0
        self._file = ScratchFile()
        self._whole_at: dict[int, Place] = {}  # of frames with their memory, the oldest first
        self._packed_at: dict[int, Place] = {}
        self._packed_bytes = 0
        self._memory_shape: tuple[int, ...] = ()
        self._width = 0
        self._cache: OrderedDict[int, KnownFrame] = OrderedDict()

    def put(self, known: KnownFrame) -> Record:
        """Keep a frame. Raises `SessionError` if the disk is full."""
        number = self._count
        if known.memory is None or known.pointer is None:
            self._pack(number, known.pointer, known.logits)
        else:
            self._memory_shape, self._width = tuple(known.memory.shape), len(known.pointer)
            whole = to_bits(known.memory).tobytes() + b"".join(
                to_numpy(part).tobytes() for part in (known.pointer, known.logits)
            )
            if self._budget is not None:
                self._make_room(self._budget, len(whole))
            self._whole_at[number] = self._file.put(whole)
            self._remember(number, known)
        self._count += 1
        return Record(number, FrameStats(**stats_of(known)), known.exact_mask)

    def get(self, record: Record) -> KnownFrame:
        """The frame of a record, without its memory if that is gone."""
        if (cached := self._cache.get(record.number)) is not None:
            self._cache.move_to_end(record.number)
            return cached
        place = self._whole_at.get(record.number)
        if place is None:
            packed, mask = self._away(record)
            return self._known(record, None, *unpack(packed, self._side), mask)
        bits, pointer, logits = self._read(place)
        memory = as_memory(given(self.engine, from_bits(bits)))
        known = self._known(record, memory, pointer, logits, record.exact_mask)
        self._remember(record.number, known)
        return known

    def whole(self, record: Record) -> KnownFrame:
        """The frame of a record with its memory."""
        known = self.get(record)
        if known.memory is None:
            assert self._encode is not None, "nothing encodes memories again"
            known = self._encode(known)
            self._remember(record.number, known)
        return known

    def packed(self, record: Record) -> bytes:
        """The packed form of a record, which is made once."""
        if record.saved is None and record.number not in self._packed_at:
            known = self.get(record)
            self._pack(record.number, known.pointer, known.logits)
        return self._away(record)[0]

    def reserve(self, count: int) -> int:
        """The first of so many numbers, for records of frames that lie elsewhere."""
        self._count += count
        return self._count - count

    def close(self) -> None:
        """Give back the files and the memory."""
        self._cache.clear()
        self._file.close()

    def _away(self, record: Record) -> tuple[bytes, FinalMask | None]:
        """The packed form of a record, and its exact mask."""
        if record.saved is not None:
            return record.saved(record.stats.frame)
        return self._file.get(self._packed_at[record.number]), record.exact_mask

    def _known(
        self, record: Record, memory: Array | None, pointer: Floats | None, logits: Floats, mask: FinalMask | None
    ) -> KnownFrame:
        return KnownFrame(
            memory=memory,
            pointer=None if pointer is None else given(self.engine, pointer),
            logits=given(self.engine, logits),
            exact_mask=mask,
            **stats_of(record.stats),
        )

    def _make_room(self, budget: int, length: int) -> None:
        """Take the memories of the oldest frames until one more fits."""
        while len(self._whole_at) >= max(self.recent, (budget - self._packed_bytes) // length):
            number, place = next(iter(self._whole_at.items()))
            if number not in self._packed_at:
                _, pointer, logits = self._read(place)
                self._pack(number, pointer, logits)
            del self._whole_at[number]
            self._cache.pop(number, None)
            self._file.give_back(place)

    def _pack(self, number: int, pointer: Array | None, logits: Array) -> None:
        self._packed_at[number] = place = self._file.put(pack(pointer, logits))
        self._packed_bytes += place[1]

    def _read(self, place: Place) -> tuple[NDArray[np.uint16], Floats, Floats]:
        """The bits of the memory, pointer and logits of a place."""
        begin = 2 * prod(self._memory_shape)
        whole = bytearray(self._file.get(place))
        bits, rest = np.frombuffer(whole[:begin], np.uint16), np.frombuffer(whole[begin:], np.float32)
        logits = rest[self._width :].reshape(self._side, self._side)
        return bits.reshape(self._memory_shape), rest[: self._width], logits

    def _remember(self, number: int, known: KnownFrame) -> None:
        self._cache[number] = known
        while len(self._cache) > self.recent:
            self._cache.popitem(last=False)


def pack(pointer: Array | None, logits: Array) -> bytes:
    """Pointer and logits, without the memory, in few bytes.

    The pointer is exact. Logits are kept by their square roots in 12 bits, so that they are off by at most 0.00002 at
    the mask's edge, 0.004 at 2 and 0.016 at 32, the highest. No cell changes its side.
    """
    exact = b"" if pointer is None else to_numpy(pointer).tobytes()
    cells = to_numpy(logits)
    size = np.rint(np.sqrt(np.abs(cells) / LIMIT) * MOST).clip(1, MOST)
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
    curve = np.sign(steps) * (steps.astype(np.float32) / MOST) ** 2 * np.float32(LIMIT)
    logits = np.where(steps == ABSENT, np.float32(ABSENT_LOGIT), curve).reshape(side, side)
    return (pointer.copy() if len(pointer) else None), logits


def pointer_length(data: bytes) -> int:
    """The numbers of the pointer in a packed form."""
    return int.from_bytes(data[:4], "little") // 4


class LazyPage(Mapping[int, T]):
    """Values of some frames, made when one of them is asked for; `columns` gives their stats without making them."""

    def __init__(
        self, frames: Sequence[int], make: Callable[[], Mapping[int, T]], columns: Callable[[], Columns]
    ) -> None:
        self.columns = columns
        self._frames = frames
        self._make: Callable[[], Mapping[int, T]] | None = make
        self._made: Mapping[int, T] = {}

    def __getitem__(self, frame: int) -> T:
        if self._make is not None:
            self._made, self._make = self._make(), None
        return self._made[frame]

    def __iter__(self) -> Iterator[int]:
        return iter(self._frames)

    def __len__(self) -> int:
        return len(self._frames)


class PersistentMap(Mapping[int, T]):
    """Values by frame, in pages of neighbouring frames. It never changes: one with a frame more shares all pages but
    one with the one before it, so that adding the ten-thousandth frame costs what the tenth did."""

    def __init__(self, pages: Mapping[int, Mapping[int, T]] | None = None) -> None:
        self._pages = pages or {}

    @property
    def pages(self) -> Iterable[Mapping[int, T]]:
        """The values in pages."""
        return self._pages.values()

    def __getitem__(self, frame: int) -> T:
        return self._pages[frame // PAGE][frame]

    def find(self, frame: int) -> T | None:
        """The value of a frame, or None: one look-up."""
        page = self._pages.get(frame // PAGE)
        return None if page is None else page.get(frame)

    def __iter__(self) -> Iterator[int]:
        return (frame for page in self._pages.values() for frame in page)

    def __len__(self) -> int:
        return sum(len(page) for page in self._pages.values())

    def values(self) -> Iterator[T]:  # type: ignore[override]
        """All values, without a look-up for each."""
        return (value for page in self._pages.values() for value in page.values())

    def changed(self, values: Mapping[int, T | None]) -> PersistentMap[T]:
        """With other values on some frames; None takes a frame away."""
        changed: dict[int, dict[int, T | None]] = {}
        for frame, value in values.items():
            changed.setdefault(frame // PAGE, {})[frame] = value
        pages = dict(self._pages)
        for number, new in changed.items():
            kept = self._pages.get(number, {})
            merged = new if new.keys() >= set(kept) else {**kept, **new}  # so that no page is read to be dropped
            pages[number] = {frame: value for frame, value in merged.items() if value is not None}
        return PersistentMap({number: page for number, page in pages.items() if page})

    def differing(self, other: PersistentMap[T]) -> set[int]:
        """Frames that only one of both has, or whose values are others. Pages that both share cost nothing."""
        pages = ((self._pages.get(page, {}), other._pages.get(page, {})) for page in {*self._pages, *other._pages})
        differ = ((a, b) for a, b in pages if a is not b)
        return {f for a, b in differ for f in {*a, *b} if not a or not b or a.get(f) is not b.get(f)}


class StoredFrames(KnownFrames):
    """Frames that lie in a store."""

    def __init__(self, store: FrameStore, records: PersistentMap[Record] | None = None) -> None:
        self._store = store
        self._records: PersistentMap[Record] = PersistentMap() if records is None else records

    def __getitem__(self, frame: int) -> KnownFrame:
        return self._store.get(self._records[frame])

    def __iter__(self) -> Iterator[int]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, frame: object) -> bool:
        return self._records.find(frame) is not None  # type: ignore[arg-type]

    def stats(self, frame: int) -> FrameStats | None:
        record = self._records.find(frame)
        return None if record is None else record.stats

    def every(self) -> Iterator[FrameStats]:
        return (record.stats for record in self._records.values())

    def columns(self) -> Columns:
        lazy = [page.columns() for page in self._records.pages if isinstance(page, LazyPage)]
        made = (page.values() for page in self._records.pages if not isinstance(page, LazyPage))
        parts = [*lazy, columns_of(record.stats for page in made for record in page)]
        return {fact: np.concatenate([part[fact] for part in parts]) for fact in STRIP}

    def whole(self, frame: int) -> KnownFrame:
        return self._store.whole(self._records[frame])

    def packed(self, frame: int) -> bytes:
        """The packed form of a frame, see `pack`."""
        return self._store.packed(self._records[frame])

    def differing(self, other: StoredFrames) -> set[int]:
        """Frames that only one of both has, or that differ."""
        return self._records.differing(other._records)

    def adding(self, known: KnownFrame) -> StoredFrames:
        return StoredFrames(self._store, self._records.changed({known.frame: self._store.put(known)}))

    def taking(self, frames: Iterable[int], other: KnownFrames) -> StoredFrames:
        assert isinstance(other, StoredFrames), "frames of all objects lie in one store"
        return StoredFrames(self._store, self._records.changed({f: other._records.find(f) for f in frames}))

    def has_from(self, frame: int, other: KnownFrames) -> bool:
        """Whether a frame is the very one that another object has, or had."""
        assert isinstance(other, StoredFrames), "frames of all objects lie in one store"
        return self._records.find(frame) is other._records.find(frame)

    def nothing(self) -> StoredFrames:
        return StoredFrames(self._store)


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


class ScratchFile:
    """An unnamed file with records of any length. The room of one that is given back goes to another of its length."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="masklet-", buffering=0)  # noqa: SIM115, lives as long as this
        self._end = 0
        self._free: dict[int, list[int]] = {}

    def put(self, record: bytes) -> Place:
        """Keep a record, and say where. Raises `SessionError` if there is no room."""
        free = self._free.get(len(record), [])
        begin = free[-1] if free else self._end
        try:
            write(self._file, begin, record)
        except OSError as error:
            raise SessionError(
                f"what is tracked cannot be kept on disk: {error.strerror or error}; make room in "
                f"{tempfile.gettempdir()}, or track with a smaller TrackingOptions(disk_budget=...); what was found "
                "before stays"
            ) from error
        if free:
            free.pop()
        else:
            self._end += len(record)
        return begin, len(record)

    def get(self, place: Place) -> bytes:
        """The record of a place."""
        begin, length = place
        self._file.seek(begin)
        return self._file.read(length)

    def give_back(self, place: Place) -> None:
        """The record is not needed any more."""
        begin, length = place
        self._free.setdefault(length, []).append(begin)

    def close(self) -> None:
        self._file.close()


def write(file: IO[bytes], place: int, record: bytes) -> None:
    """Write all of a record; a full disk takes a part before it refuses."""
    file.seek(place)
    rest = memoryview(record)
    while rest:
        rest = rest[file.write(rest) :]
