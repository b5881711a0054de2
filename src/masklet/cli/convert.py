"""`masklet convert`: masks from one format to another."""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from masklet.atomic import keep_inputs
from masklet.cli.choices import FinishChoice, spread_options

if TYPE_CHECKING:
    from masklet.formats.base import Facts, Format, PlainFrame


@spread_options
def convert(
    *,
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE", help="A .masklet file, or masks of any format that is read.", show_default=False
        ),
    ],
    out: Annotated[Path, typer.Option(help="The file or folder to write.", show_default=False)],
    format: Annotated[
        str | None,
        typer.Option(help="Name of the format, as of masklet track --format; by the ending of OUT if not given."),
    ] = None,
    source_format: Annotated[
        str | None, typer.Option("--from", help="Name of the format of SOURCE; found out if not given.")
    ] = None,
    video: Annotated[
        Path | None,
        typer.Option(help="The video or pictures, for formats that hold pictures; of a .masklet file if it has moved."),
    ] = None,
    start: Annotated[int, typer.Option(min=0, max=10**9, help="The first frame that is written.")] = 0,
    stop: Annotated[
        int | None, typer.Option(min=1, max=10**9, help="The first frame that is left out again; none if not given.")
    ] = None,
    films: FinishChoice,
) -> None:
    """Write masks in another format. Nothing is computed again.

    \b
    Examples:
      masklet convert dog/session.masklet --out dog.json --format ytvis
      masklet convert dog/session.masklet --out masks --format objects
      masklet convert dog/session.masklet --out dog.mov --format prores
      masklet convert dog/session.masklet --out dog.mp4 --format background --background white
      masklet convert dog/session.masklet --out dog.mov --format prores --only dog --start 24 --stop 72
      masklet convert dog/session.masklet --out exr --format exr --edges soft --grow -1 --spill green
      masklet convert dog/session.masklet --out dog.mov --format prores --show mattes --only dog --only cat
      masklet convert task.xml --from cvat --out instances.json --format coco
      masklet convert labels --from labelme --out overlay.mp4 --video frames
    """
    from dataclasses import replace

    from masklet.formats.registry import find_format, format_of, recognise_format, with_finish
    from masklet.formats.writer import Writer

    finish = films.finish()
    kind = find_format(format) if format else format_of(out, background=films.background)
    entry = find_format(source_format) if source_format else recognise_format(source)
    held = of_project if entry.name == "project" else of_masks
    facts, results = held(source, out, entry, kind, video)
    frames = 0
    wishes = finish if kind.finishes else replace(finish, only=())
    with Writer(kind.open, out, with_finish(facts, kind, wishes)) as sink:
        for result in chosen(results, films.only, start, stop):
            sink.write(result)
            frames += 1
    typer.echo(f"{frames} frames in {out}")


def chosen(
    results: "Iterator[PlainFrame]", only: Sequence[str], start: int, stop: int | None
) -> "Iterator[PlainFrame]":
    """The frames from `start` to before `stop`, with those objects alone, or with all if none is named.

    Raises FormatError if no frame is left, or no frame has an object of a name.
    """
    from dataclasses import replace

    from masklet.errors import FormatError, nearest

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


def of_project(
    path: Path, out: Path, _: "Format", kind: "Format", video: Path | None
) -> "tuple[Facts, Iterator[PlainFrame]]":
    """What a project file holds, with the pictures of its video if the format shows them, and where a volume lies."""
    from dataclasses import replace

    from masklet.formats.project import check_video
    from masklet.formats.project_file import read_project, video_of
    from masklet.media.image_file import picture_names
    from masklet.media.source import open_video
    from masklet.media.volume import is_volume
    from masklet.video.project import fingerprint_of

    held = read_project(path)
    lies = video or path.absolute().parent / held.video
    keep_inputs(out, path, video, lies if held.video else None)
    facts = replace(held.facts(), names=picture_names(lies) if held.video else ())
    of_volume = kind.in_space and bool(held.video) and (is_volume(lies) or not lies.exists())
    if not kind.shows_pictures and not of_volume:
        return facts, held.results()
    lies = video or video_of(held, path)
    with open_video(lies) as source:
        check_video(held, fingerprint_of(source, str(lies)))
        facts = replace(facts, audio_from=lies if lies.is_file() else None, geometry=source.geometry)
        facts = replace(facts, footage=source.footage)
    return facts, with_pictures(held.results(), lies) if kind.shows_pictures else held.results()


def of_masks(
    path: Path, out: Path, entry: "Format", kind: "Format", video: Path | None
) -> "tuple[Facts, Iterator[PlainFrame]]":
    """What a file or folder of masks holds, with the pictures of the video that was given."""
    from masklet.errors import FormatError
    from masklet.formats.base import Facts
    from masklet.formats.registry import read_masks
    from masklet.media.image_file import picture_names
    from masklet.media.source import open_video

    keep_inputs(out, path, video)
    if kind.shows_pictures and video is None:
        raise FormatError(f"{kind.name} shows pictures, and {path.name} holds masks alone; give --video")
    results = read_masks(entry.name, path)
    first = next(results, None)
    if first is None:
        raise FormatError(f"{path.name} holds no frames; give one with masks")
    names = entry.names(path) if entry.names else ()
    facts, results = Facts(first.size, names=names, own_sizes=kind.holds_many_pictures), chain([first], results)
    if video is None:
        return facts, results
    with open_video(video) as source:
        if source.size != first.size:
            raise FormatError(
                f"{path.name} has masks of (height, width) = {first.size}, and {video.name} has {source.size}"
            )
        facts = Facts(
            first.size,
            source.rate,
            source.frame_count,
            video=str(video),
            names=tuple(picture_names(video)),
            geometry=source.geometry,
            audio_from=video if video.is_file() and source.geometry is None else None,
            footage=source.footage,
        )
    return facts, with_pictures(results, video) if kind.shows_pictures else results


def with_pictures(results: "Iterator[PlainFrame]", video: Path) -> "Iterator[PlainFrame]":
    """The frames with the pictures of a video. Raises FormatError if it ends before them."""
    from dataclasses import replace

    from masklet.errors import FormatError
    from masklet.media.source import open_video

    wanted = {result.frame: result for result in results}
    with open_video(video) as source:
        for frame in source.frames(min(wanted, default=0)):
            if frame.index in wanted:
                yield replace(wanted.pop(frame.index), image=frame.image, time=frame.time)
    if wanted:
        raise FormatError(f"there are masks of frame {min(wanted)}, and {video.name} ends before it")
