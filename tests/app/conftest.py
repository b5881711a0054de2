"""The annotator as a browser or a program meets it: served on a port of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from starlette.testclient import TestClient

from masklet.app.library import Library
from masklet.app.server import application
from masklet.app.web import Server, listen
from masklet.engines.fake import FakeEngine

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
SAMPLE = Path(__file__).parents[2] / "src/masklet/samples/clip.mp4"
HERE = "http://127.0.0.1:8766"
"""The address by which `client` asks."""

SIZE = (96, 160)
"""(height, width) of made-up clips."""


def scene(frame: int, height: int = SIZE[0], width: int = SIZE[1]) -> NDArray[np.uint8]:
    """A red and a blue square that drift over grey."""
    image = np.full((height, width, 3), 90, np.uint8)
    image[20:44, 10 + 2 * frame : 34 + 2 * frame] = (230, 30, 30)
    image[60:80, 100 - frame : 120 - frame] = (30, 30, 230)
    return image


def write_scene(path: Path, frames: int = 24, draw: Callable[[int], NDArray[np.uint8]] = scene) -> Path:
    """A video file of these pictures."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"g": "8", "crf": "8"})
        stream.height, stream.width = draw(0).shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(draw(frame), format="rgb24")))
        container.mux(stream.encode(None))
    return path


@contextmanager
def served(make: Callable[[Callable[[], None]], Server], close: Callable[[], None], port: int = 0) -> Iterator[str]:
    """Run a server, made with what it calls once it is ready, and give its address; `close` ends what it served."""
    listening = listen(port)
    started = Event()
    running = make(started.set)
    thread = Thread(target=running.run, args=([listening],), daemon=True)
    thread.start()
    assert started.wait(30)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        running.should_exit = True
        thread.join()
        close()
        listening.close()


def serving(library: Library, token: str | None = None, port: int = 0) -> AbstractContextManager[str]:
    """Serve a library, and give its address; all is closed at the end."""
    return served(lambda ready: Server(application(library, token), ready), library.close, port)


@pytest.fixture
def client(library: Library) -> Iterator[TestClient]:
    yield TestClient(application(library), base_url=HERE)
    library.close()


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_scene(tmp_path / "squares.mp4")


@pytest.fixture
def library(clip: Path, tmp_path: Path) -> Library:
    return Library([clip], tmp_path / "project", FakeEngine())


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, one for each module: while Playwright runs, no other test of the process can begin an event loop."""
    if not CHROMIUM.exists():
        pytest.skip(
            f"there is no Chromium at {CHROMIUM}; scripts/test installs it where it may, CHROMIUM=... names another"
        )
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[[str], Any]]:
    """Opens pages; an error in their scripts fails the test, and so does a request for what there is not."""
    faults: list[str] = []
    context = browser.new_context(viewport={"width": 1280, "height": 720}, accept_downloads=True)
    context.set_default_timeout(60_000)

    def opened(address: str) -> Any:
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("response", lambda answer: faults.append(answer.url) if answer.status == 404 else None)
        page.goto(address)
        return page

    yield opened
    context.close()
    assert not faults
