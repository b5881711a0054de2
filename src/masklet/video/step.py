"""One step: a frame's levels and the objects' tracks in, what is known of each object in the frame out.

Objects are grouped by the shape of what they attend, and each group goes through the network together, a bounded number
at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from masklet.engines.arrays import (
    Array,
    as_float,
    beside,
    given,
    in_precision,
    maximum,
    resize,
    sample,
    stack,
    to_numpy,
    where,
)
from masklet.engines.base import Engine
from masklet.engines.rules import (
    ABSENT_LOGIT,
    GIVEN_LOGIT,
    as_squares,
    decode_in_picture,
    given_logits,
    pad_prompts,
    point_at,
    remember,
)
from masklet.masks.rle import encode_rle
from masklet.masks.shape import Box, small_holes
from masklet.masks.trace import resize_logits
from masklet.nn import Decoded, Levels, MemoryBank, ModelConfig, PromptTokens
from masklet.prompts import Prompt
from masklet.video import cuts
from masklet.video.overlap import FinalMask
from masklet.video.policies import MemoryPolicy
from masklet.video.policies.base import Choice, before
from masklet.video.recall import Recall
from masklet.video.state import KnownFrame, ObjectId, ObjectTrack

FILLED_LOGIT = 0.1
"""Logits of a filled hole, as published."""

AMBIGUOUS = (1, 2, 3)
"""The candidates for an ambiguous prompt."""

AT_ONCE = 16
"""At most so many objects go through the network together, so that a hundred need no more memory than these."""


MOST_CHANGE = 4.0
"""A click changes the area of a mask at most by this factor where another candidate changes it less."""

SURROUNDINGS = 0.5
"""Radius around a click that may change, as a share of the radius of a disc of the mask's area; at least 2 cells."""

SAME = 0.85
"""Candidates whose masks overlap so much (IoU) say the same."""

NOWHERE: Box = (0, 0, 0, 0)
"""The box around nothing."""


@dataclass(frozen=True)
class FrameContext:
    """One frame to step into.

    Attributes:
        frame: Number of the frame.
        size: (height, width) of the picture in whose pixels the prompts are.
        backward: Whether the video is followed towards its beginning.
        fill_holes: Holes of at most this many cells are filled.
        binarise_prompted: Whether the mask of a prompted frame is remembered as a binary one.
        colours: Signature of the frame's colours, by which a scene cut is noticed; empty if that is not wanted.
        flow: (S/4, S/4, 2), where each cell was on the frame that comes before in this direction; see `optical_flow`.
            None where masks are not carried along it.
        steady: Whether a click that would empty or explode a mask gets the candidate that keeps most of it.
    """

    frame: int
    size: tuple[int, int]
    backward: bool = False
    fill_holes: int = 0
    binarise_prompted: bool = True
    colours: bytes = b""
    flow: NDArray[np.float32] | None = None
    steady: bool = False


def step(
    engine: Engine,
    levels: Levels,
    tracks: Mapping[ObjectId, ObjectTrack],
    at: FrameContext,
    policy: MemoryPolicy,
) -> dict[ObjectId, KnownFrame]:
    """Decode and remember every object in one frame, of whose picture these are the features: what is known now of each
    object in it, in the order of `tracks`. A prompt on this frame is followed, other frames are recalled."""
    recalls = {name: recalled(track, at, policy) for name, track in tracks.items()}
    encode_missing(tracks, recalls)
    groups: dict[tuple[bool, int, int], list[ObjectId]] = defaultdict(list)
    for name, track in tracks.items():
        prompt = track.prompts.get(at.frame)
        given = prompt is not None and prompt.mask is not None
        groups[given, len(recalls[name].memories), len(recalls[name].pointers)].append(name)
    found: dict[ObjectId, KnownFrame] = {}
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
        found.update(zip(names, made, strict=True))
    return {name: found[name] for name in tracks}


def recalled(track: ObjectTrack, at: FrameContext, policy: MemoryPolicy) -> Recall:
    """The frames that the frame attends: none if it is prompted for the first time, as published. A frame that was
    followed before is corrected in the direction in which it was followed."""
    if at.frame not in track.prompts:
        return policy.recall(track, at.frame, backward=at.backward)
    known = track.stats(at.frame)
    if known is None or not known.attended:
        return Recall()
    others = {f: other for f, other in track.prompted.items() if f != at.frame}
    return policy.recall(replace(track, prompted=others), at.frame, backward=known.backward)


def encode_missing(tracks: Mapping[ObjectId, ObjectTrack], recalls: Mapping[ObjectId, Recall]) -> None:
    """Have memories that are gone encoded again, frame by frame, so that each frame is read once for all objects."""
    for frame in sorted({frame for recall in recalls.values() for frame in recall.memories}):
        for name, track in tracks.items():
            if frame in recalls[name].memories:
                track.whole(frame)


