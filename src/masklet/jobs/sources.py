"""Which videos there are to track: files, folders, patterns, URLs, and manifests with a row for each video."""

import csv
import glob
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from masklet.errors import FormatError, MediaError, needing
from masklet.formats.json_file import parse_any
from masklet.jobs.places import find, fixed_part, is_url, local_copy, read
from masklet.media.image_file import VIDEO_SUFFIXES, files_in, holds_videos

MANIFEST_SUFFIXES = (".csv", ".jsonl", ".ndjson", ".parquet")
"""Endings of manifests."""

SOURCE_COLUMNS = ("path", "prompts", "everything", "like", "name")
"""What a manifest may say of a video; further columns are its maker's own."""


@dataclass(frozen=True)
class Source:
    """A video to track.

    Attributes:
        video: Its path or URL.
        name: The folder of its results, below that of the run.
        prompts: What a manifest says of its objects, in plain values; None for nothing.
        everything: Whether everything is followed in it; None where the run says so.
        like: A file with an example of what is looked for in it; empty where the run says so.
    """

    video: str
    name: str
    prompts: Any = None
    everything: bool | None = None
    like: str = ""


def find_videos(sources: Iterable[str]) -> list[Source]:
    """The videos of files, folders of videos, patterns, URLs and manifests, in the order in which they are given; those
    of a folder in natural order. Of what is given twice once.

    Raises MediaError if a source holds no video or cannot be read, or two videos would have their results in one place,
    and FormatError for a manifest that is damaged or lacks its columns.
    """
    found: dict[str, Source] = {}
    for source in (source for given in sources for source in _videos_of(given)):
        same = found.setdefault(source.video, source)
        if replace(same, name=source.name) != source:
            raise FormatError(f"{source.video} is given twice, with other prompts; give it in one row with all of them")
    count = Counter(source.name for source in found.values())
    unique: dict[str, Source] = {}
    for source in found.values():
        name = source.name + PurePosixPath(source.video).suffix if count[source.name] > 1 else source.name
        if name in unique:
            raise MediaError(
                f"the results of {unique[name].video} and {source.video} would both be in {name}; give a manifest with "
                "a column name"
            )
        unique[name] = replace(source, name=name)
    return list(unique.values())


def is_many(source: str) -> bool:
    """Whether a source stands for several videos, or for one that is not on this machine."""
    return is_url(source) or is_manifest(source) or holds_videos(Path(source)) or is_pattern(source)


def is_manifest(source: str) -> bool:
    """Whether a source is a manifest, by its ending."""
    return source.lower().endswith(MANIFEST_SUFFIXES)


def is_pattern(source: str) -> bool:
    """Whether a source is a pattern of file names. What follows a question mark in a web address is none."""
    names = source.partition("?")[0] if source.lower().startswith(("http://", "https://")) else source
    return glob.has_magic(names) and (is_url(source) or not Path(source).exists())


def _videos_of(source: str) -> Iterator[Source]:
    if is_manifest(source):
        yield from read_manifest(source)
    elif is_pattern(source) or (is_url(source) and source.endswith("/")):
        pattern = source + "*" if source.endswith("/") else source
        videos = [place for place in find(pattern) if place.lower().endswith(VIDEO_SUFFIXES)]
        if not videos:
            raise MediaError(f"there is no video in {source}; give files of these kinds: {' '.join(VIDEO_SUFFIXES)}")
        yield from (Source(video, _name(video.removeprefix(fixed_part(pattern)))) for video in videos)
    elif not is_url(source) and holds_videos(Path(source)):
        yield from (Source(str(path), path.stem) for path in files_in(Path(source), VIDEO_SUFFIXES))
    else:
        yield Source(source, _name(PurePosixPath(source.split("?")[0]).name if is_url(source) else Path(source).name))


def _name(place: str) -> str:
    """A place as a name of results: without scheme, ending, and ways out of the folder."""
    plain = place.partition("://")[2] or place
    parts = [part for part in re.split(r"[/\\]", plain.split("?")[0]) if part not in ("", ".", "..")]
    if not parts:
        raise MediaError(f"{place!r} names no video; give a path or URL")
    stem = parts[-1].rpartition(".")[0]
    return "/".join([*parts[:-1], stem or parts[-1]]).replace(":", "_")


