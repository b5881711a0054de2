"""What commands do with files of masks: read them with their pictures, and make data sets of them."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np

from masklet.atomic import keep_inputs
from masklet.datasets.build import AnnotatedFrames
from masklet.errors import FormatError, nearest
from masklet.formats.base import Facts, Format, PlainFrame
from masklet.formats.project_file import check_video, read_project, video_of
from masklet.formats.registry import find_format, read_masks, recognise_format, under_names
from masklet.media.image_file import ImageFolder, picture_names
from masklet.media.series import is_series
from masklet.media.source import Frame, facts_of, open_video
from masklet.media.volume import is_volume


def chosen_frames(
    results: Iterator[PlainFrame], only: Sequence[str], start: int, stop: int | None
) -> Iterator[PlainFrame]:
    """The frames from `start` to before `stop`, with those objects alone, or with all if none is named.

    Raises FormatError if no frame is left, or no frame has an object of a name.
    """
    frames, names = 0, set[str]()
    for result in results:
        if stop is not None and result.frame >= stop:
            break
        if result.frame < start:
            continue
        frames += 1
        names |= {str(name) for name in result.objects}
        kept = {name: item for name, item in result.objects.items() if not only or str(name) in only}
        yield replace(result, objects=kept)
    if not frames:
        end = "on" if stop is None else f"to before {stop}"
        raise FormatError(f"there is no frame from {start} {end}; give another --start or --stop")
    for name in only:
        if name not in names:
            raise FormatError(f"there is no object {name!r}{nearest(name, sorted(names))}")


def masks_in(
    path: Path, out: Path, entry: Format, kind: Format, video: Path | None
) -> tuple[Facts, Iterator[PlainFrame]]:
    """What a file or folder of masks holds, to be written to `out` in the format `kind`, with the pictures of its video
    if that shows them."""
    return of_project(path, out, kind, video) if entry.name == "project" else of_masks(path, out, entry, kind, video)


def of_project(path: Path, out: Path, kind: Format, video: Path | None) -> tuple[Facts, Iterator[PlainFrame]]:
    """The same of a project file, and where a volume lies. A session of pictures in memory takes any video of their
    size and number."""
    held = read_project(path)
    lies = video or (path.absolute().parent / held.video if held.video else None)
    keep_inputs(out, path, lies)
    facts = replace(held.facts(), names=() if lies is None else picture_names(lies))
    if kind.name == "project" and lies is not None:
        facts = replace(facts, video=str(lies))
    somewhere = video is not None or (lies is not None and (is_volume(lies) or is_series(lies) or not lies.exists()))
    if not kind.shows_pictures and not (kind.in_space and somewhere):
        return facts, held.results()
    lies = video or video_of(held, path)
    from masklet.video.project import fingerprint_of  # imports torch

    with open_video(lies) as source:
        check_video(held, fingerprint_of(source, str(lies) if held.video else ""))
        facts = replace(facts, **facts_of(source, lies))
    return facts, with_pictures(held.results(), path, lies) if kind.shows_pictures else held.results()


def of_masks(
    path: Path, out: Path, entry: Format, kind: Format, video: Path | None
) -> tuple[Facts, Iterator[PlainFrame]]:
    """The same of any other, with the pictures of the video that was given."""
    keep_inputs(out, path, video)
    if kind.shows_pictures and video is None:
        raise FormatError(f"{kind.name} shows pictures, and {path.name} holds masks alone; give --video")
    results = read_masks(entry.name, path)
    first = next(results, None)
    if first is None:
        raise FormatError(f"{path.name} holds no frames; give one with masks")
    names = entry.names(path) if entry.names else ()
    results = chain([first], results)
    if video is None:
        return Facts(first.size, names=names, own_sizes=kind.own_sizes), results
    with open_video(video) as source:
        own_sizes = kind.own_sizes and isinstance(source, ImageFolder)
        if source.size != first.size and not own_sizes:
            raise FormatError(
                f"{path.name} has masks of (height, width) = {first.size}, and {video.name} has {source.size}"
            )
        known = {**facts_of(source, video), "own_sizes": own_sizes}
        facts = Facts(first.size, source.rate, source.frame_count, video=str(video), **known)
    results = under_names(results, path, entry, facts)
    return facts, with_pictures(results, path, video) if kind.shows_pictures or own_sizes else results


def with_pictures(results: Iterator[PlainFrame], masks: Path, video: Path) -> Iterator[PlainFrame]:
    """The frames of `masks`, in their order, with the pictures of a video, or of a folder, where each has its own size.
    Raises FormatError if it ends before them, or a picture is of another size than its masks."""
    with open_video(video) as source:
        pictures: Iterator[Frame] | None = None
        for result in results:
            found: Frame | None = None
            if isinstance(source, ImageFolder):
                source.own_sizes = True
                found = source.read(result.frame) if result.frame < len(source) else None
            else:
                pictures = source.frames(result.frame) if pictures is None else pictures
                found = next((frame for frame in pictures if frame.index >= result.frame), None)
            if found is None or found.index != result.frame:
                raise FormatError(f"there are masks of frame {result.frame}, and {video.name} ends before it")
            if found.image.shape[:2] != result.size:
                raise FormatError(
                    f"{masks.name} has masks of (height, width) = {result.size}, and {video.name} has "
                    f"{found.image.shape[:2]} in frame {result.frame}"
                )
            yield replace(result, image=found.image, time=found.time)


def annotated_frames(source: str) -> AnnotatedFrames:
    """The video of a session, or of masks beside it. Raises FormatError if it has no pictures."""
    text, _, place = source.rpartition("@")
    path, video = (Path(text), Path(place)) if text else (Path(source), None)
    entry = recognise_format(path)
    if entry.name != "project" and video is None:
        raise FormatError(f"{path} holds masks alone; give them with their video: {path}@VIDEO")
    shown, nowhere = find_format("labelme"), Path()  # which has pictures of any sizes
    facts, _ = masks_in(path, nowhere, entry, shown, video)
    lies = Path(facts.video) if video is None else video
    lies = lies if os.path.exists(lies) else path.absolute().parent / lies
    name = path.parent.name if path.name == "session.masklet" else lies.stem if video is None else path.stem
    pictures = lies if lies.is_dir() else None
    names = tuple(re.sub(r"\.exr$", ".jpg", name, flags=re.IGNORECASE) for name in facts.names)  # trainers read no EXR
    return AnnotatedFrames(
        name, lambda: masks_in(path, nowhere, entry, shown, video)[1], replace(facts, names=names), pictures
    )


def in_splits(parts: list[AnnotatedFrames], val: float, seed: int) -> list[AnnotatedFrames]:
    """The parts, of which a share is drawn for the split val: at least one of them is if the share is not 0."""
    count = 0 if val == 0 else max(1, round(val * len(parts)))
    if count == len(parts) and 0 < val < 1:
        raise FormatError(f"--val {val:g} of {len(parts)} video leaves none to train on; give more videos, or --val 0")
    chosen = set(np.random.default_rng(seed).permutation(len(parts))[:count].tolist())
    return [replace(part, split="val") if place in chosen else part for place, part in enumerate(parts)]
