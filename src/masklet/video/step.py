"""One step: a frame's levels and the objects' tracks in, one new entry for each object out.

Objects are grouped by the shape of what they attend, and each group goes through the network together, a bounded number
at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from masklet.engines.base import Engine
from masklet.engines.rules import ABSENT_LOGIT, GIVEN_LOGIT, as_squares, given_logits, point_at, remember
from masklet.masks.components import small_holes
from masklet.masks.rle import encode_rle
from masklet.nn import Levels, MemoryBank, ModelConfig, PromptTokens
from masklet.prompts import Prompt, pad_prompts
from masklet.video.extent import areas_and_boxes
from masklet.video.noting import noted
from masklet.video.policies import MemoryPolicy
from masklet.video.recall import Recall
from masklet.video.state import MemoryEntry, ObjectId, ObjectTrack

FILLED_LOGIT = 0.1
"""Logits of a filled hole, as published."""

AMBIGUOUS = (1, 2, 3)
"""The candidates for an ambiguous prompt."""

AT_ONCE = 16
"""At most so many objects go through the network together, so that a hundred need no more memory than these."""


@dataclass(frozen=True)
class Moment:
    """One frame to step into.

    Attributes:
        frame: Number of the frame.
        size: (height, width) of the picture in whose pixels the prompts are.
        backward: Whether the video is followed towards its beginning.
        fill_holes: Holes of at most this many cells are filled.
        binarise_prompted: Whether the mask of a prompted frame is remembered as a binary one.
        soft_pointers: Whether a pointer is that of an absent object by the share in which the object is absent.
        literal: Whether accidents of the reference happen too: a corrected frame attends its own memory, and a given
            mask has the pointer of an absent object where the network doubts it.
        colours: Signature of the frame's colours, by which a scene cut is noticed; empty if that is not wanted.
        pause_after_cut: Whether nothing is remembered after a scene cut until the object is surely seen again.
    """

    frame: int
    size: tuple[int, int]
    backward: bool = False
    fill_holes: int = 0
    binarise_prompted: bool = True
    soft_pointers: bool = False
    literal: bool = False
    colours: bytes = b""
    pause_after_cut: bool = False


def step(
    engine: Engine,
    levels: Levels,
    tracks: Mapping[ObjectId, ObjectTrack],
    at: Moment,
    policy: MemoryPolicy,
) -> dict[ObjectId, MemoryEntry]:
    """Decode and remember every object in one frame.

    Args:
        engine: The network.
        levels: The frame's features, one picture.
        tracks: What is known of each object; a prompt on this frame is followed, other frames are recalled.
        at: Which frame, and how it is to be taken.
        policy: Decides what counts and what is recalled.

    Returns:
        One entry for each object, in the order of `tracks`.
    """
    recalls = {name: recalled(track, at, policy) for name, track in tracks.items()}
    groups: dict[tuple[bool, int, int], list[ObjectId]] = defaultdict(list)
    for name, track in tracks.items():
        prompt = track.prompts.get(at.frame)
        given = prompt is not None and prompt.mask is not None
        groups[given, len(recalls[name].memories), len(recalls[name].pointers)].append(name)
    entries: dict[ObjectId, MemoryEntry] = {}
    batches = [
        (given, names[first : first + AT_ONCE])
        for (given, _, _), names in groups.items()
        for first in range(0, len(names), AT_ONCE)
    ]
    for given, names in batches:
        members = [tracks[name] for name in names]
        if given:
            made = take_masks(engine, levels, members, at, policy)
        else:
            made = decode(engine, levels, members, [recalls[name] for name in names], at, policy)
        entries.update(zip(names, made, strict=True))
    return {name: entries[name] for name in tracks}


def recalled(track: ObjectTrack, at: Moment, policy: MemoryPolicy) -> Recall:
    """What the frame attends: nothing if it is prompted for the first time, as published. A frame that was followed
    before is corrected in the direction in which it was followed."""
    if at.frame not in track.prompts:
        return policy.recall(track, at.frame, backward=at.backward)
    known = track.entry(at.frame)
    if known is None or not known.attended:
        return Recall()
    others = {f: entry for f, entry in track.prompted.items() if at.literal or f != at.frame}
    return policy.recall(replace(track, prompted=others), at.frame, backward=known.backward)


def decode(
    engine: Engine,
    levels: Levels,
    tracks: Sequence[ObjectTrack],
    recalls: Sequence[Recall],
    at: Moment,
    policy: MemoryPolicy,
) -> list[MemoryEntry]:
    """Objects with points, a box or no prompt, whose banks have one shape."""
    prompts = [track.prompts.get(at.frame) for track in tracks]
    earlier = [earlier_answer(track, at, engine.config) for track in tracks]
    tokens = as_tokens(engine, prompts, earlier, at.size)
    features = engine.attend_memory(levels.stride16, bank(engine, tracks, recalls))
    decoded = engine.decode_masks(features, levels, tokens)
    points = (tokens.labels >= 0).sum(dim=1)
    choice = policy.choose(decoded, points, tracks, at.frame, backward=at.backward)
    each = torch.arange(len(tracks), device=engine.device)
    present = decoded.presence > 0
    logits = torch.where(present[:, None, None], decoded.logits[each, choice.masks].float(), ABSENT_LOGIT)
    pointers = by_presence(decoded.pointers[each, choice.pointers], engine.absent_pointer, decoded.presence, at)
    prompted = torch.tensor([prompt is not None for prompt in prompts], device=engine.device)
    filled = fill_holes(logits, at.fill_holes)
    # Filled masks are remembered on prompted frames only, as published.
    shown = torch.where(prompted[:, None, None], filled, logits)
    memories = remember(engine, levels, shown, prompted & at.binarise_prompted, decoded.presence)
    iou, presence, chosen = decoded.iou[each, choice.masks].tolist(), decoded.presence.tolist(), choice.masks.tolist()
    entries = [
        MemoryEntry(
            at.frame,
            memories[n],
            pointers[n],
            filled[n],
            iou=iou[n],
            presence=presence[n],
            attended=bool(recalls[n].memories),
            backward=at.backward,
            area=area,
            box=box,
            colours=at.colours,
        )
        for n, (area, box) in enumerate(areas_and_boxes(filled))
    ]
    others = [decoded.logits[n, [m for m in AMBIGUOUS if m != chosen[n]]] for n in range(len(tracks))]
    return note_all(entries, tracks, others, at, policy)


def take_masks(
    engine: Engine, levels: Levels, tracks: Sequence[ObjectTrack], at: Moment, policy: MemoryPolicy
) -> list[MemoryEntry]:
    """Objects whose mask a person gave: it is the answer; the network only makes its pointer and memory."""
    said = [track.prompts[at.frame].mask for track in tracks]
    given_masks = [mask for mask in said if mask is not None]
    masks = as_squares(given_masks, engine)
    decoded = point_at(engine, levels, masks)
    given = masks.flatten(1).any(dim=1)
    presence = torch.where(given, GIVEN_LOGIT, -GIVEN_LOGIT)
    pointers = decoded.pointers[:, 0]
    if at.literal:
        pointers = by_presence(pointers, engine.absent_pointer, decoded.presence, at)
    pointers = torch.where(given[:, None], pointers, engine.absent_pointer)
    logits = fill_holes(given_logits(engine, masks), at.fill_holes)
    memories = remember(engine, levels, logits, torch.full_like(given, at.binarise_prompted), presence)
    entries = [
        MemoryEntry(
            at.frame,
            memories[n],
            pointers[n],
            logits[n],
            iou=1.0,
            presence=presence[n].item(),
            attended=False,
            area=area,
            box=box,
            colours=at.colours,
            exact_mask=encode_rle(given_masks[n]),
        )
        for n, (area, box) in enumerate(areas_and_boxes(logits))
    ]
    return note_all(entries, tracks, [logits[:0]] * len(tracks), at, policy)


def note_all(
    entries: Sequence[MemoryEntry],
    tracks: Sequence[ObjectTrack],
    rivals: Sequence[Tensor],
    at: Moment,
    policy: MemoryPolicy,
) -> list[MemoryEntry]:
    """New entries of one group, with what is noted of each."""
    return [
        noted(entry, track, others, policy, pause_after_cut=at.pause_after_cut)
        for entry, track, others in zip(entries, tracks, rivals, strict=True)
    ]


def by_presence(pointers: Tensor, absent: Tensor, presence: Tensor, at: Moment) -> Tensor:
    """Pointers (N, C), or that of an absent object where presence (N,) says so, or a share of both."""
    if not at.soft_pointers:
        return torch.where(presence[:, None] > 0, pointers, absent)
    share = presence.sigmoid()[:, None].to(pointers.dtype)
    return share * pointers + (1 - share) * absent


def earlier_answer(track: ObjectTrack, at: Moment, config: ModelConfig) -> MemoryEntry | None:
    """What is given as a mask prompt: on a prompted frame what was answered to an earlier prompt; on others, if the
    network wants it, what was found of the object on the frame before."""
    if at.frame in track.prompts:
        return track.entry(at.frame)
    if not config.previous_mask:
        return None
    entry = track.entry(at.frame + 1 if at.backward else at.frame - 1)
    return entry if entry is not None and entry.presence > 0 else None


def as_tokens(
    engine: Engine, prompts: Sequence[Prompt | None], earlier: Sequence[MemoryEntry | None], size: tuple[int, int]
) -> PromptTokens:
    """Prompts of one group, and earlier answers as mask prompts."""
    padded = pad_prompts(prompts, size, engine.config.image_size)
    keep = None if padded.keep.all() else torch.from_numpy(padded.keep).to(engine.device)
    points, labels = (
        torch.from_numpy(padded.points).to(engine.device),
        torch.from_numpy(padded.labels).to(engine.device),
    )
    if all(entry is None for entry in earlier):
        return PromptTokens(points, labels, keep)
    side = engine.config.mask_size
    blank = torch.zeros(side, side, device=engine.device)
    masks = torch.stack([blank if entry is None else entry.logits.clamp(-32, 32) for entry in earlier])
    has_mask = torch.tensor([entry is not None for entry in earlier], device=engine.device)
    return PromptTokens(points, labels, keep, masks[:, None].to(engine.dtype), has_mask)


def bank(engine: Engine, tracks: Sequence[ObjectTrack], recalls: Sequence[Recall]) -> MemoryBank:
    """The recalled memories and pointers of a group, stacked."""
    config, device = engine.config, engine.device
    cells, count = config.memory_size, len(tracks)
    members = list(zip(tracks, recalls, strict=True))
    memories = [known(track, frame).memory for track, recall in members for frame in recall.memories]
    pointers = [known(track, frame).pointer for track, recall in members for frame in recall.pointers]
    ages = [[age / recall.longest for age in recall.ages] for recall in recalls]
    blank_memory = torch.zeros(count, 0, config.memory_width, cells, cells, device=device)
    blank_pointer = torch.zeros(count, 0, config.width, device=device)
    return MemoryBank(
        memories=torch.stack(memories).unflatten(0, (count, -1)) if memories else blank_memory,
        slots=torch.tensor([recall.slots for recall in recalls], dtype=torch.int64, device=device),
        pointers=torch.stack(pointers).unflatten(0, (count, -1)) if pointers else blank_pointer,
        ages=torch.tensor(ages, dtype=torch.float32, device=device),
    )


def known(track: ObjectTrack, frame: int) -> MemoryEntry:
    entry = track.entry(frame)
    assert entry is not None, f"frame {frame} was recalled but is not known"
    return entry


def fill_holes(logits: Tensor, largest: int) -> Tensor:
    """Logits (N, S/4, S/4) whose small holes are barely inside, as published for CUDA; here on every device."""
    if largest == 0:
        return logits
    masks = (logits > 0).cpu().numpy()
    holes = torch.from_numpy(np.stack([small_holes(mask, largest) for mask in masks]))
    return logits.masked_fill(holes.to(logits.device), FILLED_LOGIT)
