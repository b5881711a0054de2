"""`masklet name`: names of masks, from examples that have names."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from masklet.atomic import keep_inputs
from masklet.cli.choices import DeviceChoice, ModelChoice, option

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from masklet.datasets.own import Chosen
    from masklet.formats.base import Format, ObjectId
    from masklet.formats.description import Description
    from masklet.image.names import Prototypes
    from masklet.image.naming import Crop
    from masklet.image.predictor import ImagePredictor

    Compare = Callable[[Iterable[Crop]], NDArray[np.float32]]
    """Crops to how well each of the names fits, (M, K)."""

    Said = tuple[str, Mapping[str, str | float]]
    """A name, empty if there is none, and attributes."""

T = TypeVar("T")

EXAMPLES_AT_MOST = 100
"""So many examples of a name are learned from."""


def largest(areas: Mapping[int, int]) -> Sequence[int]:
    """The place of the largest mask."""
    return [max(areas, key=areas.__getitem__)]


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

    from masklet.cli.mask_files import of_masks, of_project
    from masklet.formats.description import LONGEST_VALUE
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
    compare: Compare
    found: dict[ObjectId, Said]
    seen = partial(crops_of, source, entry, pictures, only_named=False)
    if captions:
        says = load_captioner(captioner, device)
        objects, sentences = split(seen(chosen=largest), lambda crops: captioned(crops, says), source)
        found = {known: ("", {"caption": text[:LONGEST_VALUE]}) for known, text in zip(objects, sentences, strict=True)}
    elif names is not None:
        kinds = phrases_of(names)
        compare = partial(compared, names=kinds, namer=load_namer(namer, device))
        found = named(seen(), compare, kinds, least or 0.0, source)
    else:
        predictor = ImagePredictor(model, device=device)
        examples = learned(predictor, like, like_pictures)
        compare = lambda crops: likenesses(appearances(predictor, crops), examples)  # noqa: E731
        found = named(seen(), compare, examples.names, LEAST_LIKENESS if least is None else least, source)
    video = None if entry.name == "coco" and not kind.shows_pictures else pictures
    facts, results = (of_project if entry.name == "project" else of_masks)(source, out, entry, kind, video)
    with Writer(kind.open, out, facts) as sink:
        for result in results:
            there = result.descriptions
            said = {known: told(there.get(known), *found[known]) for known in result.objects if known in found}
            sink.write(replace(result, descriptions={**there, **said}))
    for called, count in Counter(called for called, _ in found.values()).most_common() if not captions else ():
        typer.echo(f"{count:6} {called or '(none of these)'}")
    typer.echo(f"{len(found)} {'object' if len(found) == 1 else 'objects'} in {out}")


def learned(predictor: ImagePredictor, paths: Sequence[Path], pictures: Path | None) -> Prototypes:
    """The prototypes of all named masks of some files. Raises FormatError if none has a name."""
    from masklet.errors import FormatError
    from masklet.formats.registry import recognise_format
    from masklet.image.names import appearances, prototypes

    labels: list[str] = []

    def crops() -> Iterator[Crop]:
        count: Counter[str] = Counter()
        for path in paths:
            for label, crop in crops_of(path, recognise_format(path), pictures, only_named=True):
                count[label] += 1
                if count[label] <= EXAMPLES_AT_MOST:
                    labels.append(label)
                    yield crop

    vectors = appearances(predictor, crops())
    if not labels:
        raise FormatError(f"no mask of {paths[0].name} has a name; give its objects classes first")
    return prototypes(vectors, labels, predictor.engine.config)


def split(
    seen: Iterator[tuple[ObjectId, Crop]], look: Callable[[Iterator[Crop]], T], path: Path
) -> tuple[list[ObjectId], T]:
    """The objects, and what a function makes of their crops. Raises FormatError if there is no mask."""
    from masklet.errors import FormatError

    objects: list[ObjectId] = []

    def crops() -> Iterator[Crop]:
        for known, crop in seen:
            objects.append(known)
            yield crop

    made = look(crops())
    if not objects:
        raise FormatError(f"{path.name} holds no masks; give one with masks")
    return objects, made


def named(
    seen: Iterator[tuple[ObjectId, Crop]], compare: Compare, names: Sequence[str], least: float, path: Path
) -> dict[ObjectId, Said]:
    """The name of each object, by the mean likeness of its masks."""
    from masklet.image.naming import naming

    of_object: dict[ObjectId, list[int]] = defaultdict(list)
    found: dict[ObjectId, Said] = {}
    objects, rows = split(seen, compare, path)
    for place, known in enumerate(objects):
        of_object[known].append(place)
    for known, places in of_object.items():
        best = naming(rows[places].mean(axis=0), names, least)
        found[known] = best.name, {"likeness": round(best.likeness, 3)}
    return found


def crops_of(
    path: Path, entry: Format, pictures: Path | None, *, only_named: bool, chosen: Chosen | None = None
) -> Iterator[tuple[Any, Crop]]:
    """Objects of a file of masks with crops of them, frame by frame: the names of those that have one, or the objects
    themselves."""
    from masklet.datasets.own import evenly, looked_at, pictures_of
    from masklet.formats.description import NO_LABEL, label_of
    from masklet.formats.registry import read_masks
    from masklet.image.naming import crop_of

    frames = list(read_masks(entry.name, path))
    with pictures_of(path, entry, pictures) as look:
        for frame, objects in looked_at(frames, chosen or evenly):
            labels = {known: label_of(known, frame.descriptions.get(known)) for known in objects}
            wanted = [known for known in objects if not only_named or labels[known] != NO_LABEL]
            if not wanted:
                continue
            image = look(frame.frame)
            for known in wanted:
                crop = crop_of(image, frame.objects[known].mask, f"object {known!r} in frame {frame.frame}")
                yield labels[known] if only_named else known, crop


def told(said: Description | None, name: str, attributes: Mapping[str, str | float]) -> Description:
    """What is said of an object, with a name and attributes. One without a name keeps the class that it had."""
    from masklet.formats.description import Description

    said = said or Description()
    return said.updated(category=name or None, attributes={**said.attributes, **attributes})
