"""Names that are too long for a file are of files that are not there: the error is a sentence, not the system's. Names
that are no text in UTF-8 are names like others."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

import masklet
from masklet.app.files import export
from masklet.app.items import item_of
from masklet.datasets.registry import open_dataset
from masklet.engines.fake import FakeEngine
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


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are UTF-8 there")
def test_names_that_are_no_utf8(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"a\xff")
    folder.mkdir()
    for number in range(2):
        name = tmp_path / f"{number}.png"
        cv2.imwrite(str(name), np.full((32, 40, 3), 40_000, np.uint16))
        name.rename(folder / os.fsdecode(b"p\xff%d.png" % number))
    with masklet.VideoTracker(folder, FakeEngine()) as tracker:
        tracker.add_mask(frame=0, object=1, mask=np.ones((32, 40), bool))
        tracker.save(tmp_path / "a.masklet")
        for name in ("coco", "cvat", "davis", "overlay", "project"):
            tracker.export(tmp_path / f"{name}.out", format=name)
        *_, last = export(tracker, folder, tmp_path, "coco")
        assert last["file"] == "a--coco.json"
    with masklet.VideoTracker.open(tmp_path / "a.masklet", None, FakeEngine()) as tracker:
        assert tracker.known_frames() == [0]
    assert item_of(folder).path == folder
