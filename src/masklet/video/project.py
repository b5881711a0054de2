"""A session in a project file, and from it again.

Masks and scores of all frames are in the file for every program. Beside them lie three kinds of attachments, which only
a tracker reads: what the next frames recall, whole; of all other frames what is needed to encode their memory again;
and what the newest events changed, so that they can be undone at once.
"""

import hashlib
import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from masklet.engines.arrays import given
from masklet.engines.base import Engine
from masklet.errors import CheckpointError
from masklet.formats.base import Facts, Fingerprint, RleMask
from masklet.formats.description import Description
from masklet.formats.project_file import FRAMES_PER_BLOCK, Lazy, Project, ProjectFrame, frames_in_blocks
from masklet.media.image_file import IMAGE_SUFFIXES, files_in
from masklet.media.source import FrameSource
from masklet.prompts import Prompt
from masklet.video import packing
from masklet.video.events import Cleared, Event, Followed, Prompted, Removed, event_from_json
from masklet.video.journal import Snapshot, log_of, pack_changes, with_frame
from masklet.video.options import TrackingOptions, options_to_json
from masklet.video.packing import facts_to_json
from masklet.video.result import ShownMasks, descriptions, numbers
from masklet.video.state import KnownFrame, ObjectId, ObjectTrack, Tracks, known_frames
from masklet.video.step import areas_and_boxes
from masklet.video.store import FrameStore

FINGERPRINT_BYTES = 1 << 20
"""Bytes at the beginning and the end of a video's file by which it is known again."""


def to_project(
    session: Snapshot, facts: Facts, options: TrackingOptions, engine: Engine, window: int, shown: ShownMasks
) -> Project:
    """The project that keeps a session, with frames and attachments that are made when they are asked for. `window` is
    how many frames around the ends of passes are kept whole."""

    def block(number: int) -> dict[int, ProjectFrame]:
        begin, end = (bisect_left(known, place * FRAMES_PER_BLOCK) for place in (number, number + 1))
        return {f: shown(tracks, f) for f in known[begin:end]}

    tracks, known = session.tracks, known_frames(session.tracks)
    whole = frames_to_recall(tracks, [event for event, _ in session.log], window)
    tracked = {(name, frame) for name, kind, frame in whole if kind == "tracked"}
    rows = {name: [f for f in sorted(track.tracked) if (name, f) not in tracked] for name, track in tracks.items()}
    packed: dict[str, Callable[[], bytes]] = {
        packing.ENTRIES_ATTACHMENT: lambda: packing.pack_items(
            (packing.packed_item(tracks, key) for key in whole),
            objects=[[name, facts_to_json(track)] for name, track in tracks.items()],
        ),
        packing.STATS_ATTACHMENT: lambda: packing.pack_index(tracks, rows, session.times, engine),
        **{name: partial(packing.pack_block, tracks, of, shown) for name, of in packing.in_blocks(rows).items()},
        packing.UNDO_ATTACHMENT: lambda: pack_changes(tracks, session.log, shown),
    }
    return Project(
        size=facts.size,
        indices=numbers(tracks),
        descriptions=descriptions(tracks),
        frames=frames_in_blocks(known, block),
        events=facts.events,
        rate=None if facts.rate is None else float(facts.rate),
        frame_count=facts.frame_count,
        model=facts.model,
        weights=engine.digest,
        fingerprint=facts.fingerprint,
        options=options_to_json(options),
        notes=session.notes,
        attachments=Lazy(packed, lambda name: packed[name]()),
    )


def frames_to_recall(tracks: Tracks, events: Sequence[Event], window: int) -> list[packing.FrameKey]:
    """All that a person answers for, with what was tracked beneath it, a window around the places where passes ended
    and from which none went on yet, and the anchors there."""
    ends = open_ends([event for event in events if isinstance(event, Followed)])
    keys: list[packing.FrameKey] = []
    for name, track in tracks.items():
        near = {f for end in ends for f in range(end - window, end + window + 1) if f in track.tracked}
        anchors = {a for f in near if (stats := track.tracked.stats(f)) for a in stats.anchors}
        wanted = {*track.prompted, *near, *anchors}
        keys += [(name, "prompted", frame) for frame in track.prompted]
        keys += [(name, "tracked", frame) for frame in sorted(wanted) if frame in track.tracked]
    return keys


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


