"""The page of examples/web in Chromium: it finds and follows a thing, and asks nobody but its own server."""

from __future__ import annotations

import functools
import http.server
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.conftest import CHROMIUM

PAGE = Path(__file__).parents[1] / "examples" / "web"
NEEDED = (PAGE / "ort", PAGE / "nano", PAGE / "clip.mp4")
SCOOTER = (465 / 640, 150 / 360)
"""Where its rider is in the first frame, as shares of the picture."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not all(map(Path.exists, NEEDED)), reason="run examples/web/fetch.py, which needs the network"),
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no Chromium at {CHROMIUM}; CHROMIUM=... names another"),
]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(PAGE)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_thing_is_found_and_followed_in_the_page(address: str) -> None:
    from playwright.sync_api import sync_playwright

    asked: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(240_000)
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        status, stage = page.locator("#status"), page.locator("#stage")
        status.filter(has_text=re.compile(r"^Click a thing\.$|failed")).wait_for()
        box = stage.bounding_box()
        assert box is not None
        place = {"x": SCOOTER[0] * box["width"], "y": SCOOTER[1] * box["height"]}
        stage.click(position=place)  # type: ignore[arg-type]
        status.filter(has_text=re.compile("follow it|failed")).wait_for()
        first = int(stage.get_attribute("data-area") or 0)
        page.click("#follow")
        page.wait_for_function("() => Number(document.getElementById('stage').dataset.frame) >= 3")
        page.click("#stop")
        status.filter(has_text=re.compile("frames, |failed")).wait_for()
        last, told = int(stage.get_attribute("data-area") or 0), status.inner_text()
        browser.close()
    assert "failed" not in told
    assert 800 < first < 4000  # cells of 320 x 320: the scooter with its rider
    assert first / 2 < last < first * 2
    assert {url for url in asked if not url.startswith((address, "blob:", "data:"))} == set()
