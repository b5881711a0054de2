"""The small model and the short video of the command line, and videos in a folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import run, video, weights  # noqa: F401


@pytest.fixture
def clips(tmp_path: Path, video: Path) -> Path:  # noqa: F811
    """A folder of two videos, with another below it."""
    folder = tmp_path / "clips"
    (folder / "more").mkdir(parents=True)
    for name in ("a.mp4", "b.mp4", "more/a.mp4"):
        shutil.copy(video, folder / name)
    (folder / "notes.txt").write_text("not a video")
    return folder
