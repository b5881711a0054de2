"""Commands on masks that are there: `masklet convert`, `masklet name` and `masklet dataset build`."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from masklet.cli import choices
from masklet.cli.choices import option, spread_options
from masklet.errors import FormatError


@spread_options
def convert(
    *,
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE", help="A .masklet file, or masks of any format that is read.", show_default=False
        ),
    ],
    out: Annotated[Path, option("The file or folder to write.", show_default=False)],
    format: Annotated[
        str | None, option("Name of the format, as of masklet track --format; by the ending of OUT if not given.")
    ] = None,
    source_format: Annotated[
        str | None, option("Name of the format of SOURCE; found out if not given.", name="--from")
    ] = None,
    video: Annotated[
        Path | None,
        option("The video or pictures, for formats that hold pictures; of a .masklet file if it has moved."),
    ] = None,
    span: choices.SpanChoice,
    films: choices.FinishChoice,
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
    from masklet.cli.mask_files import chosen_frames, masks_in
    from masklet.formats.registry import find_format, format_of, recognise_format, with_finish
    from masklet.formats.writer import Writer

    finish = films.finish()
    kind = find_format(format) if format else format_of(out, background=films.background)
    entry = find_format(source_format) if source_format else recognise_format(source)
    facts, results = masks_in(source, out, entry, kind, video)
    frames = 0
    wishes = finish if kind.finishes else replace(finish, only=())
    with Writer(kind.open, out, with_finish(facts, kind, wishes)) as sink:
        for result in chosen_frames(results, films.only, span.start, span.stop):
            sink.write(result)
            frames += 1
    typer.echo(f"{frames} frames in {out}")


def name(
    source: Annotated[
        Path, typer.Argument(metavar="MASKS", help="A COCO file, a .masklet file, or masks of any format that is read.")
    ],
    *,
    out: Annotated[Path, option("The file or folder to write.", show_default=False)],
    like: Annotated[
        list[Path], option("The same, with names: classes of COCO, categories of sessions. May be given several times.")
    ] = [],  # noqa: B006
    names: Annotated[
        str | None, option("Names to choose from, such as 'cat . dog', by a model that knows words.")
    ] = None,
    namer: Annotated[str, option("What compares masks with --names: siglip2, clip, or a folder.")] = "siglip2",
    captions: Annotated[bool, option("Say in a sentence what each object is.", name="--captions")] = False,
    captioner: Annotated[str, option("What says it: florence2, or a folder.")] = "florence2",
    format: Annotated[
        str | None, option("Name of the format, such as coco; by the ending of OUT if not given.")
    ] = None,
    pictures: Annotated[
        Path | None, option("Folder of the pictures of MASKS, or their video, if it does not name them.")
    ] = None,
    like_pictures: Annotated[Path | None, option("The same, of LIKE.")] = None,
    least: Annotated[
        float | None, option("Likeness below which a mask gets no name; if not given, 0.35, and 0 with --names.", -1, 1)
    ] = None,
    model: choices.ModelChoice = "nano",
    device: choices.DeviceChoice = None,
) -> None:
    """Give names to masks: by examples, for which nothing is downloaded, or by a list; or say in a sentence what each
    shows.

    A mask gets the name of the examples that it looks most like, or none. An object of a video gets one name. Names
    become classes, and each object's likeness, or its caption, an attribute.

    \b
    Examples:
      masklet everything photos --out found.json
      masklet name found.json --pictures photos --names "cat . dog . car" --out named.json
      masklet name found.json --pictures photos --like labelled.json --out named.json
      masklet name found.json --pictures photos --captions --out described.json
      masklet name street/session.masklet --like labelled.json --out street.json --format ytvis --least 0.4
    """
    from masklet.atomic import keep_inputs
    from masklet.cli.mask_files import masks_in
    from masklet.cli.naming import Compare, NameAndAttributes, crops_of, largest, learned, named, split_names
    from masklet.datasets.own import evenly
    from masklet.formats.base import ObjectId
    from masklet.formats.description import MAX_VALUE_LENGTH, Description
    from masklet.formats.registry import find_format, format_of, recognise_format
    from masklet.formats.writer import Writer
    from masklet.image.names import MIN_NAME_LIKENESS, appearances, likenesses
    from masklet.image.picture import captioned, compared
    from masklet.image.predictor import ImagePredictor
    from masklet.words import load_captioner, load_namer, phrases_of

    if [names is not None, bool(like), captions].count(True) != 1:
        raise typer.BadParameter("give one of --like, masks with names, --names, such as 'cat . dog', and --captions")
    if captions and least is not None:
        raise typer.BadParameter("--least is for names, and each object gets a caption; leave it out")
    keep_inputs(out, source, *like)
    kind = find_format(format) if format else format_of(out)
    entry = recognise_format(source)
    nothing = f"{source.name} holds no masks; give one with masks"
    seen = crops_of(source, entry, pictures, largest if captions else evenly)
    found: dict[ObjectId, NameAndAttributes]
    compare: Compare
    if captions:
        says = load_captioner(captioner, device)
        objects, sentences = split_names(seen, lambda crops: captioned(crops, says), nothing)
        found = {
            known: ("", {"caption": text[:MAX_VALUE_LENGTH]}) for known, text in zip(objects, sentences, strict=True)
        }
    elif names is not None:
        kinds, by_words = phrases_of(names), load_namer(namer, device)
        compare = lambda crops: compared(crops, kinds, by_words)  # noqa: E731
        found = named(seen, compare, kinds, least or 0.0, nothing)
    else:
        predictor = ImagePredictor(model, device=device)
        examples = learned(predictor, like, like_pictures)
        compare = lambda crops: likenesses(appearances(predictor, crops), examples)  # noqa: E731
        found = named(seen, compare, examples.names, MIN_NAME_LIKENESS if least is None else least, nothing)
    video = None if entry.name == "coco" and not kind.shows_pictures else pictures
    facts, results = masks_in(source, out, entry, kind, video)
    with Writer(kind.open, out, facts) as sink:
        for result in results:
            said = dict(result.descriptions)
            for known in filter(found.__contains__, result.objects):
                (called, attributes), old = found[known], said.get(known) or Description()
                # One without a name keeps the class that it had.
                said[known] = old.updated(category=called or None, attributes={**old.attributes, **attributes})
            sink.write(replace(result, descriptions=said))
    for called, count in Counter(called for called, _ in found.values()).most_common() if not captions else ():
        typer.echo(f"{count:6} {called or '(none of these)'}")
    typer.echo(f"{len(found)} {'object' if len(found) == 1 else 'objects'} in {out}")


dataset = typer.Typer(no_args_is_help=True, help="Make data sets of what was annotated.")


@dataset.callback()
def commands() -> None:
    """Make data sets of what was annotated."""


@dataset.command()
def build(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help=".masklet files, folders of them, or MASKS@VIDEO: masks of any format that is read, and their video.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, option("A new folder.", show_default=False)],
    format: Annotated[
        str, option("coco, yolo, ytvis, davis or voc; or a format of videos, such as cvat or labelme.")
    ] = "coco",
    classes: Annotated[Path | None, option("A text with a class in each line; as they come if not given.")] = None,
    val: Annotated[float, option("Share of the videos that become the split val.", 0, 1)] = 0.0,
    seed: Annotated[int, option("Another one draws other videos for val.", 0, 2**63 - 1)] = 0,
) -> None:
    """Make one data set of many annotated videos and pictures: frames, annotations, classes, splits.

    Pictures of folders keep their names; frames of films become JPEG. An object's class is its category, or its name if
    that is a text.

    \b
    Examples:
      masklet dataset build a/session.masklet b/session.masklet --out cars --format coco --val 0.2
      masklet dataset build sessions --out cars-yolo --format yolo --classes classes.txt
      masklet dataset build masks@clip.mp4 task.xml@frames --out set --format ytvis
    """
    from masklet.cli.mask_files import annotated_frames, in_splits
    from masklet.cli.terminal import bars
    from masklet.datasets.build import build_dataset
    from masklet.formats.json_file import listed_in

    named = None if classes is None else listed_in(classes, "classes")
    if twice := [name for name, count in Counter(named).items() if count > 1]:
        raise FormatError(f"{classes} holds the class {twice[0]} twice")
    each = [str(found) for source in sources for found in sorted(Path(source).rglob("*.masklet")) or [Path(source)]]
    parts = in_splits([annotated_frames(source) for source in each], val, seed)
    with bars(passing=True) as progress:
        task = progress.add_task("building", total=len(parts))
        built = build_dataset(
            parts, out, format, named, lambda name: progress.update(task, advance=1, description=name)
        )
    counted = {"video": built.videos, "frame": built.frames, "mask": built.masks}
    found = ", ".join(f"{count} {what}{'' if count == 1 else 's'}" for what, count in counted.items())
    typer.echo(f"{out}: {found}; classes: {', '.join(built.classes)}")
