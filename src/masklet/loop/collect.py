"""What people annotated becomes training data, some of it held out."""

import csv
import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from masklet.atomic import make_folder, writing
from masklet.checkpoints import load_engine
from masklet.datasets.base import Clip, ClipKind, IndexMasks, ObjectMasks
from masklet.datasets.frame_folders import frames_in
from masklet.datasets.own import INDEX_COLUMNS, INDEX_FILE
from masklet.engines.base import Engine
from masklet.errors import FormatError, MaskletError
from masklet.evaluation.images import stacked
from masklet.formats.base import MAX_INDEX
from masklet.formats.davis import write_index_png
from masklet.loop.project import Loop
from masklet.media.image_file import IMAGE_SUFFIXES
from masklet.metrics.sequence import VOID
from masklet.training.data import Collection, Wanted, read_data
from masklet.video import TrackingOptions, VideoTracker
from masklet.video.events import Locked
from masklet.video.state import ObjectId, ObjectTrack, known_frames, within

PRELABELED = "ahead"
"""Attribute of objects that the loop found; its value says by which weights."""

DIGEST_FILE = "digest"
"""File in the data of a version with the digest of what was annotated."""

MIN_HELD_OUT = 8
"""Videos and pictures to judge on: by two or three, chance tells which version is better."""

Tell = Callable[[str], None]

Seen = TypeVar("Seen")


@dataclass(frozen=True)
class Collected:
    """What was collected."""

    version: int | None  # its number; None if nothing is new
    learned: int  # videos and pictures to learn from
    held_out: int  # those to judge on


def collect(loop: Loop, tell: Tell) -> Collected:
    """Make the data of the next version of what is annotated now, unless its training has begun. What was held out
    once stays held out, and what was learned from is never judged on.

    Raises FormatError if fewer than two videos or pictures are annotated, or something cannot be read or written.
    """
    begun = loop.open_version()
    if begun is not None and (loop.place(begun) / "run").exists():
        tell(f"the training of version {begun} has begun; what is new since then comes with the next one")
        return _counted(loop, begun)
    by_people = of_sessions(loop, load_engine(loop.weights()), _clip_of, tell)
    parts = (part for text in loop.asked.data for part in read_data([text]))
    given = (clip for part in parts for clip in part.clips if clip.annotations)
    clips = {str(path_of(clip).resolve()): clip for clip in (*by_people, *given)}
    if len(clips) < 2:
        raise FormatError(
            f"{len(clips)} videos and pictures are annotated in {loop.project}; annotate at least two, one to learn "
            "from and one to judge on (masklet annotate --project), or give --data"
        )
    judged = loop.versions.judged
    number = len(judged) + 1
    before = loop.place(begun or number - 1) / "data"
    held_out = _held_out(list(clips), _splits(before), loop.asked.held_out)
    place = loop.place(number) / "data"
    for left in loop.place(number).glob(".data.*partial"):  # of a run that was killed
        shutil.rmtree(left, ignore_errors=True)
    temporary = place.with_name(".data.partial")
    with writing(place):
        digest = _write(clips, held_out, temporary)
        if judged and digest == judged[-1].data:
            shutil.rmtree(loop.place(number))
            return Collected(None, judged[-1].learned, judged[-1].held_out)
        shutil.rmtree(place, ignore_errors=True)
        temporary.replace(place)
    return _counted(loop, number)


def _counted(loop: Loop, number: int) -> Collected:
    splits = list(_splits(loop.place(number) / "data").values())
    return Collected(number, splits.count("train"), splits.count("val"))


def _splits(data: Path) -> dict[str, str]:
    """Video or picture -> train or val, of a version's data; nothing if there is none."""
    if not (data / INDEX_FILE).exists():
        return {}
    with (data / INDEX_FILE).open(newline="", encoding="utf-8") as file:
        return {row["path"]: row["split"] for row in csv.DictReader(file)}


def annotated_clips(loop: Loop) -> list[Clip]:
    """What the newest version learned from, or learns from, and what it is judged on."""
    number = loop.open_version() or len(loop.versions.judged)
    splits = set(_splits(loop.place(number) / "data").values())
    return [clip for split in sorted(splits) for part in data_of(loop, number, split) for clip in part.clips]


def data_of(loop: Loop, number: int, split: str) -> list[Collection]:
    """What a version learns from, train, or is judged on, val."""
    return read_data([Wanted(loop.place(number) / "data", "index")], split=split)


def of_sessions(
    loop: Loop, engine: Engine, look: Callable[[VideoTracker], Iterator[Seen]], tell: Tell
) -> Iterator[Seen]:
    """What `look` finds in each of the annotator's sessions. One that cannot be read is told, and stops no other."""
    for file in sorted((loop.project / "videos").glob("*/session.masklet")):
        try:
            # The annotator may have it open: nothing is written here.
            with VideoTracker.open(file, None, engine, options=TrackingOptions(), other_weights=True) as tracker:
                yield from look(tracker)
        except MaskletError as error:
            tell(f"{file.parent.name} is left out: {error}")


