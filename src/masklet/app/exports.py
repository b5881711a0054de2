"""Files of every format, made frame by frame between other work."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from masklet.app.jobs import Steps
from masklet.atomic import atomic_write, make_folder
from masklet.errors import FormatError
from masklet.formats.base import Format
from masklet.formats.registry import find_format, formats
from masklet.formats.writer import Writer
from masklet.media.source import open_video
from masklet.video import VideoTracker
from masklet.video.result import frame_result
from masklet.video.state import ObjectId


def choices(*, picture: bool) -> list[dict[str, Any]]:
    """The formats that can be written: name, help and ending."""
    found = [(entry, ending_of(entry, picture=picture)) for entry in formats().values()]
    return [{"name": e.name, "help": e.help, "ending": ending} for e, ending in found if ending is not None]


def ending_of(entry: Format, *, picture: bool) -> str | None:
    """The ending of a format's file; empty for a folder, None where it cannot hold this."""
    return entry.picture if picture and entry.picture is not None else entry.video


def export(
    tracker: VideoTracker,
    video: Path,
    folder: Path,
    name: str,
    *,
    first: int | None = None,
    last: int | None = None,
    objects: Sequence[ObjectId] | None = None,
    picture: bool = False,
) -> Steps:
    """Write what is known in a format, a step a frame; a folder becomes a ZIP beside it.

    Args:
        tracker: The session. It may change on the way: what is written is what was known at the beginning.
        video: The video or picture.
        folder: Where the file is made.
        name: Of the format.
        first: The first frame; if not given, the first one known.
        last: The last frame; if not given, the last one known.
        objects: Only these.
        picture: Whether it is a single picture.

    Yields: `frame` and `of` for each frame, and at the end `file`, the name of what was written.

    Raises FormatError: unknown format or objects, nothing to write, a place that cannot be written.
    """
    entry, tracks = find_format(name), tracker.tracks
    ending = ending_of(entry, picture=picture)
    if ending is None:
        raise FormatError(f"the format {name} cannot hold this; take another one")
    unknown = [str(one) for one in objects or () if one not in tracks]
    if unknown:
        raise FormatError(f"there is no object {', '.join(unknown)}; choose among {', '.join(map(str, tracks))}")
    frames = [f for f in tracker.known_frames() if (first is None or f >= first) and (last is None or f <= last)]
    if not frames:
        raise FormatError("nothing is known in these frames; follow an object first, or choose others")
    make_folder(folder)
    target = folder / f"{video.stem}-{name}{ending}"
    if target.is_dir():
        shutil.rmtree(target)
    if name == "project":
        tracker.save(target)
        yield {"frame": len(frames), "of": len(frames), "file": target.name}
        return
    wanted, facts = set(frames), tracker.facts(frames)
    source = open_video(video)
    try:
        with Writer(entry.open, target, replace(facts, audio_from=None) if picture else facts) as sink:
            written = 0
            for shown in source.frames(frames[0], frames[-1] + 1):
                if shown.index not in wanted:
                    continue
                result = frame_result(shown, tracks, tracker.options.non_overlapping)
                if objects is not None:
                    result = replace(result, objects={k: v for k, v in result.objects.items() if k in objects})
                sink.write(result)
                written += 1
                yield {"frame": written, "of": len(frames)}
    finally:
        source.close()
    if target.is_dir():
        packed = target.with_name(f"{target.name}.zip")
        with atomic_write(packed) as temporary:
            made = shutil.make_archive(str(temporary), "zip", target)
            Path(made).replace(temporary)
        target = packed
    yield {"frame": len(frames), "of": len(frames), "file": target.name}
