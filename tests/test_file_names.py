"""Names that are too long for a file are of files that are not there: the error is a sentence, not the system's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import masklet
from masklet.datasets.registry import open_dataset
from masklet.formats.registry import read_masks
from masklet.media.source import open_video
from masklet.training.data import read_data

LONG = "x" * 300


@pytest.mark.parametrize(
    "call",
    [
        lambda: open_video(f"{LONG}.mp4"),
        lambda: open_video([f"{LONG}.png"]),
        lambda: masklet.segment(f"{LONG}.png", points=[(1, 1)]),
        lambda: masklet.load_model(LONG),
        lambda: masklet.load_model(f"{LONG}.safetensors"),
        lambda: masklet.VideoTracker.open(f"{LONG}.masklet"),
        lambda: read_data([LONG]),
        *(
            lambda name=name: list(read_masks(name, Path(LONG)))
            for name in ("davis", "objects", "coco", "project", "cvat", "labelme")
        ),
        *(
            lambda name=name: open_dataset(name, Path(LONG))
            for name in ("folder", "davis2017", "ytvos", "mose", "lvos", "sav")
        ),
    ],
)
def test_a_name_that_is_too_long_is_refused(call: Callable[[], object]) -> None:
    with pytest.raises(masklet.MaskletError, match=r"x{50}"):
        call()


def test_a_table_with_a_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_text(f"kind,path,masks,split\nimage,{LONG}.png,masks.png,train\n")
    with pytest.raises(masklet.FormatError, match=r"2 files of .* are missing: .*x{50}"):
        open_dataset("folder", tmp_path, "train")
