"""The page of examples/gradio_app.py in Chromium: a picture is clicked on, and a video is followed."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from masklet.media.source import open_video
from tests.app.conftest import CHROMIUM, browser

__all__ = ["browser"]

ROOT = Path(__file__).parents[1]
CLIP = ROOT / "src" / "masklet" / "samples" / "clip.mp4"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no Chromium at {CHROMIUM}; CHROMIUM=... names another"),
    pytest.mark.skipif(importlib.util.find_spec("gradio") is None, reason="there is no gradio; pip install gradio"),
    pytest.mark.filterwarnings("ignore"),  # of gradio and what it stands on
]


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    monkeypatch.setattr(sys, "argv", ["gradio_app.py"])
    spec = importlib.util.spec_from_file_location("gradio_app", ROOT / "examples" / "gradio_app.py")
    assert spec is not None
    assert spec.loader is not None
    app = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(app)
    _, address, _ = app.page.launch(prevent_thread_lock=True, quiet=True)
    yield address
    app.page.close()


def test_a_picture_is_clicked_on_and_a_video_is_followed(address: str, browser: Any, tmp_path: Path) -> None:
    with open_video(CLIP) as video:
        Image.fromarray(video.read(0).image).save(tmp_path / "scooter.png")
    page = browser.new_page()
    page.goto(address)
    page.set_default_timeout(120_000)

    page.locator("input[type=file]").first.set_input_files(tmp_path / "scooter.png")
    click(page.locator(".image-frame img").first)
    page.wait_for_function("document.querySelectorAll('.image-frame img').length === 3")
    mask = shown(page, 2)[..., 0] > 128
    assert mask[150, 465]
    assert 0.005 < mask.mean() < 0.2  # the rider, not the street

    page.get_by_role("tab", name="Video").click()
    page.locator("input[type=file]:visible, input[type=file]").last.set_input_files(CLIP)
    first = page.locator(".image-frame img:visible").first
    first.wait_for()
    click(first)
    page.get_by_role("button", name="Follow").click()
    with page.expect_download() as waiting:
        page.locator("a[href*='masks.json']").click()
    images = json.loads(Path(waiting.value.path()).read_text())["images"]
    assert len(images) == 43  # one mask of each frame


def click(image: Any) -> None:
    """Click on the rider. Until a picture is loaded it has no height, and no place to click on."""
    image.wait_for()
    image.evaluate("picture => picture.decode()")
    area = image.bounding_box()
    scale = min(area["width"] / 640, area["height"] / 360)
    left, top = (area["width"] - 640 * scale) / 2, (area["height"] - 360 * scale) / 2
    image.click(position={"x": left + 465 * scale, "y": top + 150 * scale})


def shown(page: Any, number: int) -> np.ndarray:
    """The pixels of a picture on the page, uint8 (H, W, 3)."""
    address = page.locator(".image-frame img").nth(number).get_attribute("src")
    return np.asarray(Image.open(BytesIO(page.request.get(address).body())).convert("RGB"))