def read_manifest(place: str) -> Iterator[Source]:
    """The videos of a manifest: CSV, JSON lines or Parquet with the column `path`, and perhaps `prompts`, `everything`,
    `like` and `name`. A path that is not absolute counts from the manifest's folder.

    Raises MediaError if it cannot be read, and FormatError, with the row, for what it should not hold.
    """
    slash = place.rfind("/") if is_url(place) else -1
    folder = place[:slash] if slash > 0 else str(Path(place).parent)
    count = 0
    for count, row in enumerate(_rows(place), start=1):
        yield _source(row, f"row {count} of {place}", folder)
    if not count:
        raise FormatError(f"{place} has no rows; give one for each video, with its path")


def _rows(place: str) -> Iterator[Mapping[str, Any]]:
    ending = place.lower().rpartition(".")[2]
    if ending == "parquet":
        yield from _parquet_rows(place)
        return
    try:
        text = read(place).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(f"{place} is not a text in UTF-8; save it as one") from error
    if ending == "csv":
        try:
            yield from csv.DictReader(io.StringIO(text))
        except csv.Error as error:
            raise FormatError(f"{place} cannot be read as CSV ({error}); give JSON lines or Parquet") from error
        return
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), start=1):
        if line.strip():
            yield parse_any(line, f"line {number} of {place}")


def _parquet_rows(place: str) -> Iterator[Mapping[str, Any]]:
    parquet = import_parquet()
    with local_copy(place) as path:
        try:
            with parquet.ParquetFile(path) as file:
                wanted = [name for name in file.schema_arrow.names if name in SOURCE_COLUMNS]
                for batch in file.iter_batches(columns=wanted):
                    yield from batch.to_pylist()
        except (OSError, ValueError) as error:  # pyarrow's own errors are ValueErrors
            raise FormatError(f"{place} cannot be read as Parquet: {str(error).splitlines()[0][:200]}") from error


def _source(row: Any, where: str, folder: str) -> Source:
    path = row.get("path") if isinstance(row, Mapping) else None
    if not isinstance(path, str) or not path.strip():
        has = ", ".join(map(str, row)) if isinstance(row, Mapping) else json.dumps(row)[:80]
        has = has if path is None else f"{path!r:.40} in its place"
        raise FormatError(
            f"{where} has no path, but {has or 'nothing'}; give the columns path and prompts, everything or like"
        )
    if re.search(r"[\x00-\x1f\ud800-\udfff]", f"{path}{row.get('name', '')}"):
        raise FormatError(f"{where} has a path or a name with letters that no file has, {path[:80]!r}; mend it")
    name = _checked(str(row["name"]), where) if row.get("name") else _name(path)
    like = str(row.get("like") or "").strip()
    if like and is_url(like := _below(folder, like)):
        raise FormatError(f"{where} has like = {like[:200]}, a URL; give the path of a file that every worker sees")
    prompts, everything = _prompts(row.get("prompts"), where), _truth(row.get("everything"), where)
    return Source(_below(folder, path), name, prompts, everything, like)


def _below(folder: str, path: str) -> str:
    """A path or URL that counts from a folder if it is not absolute."""
    if is_url(path) or Path(path).is_absolute():
        return path
    return f"{folder}/{path}" if is_url(folder) else str(Path(folder) / path)


def _checked(name: str, where: str) -> str:
    if _name(f"{name}.x") != name:
        raise FormatError(f"{where} has the name {name!r}; give a path below the folder of the results, such as a/b")
    return name


def _prompts(said: Any, where: str) -> Any:
    """Prompts of a cell: a list, or JSON of one; None for an empty cell."""
    if isinstance(said, str):
        said = parse_any(said, f"the cell prompts in {where}") if said.strip() else None
    if said is None or isinstance(said, Sequence):  # Parquet has each field in each record, empty or not
        plain = [{k: v for k, v in r.items() if v is not None} if isinstance(r, Mapping) else r for r in said or ()]
        return plain or None
    raise FormatError(f'{where} has prompts of type {type(said).__name__}; give [{{"frame": 0, "box": [...]}}, ...]')


def _truth(said: Any, where: str) -> bool | None:
    words = {"": None, "true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if said is None or isinstance(said, bool):
        return said
    if str(said).strip().lower() not in words:
        raise FormatError(f"{where} has everything = {str(said)[:40]!r}; give true or false")
    return words[str(said).strip().lower()]


def import_parquet() -> Any:
    """pyarrow.parquet, or FormatError with the command that installs it."""
    with needing("ray", "Parquet", FormatError):
        import pyarrow.parquet
    return pyarrow.parquet
