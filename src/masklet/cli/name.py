"""`masklet name`: names of masks, from examples that have names."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from masklet.cli.choices import DeviceChoice, ModelChoice, option


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
    model: ModelChoice = "nano",
    device: DeviceChoice = None,
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
    from dataclasses import replace

    from masklet.atomic import keep_inputs
    from masklet.cli.mask_files import Compare, Said, crops_of, largest, learned, named, of_masks, of_project, split
    from masklet.datasets.own import evenly
    from masklet.formats.base import ObjectId
    from masklet.formats.description import LONGEST_VALUE, Description
    from masklet.formats.registry import find_format, format_of, recognise_format
    from masklet.formats.writer import Writer
    from masklet.image.names import LEAST_LIKENESS, appearances, likenesses
    from masklet.image.naming import captioned, compared
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
    found: dict[ObjectId, Said]
    compare: Compare
    if captions:
        says = load_captioner(captioner, device)
        objects, sentences = split(seen, lambda crops: captioned(crops, says), nothing)
        found = {known: ("", {"caption": text[:LONGEST_VALUE]}) for known, text in zip(objects, sentences, strict=True)}
    elif names is not None:
        kinds, by_words = phrases_of(names), load_namer(namer, device)
        compare = lambda crops: compared(crops, kinds, by_words)  # noqa: E731
        found = named(seen, compare, kinds, least or 0.0, nothing)
    else:
        predictor = ImagePredictor(model, device=device)
        examples = learned(predictor, like, like_pictures)
        compare = lambda crops: likenesses(appearances(predictor, crops), examples)  # noqa: E731
        found = named(seen, compare, examples.names, LEAST_LIKENESS if least is None else least, nothing)
    video = None if entry.name == "coco" and not kind.shows_pictures else pictures
    facts, results = (of_project if entry.name == "project" else of_masks)(source, out, entry, kind, video)
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
