"""Known frames as attachments of project files, and from them again, read without trust."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from math import isfinite
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, deserialize

from masklet.engines.arrays import Array, as_memory, from_bits, given, to_bits, to_numpy
from masklet.engines.base import Engine
from masklet.errors import CheckpointError, FormatError, SessionError
from masklet.formats.base import RleMask
from masklet.formats.description import Description
from masklet.formats.project import Project, Spans
from masklet.masks.rle import Rle, decode_rle, encode_rle, rle_area, rle_from_json
from masklet.prompts import Prompt, make_prompt
from masklet.video.overlap import FinalMask
from masklet.video.review import ReviewReason
from masklet.video.state import FrameStats, KnownFrame, ObjectId, ObjectTrack, stats_of, with_span
from masklet.video.store import StoredFrames, unpack

Kind = Literal["prompted", "tracked"]
"""Whether a person answers for a frame, or the tracker."""

Item = tuple[ObjectId, Kind, dict[str, Any], dict[str, NDArray[Any]]]
"""A frame of an object as it is packed: its small facts, and arrays: the bits of its `memory`, `pointer` and `logits`
if it is whole, else the `packed` bytes of the store."""

Key = tuple[ObjectId, Kind, int]
"""An object, and a frame of one of its two kinds."""


Moved = tuple[ObjectId, ObjectId, list[int]]
"""An object, another one, and frames of which the other has now what the first had."""

WHOLE = "entries.safetensors"
"""The attachment with the frames that are recalled next, with their memories."""

REST = "frames-"
"""The attachments with all other frames began so in files of the first versions, each with a block of them."""

UNDO = "undo.safetensors"
"""The attachment with what the newest events changed."""

DTYPES = {"uint16": "BF16", "float32": "F32", "uint8": "U8"}
"""The type of an array, and what safetensors calls it; 16 bits are those of a memory."""

MOST_FRAME = 1 << 40
"""Frames have smaller numbers."""

MOST_MARKED = 1 << 24
"""Frames that are accepted, or without an object, have smaller numbers."""

MOST_COLOURS = 1 << 10
"""Bytes of a signature of colours, at most."""


def whole_item(track: ObjectTrack, name: ObjectId, kind: Kind, frame: int) -> Item:
    """A frame with its memory, as far as that is there, and its exact mask."""
    known = (track.prompted if kind == "prompted" else track.tracked)[frame]
    if known.memory is None or known.pointer is None:
        assert kind == "tracked", f"frame {frame} of {name!r} is prompted and has no memory"
        return lean_item(track, name, frame)
    parts = {"memory": to_bits(known.memory), "pointer": to_numpy(known.pointer), "logits": to_numpy(known.logits)}
    return name, kind, {**stats_of(known), **mask_facts(known.exact_mask)}, parts


DAMAGE = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""The errors of values of another type or size than was packed."""


def lean_item(track: ObjectTrack, name: ObjectId, frame: int, shown: RleMask | None = None) -> Item:
    """A tracked frame without its memory, with its mask as it is `shown`, or its exact mask."""
    assert isinstance(track.tracked, StoredFrames), "only what lies in a store is packed"
    stats = track.tracked.stats(frame)
    assert stats is not None, f"frame {frame} is not known"
    packed = np.frombuffer(track.tracked.packed(frame), np.uint8)
    exact = track.tracked[frame].exact_mask if shown is None else FinalMask(shown.rle, shown.lost)
    return name, "tracked", {**stats_of(stats), **mask_facts(exact)}, {"packed": packed}


def mask_facts(mask: FinalMask | None) -> dict[str, str]:
    """A mask as run lengths, with what it lost."""
    if mask is None:
        return {}
    return {"mask": mask.rle.counts} if mask.lost is None else {"mask": mask.rle.counts, "lost": mask.lost.counts}


