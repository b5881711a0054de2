"""The tracked frames of a session in its project file, in blocks that are read when one of their frames is looked at.

An index has the stats of all of them, a column for each fact of an object, so that opening reads numbers alone. A block
has the packed forms of all objects in some frames; their masks are those that the file has for every program, but for
frames of which these say that the object is absent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from masklet.engines.base import Engine
from masklet.errors import CheckpointError
from masklet.formats.project_file import BLOCK, KEPT_BLOCKS, Project
from masklet.video.json_values import DAMAGE, MOST_FRAME, damaged
from masklet.video.overlap import FinalMask
from masklet.video.packing import json_texts, mask_facts, mask_from, metadata_of
from masklet.video.review import ReviewReason
from masklet.video.state import STRIP, Columns, FrameStats, ObjectId, Tracks
from masklet.video.store import PAGE, FrameStore, LazyPage, PersistentMap, Record, StoredFrames, pointer_length

INDEX = "index.safetensors"
"""The attachment with the stats."""

BLOCKS = "block-"
"""The attachments with the blocks begin so."""

REASONS = ("", *map(str, ReviewReason))

COLUMNS: dict[str, type] = {
    "frame": np.int64,
    "iou": np.float64,
    "presence": np.float64,
    "attended": np.bool_,
    "backward": np.bool_,
    "cut": np.bool_,
    "area": np.int64,
    "box": np.int64,
    "doubt": np.uint8,
    "colours": np.int64,
    "anchors": np.int64,
}
"""The facts of a frame. A doubt is a place in `REASONS`, colours are one in the list of signatures, and anchors are how
many: their frames lie one after another in a column of their own, `held`."""

Rows = Mapping[ObjectId, Sequence[int]]
"""Frames of objects, in their order."""


def pack_index(tracks: Tracks, rows: Rows, times: Mapping[int, float], sizes: Sequence[int]) -> bytes:
    """The stats of some tracked frames, and the times of all; `sizes` are those of `sizes_of`."""
    signatures: dict[bytes, int] = {}
    columns: dict[str, NDArray[Any]] = {
        "frames": np.array(list(times), np.int64),
        "times": np.array(list(times.values()), np.float64),
    }
    for place, (name, frames) in enumerate(rows.items()):
        stats = [known for frame in frames if (known := tracks[name].tracked.stats(frame)) is not None]
        for column, kind in COLUMNS.items():
            values = [getattr(known, column) for known in stats]
            match column:
                case "doubt":
                    values = [REASONS.index(reason) for reason in values]
                case "colours":
                    values = [signatures.setdefault(colours, len(signatures)) for colours in values]
                case "anchors":
                    columns[f"{place}.held"] = np.array([*chain.from_iterable(values)], np.int64)
                    values = [len(anchors) for anchors in values]
            columns[f"{place}.{column}"] = np.array(values, kind).reshape(shape_of(column, len(stats)))
    return save(columns, json_texts(objects=list(rows), colours=list(signatures), sizes=sizes))


def sizes_of(engine: Engine) -> list[int]:
    """The sizes of pointers and masks, by which frames are known to be of a model."""
    return [engine.config.width, engine.config.mask_size]


def pack_block(tracks: Tracks, rows: Rows, beneath: Callable[[ObjectId, int], FinalMask | None]) -> bytes:
    """The packed forms of the frames of a block. `beneath` returns the mask of a frame that the file does not have."""
    packed: list[bytes] = []
    masks = []
    for place, (name, frames) in enumerate(rows.items()):
        tracked = tracks[name].tracked
        assert isinstance(tracked, StoredFrames), "only what lies in a store is packed"
        for frame in frames:
            packed.append(tracked.packed(frame))
            if (mask := beneath(name, frame)) is not None:
                masks.append([place, frame, mask_facts(mask)])
    arrays: dict[str, NDArray[Any]] = {
        "packed": np.frombuffer(b"".join(packed), np.uint8),
        "ends": np.cumsum([len(one) for one in packed], dtype=np.int64),
    }
    return save(arrays, json_texts(masks=masks))


def in_blocks(rows: Rows) -> dict[int, Rows]:
    """Frames by their blocks; each block has all objects."""
    found: dict[int, dict[ObjectId, list[int]]] = {}
    for name, frames in rows.items():
        for frame in frames:
            found.setdefault(frame // BLOCK, {of: [] for of in rows})[name].append(frame)
    return dict(sorted(found.items()))


def name_of(block: int) -> str:
    """The attachment of a block."""
    return f"{BLOCKS}{block:05d}.safetensors"


class SavedFrames:
    """The tracked frames of a project file that has an index. Raises `FormatError` if that is damaged, or blocks are
    missing, and `CheckpointError` if a model of other sizes made them.

    Attributes:
        objects: Whose frames they are.
        times: Of all frames of the file, in seconds.
    """

    def __init__(self, project: Project, engine: Engine) -> None:
        self._project = project
        try:
            data = project.attachments[INDEX]
            arrays, texts = load(data), metadata_of(data)
            self.objects: list[ObjectId] = texts["objects"]
            sizes = sizes_of(engine)
            if texts["sizes"] != sizes:
                raise CheckpointError(
                    f"the session was made with a model whose pointers and masks have the sizes {texts['sizes']!s:.40}"
                    f", and those of this one are {sizes}; give a model of the same sizes"
                )
            self._colours = [bytes.fromhex(text) for text in texts["colours"]]
            self.times = dict(zip(arrays["frames"].tolist(), arrays["times"].tolist(), strict=True))
            self._columns = [checked_columns(arrays, len(self._colours), place) for place in range(len(self.objects))]
            blocks = {block for of in self._columns for block in np.unique(of["frame"] // BLOCK).tolist()}
        except (SafetensorError, *DAMAGE) as error:
            raise damaged(error) from error
        if missing := sorted(block for block in blocks if name_of(block) not in project.attachments):
            raise damaged(ValueError(f"it lacks {name_of(missing[0])}"))
        self._block = lru_cache(KEPT_BLOCKS)(partial(read_block, project, self._columns, sizes[0]))

    def tracked(self, name: ObjectId, store: FrameStore) -> StoredFrames:
        """The frames of an object, of which none is read yet."""
        if name not in self.objects:
            return StoredFrames(store)
        place = self.objects.index(name)
        frames = self._columns[place]["frame"]
        first = store.reserve(len(frames))
        pages, begins = np.unique(frames // PAGE, return_index=True)
        ends = [*begins.tolist(), len(frames)][1:]
        return StoredFrames(
            store,
            PersistentMap(
                {
                    page: LazyPage(
                        frames[begin:end].tolist(),
                        partial(self._records, place, first, begin, end),
                        partial(self._stats, place, begin, end),
                    )
                    for page, begin, end in zip(pages.tolist(), begins.tolist(), ends, strict=True)
                }
            ),
        )

    def _records(self, place: int, first: int, begin: int, end: int) -> dict[int, Record]:
        """The records of some rows of an object, of which the first of all has a number."""
        columns, read = self._columns[place], partial(self._read, place)
        values = {column: columns[column][begin:end].tolist() for column in COLUMNS}
        held = iter(columns["held"][columns["anchors"][:begin].sum() :].tolist())
        values["doubt"] = [REASONS[reason] for reason in values["doubt"]]
        values["colours"] = [self._colours[number] for number in values["colours"]]
        values["box"] = [tuple(box) for box in values["box"]]
        values["anchors"] = [tuple(next(held) for _ in range(count)) for count in values["anchors"]]
        rows = zip(*values.values(), strict=True)
        made = (FrameStats(**dict(zip(values, row, strict=True))) for row in rows)
        return {stats.frame: Record(first + row, stats, saved=read) for row, stats in enumerate(made, begin)}

    def _stats(self, place: int, begin: int, end: int) -> Columns:
        """What a strip shows of some rows of an object."""
        found = {fact: self._columns[place][fact][begin:end] for fact in STRIP}
        return {**found, "doubt": np.array(REASONS, object)[found["doubt"]]}

    def _read(self, place: int, frame: int) -> tuple[bytes, FinalMask | None]:
        """The packed form of a frame of an object, and its mask. Raises `FormatError` if its block is damaged."""
        try:
            packed, mask = self._block(frame // BLOCK)[place, frame]
        except (SafetensorError, *DAMAGE) as error:
            raise damaged(error) from error
        shown = self._project.frames.get(frame) if mask is None else None
        found = None if shown is None else shown.objects.get(self.objects[place])
        return packed, mask if found is None else FinalMask.of(found)


def read_block(
    project: Project, objects: Sequence[Columns], pointer: int, block: int
) -> dict[tuple[int, int], tuple[bytes, FinalMask | None]]:
    """The frames of a block, by the places of their objects: packed forms, with pointers of so many numbers, and masks
    that only the block has. Raises one of `DAMAGE` or `FormatError`."""
    data = project.attachments[name_of(block)]
    arrays = load(data)
    packed, ends = arrays["packed"].tobytes(), arrays["ends"].tolist()
    masks = {(place, frame): mask_from(facts, project.size) for place, frame, facts in metadata_of(data)["masks"]}
    rows: list[tuple[int, int]] = []
    for place, columns in enumerate(objects):
        begin, end = np.searchsorted(columns["frame"], [block * BLOCK, (block + 1) * BLOCK])
        rows += [(place, frame) for frame in columns["frame"][begin:end].tolist()]
    begins = [0, *ends[:-1]]
    if len(rows) != len(ends) or ends[-1] != len(packed) or any(b > e for b, e in zip(begins, ends, strict=True)):
        raise ValueError(f"{name_of(block)} does not have the {len(rows)} frames that it should")
    parts = [packed[begin:end] for begin, end in zip(begins, ends, strict=True)]
    if any(pointer_length(part) not in (0, pointer) for part in parts):
        raise ValueError(f"{name_of(block)} has a pointer of another size")
    return {row: (part, masks.get(row)) for row, part in zip(rows, parts, strict=True)}


def checked_columns(arrays: Columns, colours: int, place: int) -> Columns:
    """The columns of an object of an index with so many signatures of colours. Raises one of `DAMAGE` for what no
    session has."""
    count = len(arrays[f"{place}.frame"])
    columns = {column: arrays[f"{place}.{column}"] for column in (*COLUMNS, "held")}
    for column, kind in COLUMNS.items():
        values = columns[column]
        if values.dtype != kind or values.shape != shape_of(column, count):
            raise ValueError(f"the column {column} is {values.dtype} {values.shape}")
    most = {"doubt": len(REASONS), "colours": colours, "anchors": len(columns["held"]) + 1}
    for column in ("frame", "area", "box", "doubt", "colours", "anchors", "held"):
        values = columns[column]
        if len(values) and (int(values.min()) < 0 or int(values.max()) >= most.get(column, MOST_FRAME)):
            raise ValueError(f"{column} is out of range")
    if columns["held"].dtype != np.int64 or columns["anchors"].sum() != len(columns["held"]):
        raise ValueError("the anchors of frames are not as many as they should")
    if not (np.isfinite(columns["iou"]).all() and np.isfinite(columns["presence"]).all()):
        raise ValueError("a score is not finite")
    if (np.diff(columns["frame"]) <= 0).any():
        raise ValueError("frames do not rise")
    return columns


def shape_of(column: str, count: int) -> tuple[int, ...]:
    """The shape of the column of so many frames."""
    return (count, 4) if column == "box" else (count,)
