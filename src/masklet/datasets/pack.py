"""All training data in one small file, to travel to a machine that has nothing else.

A pack is a zip with the index-PNG layout inside: pictures as WebP, videos as H.264, masks as index PNGs.
"""

import csv
import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from masklet.atomic import atomic_write
from masklet.datasets.base import IndexMasks, Labelled
from masklet.datasets.own import FURTHER_COLUMNS, INDEX, INDEX_COLUMNS, SUFFIX, Row, clip_of, read_rows
from masklet.errors import FormatError

RATE = 24
"""Frames a second of videos in a pack; training does not look at it."""

AT_ONCE = 32
"""Frames of a video that are in memory at once."""


@dataclass(frozen=True)
class PackOptions:
    """How small it becomes."""

    longest: int = 384  # longest side of pictures and videos in pixels
    quality: int = 34  # of WebP, 0 to 100
    split: str = "train"  # the rows that are packed
    factor: int = 27  # of H.264, its constant rate factor: more is smaller


def write_pack(
    root: Path, path: Path, options: PackOptions, report: Callable[[int, int], None] = lambda done, of: None
) -> int:
    """Pack a folder of the index-PNG layout; returns the bytes of the pack.

    report  is called with how many rows are done, of how many
    """
    if path.suffix != SUFFIX:
        raise FormatError(f"{path} does not end in {SUFFIX}; give a name that does")
    if not (rows := read_rows(root, options.split)):
        raise FormatError(f"{root / INDEX} has no rows of the split {options.split!r}; there is nothing to pack")
    with atomic_write(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as members:
        packed = []
        for number, row in enumerate(rows, start=1):
            pack = _pack_picture if row["kind"] == "image" else _pack_video
            packed.append(pack(root, row, members, options))
            report(number, len(rows))
        table = io.StringIO(newline="")
        writer = csv.DictWriter(table, INDEX_COLUMNS + FURTHER_COLUMNS)
        writer.writeheader()
        writer.writerows(packed)
        members.writestr(INDEX, table.getvalue())
    return path.stat().st_size


def _pack_picture(root: Path, row: Row, members: zipfile.ZipFile, options: PackOptions) -> Row:
    (frame,) = clip_of(root, row).read([0])
    size = _shrunk(frame.masks.size, options.longest, even=False)
    name = str(Path(row["path"]).with_suffix(""))
    content = io.BytesIO()
    image = Image.fromarray(_resized(frame.image, size, cv2.INTER_AREA))
    image.save(content, "WEBP", quality=options.quality, method=6)
    members.writestr(f"{name}.webp", content.getvalue())
    members.writestr(f"{name}.png", _png(frame, size))
    return _row(row, f"{name}.webp", f"{name}.png")


def _pack_video(root: Path, row: Row, members: zipfile.ZipFile, options: PackOptions) -> Row:
    """Its annotated frames, which are all that is learned from."""
    clip = clip_of(root, row)
    (first,) = clip.read(clip.annotated[:1])
    size = _shrunk(first.masks.size, options.longest, even=True)
    name = str(Path(row["path"]).with_suffix(""))

    def images() -> Iterator[NDArray[np.uint8]]:
        for start in range(0, len(clip.annotated), AT_ONCE):
            for number, frame in enumerate(clip.read(clip.annotated[start : start + AT_ONCE]), start):
                members.writestr(f"{name}/{number:05d}.png", _png(frame, size))
                yield _resized(frame.image, size, cv2.INTER_AREA)

    members.writestr(f"{name}.mp4", _film(images(), size, options.factor))
    return _row(row, f"{name}.mp4", name)


def _row(row: Row, path: str, masks: str) -> Row:
    return {**{column: row[column] for column in INDEX_COLUMNS + FURTHER_COLUMNS}, "path": path, "masks": masks}


def _film(images: Iterator[NDArray[np.uint8]], size: tuple[int, int], factor: int) -> bytes:
    content = io.BytesIO()
    with av.open(content, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": str(factor), "preset": "slow"})
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return content.getvalue()


def _png(frame: Labelled, size: tuple[int, int]) -> bytes:
    assert isinstance(frame.masks, IndexMasks), "the index-PNG layout has index maps"
    labels, content = _resized(frame.masks.labels, size, cv2.INTER_NEAREST), io.BytesIO()
    Image.fromarray(labels).save(content, "PNG", optimize=True)
    return content.getvalue()


def _shrunk(size: tuple[int, ...], longest: int, *, even: bool) -> tuple[int, int]:
    """(height, width), at most so long; H.264 wants even sides."""
    scale = min(1.0, longest / max(size))
    unit = 2 if even else 1
    height, width = (max(unit, round(side * scale / unit) * unit) for side in size)
    return height, width


def _resized(pixels: NDArray[np.uint8], size: tuple[int, int], how: int) -> NDArray[np.uint8]:
    if pixels.shape[:2] == size:
        return pixels
    return np.asarray(cv2.resize(pixels, (size[1], size[0]), interpolation=how), np.uint8)