def mask_from(facts: Mapping[str, Any], size: tuple[int, int]) -> FinalMask:
    """The mask of a picture that `mask_facts` wrote. Raises one of `DAMAGE`, or `FormatError`."""
    counts = [facts[key] for key in ("mask", "lost") if key == "mask" or key in facts]
    if not all(isinstance(one, str) for one in counts):
        raise TypeError(f"a mask is {facts!r:.80}")
    found = [Rle(size, one) for one in counts]
    for rle in found:
        rle_area(rle)  # says so if the run lengths don't fill the picture
    return FinalMask(*found)


def pack_items(items: Iterable[Item], **more: Any) -> bytes:
    """Frames as a safetensors file: arrays by number, the rest in its metadata. It is laid out here, as safetensors
    takes bfloat16 from no array."""
    arrays: dict[str, NDArray[Any]] = {}
    facts = []
    for number, (name, kind, known, parts) in enumerate(items):
        for part, array in parts.items():
            arrays[f"{number}.{part}"] = array
        facts.append([name, kind, known])
    if not arrays and not more:
        return b""
    header: dict[str, Any] = {"__metadata__": json_texts(entries=facts, **more)}
    end = 0
    for key, array in arrays.items():
        place = [end, end := end + array.nbytes]
        header[key] = {"dtype": DTYPES[array.dtype.name], "shape": array.shape, "data_offsets": place}
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    return b"".join([len(head).to_bytes(8, "little"), head, *(array.tobytes() for array in arrays.values())])


def json_texts(**values: Any) -> dict[str, str]:
    """The metadata of a safetensors file."""
    return {key: json.dumps(value, default=bytes.hex) for key, value in values.items()}


def prompt_to_json(prompt: Prompt) -> dict[str, Any]:
    """Plain values that JSON knows."""
    if prompt.mask is not None:
        return {"mask": encode_rle(prompt.mask).to_json()}
    return {"points": prompt.points, "labels": prompt.labels, "box": prompt.box}


def prompt_from_json(values: Mapping[str, Any], size: tuple[int, int]) -> Prompt:
    """The prompt that `prompt_to_json` wrote. Raises as `make_prompt`, or one of `DAMAGE`."""
    if "mask" in values:
        return make_prompt(size, mask=decode_rle(rle_from_json(values["mask"], size)))
    return make_prompt(size, points=values["points"], labels=values["labels"] or None, box=values["box"])


def facts_of(track: ObjectTrack, after: ObjectTrack | None = None) -> dict[str, Any]:
    """What is said of an object, as plain values that JSON knows; of that only what a later state has otherwise."""
    written: dict[str, Callable[[], Any]] = {
        "description": track.description.to_json,
        "prompts": lambda: [[frame, prompt_to_json(prompt)] for frame, prompt in track.prompts.items()],
        "absent": lambda: track.absent,
        "accepted": lambda: track.accepted,
    }
    return {key: fact() for key, fact in written.items() if after is None or getattr(track, key) != getattr(after, key)}


