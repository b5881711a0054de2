"""Masks from files of every format that is read, taken over frame by frame between other work."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

from masklet.app.jobs import Steps
from masklet.atomic import atomic_write, make_folder
from masklet.errors import FormatError
from masklet.formats.registry import read_masks, recognise_format
from masklet.video import VideoTracker

LARGEST = 1 << 30
"""Bytes of a file with masks that a page may send."""

LONGEST = 100
"""Letters of its name."""


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
        path: The file.
        first: The first frame that is taken.
        last: The last one; all that follow if not given.

    Yields: `frame`, and `done`, how many masks were taken so far.

    Raises MaskletError: the file is of no format that is read, its masks are of another size, or belong to frames that
    the video does not have. What was taken before stays.
    """
    done, described = 0, set()
    for frame in read_masks(recognise_format(path).name, path):
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
