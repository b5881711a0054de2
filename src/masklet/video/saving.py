"""What a project file keeps of a session beside masks: what was done, and what the next frames would recall."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from masklet.errors import FormatError, PromptError
from masklet.masks.rle import decode_rle, encode_rle, rle_from_json
from masklet.prompts import Prompt, make_prompt
from masklet.video.events import Cleared, Event, Followed, Locked, Prompted, Removed
from masklet.video.options import TrackingOptions
from masklet.video.session import Tracks
from masklet.video.state import MemoryEntry, ObjectId, facts_of

ENTRIES = "entries.safetensors"
"""The attachment of a project file that holds what a tracker recalls."""

PARTS = ("memory", "pointer", "logits")
"""The tensors of an entry."""

_EVENTS: dict[str, type[Cleared | Removed | Locked | Followed]] = {
    "clear": Cleared,
    "remove": Removed,
    "lock": Locked,
    "follow": Followed,
}

_OPTIONS = {"policy": (str,), "fill_holes": (int, type(None)), "disk_budget": (int, type(None))}
"""Kinds of options that are no truths."""


def event_to_json(event: Event) -> dict[str, Any]:
    """Plain values that JSON knows."""
    if isinstance(event, Prompted):
        prompt = event.prompt
        said: dict[str, Any] = {"points": prompt.points, "labels": prompt.labels, "box": prompt.box}
        if prompt.mask is not None:
            said = {"mask": encode_rle(prompt.mask).to_json()}
        return {"event": "prompt", "frame": event.frame, "object": event.object, **said}
    kinds = {kind: name for name, kind in _EVENTS.items()}
    values = asdict(event)
    if not values.get("apart", True):
        del values["apart"]  # as in files of the first versions
    return {"event": kinds[type(event)], **values}


def event_from_json(record: Mapping[str, Any], size: tuple[int, int]) -> Event:
    """The event that `event_to_json` wrote. Raises `FormatError` for anything else."""
    values = dict(record)
    kind = values.pop("event", None)
    try:
        if kind == "prompt":
            return Prompted(values.pop("frame"), values.pop("object"), _prompt_from_json(values, size))
        return _EVENTS[str(kind)](**values)
    except (KeyError, TypeError, PromptError) as error:
        raise FormatError(
            f"the project's event {kind!r} cannot be read: {error}; give another copy of the file"
        ) from error


def _prompt_from_json(values: Mapping[str, Any], size: tuple[int, int]) -> Prompt:
    if "mask" in values:
        return make_prompt(size, mask=decode_rle(rle_from_json(values["mask"], size)))
    return make_prompt(size, points=values["points"], labels=values["labels"] or None, box=values["box"])


def options_to_json(options: TrackingOptions) -> dict[str, Any]:
    """Plain values that JSON knows; a policy that has no name is null."""
    values = {part.name: getattr(options, part.name) for part in fields(options)}
    return {**values, "policy": options.policy if isinstance(options.policy, str) else None}


def options_from_json(record: Mapping[str, Any]) -> TrackingOptions:
    """The options that `options_to_json` wrote. Those that are missing, as in files of the first versions, are the
    usual ones; unknown ones are passed over. Raises `FormatError` for values of another kind, and for a policy that has
    no name.
    """
    if "policy" in record and record["policy"] is None:
        raise FormatError("the session has a policy of its own, which no file can hold; give options with it")
    known = {}
    for name in (part.name for part in fields(TrackingOptions) if part.name in record):
        known[name] = value = record[name]
        if type(value) not in _OPTIONS.get(name, (bool,)):
            raise FormatError(f"the project's option {name} is {value!r}; give another copy of the file, or options")
    return TrackingOptions(**known)


Recalled = tuple[ObjectId, Literal["prompted", "tracked"], MemoryEntry]
"""An object, whether a person answers for the entry, and the entry."""


def entries_to_recall(tracks: Tracks, events: Sequence[Event], window: int) -> Iterator[Recalled]:
    """All that a person answers for, with what was tracked beneath it, a window around the places where passes ended
    and from which none went on yet, and what is held there."""
    ends = open_ends([event for event in events if isinstance(event, Followed)])
    for name, track in tracks.items():
        yield from ((name, "prompted", entry) for entry in track.prompted.values())
        at_ends = {f for f in track.tracked if any(abs(f - end) <= window for end in ends)}
        wanted = {*track.prompted, *at_ends, *(f for end in at_ends for f in track.tracked.sighting(end).held)}
        near = [f for f in track.tracked if f in wanted]
        yield from ((name, "tracked", track.tracked[f]) for f in near)


def open_ends(passes: Sequence[Followed]) -> set[int]:
    """The last frames of passes, but for those from which a later one of the same kind went on."""

    def goes_on(later: Followed, earlier: Followed) -> bool:
        ahead = (earlier.last - later.first) if earlier.backward else (later.first - earlier.last)
        alike = (later.backward, later.apart) == (earlier.backward, earlier.apart)
        return alike and ahead in (0, 1) and later.only in (None, earlier.only)

    return {
        earlier.last
        for number, earlier in enumerate(passes)
        if not any(goes_on(later, earlier) for later in passes[number + 1 :])
    }


def pack_entries(entries: Iterable[Recalled]) -> bytes:
    """Entries as a safetensors file: tensors by number, the rest in its metadata."""
    tensors: dict[str, Tensor] = {}
    facts = []
    for number, (name, kind, entry) in enumerate(entries):
        for part in PARTS:
            tensors[f"{number}.{part}"] = getattr(entry, part).cpu().contiguous().clone()
        facts.append([name, kind, {**facts_of(entry), "exact": entry.exact_mask is not None}])
    return save(tensors, metadata={"entries": json.dumps(facts, default=bytes.hex)}) if tensors else b""


def unpack_entries(data: bytes, device: torch.device) -> Iterator[tuple[Recalled, bool]]:
    """The entries that `pack_entries` packed, and whether the frame's mask is exact. Raises `FormatError` if they are
    damaged."""
    if not data:
        return
    try:
        tensors = load(data)
        length = int.from_bytes(data[:8], "little")
        facts = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["entries"])
        for number, (name, kind, known) in enumerate(facts):
            memory, pointer, logits = (
                tensors[f"{number}.{part}"].to(device) for part in ("memory", "pointer", "logits")
            )
            known["box"], known["held"] = tuple(known["box"]), tuple(known["held"])
            known["colours"] = bytes.fromhex(known["colours"])
            exact = bool(known.pop("exact", False))
            yield (name, kind, MemoryEntry(**known, memory=memory, pointer=pointer, logits=logits)), exact
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise FormatError(f"what the project remembers is damaged: {error}; give another copy of the file") from error
