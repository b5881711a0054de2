"""Known frames as attachments of project files, and from them again, read without trust."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save

from masklet.engines.arrays import Array, as_memory, from_bits, given, to_bits, to_numpy
from masklet.engines.base import Engine
from masklet.errors import CheckpointError, SessionError
from masklet.formats.project_file import Project
from masklet.masks.rle import Rle, rle_area
from masklet.video.events import checked_object
from masklet.video.json_values import CHECKS, DAMAGE, Kind, damaged, facts_from_json, kind_of
from masklet.video.overlap import FinalMask
from masklet.video.state import FrameStats, KnownFrame, ObjectId, ObjectTrack, stats_of
from masklet.video.store import StoredFrames, unpack

Item = tuple[ObjectId, Kind, dict[str, Any], dict[str, NDArray[Any]]]
"""A frame of an object as it is packed: its small facts, and arrays: the bits of its `memory`, `pointer` and `logits`
if it is whole, else the `packed` bytes of the store."""

Key = tuple[ObjectId, Kind, int]
"""An object, and a frame of one of its two kinds."""

WHOLE = "entries.safetensors"
"""The attachment with the frames that are recalled next, with their memories."""

UNDO = "undo.safetensors"
"""The attachment with what the newest events changed."""


def whole_item(track: ObjectTrack, name: ObjectId, kind: Kind, frame: int) -> Item:
    """A frame with its memory, as far as that is there, and its exact mask."""
    known = (track.prompted if kind == "prompted" else track.tracked)[frame]
    if known.memory is None or known.pointer is None:
        assert kind == "tracked", f"frame {frame} of {name!r} is prompted and has no memory"
        return lean_item(track, name, frame)
    parts = {"memory": to_bits(known.memory), "pointer": to_numpy(known.pointer), "logits": to_numpy(known.logits)}
    return name, kind, {**stats_of(known), **mask_facts(known.exact_mask)}, parts


def lean_item(track: ObjectTrack, name: ObjectId, frame: int, shown: FinalMask | None = None) -> Item:
    """A tracked frame without its memory, with its mask as it is `shown`, or its exact mask."""
    assert isinstance(track.tracked, StoredFrames), "only what lies in a store is packed"
    stats = track.tracked.stats(frame)
    assert stats is not None, f"frame {frame} is not known"
    packed = np.frombuffer(track.tracked.packed(frame), np.uint8)
    exact = shown or track.tracked[frame].exact_mask
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


class ItemReader:
    """Frames from the attachments of a project, in arrays of an engine."""

    def __init__(self, project: Project, engine: Engine) -> None:
        self._project, self._engine, config = project, engine, engine.config
        self._shapes: dict[str, tuple[int, ...]] = {
            "memory": config.memory_shape,
            "pointer": (config.width,),
            "logits": (config.mask_size, config.mask_size),
        }

    def read(self, attachment: str) -> Iterator[tuple[object, Kind, KnownFrame]]:
        """The frames of an attachment, each with the name of its object, as the file has it, and its kind. Raises
        `FormatError` if they are damaged, and `CheckpointError` if a model of other sizes made them."""
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
                yield name, kind_of(kind), self._known(facts, parts)
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
            return {checked_object(name): facts_from_json(facts, self._project.size) for name, facts in listed}
        except (SessionError, *DAMAGE) as error:
            raise damaged(error) from error

    def _known(self, facts: Mapping[str, Any], parts: Mapping[str, Any]) -> KnownFrame:
        stats = {fact.name: facts[fact.name] for fact in fields(FrameStats) if fact.name in facts}
        stats = {key: CHECKS[key](value) for key, value in stats.items()}
        mask = mask_from(facts, self._project.size) if "mask" in facts else None
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
