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
from masklet.training.data.items import Collection, FilmFrames, IndexPng, Item, PictureFiles

COLUMNS = ("kind", "path", "masks", "split", "group", "source")


def read_index(root: Path, *, split: str = "train", licence: str | None = None) -> list[Collection]:
    """One collection for each source. `licence` takes only rows of that group, such as "open".

    Raises FormatError if the table is damaged or names a group that is not there.
    """
    rows = _rows(root / "index.csv")
    groups = {row["group"] for row in rows}
    if licence is not None and licence not in groups:
        raise FormatError(
            f"{root / 'index.csv'} has no rows of the licence {licence!r}; it has {', '.join(sorted(groups))}"
        )
    items: dict[str, list[Item]] = defaultdict(list)
    for row in rows:
        if row["split"] == split and licence in (None, row["group"]):
            items[row["source"]].append(_item(root, row))
    return [Collection(source, found, float(len(found))) for source, found in items.items()]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        table = csv.DictReader(file)
        missing = [column for column in COLUMNS if column not in (table.fieldnames or ())]
        if missing:
            raise FormatError(f"{path} lacks the column {missing[0]!r}; expected {', '.join(COLUMNS)}")
        return list(table)


def _item(root: Path, row: dict[str, str]) -> Item:
    path, masks = root / row["path"], root / row["masks"]
    if row["kind"] == "image":
        return Item(row["path"], PictureFiles((path,)), (IndexPng(masks),))
    if not masks.is_dir() or not (maps := numbered_files(masks)):
        raise FormatError(f"{masks} holds no index maps such as 00000.png; is the data whole?")
    return Item(row["path"], FilmFrames(path, tuple(maps)), tuple(IndexPng(file) for file in maps.values()))
