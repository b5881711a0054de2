"""SA-V: one JSON with, for each frame, a list of run lengths over all objects ("masklets")."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from masklet.errors import FormatError
from masklet.formats.base import Facts, Format, ObjectId, PlainFrame, Sink, read_frame
from masklet.formats.json_file import entries, load_json, size_of, write_listed
from masklet.formats.spool import Spool, spooled
from masklet.masks.rle import encode_rle, rle_area, rle_from_json

SAV_RATE = 24.0
"""Frames a second of SA-V's own videos, for the duration where nothing says the rate."""


@contextmanager
def write_sav(path: Path, facts: Facts) -> Iterator[Sink]:
    """Every frame from 0 to the last is annotated (SA-V's own files: every fourth); frames not written are empty."""
    with spooled(path) as spool:
        yield spool.add
        nothing = encode_rle(np.zeros(facts.size, np.bool_))

        def row(frame: int) -> list[Any]:
            masks = spool.masks(frame)
            return [(masks[name].rle if name in masks else nothing).to_json() for name in spool.indices]

        write_listed(path, _head(spool, facts), "masklet", map(row, range(max(spool.frames(), default=-1) + 1)))


def _head(spool: Spool, facts: Facts) -> dict[str, Any]:
    """All fields but the masks, under SA-V's names; and `masklet_frames`, `masklet_name`, which are ours."""
    height, width = facts.size
    frames = spool.frames()
    count = facts.frame_count or (frames[-1] + 1 if frames else 0)
    tracks = [_track_facts(spool, name) for name in spool.indices]
    pixels = height * width
    return {
        "video_id": Path(facts.video).stem or "video",
        "video_duration": count / float(facts.rate or SAV_RATE),
        "video_frame_count": float(count),
        "video_height": float(height),
        "video_width": float(width),
        "video_resolution": float(pixels),
        "video_environment": "",
        "video_split": "",
        "masklet_id": list(spool.indices.values()),
        "masklet_size_rel": [track["size"] / pixels for track in tracks],
        "masklet_size_abs": [track["size"] for track in tracks],
        "masklet_size_bucket": [_bucket(track["size"]) for track in tracks],
        "masklet_visibility_changes": [track["changes"] for track in tracks],
        "masklet_first_appeared_frame": [track["first"] for track in tracks],
        "masklet_frame_count": [len(frames)] * len(tracks),
        "masklet_edited_frame_count": [0] * len(tracks),
        "masklet_type": ["auto"] * len(tracks),
        "masklet_stability_score": None,
        "masklet_num": len(tracks),
        "masklet_frames": frames,
        "masklet_name": list(spool.indices),
    }


def _track_facts(spool: Spool, name: ObjectId) -> dict[str, Any]:
    """Mean area where the object is seen, how often that changes after its first frame, and this frame."""
    areas = {frame: rle_area(item.rle) for frame, item in spool.track(name)}
    seen = [frame for frame, area in areas.items() if area]
    visible = [bool(area) for frame, area in areas.items() if seen and frame >= seen[0]]
    changes = sum(before != after for before, after in pairwise(visible))
    size = sum(areas.values()) / len(seen) if seen else 0.0
    return {"size": size, "changes": changes, "first": float(seen[0]) if seen else -1.0}


def _bucket(size: float) -> str:
    return "small" if size < 32**2 else "medium" if size < 96**2 else "large"


def read_sav(path: Path) -> Iterator[PlainFrame]:
    """Masks of each annotated frame by the objects' names where masklet wrote them, else by masklet_id.

    A frame's number is its place in the list: of SA-V's own files, which have every fourth frame, 0, 1, 2 ...
    """
    content = load_json(path)
    name = path.name
    size = size_of(content, name, prefix="video_")
    rows = entries(content, "masklet", list, name)
    ids = entries(content, "masklet_id", int, name)
    known = content.get("masklet_name", ids)
    if not isinstance(known, list) or len(known) != len(ids) or not all(isinstance(item, int | str) for item in known):
        raise FormatError(f"'masklet_name' in {name} is no list of {len(ids)} names")
    for frame in entries({"masklet_frames": list(range(len(rows))), **content}, "masklet_frames", int, name):
        if not 0 <= frame < len(rows):
            raise FormatError(f"{name} has masks of {len(rows)} frames, and names frame {frame}; is it cut short?")
        row = rows[frame]
        if len(row) != len(ids):
            raise FormatError(f"{name} has {len(row)} masks in frame {frame} for {len(ids)} objects")
        masks = {item: rle_from_json(mask, size) for item, mask in zip(known, row, strict=True)}
        yield read_frame(frame, masks, size, dict(zip(known, ids, strict=True)))


SAV = Format(
    "sav",
    "SA-V JSON: run lengths per frame and object; any number of objects",
    write_sav,
    read_sav,
    video=".json",
)