def from_project(project: Project, store: FrameStore, new: ObjectTrack) -> Snapshot:
    """The session of a project, whose frames go into a store. Raises `FormatError` if what the project keeps of it is
    damaged, and `CheckpointError` if it was made with a model of other sizes."""
    saved = packing.SavedFrames(project, store.engine) if packing.STATS_ATTACHMENT in project.attachments else None
    events = [event_from_json(record, project.size) for record in project.events]
    facts = packing.facts_in(project) or {name: {"prompts": said} for name, said in prompts_said(events).items()}
    tracks: Tracks = {
        name: replace(
            new,
            tracked=new.tracked if saved is None else saved.tracked(name, store),
            number=number,
            **{"description": project.descriptions.get(name, Description()), **facts.get(name, {})},
        )
        for name, number in project.indices.items()
    }
    for name, kind, known in packing.read_items(project, packing.ENTRIES_ATTACHMENT, store.engine):
        tracks = with_frame(tracks, name, kind, known)
    for frame, found in project.frames.items() if saved is None else ():
        for name, mask in found.objects.items():
            if tracks[name].stats(frame) is None:
                known = from_mask(mask, frame, store.engine, backward=went_backward(events, name, frame))
                tracks = with_frame(tracks, name, "tracked", known)
    times = saved.times if saved is not None else {frame: found.time for frame, found in project.frames.items()}
    return Snapshot(tracks, log_of(project, events, tracks, new, store.engine), times, project.notes)


def from_mask(mask: RleMask, frame: int, engine: Engine, *, backward: bool) -> KnownFrame:
    """A frame of which a file has mask and scores alone: its logits are made of the distance to the mask's edge."""
    side = engine.config.mask_size
    small = np.asarray(cv2.resize(mask.full_logits(), (side, side), interpolation=cv2.INTER_AREA), np.float32)
    logits = given(engine, small)
    ((area, box),) = areas_and_boxes(logits[None])
    return KnownFrame(
        frame,
        memory=None,
        pointer=None,
        logits=logits,
        exact_mask=mask,
        iou=mask.iou,
        presence=logit(mask.presence),
        attended=True,
        backward=backward,
        area=area,
        box=box,
    )


def logit(probability: float) -> float:
    """The logit of a probability, within -32 and 32."""
    if not 0 < probability < 1:
        return 32.0 if probability >= 1 else -32.0
    return max(-32.0, min(32.0, math.log(probability / (1 - probability))))


def went_backward(events: Sequence[Event], name: ObjectId, frame: int) -> bool:
    """Whether an object was followed backward into a frame last, by the log of a session."""
    for event in reversed(events):
        if isinstance(event, Followed) and event.only in (None, name):
            first, last = sorted((event.first, event.last))
            if first <= frame <= last:
                return event.backward
    return False


def prompts_said(events: Sequence[Event]) -> dict[ObjectId, dict[int, Prompt]]:
    """The prompts that stand at the end of a log, by object and frame; for files in which no tracker kept them."""
    said: dict[ObjectId, dict[int, Prompt]] = {}
    for event in events:
        match event:
            case Prompted(frame, name, prompt):
                said.setdefault(name, {})[frame] = prompt
            case Cleared(frame, name):
                said.get(name, {}).pop(frame, None)
            case Removed(name):
                said.pop(name, None)
    return said


def check_model(project: Project, engine: Engine, *, other_weights: bool) -> None:
    """Raise `CheckpointError` if a project was made with other weights, in another speed mode or at another image size
    than a model. Files of other programs may name no model, and have no digest of weights."""
    name, digest = engine.config.name, engine.digest
    mark = project.model.partition(":")[2]  # of a speed mode or an image size
    if project.model and mark != name.partition(":")[2]:
        raise CheckpointError(
            f"the session was made with {project.model}, and this is {name}; give the speed and image size that it was "
            "made with"
        )
    if other_weights or not project.weights or not digest or project.weights == digest:
        return
    raise CheckpointError(
        f"the session was made with other weights of {project.model or 'a model'} (digest {project.weights[:8]}, and "
        f"{digest[:8]} here); give the model that it was made with, or other_weights=True to go on with this one"
    )


def fingerprint_of(source: FrameSource, path: str) -> Fingerprint:
    """What identifies a video: its size, and the head and tail of its file, the names of its pictures, or the number of
    those in memory. Nothing of it may change while the video is read, as the frame count of a file does."""
    digest = hashlib.sha256()
    file = Path(path) if path else None
    if file is not None and file.is_dir():
        for picture in files_in(file, IMAGE_SUFFIXES):
            digest.update(f"{picture.name} {picture.stat().st_size}\n".encode("utf-8", "surrogateescape"))
    elif file is not None and file.is_file():
        with file.open("rb") as data:
            digest.update(data.read(FINGERPRINT_BYTES))
            data.seek(max(0, file.stat().st_size - FINGERPRINT_BYTES))
            digest.update(data.read(FINGERPRINT_BYTES))
    in_memory = file is None and source.seekable
    return Fingerprint(source.size, source.frame_count if in_memory else None, digest.hexdigest())
