"""Masks from files of every format that is read, taken over frame by frame between other work."""

from __future__ import annotations

import re
import shutil
import zipfile
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from masklet.app.jobs import Steps
from masklet.atomic import atomic_write, make_folder
from masklet.errors import FormatError
from masklet.formats.base import PlainFrame
from masklet.formats.registry import formats, read_masks, recognise_format
from masklet.video import VideoTracker

LARGEST = 1 << 30
"""Bytes of a file with masks that a page may send."""

LONGEST = 100
"""Letters of its name."""

UNPACKED, MEMBERS = 4 << 30, 100_000
"""Bytes to which a ZIP may unpack, and files in it."""


async def receive(folder: Path, name: str, content: AsyncIterator[bytes]) -> str:
    """Keep a file that a page sends in a folder, and give the name under which it is there. Raises FormatError if it is
    too large or cannot be written."""
    plain = re.sub(r"[^\w.()-]+", "-", name).strip(".-")[-LONGEST:] or "masks"
    make_folder(folder)
    size = 0
    with atomic_write(folder / plain) as temporary, temporary.open("wb") as file:
        async for part in content:
            size += len(part)
            if size > LARGEST:
                raise FormatError(f"{plain} has more than {LARGEST >> 30} GiB, too many for a file with masks")
            file.write(part)
    return plain


def take_masks(tracker: VideoTracker, path: Path, first: int, last: int | None) -> Steps:
    """Give a session the masks of a file, a step a frame: each becomes a mask prompt of its object, which has the name
    that the file gives it. An empty mask says nothing.

    Args:
        tracker: The session.
        path: The file. A ZIP may hold the folder of a format, or one annotation file, with pictures or without.
        first: The first frame that is taken.
        last: The last one; all that follow if not given.

    Yields: `frame`, and `done`, how many masks were taken so far.

    Raises MaskletError: the file is of no format that is read, its masks are of another size, or belong to frames that
    the video does not have. What was taken before stays.
    """
    with places(path) as (format, place):
        yield from _take(tracker, read_masks(format, place), first, last)


def _take(tracker: VideoTracker, frames: Iterator[PlainFrame], first: int, last: int | None) -> Steps:
    done, described = 0, set()
    for frame in frames:
        if frame.frame < first or (last is not None and frame.frame > last):
            continue
        for name, item in frame.objects.items():
            mask = item.mask
            if not mask.any():
                continue
            tracker.add_mask(frame=frame.frame, object=name, mask=mask)
            said = frame.descriptions.get(name)
            if said is not None and name not in described:
                tracker.describe(name, title=said.title, category=said.category, attributes=said.attributes)
                described.add(name)
            done += 1
        yield {"frame": frame.frame, "done": done}


@contextmanager
def places(path: Path) -> Iterator[tuple[str, Path]]:
    """The format of a file, and where it is; a ZIP is unpacked beside it for as long as this lasts. Raises FormatError
    for what is not read."""
    if path.suffix.lower() != ".zip":
        yield recognise_format(path).name, path
        return
    folder = path.with_name(f"{path.name}.files")
    try:
        unpack(path, folder)
        found = found_in(folder)
        if found is None:
            raise FormatError(
                f"{path.name} holds no masks that are read; put the folder of a format into it, such as numbered "
                "PNGs, or an annotation file"
            )
        yield found
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def unpack(path: Path, folder: Path) -> None:
    """Unpack a ZIP. Raises FormatError if it is damaged or too large."""
    try:
        with zipfile.ZipFile(path) as members:
            infos = members.infolist()
            size = sum(info.file_size for info in infos)
            if size > UNPACKED or len(infos) > MEMBERS:
                raise FormatError(
                    f"{path.name} unpacks to {size} bytes in {len(infos)} files; give at most {UNPACKED} and {MEMBERS}"
                )
            members.extractall(folder)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError, NotImplementedError) as error:
        raise FormatError(f"{path.name} cannot be unpacked ({error}); give another copy") from error


def found_in(folder: Path) -> tuple[str, Path] | None:
    """The format of what was unpacked, and where it is: the folder, the only folder in it, or the first annotation file
    that is read; None if there is none."""
    inner = [entry for entry in folder.iterdir() if entry.name != "__MACOSX" and not entry.name.startswith(".")]
    if len(inner) == 1 and inner[0].is_dir():
        return found_in(inner[0])
    suffixes = {entry.video for entry in formats().values() if entry.read and entry.video}
    for place in (folder, *sorted(file for file in folder.rglob("*") if file.suffix.lower() in suffixes)):
        with suppress(FormatError):
            return recognise_format(place).name, place
    return None
