"""A session in a project file, and from it again; and what is known of a session in any other format."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from masklet.errors import CheckpointError, FormatError
from masklet.formats.base import Facts, Fingerprint, PlainFrame, comes_evenly
from masklet.formats.project import Project, check_video, project_frame
from masklet.media.folder import files_in
from masklet.media.image_file import IMAGE_SUFFIXES
from masklet.media.source import FrameSource
from masklet.prompts import Prompt
from masklet.video import bidirectional, saving, session
from masklet.video.events import Cleared, Event, Prompted, Removed
from masklet.video.result import numbers, object_results
from masklet.video.session import Tracks
from masklet.video.state import ObjectId, ObjectTrack
from masklet.video.store import EntryStore, StoredEntries

if TYPE_CHECKING:
    from masklet.video.tracker import VideoTracker

HEAD = 1 << 20
"""Bytes at the beginning and the end of a video's file by which it is known again."""


def to_project(tracker: VideoTracker, path: str | os.PathLike[str]) -> Project:
    """The project that keeps a session in a file at `path`."""
    recalled = saving.entries_to_recall(tracker.tracks, tracker.events, tracker.policy.window)
    known = facts(tracker)
    return Project(
        size=known.size,
        indices=numbers(tracker.tracks),
        frames={result.frame: project_frame(result) for result in plain_results(tracker)},
        events=known.events,
        video=path_from(tracker.path, path),
        rate=tracker.source.rate,
        frame_count=known.frame_count,
        model=known.model,
        weights=tracker.engine.digest,
        fingerprint=known.fingerprint,
        options=saving.options_to_json(tracker.options),
        notes=tracker.notes,
        attachments={saving.ENTRIES: saving.pack_entries(recalled)},
    )


def facts(tracker: VideoTracker) -> Facts:
    """What a writer is told of a session's video."""
    known, file = tracker.known_frames(), Path(tracker.path)
    return Facts(
        size=tracker.size,
        rate=tracker.source.rate,
        frame_count=tracker.source.frame_count,
        video=tracker.path,
        audio_from=file if file.is_file() else None,
        model=tracker.engine.config.name,
        names=[file.name for file in getattr(tracker.source, "files", ())],
        fingerprint=fingerprint_of(tracker.source, tracker.path),
        events=[saving.event_to_json(event) for event in tracker.events],
        steady=comes_evenly(tracker.source.rate, known, [tracker.times.get(frame, 0.0) for frame in known]),
    )


def plain_results(tracker: VideoTracker) -> Iterator[PlainFrame]:
    """What is known of each frame, without pictures."""
    size, side, indices = tracker.size, tracker.engine.config.mask_size, numbers(tracker.tracks)
    for frame in tracker.known_frames():
        objects = object_results(tracker.tracks, frame, size, side, tracker.options.non_overlapping)
        yield PlainFrame(frame, tracker.times.get(frame, 0.0), size, objects, indices)


def check(project: Project, tracker: VideoTracker, *, other_weights: bool) -> None:
    """Raise `FormatError` if a project was made from another video, `CheckpointError` if with other weights, or in
    another speed mode or at another image size. Files of the first versions don't tell their weights."""
    check_video(project, fingerprint_of(tracker.source, tracker.path))
    name = tracker.engine.config.name
    if project.model.partition(":")[2] != name.partition(":")[2]:  # the mark of a speed mode or an image size
        raise CheckpointError(
            f"the session was made with {project.model}, and this is {name}; give the speed and image size that it was "
            "made with"
        )
    here = tracker.engine.digest
    if other_weights or not project.weights or not here or project.weights == here:
        return
    raise CheckpointError(
        f"the session was made with other weights of {project.model or 'a model'} (digest {project.weights[:8]}, and "
        f"{here[:8]} here); give the model that it was made with, or other_weights=True to go on with this one"
    )


@dataclass(frozen=True)
class Reopened:
    """What a project tells of a session: its state, its log, and the times of the frames that it knows."""

    tracks: Tracks
    events: list[Event]
    times: Mapping[int, float]


def from_project(project: Project, store: EntryStore) -> Reopened:
    """The session of a project: its events, what is recalled, and the masks of all other frames as they are.

    Raises `FormatError` if what the project keeps of a session is damaged.
    """
    tracks: dict[ObjectId, ObjectTrack] = {
        name: session.begun(StoredEntries(store), number) for name, number in project.indices.items()
    }
    attachment = project.attachments.get(saving.ENTRIES, b"")
    for (name, kind, entry), exact in saving.unpack_entries(attachment, store.device):
        keep = session.approved if kind == "prompted" else session.tracked
        if name not in tracks:
            raise FormatError(f"the project remembers {name!r}, which is none of its objects; give another copy")
        if exact:
            entry = replace(entry, exact_mask=project.frames[entry.frame].objects[name].rle)
        tracks[name] = keep(tracks[name], entry)
    events = [saving.event_from_json(record, project.size) for record in project.events]
    said = prompts_said(events)
    for name, track in tracks.items():
        saved = {f: found.objects[name] for f, found in project.frames.items() if name in found.objects}
        backward = bidirectional.backward_frames(events, name)
        tracks[name] = replace(track, prompts=said.get(name, {}), saved=saved, saved_backward=backward)
    return Reopened(tracks, events, {frame: found.time for frame, found in project.frames.items()})


def prompts_said(events: Sequence[Event]) -> dict[ObjectId, dict[int, Prompt]]:
    """The prompts that stand at the end of a log, by object and frame."""
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


def path_from(video: str, project: str | os.PathLike[str]) -> str:
    """How a project file tells where its video lies: beginning at its own folder. An empty text stays one."""
    if not video or "://" in video:
        return ""
    return Path(os.path.relpath(Path(video).absolute(), Path(project).absolute().parent)).as_posix()


def fingerprint_of(source: FrameSource, path: str) -> Fingerprint:
    """What identifies a video: its size, and the head and tail of its file, the names of its pictures, or the number of
    those in memory. Nothing of it may change while the video is read, as the frame count of a file does."""
    digest = hashlib.sha256()
    file = Path(path) if path else None
    if file is not None and file.is_dir():
        for picture in files_in(file, IMAGE_SUFFIXES):
            digest.update(f"{picture.name} {picture.stat().st_size}\n".encode())
    elif file is not None and file.is_file():
        with file.open("rb") as data:
            digest.update(data.read(HEAD))
            data.seek(max(0, file.stat().st_size - HEAD))
            digest.update(data.read(HEAD))
    in_memory = file is None and source.seekable
    return Fingerprint(source.size, source.frame_count if in_memory else None, digest.hexdigest())
