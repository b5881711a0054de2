"""The command line in this process, a small model and a short video for it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import av
import pytest
from PIL import Image

from masklet.checkpoints import Model, save_model
from masklet.cli.main import main
from tests.conftest import GOLDEN, small_network

Run = Callable[..., int]
Read = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


@pytest.fixture
def run(monkeypatch: Patch) -> Run:
    """Runs `masklet ARGUMENTS` and returns the exit code."""

    def call(*arguments: str | Path) -> int:
        monkeypatch.setattr(sys, "argv", ["masklet", *map(str, arguments)])
        try:
            main()
        except SystemExit as ended:
            return int(ended.code or 0)
        return 0

    return call


def error_of(read: Read) -> str:
    """What stands on standard error, without a terminal's frames and line breaks."""
    return " ".join(read.readouterr().err.replace("│", " ").split())


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_model(Model("golden-small", small_network()), path)
    return path


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five of the golden frames as an MP4."""
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=12)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for number in range(5):
            frame = av.VideoFrame.from_image(Image.open(GOLDEN / f"video/frames/{number:05d}.png").convert("RGB"))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with two pictures, a text file, and one more picture below."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    picture = Image.open(GOLDEN / "image/photo_cat.png").convert("RGB")
    for name in ("a.jpg", "b.png", "more/a.jpg"):
        picture.save(folder / name)
    (folder / "notes.txt").write_text("two cats")
    return folder
