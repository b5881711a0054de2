"""One step: a frame's levels and the objects' tracks in, what is known of each object in the frame out.

Objects are grouped by the shape of what they attend, and each group goes through the network together, a bounded number
at once.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from masklet.engines import arrays, rules
from masklet.engines.arrays import Array
from masklet.engines.base import Engine
from masklet.formats.base import mask_only
from masklet.masks.rle import resize_logits
from masklet.masks.shape import Box, small_holes
from masklet.nn import Decoded, Levels, MemoryBank
from masklet.prompts import MAX_LOGIT, Prompt
from masklet.video.options import TrackingOptions
from masklet.video.policies import Choice, MemoryPolicy, before
from masklet.video.recall import Recall
from masklet.video.review import is_cut
from masklet.video.state import KnownFrame, ObjectId, ObjectTrack

FILLED_LOGIT = 0.1
"""Logits of a filled hole, as published."""

AMBIGUOUS_MASKS = (1, 2, 3)
"""The candidates for an ambiguous prompt."""

OBJECTS_AT_ONCE = 16
"""At most so many objects go through the network together, so that a hundred need no more memory than these."""


MAX_CHANGE = 4.0
"""A click changes the area of a mask at most by this factor where another candidate changes it less."""

CLICK_RADIUS = 0.5
"""Radius around a click that may change, as a share of the radius of a disc of the mask's area; at least 2 cells."""

SAME_MASK_IOU = 0.85
"""Candidates whose masks overlap so much (IoU) say the same."""


@dataclass(frozen=True)
class FrameContext:
    """One frame to step into."""

    engine: Engine
    levels: Levels  # the features of the frame
    policy: MemoryPolicy
    options: TrackingOptions
    frame: int
    size: tuple[int, int]  # (height, width) of the picture in whose pixels the prompts are
    backward: bool = False  # whether the video is followed towards its beginning
    colours: bytes = b""  # signature of the frame's colours, by which a scene cut is noticed
    # (S/4, S/4, 2), where each cell was on the frame before in this direction, see `optical_flow`; None without a flow
    flow: NDArray[np.float32] | None = None


def step(tracks: Mapping[ObjectId, ObjectTrack], at: FrameContext) -> dict[ObjectId, KnownFrame]:
    """Decode and remember every object in one frame: what is known now of each object in it, in the order of `tracks`.
    A prompt on this frame is followed, other frames are recalled."""
    recalls = {name: recalled(track, at) for name, track in tracks.items()}
    for frame in sorted({frame for recall in recalls.values() for frame in recall.memories}):
        for name, track in tracks.items():  # frame by frame: each is read once for all whose memory is gone
            if frame in recalls[name].memories:
                track.whole(frame)
    groups: dict[tuple[bool, int, int], list[ObjectId]] = defaultdict(list)
    for name, track in tracks.items():
        prompt, recall = track.prompts.get(at.frame), recalls[name]
        has_mask = prompt is not None and prompt.mask is not None
        groups[has_mask, len(recall.memories), len(recall.pointers)].append(name)
    found: dict[ObjectId, KnownFrame] = {}
    for (has_mask, _, _), group in groups.items():
        for first in range(0, len(group), OBJECTS_AT_ONCE):
            names = group[first : first + OBJECTS_AT_ONCE]
            members = [tracks[name] for name in names]
            made = take_masks(members, at) if has_mask else decode(members, [recalls[name] for name in names], at)
            found.update(zip(names, made, strict=True))
    return {name: found[name] for name in tracks}


def recalled(track: ObjectTrack, at: FrameContext) -> Recall:
    """The frames that the frame attends: none if it is prompted for the first time, as published. A frame that was
    followed before is corrected in the direction in which it was followed."""
    if at.frame not in track.prompts:
        return at.policy.recall(track, at.frame, backward=at.backward)
    known = track.stats(at.frame)
    if known is None or not known.attended:
        return Recall()
    others = {f: other for f, other in track.prompted.items() if f != at.frame}
    return at.policy.recall(replace(track, prompted=others), at.frame, backward=known.backward)


