"""The index-PNG layout: a folder with `index.csv`, which names pictures, videos and their index maps.

Columns: kind (image or video), path, masks (a PNG, or a folder of 00000.png ...), split (train or val), group (the
licence: open or research), source.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

from masklet.errors import FormatError
from masklet.formats.numbered import numbered_files
from masklet.training.data.frame_folders import paired
from masklet.training.data.items import Collection, FilmFrames, IndexPng, Item, PictureFiles

INDEX = "index.csv"

COLUMNS = ("kind", "path", "masks", "split", "group", "source")


def read_index(root: Path, *, split: str = "train", licence: str | None = None) -> list[Collection]:
    """One collection for each source. `licence` takes only rows of that group, such as "open".

    Raises FormatError if the table is damaged or names a group that is not there.
    """
    rows = read_rows(root / INDEX)
    groups = {row["group"] for row in rows}
    if licence is not None and licence not in groups:
        raise FormatError(f"{root / INDEX} has no rows of the licence {licence!r}; it has {', '.join(sorted(groups))}")
    items: dict[str, list[Item]] = defaultdict(list)
    for row in rows:
        if row["split"] == split and licence in (None, row["group"]):
            items[row["source"]].append(item_of(root, row))
    return [Collection(source, found, float(len(found)), licence) for source, found in items.items()]


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of the table. Raises FormatError if it cannot be read or lacks a value."""
    if not path.is_file():
        raise FormatError(f"there is no {path.name} in {path.parent}; give a folder of the index-PNG layout")
    try:
        with path.open(newline="", encoding="utf-8") as file:
            table = csv.DictReader(file)
            rows, columns = list(table), table.fieldnames or ()
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"{path} cannot be read: {error}; expected a CSV with {', '.join(COLUMNS)}") from error
    if missing := [column for column in COLUMNS if column not in columns]:
        raise FormatError(f"{path} lacks the column {missing[0]!r}; expected {', '.join(COLUMNS)}")
    for number, row in enumerate(rows, start=1):
        if missing := [column for column in COLUMNS if row[column] is None]:
            raise FormatError(f"row {number} of {path} lacks {missing[0]!r}; expected {', '.join(COLUMNS)}")
    return rows


def item_of(root: Path, row: dict[str, str]) -> Item:
    """The picture or video of a row. Raises FormatError for a video without masks, and for a folder of pictures that
    has a gap where there is a mask."""
    path, masks = root / row["path"], root / row["masks"]
    if row["kind"] == "image":
        return Item(row["path"], PictureFiles((path,)), (IndexPng(masks),))
    if not masks.is_dir() or not (maps := numbered_files(masks)):
        raise FormatError(f"{masks} holds no index maps such as 00000.png; is the data whole?")
    if path.is_dir():
        return paired(row["path"], path, masks)
    return Item(row["path"], FilmFrames(path, tuple(maps)), tuple(IndexPng(file) for file in maps.values()))
