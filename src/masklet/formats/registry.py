"""The formats by name, masklet's own and those of other packages.

A format is a value of the class `Format` in a module of this package. Other packages offer theirs by entry points of
the group `masklet.formats`, and `module:NAME` names any other.
"""

import importlib
import os
import pkgutil
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from functools import cache
from os import PathLike
from pathlib import Path
from typing import Any

import masklet.formats
from masklet import plugins
from masklet.errors import ConfigError, FormatError, nearest, need
from masklet.formats.base import Facts, Format, PlainFrame
from masklet.formats.davis import mask_pngs
from masklet.formats.labels import labelme_files
from masklet.formats.writer import Writer
from masklet.masks.finish import Finish

USUAL_FORMATS = {
    "": "davis", ".png": "davis", ".json": "coco", ".mp4": "overlay", ".mov": "prores", ".dcm": "dicom-seg",
    ".exr": "exr",
}  # fmt: skip
"""Where several formats have one ending, the one that is meant; "" is a folder."""

RENAMED = {"index": "davis"}
"""Earlier names of formats."""


@cache
def formats() -> Mapping[str, Format]:
    """masklet's own formats by name, in the order of the alphabet. The first call imports this package's modules."""
    modules = (
        importlib.import_module(f"masklet.formats.{m.name}") for m in pkgutil.iter_modules(masklet.formats.__path__)
    )
    found = {value.name: value for module in modules for value in vars(module).values() if isinstance(value, Format)}
    return dict(sorted(found.items()))


def find_format(name: str) -> Format:
    """The format of that name. Raises FormatError, with the nearest name, if there is none."""
    if name in RENAMED:
        warnings.warn(f"the format {name} is called {RENAMED[name]} now", DeprecationWarning, stacklevel=2)
        name = RENAMED[name]
    if name in formats():
        return formats()[name]
    try:
        found: object = plugins.find("formats", name, formats())
    except ConfigError as error:
        if ":" in name:
            raise FormatError(str(error)) from error
        known = plugins.names("formats", formats())
        raise FormatError(f"unknown format {name!r}{nearest(name, known)}; there are {', '.join(known)}") from None
    if not isinstance(found, Format):
        raise FormatError(f"{name} is of type {type(found).__name__}; give a masklet.formats.base.Format")
    return found


def format_of(path: str | PathLike[str], *, picture: bool = False, background: str | Path | None = None) -> Format:
    """The format of a path, by its ending; a name without one is a folder.

    Args:
        path: The file or folder.
        picture: Whether it is for one picture; for a video otherwise.
        background: What is to take the background's place, which one format shows.

    Raises:
        FormatError: No format has the ending.
    """
    name = Path(path).name.lower()
    suffix = ".nii.gz" if name.endswith(".nii.gz") else Path(path).suffix.lower()
    endings = {entry.name: entry.picture if picture else entry.video for entry in formats().values()}
    fitting = [name for name, ending in endings.items() if ending == suffix]
    if background is not None and "background" in fitting:
        return formats()["background"]
    if not fitting:
        known = ", ".join(sorted({ending for ending in endings.values() if ending}))
        raise FormatError(f"{Path(path).name} does not show its format; give an ending that does, {known}, or name one")
    usual = USUAL_FORMATS.get(suffix, fitting[0])
    return formats()[usual if usual in fitting else fitting[0]]


def writer(
    name: str,
    path: str | PathLike[str],
    *,
    audio_from: str | PathLike[str] | None = None,
    finish: Finish | None = None,
    background: str | Path | None = None,
    **facts: Any,
) -> Writer:
    """A writer of the format of that name; the facts are those of `Facts`, of which `size` must be given.

        with writer("davis", "masks", size=(480, 854)) as sink:
            for result in tracker.propagate():
                sink.write(result)

    Raises FormatError if there is no such format.
    """
    sound, entry = None if audio_from is None else Path(audio_from), find_format(name)
    return Writer(entry.open, Path(path), with_finish(Facts(audio_from=sound, **facts), entry, finish, background))