def decode(tracks: Sequence[ObjectTrack], recalls: Sequence[Recall], at: FrameContext) -> list[KnownFrame]:
    """Objects with points, a box or no prompt, whose banks have one shape."""
    decoded, points = decoded_in(tracks, recalls, at)
    choice = at.policy.choose(decoded, points, tracks, at.frame, backward=at.backward)
    if at.options.corrections == "local":
        decoded, choice = steadied(decoded, choice, tracks, at.frame, at.size)
    each = list(range(len(tracks)))
    present, chosen = decoded.presence > 0, arrays.as_float(decoded.logits[each, choice.masks])
    logits = arrays.where(present[:, None, None], chosen, rules.ABSENT_LOGIT)
    pointers = arrays.where(present[:, None], decoded.pointers[each, choice.pointers], at.engine.absent_pointer)
    prompted = [at.frame in track.prompts for track in tracks]
    filled = fill_holes(logits, at)
    # Filled masks are remembered on prompted frames only, as published.
    shown = arrays.where(arrays.given(at.engine, np.array(prompted))[:, None, None], filled, logits)
    binary = [one and at.options.binarise_prompted for one in prompted]
    memories = rules.remember(at.engine, at.levels, shown, binary, decoded.presence)
    iou, presence = decoded.iou[each, choice.masks].tolist(), decoded.presence.tolist()
    rivals = [
        decoded.logits[n, [m for m in AMBIGUOUS_MASKS if m != mask]] for n, mask in enumerate(choice.masks.tolist())
    ]
    facts = [
        {"iou": iou[n], "presence": presence[n], "attended": bool(recalls[n].memories), "backward": at.backward}
        for n in each
    ]
    return made_known(tracks, memories, pointers, filled, facts, rivals, at)


def decoded_in(tracks: Sequence[ObjectTrack], recalls: Sequence[Recall], at: FrameContext) -> tuple[Decoded, Array]:
    """The candidates of objects in a frame, and how many points each prompt has, (N,)."""
    engine = at.engine
    tokens = rules.pad_prompts(engine, [track.prompts.get(at.frame) for track in tracks], at.size)
    earlier = [earlier_logits(track, at) for track in tracks]
    if any(logits is not None for logits in earlier):
        blank = arrays.given(engine, np.zeros((engine.config.mask_size,) * 2, np.float32))
        masks = arrays.stack([blank if logits is None else logits.clip(-MAX_LOGIT, MAX_LOGIT) for logits in earlier])
        has_mask = arrays.given(engine, np.array([logits is not None for logits in earlier]))
        tokens = tokens._replace(masks=arrays.in_precision(engine, masks[:, None]), keep_masks=has_mask)
    features = engine.attend_memory(at.levels.stride16, bank(engine, tracks, recalls))
    return rules.decode_in_picture(engine, features, at.levels, tokens, at.size), (tokens.labels >= 0).sum(1)


def made_known(
    tracks: Sequence[ObjectTrack],
    memories: Array,
    pointers: Array,
    logits: Array,
    facts: Sequence[Mapping[str, Any]],
    rivals: Sequence[Array],
    at: FrameContext,
) -> list[KnownFrame]:
    """New frames of objects, with what the frames before, and the policy, make of them: scene cut and anchors.
    `tracks` are without them; `rivals`, (R, S/4, S/4) each, are logits of the candidates that were not chosen."""
    found = []
    for n, (track, (area, box)) in enumerate(zip(tracks, areas_and_boxes(logits), strict=True)):
        parts = {"memory": memories[n], "pointer": arrays.as_float(pointers[n]), "logits": logits[n]}
        known = KnownFrame(at.frame, **parts, **facts[n], area=area, box=box, colours=at.colours)
        corrected = track.stats(at.frame)
        if at.frame not in track.prompts:
            cut, anchors = is_cut(track, known), at.policy.keep(track, known, rivals[n])
        elif corrected is not None:
            cut, anchors = corrected.cut, corrected.anchors
        else:
            last = before(track, at.frame, backward=known.backward)
            cut, anchors = is_cut(track, known), last.anchors if last is not None else ()
        found.append(replace(known, cut=cut, anchors=anchors))
    return found