def facts_from_json(facts: Mapping[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    """The fields of an `ObjectTrack` that `facts_of` wrote. Raises as `prompt_from_json`, or `SessionError`."""
    read: dict[str, Callable[[Any], Any]] = {
        "description": Description.from_json,
        "prompts": lambda said: {whole_number(frame): prompt_from_json(prompt, size) for frame, prompt in said},
        "absent": _spans,
        "accepted": _spans,
    }
    return {key: read[key](fact) for key, fact in facts.items()}


class ItemReader:
    """Frames from the attachments of a project, for a model.

    Args:
        project: What was read.
        engine: Whose arrays the frames hold.
    """

    def __init__(self, project: Project, engine: Engine) -> None:
        self._project, self._engine, config = project, engine, engine.config
        self._shapes: dict[str, tuple[int, ...]] = {
            "memory": config.memory_shape,
            "pointer": (config.width,),
            "logits": (config.mask_size, config.mask_size),
        }

    def read(self, attachment: str) -> Iterator[tuple[ObjectId, Kind, KnownFrame]]:
        """The frames of an attachment, each with its object and kind.

        Raises:
            FormatError: They are damaged.
            CheckpointError: They were made by a model of other sizes.
        """
        data = self._project.attachments.get(attachment, b"")
        if not data:
            return
        try:
            tensors = dict(deserialize(data))
            for number, (name, kind, facts) in enumerate(metadata_of(data)["entries"]):
                parts = {
                    part: tensors[key]
                    for part in ("memory", "pointer", "logits", "packed")
                    if (key := f"{number}.{part}") in tensors
                }
                if kind == "prompted" and not {"memory", "pointer", "logits"} <= set(parts):
                    raise ValueError(f"a frame that was prompted for {name!r} lacks a tensor")
                shown = self._shown(name, facts) if attachment.startswith(REST) else None
                yield name, kind_of(kind), self._known(facts, parts, shown)
        except (SafetensorError, *DAMAGE) as error:
            raise damaged(error) from error

    def facts(self) -> dict[ObjectId, dict[str, Any]] | None:
        """What is said of objects, as fields of their tracks; None in files of the first versions. Raises `FormatError`
        if that is damaged."""
        data = self._project.attachments.get(WHOLE, b"")
        try:
            listed = metadata_of(data).get("objects") if data else None
            if listed is None:
                return None
            return {_name(name): facts_from_json(facts, self._project.size) for name, facts in listed}
        except (SessionError, *DAMAGE) as error:
            raise damaged(error) from error

    def changes(self) -> list[dict[str, Any]]:
        """The changes of the newest events, the newest first; none of a file of the first versions, which kept them in
        another form: undo computes them again. Raises `FormatError` if that is damaged."""
        data = self._project.attachments.get(UNDO, b"")
        try:
            listed = metadata_of(data)["changes"] if data else []
            if any("moved" not in change for change in listed):
                return []
            return [checked_change(change, self._project.size) for change in listed]
        except (SessionError, *DAMAGE) as error:
            raise damaged(error) from error

    def _shown(self, name: ObjectId, facts: Mapping[str, Any]) -> FinalMask | None:
        """The mask of a frame as the file has it for all programs."""
        found = self._project.frames.get(facts["frame"])
        mask = None if found is None else found.objects.get(name)
        return None if mask is None else FinalMask(mask.rle, mask.lost)

    def _known(self, facts: Mapping[str, Any], parts: Mapping[str, Any], shown: FinalMask | None) -> KnownFrame:
        stats = {fact.name: facts[fact.name] for fact in fields(FrameStats) if fact.name in facts}
        stats["anchors"] = facts.get("anchors", facts.get("held", ()))  # as files of the first versions name them
        stats = {key: CHECKS[key](value) for key, value in stats.items()}
        mask = mask_from(facts, self._project.size) if "mask" in facts else shown
        if "packed" in parts:
            pointer, logits = unpack(bytes(parts["packed"]["data"]), self._shapes["logits"][0])
            arrays = {"logits": logits} if pointer is None else {"logits": logits, "pointer": pointer}
        else:
            arrays = {part: floats(part, tensor) for part, tensor in parts.items()}
        for part, array in arrays.items():
            if array.shape != self._shapes[part]:
                raise CheckpointError(
                    f"the session was made with a model whose {part} is {array.shape}, and that of this one is "
                    f"{self._shapes[part]}; give a model of the same sizes"
                )
        found: dict[str, Array] = {part: given(self._engine, array) for part, array in arrays.items()}
        memory = as_memory(found["memory"]) if "memory" in found else None
        return KnownFrame(**stats, memory=memory, pointer=found.get("pointer"), logits=found["logits"], exact_mask=mask)


def floats(part: str, tensor: Mapping[str, Any]) -> NDArray[np.float32]:
    """The numbers of a tensor of a safetensors file. Raises `ValueError` if it has others."""
    if tensor["dtype"] not in ("BF16", "F32"):
        raise ValueError(f"a {part} is of type {tensor['dtype']}")
    data = bytearray(tensor["data"])
    flat = from_bits(np.frombuffer(data, np.uint16)) if tensor["dtype"] == "BF16" else np.frombuffer(data, np.float32)
    return flat.reshape(tensor["shape"])


def metadata_of(data: bytes) -> dict[str, Any]:
    """The texts beside the tensors of a safetensors file, by name."""
    length = int.from_bytes(data[:8], "little")
    return {key: json.loads(text) for key, text in json.loads(data[8 : 8 + length])["__metadata__"].items()}


def whole_number(value: object, most: int = MOST_FRAME) -> int:
    """A whole number from 0 on. Raises `TypeError` or `ValueError` for anything else."""
    if type(value) is not int:
        raise TypeError(f"{value!r} is no whole number")
    if not 0 <= value < most:
        raise ValueError(f"{value} is out of range")
    return value


def finite(value: object) -> float:
    """A finite number. Raises `TypeError` or `ValueError` for anything else."""
    if type(value) not in (int, float):
        raise TypeError(f"{value!r} is no number")
    if not isfinite(value):  # type: ignore[arg-type]
        raise ValueError(f"{value} is not finite")
    return float(value)  # type: ignore[arg-type]


def truth(value: object) -> bool:
    """True or False. Raises `TypeError` for anything else."""
    if type(value) is not bool:
        raise TypeError(f"{value!r} is neither true nor false")
    return value


def _box(value: Any) -> tuple[int, ...]:
    x0, y0, x1, y1 = (whole_number(edge) for edge in value)
    return x0, y0, x1, y1


def _span(value: list[Any]) -> tuple[int, int]:
    """A range of frames; a single one in files of the first versions."""
    first, last = whole_number(value[0], MOST_MARKED), whole_number(value[-1], MOST_MARKED)
    if len(value) > 2 or first > last:
        raise ValueError(f"{value} is no range of frames")
    return first, last


def _spans(value: Any) -> Spans:
    spans: Spans = ()
    for first, last in value:
        spans = with_span(spans, whole_number(first, MOST_MARKED), whole_number(last, MOST_MARKED))
    return spans


def _colours(value: Any) -> bytes:
    return bytes.fromhex(value[: 2 * MOST_COLOURS])


CHECKS: dict[str, Callable[[Any], Any]] = {
    "frame": whole_number,
    "iou": finite,
    "presence": finite,
    "attended": truth,
    "backward": truth,
    "area": whole_number,
    "box": _box,
    "anchors": lambda value: tuple(whole_number(frame) for frame in value),
    "colours": _colours,
    "cut": truth,
    "doubt": lambda value: str(ReviewReason(value)) if value else "",
}
"""Builds the stats of a frame. Each raises `TypeError` or `ValueError`."""


def kind_of(value: object) -> Kind:
    """One of the two kinds. Raises `ValueError` for anything else."""
    if value == "prompted":
        return "prompted"
    if value == "tracked":
        return "tracked"
    raise ValueError(f"{value!r} is neither prompted nor tracked")


def checked_change(change: Mapping[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    """The checked change of one event. Raises `TypeError`, `ValueError` or `SessionError` for values of other kinds."""
    objects = [
        (_name(name), whole_number(number), [whole_number(f) for f in order], facts_from_json(facts, size))
        for name, number, order, facts in change["objects"]
    ]
    known = {name for name, *_ in objects}
    new = [(_name(name), kind_of(kind), *_span(span)) for name, kind, *span in change["new"]]
    moved = [(_name(name), _name(other), [whole_number(f) for f in frames]) for name, other, frames in change["moved"]]
    if not {name for name, *_ in (*new, *moved)} <= known:
        raise ValueError("an event changed an object that is not there")
    return {"lost": whole_number(change["lost"]), "new": new, "moved": moved, "objects": objects}


def _name(value: object) -> ObjectId:
    if type(value) not in (int, str):
        raise TypeError(f"{value!r} is no name")
    return value  # type: ignore[return-value]


def damaged(error: Exception) -> FormatError:
    return FormatError(f"what the project remembers is damaged: {str(error)[:200]}; give another copy of the file")