def decode(
    engine: Engine,
    levels: Levels,
    tracks: Sequence[ObjectTrack],
    recalls: Sequence[Recall],
    at: FrameContext,
    policy: MemoryPolicy,
) -> list[KnownFrame]:
    """Objects with points, a box or no prompt, whose banks have one shape."""
    prompts = [track.prompts.get(at.frame) for track in tracks]
    earlier = [earlier_logits(track, at, engine.config) for track in tracks]
    tokens = as_tokens(engine, prompts, earlier, at.size)
    features = engine.attend_memory(levels.stride16, bank(engine, tracks, recalls))
    decoded = decode_in_picture(engine, features, levels, tokens, at.size)
    points = (tokens.labels >= 0).sum(1)
    choice = policy.choose(decoded, points, tracks, at.frame, backward=at.backward)
    if at.steady:
        decoded, choice = steadied(decoded, choice, tracks, at)
    each = list(range(len(tracks)))
    present = decoded.presence > 0
    logits = where(present[:, None, None], as_float(decoded.logits[each, choice.masks]), ABSENT_LOGIT)
    pointers = by_presence(decoded.pointers[each, choice.pointers], engine.absent_pointer, decoded.presence)
    prompted = [prompt is not None for prompt in prompts]
    filled = fill_holes(logits, at.fill_holes)
    # Filled masks are remembered on prompted frames only, as published.
    shown = where(given(engine, np.array(prompted))[:, None, None], filled, logits)
    binary = [one and at.binarise_prompted for one in prompted]
    memories = remember(engine, levels, shown, binary, decoded.presence)
    iou, presence, chosen = decoded.iou[each, choice.masks].tolist(), decoded.presence.tolist(), choice.masks.tolist()
    made = [
        KnownFrame(
            at.frame,
            memories[n],
            as_float(pointers[n]),
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
    return [finalized(*one, at, policy) for one in zip(made, tracks, others, strict=True)]


def candidates(
    engine: Engine, levels: Levels, track: ObjectTrack, at: FrameContext
) -> list[tuple[NDArray[np.bool_], float]]:
    """What the first prompt on an object may mean: the network's masks, bool (H, W), with their predicted IoU, the
    surest first. One that says the same as a surer one is left out, and so is an empty one."""
    tokens = as_tokens(engine, [track.prompts[at.frame]], [None], at.size)
    features = engine.attend_memory(levels.stride16, bank(engine, [track], [Recall()]))
    decoded = decode_in_picture(engine, features, levels, tokens, at.size)
    if decoded.presence[0] <= 0:
        return []
    logits = to_numpy(fill_holes(as_float(decoded.logits[0]), at.fill_holes))
    found: list[tuple[NDArray[np.bool_], float]] = []
    for n in sorted(AMBIGUOUS, key=lambda n: float(decoded.iou[0, n]), reverse=True):
        mask = np.asarray(resize_logits(logits[n], at.size) > 0)
        if mask.any() and all((mask & other).sum() < SAME * (mask | other).sum() for other, _ in found):
            found.append((mask, float(decoded.iou[0, n])))
    return found


def steadied(
    decoded: Decoded,
    choice: Choice,
    tracks: Sequence[ObjectTrack],
    at: FrameContext,
) -> tuple[Decoded, Choice]:
    """The candidates, and the choice among them. Where a click on a visible object would empty or explode its mask, the
    candidate is chosen that keeps most of the earlier answer outside of the clicks' surroundings."""
    masks, presence = to_numpy(choice.masks).copy(), to_numpy(decoded.presence).copy()
    for n, track in enumerate(tracks):
        prompt, known = track.prompts.get(at.frame), track.known(at.frame)
        if prompt is None or known is None or not prompt.points or known.presence <= 0:
            continue
        before, candidates = to_numpy(known.logits) > 0, to_numpy(decoded.logits[n]) > 0
        area, areas = before.sum(), candidates.sum(axis=(1, 2))
        chosen = areas[masks[n]] * (presence[n] > 0)
        if area == 0 or area / MOST_CHANGE < chosen < area * MOST_CHANGE:
            continue
        away = away_from_clicks(prompt, at.size, before)
        either = ((candidates | before) & away).sum(axis=(1, 2))
        kept = ((candidates & before) & away).sum(axis=(1, 2)) / either.clip(1)
        if kept.max() > 0:
            masks[n], presence[n] = kept.argmax(), presence[n] if presence[n] > 0 else known.presence
    changed = beside(choice.masks, masks), beside(decoded.presence, presence)
    return decoded._replace(presence=changed[1]), choice._replace(masks=changed[0])


def away_from_clicks(prompt: Prompt, size: tuple[int, int], mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """bool (S/4, S/4): cells outside of the clicks' surroundings, for a mask of that size."""
    (height, width), side = size, mask.shape[-1]
    cell = np.arange(side) + 0.5
    radius = max(2.0, SURROUNDINGS * float(mask.sum() / np.pi) ** 0.5)
    points = np.array(prompt.points) * (side / width, side / height)
    distance = np.hypot(cell - points[:, :1, None], cell[:, None] - points[:, 1:, None])
    return np.asarray(distance.min(axis=0) > radius)


def take_masks(
    engine: Engine, levels: Levels, tracks: Sequence[ObjectTrack], at: FrameContext, policy: MemoryPolicy
) -> list[KnownFrame]:
    """Objects whose mask a person gave: it is the answer; the network only makes its pointer and memory."""
    said = [track.prompts[at.frame].mask for track in tracks]
    given_masks = [mask for mask in said if mask is not None]
    masks = as_squares(given_masks, engine)
    decoded = point_at(engine, levels, masks)
    marked = masks.reshape(len(masks), -1).any(1)
    presence = where(marked, GIVEN_LOGIT, -GIVEN_LOGIT)
    pointers = where(marked[:, None], decoded.pointers[:, 0], engine.absent_pointer)
    logits = fill_holes(given_logits(engine, masks), at.fill_holes)
    memories = remember(engine, levels, logits, [at.binarise_prompted] * len(tracks), presence)
    made = [
        KnownFrame(
            at.frame,
            memories[n],
            as_float(pointers[n]),
            logits[n],
            iou=1.0,
            presence=presence[n].item(),
            attended=False,
            area=area,
            box=box,
            colours=at.colours,
            exact_mask=FinalMask(encode_rle(given_masks[n])),
        )
        for n, (area, box) in enumerate(areas_and_boxes(logits))
    ]
    return [finalized(known, track, logits[:0], at, policy) for known, track in zip(made, tracks, strict=True)]


def finalized(
    known: KnownFrame, track: ObjectTrack, rivals: Array, at: FrameContext, policy: MemoryPolicy
) -> KnownFrame:
    """A new frame with what the frames before it, and the policy, make of it: scene cut and anchors. `track` is without
    it; `rivals`, (R, S/4, S/4), are logits of the candidates that were not chosen."""
    if at.frame not in track.prompts:
        return replace(known, cut=cuts.is_cut(track, known), anchors=policy.keep(track, known, rivals))
    corrected = track.stats(at.frame)
    last = corrected or before(track, at.frame, backward=known.backward)
    cut = cuts.is_cut(track, known) if corrected is None else corrected.cut
    return replace(known, cut=cut, anchors=last.anchors if last is not None else ())


def by_presence(pointers: Array, absent: Array, presence: Array) -> Array:
    """Pointers (N, C), or that of an absent object where presence (N,) says so."""
    return where(presence[:, None] > 0, pointers, absent)


def encode_again(engine: Engine, levels: Levels, known: KnownFrame) -> KnownFrame:
    """A tracked frame with its memory, made of the frame's features and its mask as it was encoded first; where only a
    mask is known of it, with the pointer that the network makes of the mask."""
    presence = in_precision(engine, given(engine, np.array([known.presence])))
    memory = remember(engine, levels, known.logits[None], [False], presence)[0]
    if known.pointer is not None:
        return replace(known, memory=memory)
    logits = resize(known.logits[None, None], (engine.config.image_size,) * 2)
    decoded = point_at(engine, levels, logits > 0)
    pointer = by_presence(decoded.pointers[:, 0], engine.absent_pointer, presence)[0]
    return replace(known, memory=memory, pointer=as_float(pointer))


def absent_frame(engine: Engine) -> KnownFrame:
    """What is known of an object where a person said that it is absent; of frame 0."""
    nothing = given(engine, np.full((engine.config.mask_size,) * 2, ABSENT_LOGIT, np.float32))
    return KnownFrame(0, None, None, nothing, iou=1.0, presence=-GIVEN_LOGIT, attended=False)


def union(one: KnownFrame, other: KnownFrame, size: tuple[int, int]) -> KnownFrame:
    """Two objects in a frame of a size (height, width) as one, without a memory."""
    logits = maximum(one.logits, other.logits)
    ((area, box),) = areas_and_boxes(logits[None])
    exact = None
    if one.exact_mask is not None or other.exact_mask is not None:
        exact = FinalMask(encode_rle(shown_mask(one, size) | shown_mask(other, size)))
    return replace(
        one,
        memory=None,
        pointer=None,
        logits=logits,
        exact_mask=exact,
        iou=min(one.iou, other.iou),
        presence=max(one.presence, other.presence),
        attended=one.attended or other.attended,
        area=area,
        box=box,
        anchors=(),
        cut=one.cut or other.cut,
        doubt="",
    )


def shown_mask(known: KnownFrame, size: tuple[int, int]) -> NDArray[np.bool_]:
    """bool (H, W): a mask at the picture's size."""
    if known.exact_mask is not None:
        return known.exact_mask.mask
    return np.asarray(resize_logits(to_numpy(known.logits), size) > 0)


def earlier_logits(track: ObjectTrack, at: FrameContext, config: ModelConfig) -> Array | None:
    """(S/4, S/4), what is given as a mask prompt: on a prompted frame what was answered to an earlier prompt; on
    others, if the network wants it, what was found of the object on the frame before, carried along the flow."""
    if at.frame in track.prompts:
        known = track.known(at.frame)
        return None if known is None else known.logits
    if not config.previous_mask:
        return None
    last = track.known(at.frame + 1 if at.backward else at.frame - 1)
    if last is None or last.presence <= 0:
        return None
    if at.flow is None:
        return last.logits
    return sample(last.logits[None, None], beside(last.logits, at.flow[None]))[0, 0]


def as_tokens(
    engine: Engine, prompts: Sequence[Prompt | None], earlier: Sequence[Array | None], size: tuple[int, int]
) -> PromptTokens:
    """Prompts of one group, and earlier answers as mask prompts."""
    tokens = pad_prompts(engine, prompts, size)
    if all(logits is None for logits in earlier):
        return tokens
    side = engine.config.mask_size
    blank = given(engine, np.zeros((side, side), np.float32))
    masks = stack([blank if logits is None else logits.clip(-32, 32) for logits in earlier])
    has_mask = given(engine, np.array([logits is not None for logits in earlier]))
    return tokens._replace(masks=in_precision(engine, masks[:, None]), keep_masks=has_mask)


def bank(engine: Engine, tracks: Sequence[ObjectTrack], recalls: Sequence[Recall]) -> MemoryBank:
    """The recalled memories and pointers of a group, stacked."""
    config, count = engine.config, len(tracks)
    members = list(zip(tracks, recalls, strict=True))
    memories = [memory_of(track, frame) for track, recall in members for frame in recall.memories]
    pointers = [pointer_of(track, frame) for track, recall in members for frame in recall.pointers]
    ages = [[age / recall.longest for age in recall.ages] for recall in recalls]

    def by_object(found: list[Array], *shape: int) -> Array:
        whole = stack(found) if found else given(engine, np.zeros((0, *shape), np.float32))
        return whole.reshape(count, len(found) // count, *shape)

    return MemoryBank(
        memories=by_object(memories, *config.memory_shape),
        slots=given(engine, np.array([recall.slots for recall in recalls], np.int64)),
        pointers=by_object(pointers, config.width),
        ages=given(engine, np.array(ages, np.float32)),
    )


def memory_of(track: ObjectTrack, frame: int) -> Array:
    """The memory of a known frame."""
    memory = track.whole(frame).memory
    assert memory is not None, "a whole frame has its memory"
    return memory


def pointer_of(track: ObjectTrack, frame: int) -> Array:
    """The pointer of a known frame, which is made of the mask if nothing else is known."""
    known = track.known(frame)
    assert known is not None, f"frame {frame} is recalled but not known"
    pointer = track.whole(frame).pointer if known.pointer is None else known.pointer
    assert pointer is not None, "a whole frame has a pointer"
    return pointer


def fill_holes(logits: Array, largest: int) -> Array:
    """Logits (N, S/4, S/4) whose small holes are barely inside, as published for CUDA; here on every device."""
    if largest == 0:
        return logits
    holes = np.stack([small_holes(mask, largest) for mask in to_numpy(logits > 0)])
    return where(beside(logits, holes), FILLED_LOGIT, logits)


def areas_and_boxes(logits: Array) -> list[tuple[int, Box]]:
    """Inner cells of N masks, given as logits (N, h, w), and the boxes around them."""
    inside = to_numpy(logits > 0)
    areas = inside.sum(axis=(1, 2))
    spans = [edge for axis in (1, 2) for edge in _ends(np.asarray(inside.any(axis=axis)))]
    rows = np.stack((areas, *spans), axis=1).tolist()
    return [(area, (x0, y0, x1, y1) if area else NOWHERE) for area, x0, x1, y0, y1 in rows]


def _ends(hit: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Index of the first True of (N, L), and one past the last, (N,) each."""
    return hit.argmax(axis=1), hit.shape[1] - hit[:, ::-1].argmax(axis=1)