def _clip_of(tracker: VideoTracker) -> Iterator[Clip]:
    """The frames for which a person answers, for all objects that are known there, by number; numbers that are too high
    are unknown."""
    masks = {frame: _in_bytes(tracker.masks(frame).index_map()) for frame in answered_frames(tracker)}
    if masks:
        video = Path(tracker.path)
        kind: ClipKind = "image" if video.suffix.lower() in IMAGE_SUFFIXES else "video"
        frames = frames_in(video) if video.is_dir() else video
        yield Clip(video.stem, frames, {f: partial(IndexMasks, found) for f, found in masks.items()}, kind)


def answered_frames(tracker: VideoTracker) -> list[int]:
    """The frames for which a person answers: every object that is known there was prompted, locked, accepted or said to
    be absent, at least one of them by a person and not ahead of people."""
    locked = {(event.frame, event.object) for event in tracker.events if isinstance(event, Locked)}

    def by_person(name: ObjectId, track: ObjectTrack, frame: int) -> bool:
        if PRELABELED not in track.description.attributes or within(frame, (*track.accepted, *track.absent)):
            return True
        said = track.prompts.get(frame)
        touched = said is not None and (bool(said.points) or said.box is not None)
        return touched or (frame, name) in locked or (frame, None) in locked

    found = []
    for frame in known_frames(tracker.tracks):
        there = {name: track for name, track in tracker.tracks.items() if track.stats(frame) is not None}
        stand = all(track.stands(frame) for track in there.values())
        if stand and any(by_person(name, track, frame) for name, track in there.items()):
            found.append(frame)
    return found


def path_of(clip: Clip) -> Path:
    """Where a clip lies. Raises FormatError for one that is no file and no folder of pictures."""
    if isinstance(clip.video, Path):
        return clip.video
    files = [file for file in clip.video if isinstance(file, Path)]
    if len(files) == 1 == len(clip.video):
        return files[0]
    if len({file.parent for file in files}) == 1 and len(files) == len(clip.video):
        return files[0].parent
    raise FormatError(f"{clip.name} is no film and no folder of pictures; a loop learns from these alone")


def _held_out(paths: Sequence[str], known: dict[str, str], share: float) -> set[str]:
    """Those that are judged on: the ones that were before, and of new ones, in an order by chance that is always the
    same, as many as the share asks for; while that is fewer than MIN_HELD_OUT, half of all."""
    held = {path for path in paths if known.get(path) == "val"}
    wanted = min(max(round(share * len(paths)), min(MIN_HELD_OUT, len(paths) // 2)), len(paths) - 1)
    new = sorted((path for path in paths if path not in known), key=lambda path: hashlib.sha1(path.encode()).digest())
    return held | set(new[: max(0, wanted - len(held))])


def _write(clips: dict[str, Clip], held_out: set[str], folder: Path) -> str:
    """Write masks and the index; the digest of both."""
    digest, rows = hashlib.sha256(), [INDEX_COLUMNS]
    for number, (path, clip) in enumerate(sorted(clips.items())):
        masks = folder / "masks" / f"{number:05d}"
        make_folder(masks)
        for frame in clip.annotated:
            labels = label_map(clip.masks(frame))
            digest.update(path.encode() + frame.to_bytes(8, "little") + labels.tobytes())
            write_index_png(masks / f"{clip.stem(frame)}.png", labels)
        of_picture = Path(path).suffix.lower() in IMAGE_SUFFIXES
        place = masks / f"{clip.stem(0)}.png" if of_picture else masks
        kind, split = "image" if of_picture else "video", "val" if path in held_out else "train"
        rows.append((kind, path, str(place.relative_to(folder)), split))
    with (folder / INDEX_FILE).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    (folder / DIGEST_FILE).write_text(digest.hexdigest(), encoding="utf-8")
    return digest.hexdigest()


def label_map(masks: ObjectMasks) -> NDArray[np.uint8]:
    """uint8 (H, W): the objects by number, 254 for number 0 of SA-V, the smaller ones on top; 255 is unknown."""
    named = {number or MAX_INDEX: mask for number, mask in masks.items()}
    labels = stacked(named) if named else np.zeros(masks.size, np.int32)
    if masks.void is not None:
        labels[masks.void] = VOID
    return _in_bytes(labels)


def _in_bytes(numbers: NDArray[Any]) -> NDArray[np.uint8]:
    return np.where(numbers > MAX_INDEX, VOID, numbers).astype(np.uint8)