def with_finish(facts: Facts, entry: Format, finish: Finish | None, background: str | Path | None = None) -> Facts:
    """The facts with how objects are cut out, and what takes the background's place, if these are given.

    Raises FormatError if the format shows nothing of it.
    """
    finish = facts.finish if finish is None else finish
    need(finish, Finish, "finish", FormatError)
    if background is not None:
        finish = replace(finish, background=background)
    wishes = wishes_of(finish)
    if "background" in wishes and entry.name != "background":
        raise FormatError(
            f"a background is given, {str(finish.background)!r}, and {entry.name} changes none; take background"
        )
    if wishes and not entry.finishes:
        raise FormatError(f"{', '.join(wishes)}: {entry.name} has no cut-outs; take one of {', '.join(cut_outs())}")
    return replace(facts, finish=finish)


def wishes_of(finish: Finish) -> list[str]:
    """The names of what is wished otherwise than usual."""
    return [field.name for field in fields(Finish) if getattr(finish, field.name) != field.default]


def cut_outs() -> list[str]:
    """The names of the formats that cut objects out."""
    return [entry.name for entry in formats().values() if entry.finishes]


def recognise_format(path: str | PathLike[str]) -> Format:
    """The format of masks that lie at a path: the first by whose reader a frame can be read. Data sets, whose folders
    have names, are tried first.

    Raises FormatError, with what each reader of such a file says, if there is none.
    """
    place = Path(path)
    if not os.path.exists(place):
        raise FormatError(f"there is nothing at {place}; give a .masklet file, or a file or folder with masks")
    suffix = "" if os.path.isdir(place) else place.suffix.lower()
    if os.path.isdir(place) and not any(place.iterdir()):
        raise FormatError(f"{place} is an empty folder; give one with masks")
    said = {}
    for entry in sorted(formats().values(), key=lambda entry: entry.only_read is None):
        if entry.read is None or suffix not in (entry.video, entry.picture, entry.only_read):
            continue
        try:
            if next(entry.read(place), None) is None:
                said[entry.name] = "it holds no frames"
                continue
        except FormatError as error:
            said[entry.name] = str(error)
        else:
            return entry
    if not said:
        known = ", ".join(sorted({entry.video for entry in formats().values() if entry.read and entry.video}))
        raise FormatError(f"{place.name} holds no masks that are read; give a folder, or a file that ends in {known}")
    raise FormatError(f"{place.name} is of no format that is read: " + "; ".join(f"{k}: {v}" for k, v in said.items()))


def read_masks(name: str, path: str | PathLike[str]) -> Iterator[PlainFrame]:
    """The masks of each frame that a file or folder of that format holds, in the order of frames; any writer takes
    them.

    Raises FormatError if the format is not read, and, on the way, for what is missing or damaged.
    """
    reader = find_format(name).read
    if reader is None:
        readable = ", ".join(entry.name for entry in formats().values() if entry.read)
        raise FormatError(f"the format {name} is written only; formats that are read are {readable}")
    return reader(Path(path))


def under_names(results: Iterator[PlainFrame], path: Path, entry: Format, facts: Facts) -> Iterator[PlainFrame]:
    """Masks that have the names of the pictures of `facts`, with the numbers of these; all others as they are.

    Raises FormatError if some have, and another one does not. Files named by numbers may count frames in place of that.
    """
    listed = enumerate(entry.names(path)) if entry.names else ()
    names = {frame: Path(name) for frame, name in listed if name}
    if entry.name in ("davis", "objects") and path.is_dir():
        folders = [path] if entry.name == "davis" else [folder for folder in path.iterdir() if folder.is_dir()]
        names = {frame: files[0] for frame, files in mask_pngs(*folders).items()}
    if entry.name == "labelme":
        names = labelme_files(path)
    places = {stem: n for n, name in enumerate(facts.names) for stem in (Path(name).stem, facts.stem(n))}
    strangers = [name for name in names.values() if name.stem not in places]
    if not strangers and len({name.stem for name in names.values()}) == len(names) > 0:
        found = (replace(result, frame=places[named_picture(names, result.frame, path).stem]) for result in results)
        return iter(sorted(found, key=lambda result: result.frame)) if entry.names else found
    if 0 < len(strangers) < len(names) and (entry.names or not strangers[0].stem.isdecimal()):
        raise FormatError(f"{path.name} has {strangers[0].name}, and {Path(facts.video).name} no picture of that name")
    return results


def named_picture(names: Mapping[int, Path], frame: int, path: Path) -> Path:
    """The name of a frame's picture. Raises FormatError if it has none, though others have."""
    if frame not in names:
        raise FormatError(f"{path.name} names pictures of other frames, and none for frame {frame}; name all or none")
    return names[frame]