def candidates(track: ObjectTrack, at: FrameContext) -> list[tuple[NDArray[np.bool_], float]]:
    """What the first prompt on an object may mean: the network's masks, bool (H, W), with their predicted IoU, the
    surest first. One that says the same as a surer one is left out, and so is an empty one."""
    decoded, _ = decoded_in([track], [Recall()], at)
    if decoded.presence[0] <= 0:
        return []
    logits = arrays.to_numpy(fill_holes(arrays.as_float(decoded.logits[0]), at))
    found: list[tuple[NDArray[np.bool_], float]] = []
    for n in sorted(AMBIGUOUS_MASKS, key=lambda n: float(decoded.iou[0, n]), reverse=True):
        mask = np.asarray(resize_logits(logits[n], at.size) > 0)
        if mask.any() and all((mask & other).sum() < SAME_MASK_IOU * (mask | other).sum() for other, _ in found):
            found.append((mask, float(decoded.iou[0, n])))
    return found


def steadied(
    decoded: Decoded, choice: Choice, tracks: Sequence[ObjectTrack], frame: int, size: tuple[int, int]
) -> tuple[Decoded, Choice]:
    """The candidates, and the choice among them. Where a click on a visible object would empty or explode its mask, the
    candidate is chosen that keeps most of the earlier answer outside of the clicks' surroundings."""
    masks, presence = arrays.to_numpy(choice.masks).copy(), arrays.to_numpy(decoded.presence).copy()
    for n, track in enumerate(tracks):
        prompt, known = track.prompts.get(frame), track.known(frame)
        if prompt is None or known is None or not prompt.points or known.presence <= 0:
            continue
        before, candidates = arrays.to_numpy(known.logits) > 0, arrays.to_numpy(decoded.logits[n]) > 0
        area, areas = before.sum(), candidates.sum(axis=(1, 2))
        chosen = areas[masks[n]] * (presence[n] > 0)
        if area == 0 or area / MAX_CHANGE < chosen < area * MAX_CHANGE:
            continue
        away = away_from_clicks(prompt, size, before)
        either = ((candidates | before) & away).sum(axis=(1, 2))
        kept = ((candidates & before) & away).sum(axis=(1, 2)) / either.clip(1)
        if kept.max() > 0:
            masks[n], presence[n] = kept.argmax(), presence[n] if presence[n] > 0 else known.presence
    changed = arrays.beside(choice.masks, masks), arrays.beside(decoded.presence, presence)
    return decoded._replace(presence=changed[1]), choice._replace(masks=changed[0])


