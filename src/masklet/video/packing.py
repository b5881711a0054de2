"""Known frames as attachments of project files, and from them again, read without trust.

Those that are recalled next, and those that undo puts back, are kept one by one. All other tracked frames are in
blocks, which are read when one of their frames is looked at. An index has the stats of all of them, a column for each
fact of an object, so that opening reads numbers alone. A block has the packed forms of all objects in some frames;
their masks are those that the file has for every program, but for frames of which these say that the object is absent.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from functools import lru_cache, partial
from itertools import chain
from math import isfinite
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, deserialize
from safetensors.numpy import load, save

from masklet.engines.arrays import Array, as_memory, from_bits, given, to_bits, to_numpy
from masklet.engines.base import Engine
from masklet.errors import CheckpointError, FormatError, SessionError
from masklet.formats.base import ObjectId, RleMask
from masklet.formats.description import Description
from masklet.formats.project_file import FRAMES_PER_BLOCK, KEPT_BLOCKS, Project, Spans
from masklet.masks.rle import checked_rle
from masklet.video import events
from masklet.video.events import DAMAGE, MAX_FRAME, checked_object, truth, whole_number
from masklet.video.result import ShownMasks
from masklet.video.review import SIGNATURE_BYTES, ReviewReason
from masklet.video.state import STRIP_FACTS, Columns, FrameStats, KnownFrame, ObjectTrack, Tracks, stats_of, with_spans
from masklet.video.store import (
    PAGE_FRAMES,
    FrameStore,
    LazyPage,
    StoredFrame,
    StoredFrames,
    pointer_length,
    stored,
    unpack,
)

MAX_MARKED = 1 << 24
"""Frames that are accepted, or without an object, have smaller numbers."""

EntryKind = Literal["prompted", "tracked"]
"""Whether a person answers for a frame, or the tracker."""

ENTRY_KINDS: tuple[EntryKind, ...] = get_args(EntryKind)

PackedFrame = tuple[ObjectId, EntryKind, dict[str, Any], dict[str, NDArray[Any]]]
"""A frame of an object as it is packed: its small facts, and arrays: the bits of its `memory`, `pointer` and `logits`
if it is whole, else the `packed` bytes of the store."""

FrameKey = tuple[ObjectId, EntryKind, int]
"""An object, and a frame of one of its two kinds."""

ENTRIES_ATTACHMENT = "entries.safetensors"
"""The attachment with the frames that are recalled next, with their memories."""

UNDO_ATTACHMENT = "undo.safetensors"
"""The attachment with what the newest events changed."""

STATS_ATTACHMENT = "index.safetensors"
"""The attachment with the stats."""

REASONS = ("", *map(str, ReviewReason))

STATS_COLUMNS: dict[str, type] = {
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

FACT_SIZES = {"box": (4,)}
"""Of facts of more than one number."""

Rows = Mapping[ObjectId, Sequence[int]]
"""Frames of objects, in their order."""


@contextmanager
def undamaged_session() -> Iterator[None]:
    """Turn what values of another type or size than was packed raise into a `FormatError`."""
    try:
        yield
    except (SafetensorError, SessionError, *DAMAGE) as error:
        raise FormatError(
            f"what the project remembers is damaged: {str(error)[:200]}; give another copy of the file"
        ) from error


def packed_item(tracks: Tracks, key: FrameKey, shown: ShownMasks | None = None) -> PackedFrame:
    """A frame whole, as far as its memory is there; or, if masks are `shown`, a tracked one without its memory and with
    its mask."""
    name, kind, frame = key
    track = tracks[name]
    if shown is None or kind == "prompted":
        known = (track.prompted if kind == "prompted" else track.tracked)[frame]
        if known.memory is not None and known.pointer is not None:
            whole = {"memory": to_bits(known.memory), "pointer": to_numpy(known.pointer)}
            whole["logits"] = to_numpy(known.logits)
            return name, kind, {**stats_of(known), **mask_facts(known.exact_mask)}, whole
    assert kind == "tracked", f"frame {frame} of {name!r} is prompted and has no memory"
    tracked = stored(track.tracked)
    stats = tracked.stats(frame)
    assert stats is not None, f"frame {frame} is not known"
    if shown is None or frame in track.prompted:
        mask = tracked[frame].exact_mask
    else:
        mask = beneath(tracks, name, frame, shown)
    packed = np.frombuffer(tracked.packed(frame), np.uint8)
    return name, kind, {**stats_of(stats), **mask_facts(mask)}, {"packed": packed}


def beneath(tracks: Tracks, name: ObjectId, frame: int, shown: ShownMasks) -> RleMask:
    """The mask that was tracked of an object, as it is shown, or would be if nobody had said that it is absent."""
    if tracks[name].is_absent(frame):
        tracks = {**tracks, name: replace(tracks[name], absent=())}
    return shown(tracks, frame).objects[name]


def mask_facts(mask: RleMask | None) -> dict[str, str]:
    """A mask as run lengths, with what it lost."""
    if mask is None:
        return {}
    return {"mask": mask.rle.counts} if mask.lost is None else {"mask": mask.rle.counts, "lost": mask.lost.counts}


def mask_from(facts: Mapping[str, Any], size: tuple[int, int]) -> RleMask:
    """The mask of a picture that `mask_facts` wrote. Raises `FormatError`, or one of `DAMAGE`."""
    lost = checked_rle(size, facts["lost"]) if "lost" in facts else None
    return RleMask(checked_rle(size, facts["mask"]), lost=lost)


def pack_items(items: Iterable[PackedFrame], **more: Any) -> bytes:
    """Frames as a safetensors file: arrays by number, the rest in its metadata."""
    arrays: dict[str, NDArray[Any]] = {}
    facts = []
    for number, (name, kind, known, parts) in enumerate(items):
        arrays |= {f"{number}.{part}": np.ascontiguousarray(array) for part, array in parts.items()}
        facts.append([name, kind, known])
    return save(arrays, json_texts(entries=facts, **more)) if arrays or more else b""


def json_texts(**values: Any) -> dict[str, str]:
    """The metadata of a safetensors file."""
    return {key: json.dumps(value, default=bytes.hex) for key, value in values.items()}


def read_items(project: Project, attachment: str, engine: Engine) -> Iterator[tuple[object, EntryKind, KnownFrame]]:
    """The frames of an attachment, in arrays of an engine, each with the name of its object, as the file has it, and
    its kind. Raises `FormatError` if they are damaged, and `CheckpointError` if a model of other sizes made them."""
    data = project.attachments.get(attachment, b"")
    if not data:
        return
    with undamaged_session():
        tensors = dict(deserialize(data))
        for number, (name, kind, facts) in enumerate(metadata_of(data)["entries"]):
            parts = {
                part: tensors[key]
                for part in ("memory", "pointer", "logits", "packed")
                if (key := f"{number}.{part}") in tensors
            }
            if kind == "prompted" and not {"memory", "pointer", "logits"} <= set(parts):
                raise ValueError(f"a frame that was prompted for {name!r} lacks a tensor")
            yield name, kind_of(kind), item_from(facts, parts, project.size, engine)


def item_from(facts: Mapping[str, Any], parts: Mapping[str, Any], size: tuple[int, int], engine: Engine) -> KnownFrame:
    """The frame of an item. Raises one of `DAMAGE`, `FormatError` or `CheckpointError`."""
    config = engine.config
    shapes: dict[str, tuple[int, ...]] = {
        "memory": config.memory_shape,
        "pointer": (config.width,),
        "logits": (config.mask_size, config.mask_size),
    }
    stats = {fact.name: STATS_CHECKS[fact.name](facts[fact.name]) for fact in fields(FrameStats) if fact.name in facts}
    mask = mask_from(facts, size) if "mask" in facts else None
    if "packed" in parts:
        pointer, logits = unpack(bytes(parts["packed"]["data"]), config.mask_size)
        arrays = {"logits": logits} if pointer is None else {"logits": logits, "pointer": pointer}
    else:
        arrays = {part: floats(part, tensor) for part, tensor in parts.items()}
    for part, array in arrays.items():
        if array.shape != shapes[part]:
            raise CheckpointError(
                f"the session was made with a model whose {part} is {array.shape}, and that of this one is "
                f"{shapes[part]}; give a model of the same sizes"
            )
    found: dict[str, Array] = {part: given(engine, array) for part, array in arrays.items()}
    memory = as_memory(found["memory"]) if "memory" in found else None
    return KnownFrame(**stats, memory=memory, pointer=found.get("pointer"), logits=found["logits"], exact_mask=mask)


def facts_in(project: Project) -> dict[ObjectId, dict[str, Any]] | None:
    """What is said of objects, as fields of their tracks; None in files of the first versions. Raises `FormatError` if
    that is damaged."""
    data = project.attachments.get(ENTRIES_ATTACHMENT, b"")
    with undamaged_session():
        listed = metadata_of(data).get("objects") if data else None
        if listed is None:
            return None
        return {checked_object(name): facts_from_json(facts, project.size) for name, facts in listed}


def floats(part: str, tensor: Mapping[str, Any]) -> NDArray[np.float32]:
    """The numbers of a tensor of a safetensors file: float32, or the bits of bfloat16, which the first files called by
    that name. Raises `ValueError` for others."""
    if tensor["dtype"] not in ("U16", "BF16", "F32"):
        raise ValueError(f"a {part} is of type {tensor['dtype']}")
    data = bytearray(tensor["data"])
    flat = np.frombuffer(data, np.float32) if tensor["dtype"] == "F32" else from_bits(np.frombuffer(data, np.uint16))
    return flat.reshape(tensor["shape"])


def metadata_of(data: bytes) -> dict[str, Any]:
    """The texts beside the tensors of a safetensors file, by name."""
    length = int.from_bytes(data[:8], "little")
    return {key: json.loads(text) for key, text in json.loads(data[8 : 8 + length])["__metadata__"].items()}


def pack_index(tracks: Tracks, rows: Rows, times: Mapping[int, float], engine: Engine) -> bytes:
    """The stats of some tracked frames, the times of all, and the sizes of pointers and masks of their model."""
    sizes = [engine.config.width, engine.config.mask_size]
    signatures: dict[bytes, int] = {}
    columns: dict[str, NDArray[Any]] = {
        "frames": np.array(list(times), np.int64),
        "times": np.array(list(times.values()), np.float64),
    }
    for place, (name, frames) in enumerate(rows.items()):
        stats = [known for frame in frames if (known := tracks[name].tracked.stats(frame)) is not None]
        for column, kind in STATS_COLUMNS.items():
            values = [getattr(known, column) for known in stats]
            match column:
                case "doubt":
                    values = [REASONS.index(reason) for reason in values]
                case "colours":
                    values = [signatures.setdefault(colours, len(signatures)) for colours in values]
                case "anchors":
                    columns[f"{place}.held"] = np.array([*chain.from_iterable(values)], np.int64)
                    values = [len(anchors) for anchors in values]
            columns[f"{place}.{column}"] = np.array(values, kind).reshape(len(stats), *FACT_SIZES.get(column, ()))
    return save(columns, json_texts(objects=list(rows), colours=list(signatures), sizes=sizes))


def pack_block(tracks: Tracks, rows: Rows, shown: ShownMasks) -> bytes:
    """The packed forms of the frames of a block, and masks that the file does not have."""
    packed: list[bytes] = []
    masks = []
    for place, (name, frames) in enumerate(rows.items()):
        packed += map(stored(tracks[name].tracked).packed, frames)
        absent = filter(tracks[name].is_absent, frames)
        masks += [[place, frame, mask_facts(beneath(tracks, name, frame, shown))] for frame in absent]
    arrays: dict[str, NDArray[Any]] = {
        "packed": np.frombuffer(b"".join(packed), np.uint8),
        "ends": np.cumsum([len(one) for one in packed], dtype=np.int64),
    }
    return save(arrays, json_texts(masks=masks))


def in_blocks(rows: Rows) -> dict[str, Rows]:
    """Frames by the attachments of their blocks; each block has all objects."""
    found: dict[int, dict[ObjectId, list[int]]] = {}
    for name, frames in rows.items():
        for frame in frames:
            found.setdefault(frame // FRAMES_PER_BLOCK, {of: [] for of in rows})[name].append(frame)
    return {block_name(block): of for block, of in sorted(found.items())}


def block_name(block: int) -> str:
    """The attachment of a block."""
    return f"block-{block:05d}.safetensors"


class SavedFrames:
    """The tracked frames of a project file that has an index, and the times of all its frames. Raises `FormatError` if
    that is damaged, or blocks are missing, and `CheckpointError` if a model of other sizes made them."""

    def __init__(self, project: Project, engine: Engine) -> None:
        self._project = project
        with undamaged_session():
            data = project.attachments[STATS_ATTACHMENT]
            arrays, texts = load(data), metadata_of(data)
            if not isinstance(texts["objects"], list):
                raise TypeError(f"its objects are {texts['objects']!r:.40}")
            self.objects: list[ObjectId] = [checked_object(name) for name in texts["objects"]]
            sizes = [engine.config.width, engine.config.mask_size]
            if texts["sizes"] != sizes:
                raise CheckpointError(
                    f"the session was made with a model whose pointers and masks have the sizes {texts['sizes']!s:.40}"
                    f", and those of this one are {sizes}; give a model of the same sizes"
                )
            self._colours = [_signature(text) for text in texts["colours"]]
            self.times = dict(zip(arrays["frames"].tolist(), arrays["times"].tolist(), strict=True))
            self._columns = [checked_columns(arrays, len(self._colours), place) for place in range(len(self.objects))]
            blocks = {block for of in self._columns for block in np.unique(of["frame"] // FRAMES_PER_BLOCK).tolist()}
            if missing := sorted(block for block in blocks if block_name(block) not in project.attachments):
                raise ValueError(f"it lacks {block_name(missing[0])}")
        self._block = lru_cache(KEPT_BLOCKS)(partial(read_block, project, self._columns, sizes[0]))

    def tracked(self, name: ObjectId, store: FrameStore) -> StoredFrames:
        """The frames of an object, of which none is read yet."""
        if name not in self.objects:
            return StoredFrames(store)
        place = self.objects.index(name)
        columns = self._columns[place]
        pages, begins = (found.tolist() for found in np.unique(columns["frame"] // PAGE_FRAMES, return_index=True))
        found: dict[int, LazyPage] = {}
        for page, begin, end in zip(pages, begins, [*begins, len(columns["frame"])][1:], strict=True):
            strip = {fact: columns[fact][begin:end] for fact in STRIP_FACTS}
            found[page] = LazyPage(strip, partial(self._records, place, begin, end))
        return StoredFrames(store, found)

    def _records(self, place: int, begin: int, end: int) -> dict[int, StoredFrame]:
        """The records of some rows of an object."""
        columns, read = self._columns[place], partial(self._read, place)
        values = {column: columns[column][begin:end].tolist() for column in STATS_COLUMNS}
        held = iter(columns["held"][columns["anchors"][:begin].sum() :].tolist())
        values["colours"] = [self._colours[number] for number in values["colours"]]
        values["box"] = [tuple(box) for box in values["box"]]
        values["anchors"] = [tuple(next(held) for _ in range(count)) for count in values["anchors"]]
        rows = zip(*values.values(), strict=True)
        made = (FrameStats(**dict(zip(values, row, strict=True))) for row in rows)
        return {stats.frame: StoredFrame(stats, saved=read) for stats in made}

    def _read(self, place: int, frame: int) -> tuple[bytes, RleMask | None]:
        """The packed form of a frame of an object, and its mask. Raises `FormatError` if its block is damaged."""
        with undamaged_session():
            packed, mask = self._block(frame // FRAMES_PER_BLOCK)[place, frame]
        shown = self._project.frames.get(frame) if mask is None else None
        return packed, mask if shown is None else shown.objects.get(self.objects[place])


def read_block(
    project: Project, objects: Sequence[Columns], pointer: int, block: int
) -> dict[tuple[int, int], tuple[bytes, RleMask | None]]:
    """The frames of a block, by the places of their objects: packed forms, with pointers of so many numbers, and masks
    that only the block has. Raises one of `DAMAGE` or `FormatError`."""
    data = project.attachments[block_name(block)]
    arrays = load(data)
    packed, ends = arrays["packed"].tobytes(), arrays["ends"].tolist()
    masks = {(place, frame): mask_from(facts, project.size) for place, frame, facts in metadata_of(data)["masks"]}
    rows: list[tuple[int, int]] = []
    for place, columns in enumerate(objects):
        begin, end = np.searchsorted(columns["frame"], [block * FRAMES_PER_BLOCK, (block + 1) * FRAMES_PER_BLOCK])
        rows += [(place, frame) for frame in columns["frame"][begin:end].tolist()]
    begins = [0, *ends[:-1]]
    if len(rows) != len(ends) or ends[-1] != len(packed) or any(b > e for b, e in zip(begins, ends, strict=True)):
        raise ValueError(f"{block_name(block)} does not have the {len(rows)} frames that it should")
    parts = [packed[begin:end] for begin, end in zip(begins, ends, strict=True)]
    if any(pointer_length(part) not in (0, pointer) for part in parts):
        raise ValueError(f"{block_name(block)} has a pointer of another size")
    return {row: (part, masks.get(row)) for row, part in zip(rows, parts, strict=True)}


def checked_columns(arrays: Columns, colours: int, place: int) -> Columns:
    """The columns of an object of an index with so many signatures of colours. Raises one of `DAMAGE` for what no
    session has."""
    count = len(arrays[f"{place}.frame"])
    columns = {column: arrays[f"{place}.{column}"] for column in (*STATS_COLUMNS, "held")}
    for column, kind in STATS_COLUMNS.items():
        values = columns[column]
        if values.dtype != kind or values.shape != (count, *FACT_SIZES.get(column, ())):
            raise ValueError(f"the column {column} is {values.dtype} {values.shape}")
    most = {"doubt": len(REASONS), "colours": colours, "anchors": len(columns["held"]) + 1}
    for column in ("frame", "area", "box", "doubt", "colours", "anchors", "held"):
        values = columns[column]
        if len(values) and (int(values.min()) < 0 or int(values.max()) >= most.get(column, MAX_FRAME)):
            raise ValueError(f"{column} is out of range")
    if columns["held"].dtype != np.int64 or columns["anchors"].sum() != len(columns["held"]):
        raise ValueError("the anchors of frames are not as many as they should")
    if not (np.isfinite(columns["iou"]).all() and np.isfinite(columns["presence"]).all()):
        raise ValueError("a score is not finite")
    if (np.diff(columns["frame"]) <= 0).any():
        raise ValueError("frames do not rise")
    return {**columns, "doubt": np.array(REASONS, object)[columns["doubt"]]}


def facts_to_json(track: ObjectTrack, after: ObjectTrack | None = None) -> dict[str, Any]:
    """What is said of an object, as plain values that JSON knows; of that only what a later state has otherwise."""
    written: dict[str, Callable[[], Any]] = {
        "description": track.description.to_json,
        "prompts": lambda: [[frame, events.prompt_to_json(prompt)] for frame, prompt in track.prompts.items()],
        "absent": lambda: track.absent,
        "accepted": lambda: track.accepted,
    }
    return {key: fact() for key, fact in written.items() if after is None or getattr(track, key) != getattr(after, key)}


def facts_from_json(facts: Mapping[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    """The fields of an `ObjectTrack` that `facts_to_json` wrote. Raises as `prompt_from_json`, or `SessionError`."""
    read: dict[str, Callable[[Any], Any]] = {
        "description": Description.from_json,
        "prompts": lambda said: {whole_number(frame): events.prompt_from_json(prompt, size) for frame, prompt in said},
        "absent": spans_from_json,
        "accepted": spans_from_json,
    }
    return {key: read[key](fact) for key, fact in facts.items()}


def checked_change(change: Mapping[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    """The checked change of one event. Raises `TypeError`, `ValueError` or `SessionError` for values of other kinds."""
    objects = [
        (checked_object(n), whole_number(number), [*map(whole_number, order)], facts_from_json(facts, size))
        for n, number, order, facts in change["objects"]
    ]
    known = {name for name, *_ in objects}
    new = [(checked_object(n), kind_of(kind), *span_from_json(span)) for n, kind, *span in change["new"]]
    moved = [
        (checked_object(name), checked_object(other), [*map(whole_number, frames)])
        for name, other, frames in change["moved"]
    ]
    if not {name for name, *_ in (*new, *moved)} <= known:
        raise ValueError("an event changed an object that is not there")
    return {"lost": whole_number(change["lost"]), "new": new, "moved": moved, "objects": objects}


def spans_from_json(value: Any) -> Spans:
    return with_spans((), tuple(map(span_from_json, value)))


def span_from_json(value: list[Any]) -> tuple[int, int]:
    """A range of frames; a single one in files of the first versions."""
    first, last = whole_number(value[0], MAX_MARKED), whole_number(value[-1], MAX_MARKED)
    if len(value) > 2 or first > last:
        raise ValueError(f"{value} is no range of frames")
    return first, last


def kind_of(value: object) -> EntryKind:
    """One of the two kinds. Raises `ValueError` for anything else."""
    for kind in ENTRY_KINDS:
        if value == kind:
            return kind
    raise ValueError(f"{value!r} is neither prompted nor tracked")


def finite(value: object) -> float:
    """A finite number. Raises `TypeError` or `ValueError` for anything else."""
    if type(value) not in (int, float):
        raise TypeError(f"{value!r} is no number")
    if not isfinite(value):  # type: ignore[arg-type]
        raise ValueError(f"{value} is not finite")
    return float(value)  # type: ignore[arg-type]


def _signature(text: str) -> bytes:
    """The colours of a frame; of some nothing is known."""
    colours = bytes.fromhex(text)
    if len(colours) not in (0, SIGNATURE_BYTES):
        raise ValueError(f"colours of a frame are {len(colours)} bytes, not {SIGNATURE_BYTES}")
    return colours


def _box(value: Any) -> tuple[int, ...]:
    x0, y0, x1, y1 = (whole_number(edge) for edge in value)
    return x0, y0, x1, y1


STATS_CHECKS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("frame", "area"), whole_number),
    **dict.fromkeys(("iou", "presence"), finite),
    **dict.fromkeys(("attended", "backward", "cut"), truth),
    "box": _box,
    "anchors": lambda value: tuple(whole_number(frame) for frame in value),
    "colours": _signature,
    "doubt": lambda value: str(ReviewReason(value)) if value else "",
}
"""Builds the stats of frames. Each raises one of `DAMAGE`."""
