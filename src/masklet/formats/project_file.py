"""masklet's own file: a zip of JSON; docs/formats.md describes it.

masklet.json        version, video, objects, events
masks/00000.jsonl   the first FRAMES_PER_MEMBER frames, a line each; masks/00001.jsonl the next, and so on
attachments/NAME    whatever a session keeps beside, stored as it is
"""

import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any

from masklet.atomic import atomic_write
from masklet.errors import FormatError
from masklet.formats.base import Facts, Format, PlainFrame, Sink
from masklet.formats.description import Description
from masklet.formats.json_file import check_plain
from masklet.formats.project import Project, ProjectFrame
from masklet.formats.project_reader import VERSION, is_plain, read_project
from masklet.formats.spool import spooled

FRAMES_PER_MEMBER = 64


def write_project(path: str | PathLike[str], project: Project) -> None:
    """Write a project file. Raises FormatError if it cannot be written, or has notes that could not be read again; what
    was there before stays then."""
    path = Path(path)
    check_plain(project.notes, "notes")
    for name in project.attachments:
        if not is_plain(name):
            raise FormatError(f"{name!r} is no name for an attachment; use letters, digits, and . _ - inside")
    with (
        atomic_write(path, durable=True) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as members,
    ):
        members.writestr("masklet.json", _to_json(_manifest(project)))
        blocks: dict[int, list[int]] = {}
        for frame in sorted(project.frames):
            blocks.setdefault(frame // FRAMES_PER_MEMBER, []).append(frame)
        for block, frames in blocks.items():
            with members.open(f"masks/{block:05d}.jsonl", "w") as file:
                for frame in frames:
                    file.write(_to_json(_frame_record(frame, project)) + b"\n")
        for name, content in project.attachments.items():
            members.writestr(f"attachments/{name}", content, zipfile.ZIP_STORED)


@contextmanager
def write_project_frames(path: Path, facts: Facts) -> Iterator[Sink]:
    """A project of the frames that come, with the prompts of the facts."""
    with spooled(path) as spool:
        yield spool.add
        frames = {}
        for frame in spool.frames():
            frames[frame] = ProjectFrame(spool.times[frame], spool.masks(frame))
        rate = None if facts.rate is None else float(facts.rate)
        project = Project(
            size=facts.size,
            indices=spool.indices,
            descriptions=spool.descriptions,
            frames=frames,
            events=facts.events,
            video=facts.video,
            rate=rate,
            frame_count=facts.frame_count,
            model=facts.model,
            fingerprint=facts.fingerprint,
        )
        write_project(path, project)


def read_project_masks(path: Path) -> Iterator[PlainFrame]:
    """Masks of each frame by the objects' names."""
    yield from read_project(path).results()


def _manifest(project: Project) -> dict[str, Any]:
    height, width = project.size
    return {
        "format": "masklet project",
        "version": VERSION,
        "video": {
            "name": project.video,
            "height": height,
            "width": width,
            "rate": project.rate,
            "frame_count": project.frame_count,
            "fingerprint": asdict(project.fingerprint) if project.fingerprint else None,
        },
        "model": project.model,
        "weights": project.weights,
        "objects": [
            {"name": name, "number": number, **(project.descriptions.get(name) or Description()).to_json()}
            for name, number in project.indices.items()
        ],
        "events": [dict(event) for event in project.events],
        **({"options": dict(project.options)} if project.options else {}),
        **({"notes": dict(project.notes)} if project.notes else {}),
    }


def _frame_record(frame: int, project: Project) -> dict[str, Any]:
    """A line of masks: each object as [its place in "objects", iou, presence, counts], and, if others have some of its
    pixels in index maps, [place, counts] of those."""
    found = project.frames[frame]
    places = {name: place for place, name in enumerate(project.indices)}
    objects = []
    for name, item in found.objects.items():
        assert item.rle.size == project.size, f"the mask of {name!r} in frame {frame} is {item.rle.size}"
        objects.append([places[name], item.iou, item.presence, item.rle.counts])
    lost = [[places[name], item.lost.counts] for name, item in found.objects.items() if item.lost is not None]
    return {"frame": frame, "time": found.time, "objects": objects, **({"lost": lost} if lost else {})}


def _to_json(record: dict[str, Any]) -> bytes:
    return json.dumps(record, separators=(",", ":"), allow_nan=False).encode("ascii")


PROJECT = Format(
    "project",
    "masklet's own file: prompts, masks, scores; all others come from it",
    write_project_frames,
    read_project_masks,
    video=".masklet",
)