def away_from_clicks(prompt: Prompt, size: tuple[int, int], mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """bool (S/4, S/4): cells outside of the clicks' surroundings, for a mask of that size."""
    (height, width), side = size, mask.shape[-1]
    cell = np.arange(side) + 0.5
    radius = max(2.0, CLICK_RADIUS * float(mask.sum() / np.pi) ** 0.5)
    points = np.array(prompt.points) * (side / width, side / height)
    distance = np.hypot(cell - points[:, :1, None], cell[:, None] - points[:, 1:, None])
    return np.asarray(distance.min(axis=0) > radius)


def take_masks(tracks: Sequence[ObjectTrack], at: FrameContext) -> list[KnownFrame]:
    """Objects whose mask a person gave: it is the answer; the network only makes its pointer and memory."""
    said = [track.prompts[at.frame].mask for track in tracks]
    given_masks = [mask for mask in said if mask is not None]
    masks = rules.as_squares(given_masks, at.engine)
    decoded = rules.point_at(at.engine, at.levels, masks)
    marked = masks.reshape(len(masks), -1).any(1)
    presence = arrays.where(marked, rules.GIVEN_LOGIT, -rules.GIVEN_LOGIT)
    pointers = arrays.where(marked[:, None], decoded.pointers[:, 0], at.engine.absent_pointer)
    logits = fill_holes(rules.given_logits(at.engine, masks), at)
    memories = rules.remember(at.engine, at.levels, logits, [at.options.binarise_prompted] * len(tracks), presence)
    facts = [
        {"iou": 1.0, "presence": presence[n].item(), "attended": False, "exact_mask": mask_only(mask)}
        for n, mask in enumerate(given_masks)
    ]
    return made_known(tracks, memories, pointers, logits, facts, [logits[:0]] * len(tracks), at)


def encode_again(engine: Engine, levels: Levels, known: KnownFrame) -> KnownFrame:
    """A tracked frame with its memory, made of the frame's features and its mask as it was encoded first; where only a
    mask is known of it, with the pointer that the network makes of the mask."""
    presence = arrays.in_precision(engine, arrays.given(engine, np.array([known.presence])))
    memory = rules.remember(engine, levels, known.logits[None], [False], presence)[0]
    if known.pointer is not None:
        return replace(known, memory=memory)
    logits = arrays.resize(known.logits[None, None], (engine.config.image_size,) * 2)
    decoded = rules.point_at(engine, levels, logits > 0)
    pointer = arrays.where(presence[:, None] > 0, decoded.pointers[:, 0], engine.absent_pointer)[0]
    return replace(known, memory=memory, pointer=arrays.as_float(pointer))


def absent_frame(engine: Engine) -> KnownFrame:
    """What is known of an object where a person said that it is absent; of frame 0."""
    nothing = arrays.given(engine, np.full((engine.config.mask_size,) * 2, rules.ABSENT_LOGIT, np.float32))
    return KnownFrame(0, None, None, nothing, iou=1.0, presence=-rules.GIVEN_LOGIT, attended=False)


def merge_frames(one: KnownFrame, other: KnownFrame, size: tuple[int, int]) -> KnownFrame:
    """Two objects in a frame of a size (height, width) as one, without a memory."""
    logits = arrays.maximum(one.logits, other.logits)
    ((area, box),) = areas_and_boxes(logits[None])
    exact = None
    if one.exact_mask is not None or other.exact_mask is not None:
        exact = mask_only(shown_mask(one, size) | shown_mask(other, size))
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
    return np.asarray(resize_logits(arrays.to_numpy(known.logits), size) > 0)


def earlier_logits(track: ObjectTrack, at: FrameContext) -> Array | None:
    """(S/4, S/4), what is given as a mask prompt: on a prompted frame what was answered to an earlier prompt; on
    others, if the network wants it, what was found of the object on the frame before, carried along the flow."""
    if at.frame in track.prompts:
        known = track.known(at.frame)
        return None if known is None else known.logits
    if not at.engine.config.previous_mask:
        return None
    last = track.known(at.frame + 1 if at.backward else at.frame - 1)
    if last is None or last.presence <= 0:
        return None
    if at.flow is None:
        return last.logits
    return arrays.sample(last.logits[None, None], arrays.beside(last.logits, at.flow[None]))[0, 0]


def bank(engine: Engine, tracks: Sequence[ObjectTrack], recalls: Sequence[Recall]) -> MemoryBank:
    """The recalled memories and pointers of a group, stacked."""
    config, count = engine.config, len(tracks)

    def pointer_of(track: ObjectTrack, frame: int) -> Array | None:
        known = track.known(frame)
        return track.whole(frame).pointer if known is None or known.pointer is None else known.pointer

    def by_object(found: list[Array | None], *shape: int) -> Array:
        there = [array for array in found if array is not None]
        assert len(there) == len(found), "a whole frame has its memory and its pointer"
        whole = arrays.stack(there) if there else arrays.given(engine, np.zeros((0, *shape), np.float32))
        return whole.reshape(count, len(there) // count, *shape)

    members = list(zip(tracks, recalls, strict=True))
    memories = [track.whole(frame).memory for track, recall in members for frame in recall.memories]
    pointers = [pointer_of(track, frame) for track, recall in members for frame in recall.pointers]
    ages = [[age / recall.longest for age in recall.ages] for recall in recalls]
    return MemoryBank(
        memories=by_object(memories, *config.memory_shape),
        slots=arrays.given(engine, np.array([recall.slots for recall in recalls], np.int64)),
        pointers=by_object(pointers, config.width),
        ages=arrays.given(engine, np.array(ages, np.float32)),
    )


def fill_holes(logits: Array, at: FrameContext) -> Array:
    """Logits (N, S/4, S/4) whose small holes are barely inside, as published for CUDA; here on every device."""
    largest = at.options.largest_hole(at.engine.config)
    if largest == 0:
        return logits
    holes = np.stack([small_holes(mask, largest) for mask in arrays.to_numpy(logits > 0)])
    return arrays.where(arrays.beside(logits, holes), FILLED_LOGIT, logits)


def areas_and_boxes(logits: Array) -> list[tuple[int, Box]]:
    """Inner cells of N masks, given as logits (N, h, w), and the boxes around them."""
    found: list[tuple[int, Box]] = []
    for inside in arrays.to_numpy(logits > 0).astype(np.uint8):
        x, y, width, height = cv2.boundingRect(inside)
        found.append((cv2.countNonZero(inside), (x, y, x + width, y + height)))
    return found
