"""Takes the pictures of the annotator that the documents show: docs/images/annotate-*.jpg.

    .venv-test/bin/python scripts/screenshots.py

Needs Chromium at /usr/bin/chromium, or where CHROMIUM says.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep
from typing import Any

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "src/masklet/samples/clip.mp4"
IMAGES = ROOT / "docs/images"
SIZE = {"width": 1280, "height": 800}


def main() -> None:
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        footage = Path(folder) / "footage"
        fill(footage)
        command = [sys.executable, "-m", "masklet", "annotate", str(footage), "--project", f"{folder}/project"]
        server = subprocess.Popen([*command, "--port", "0", "--no-browse"], stdout=subprocess.PIPE, text=True)
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox"]
        )
        try:
            assert server.stdout is not None
            address = server.stdout.readline().split()[-1]
            take(browser, address)
        finally:
            browser.close()
            server.terminate()
            server.wait()


def fill(folder: Path) -> None:
    """A folder with something of every kind."""
    import cv2

    from masklet.media.source import open_video

    (folder / "walk").mkdir(parents=True)
    shutil.copy(SAMPLE, folder / "scooter.mp4")
    source = open_video(SAMPLE)
    for frame in source.frames():
        image = frame.image[..., ::-1]
        if frame.index < 12:
            cv2.imwrite(str(folder / "walk" / f"{frame.index:05d}.jpg"), image[:, ::-1])
        if frame.index in (3, 20):
            cv2.imwrite(str(folder / f"street-{frame.index}.jpg"), image[60:340, 40:420])
    source.close()


def take(browser: Any, address: str) -> None:
    page = browser.new_page(viewport=SIZE, color_scheme="dark")
    page.add_init_script("localStorage.setItem('masklet.toured', 'true')")
    page.goto(address)
    page.wait_for_selector(".card")
    page.click("text=scooter.mp4")
    page.wait_for_selector("#stage[data-frame]")
    click(page, 465, 150)
    page.wait_for_selector(".candidates:visible")
    settle(page)
    shoot(page, "first-click")
    click(page, 460, 125)
    click(page, 462, 108)
    describe(page, "rider", "scooter")
    page.keyboard.press("a")
    box(page, 165, 140, 245, 225)
    describe(page, "parked", "scooter")
    page.keyboard.press("t")
    page.wait_for_selector("button[aria-label='Stop']:visible")
    page.wait_for_selector("button[aria-label='Follow forward']:visible", timeout=120_000)
    page.fill("#transport .at", "9")
    page.keyboard.press("Enter")
    settle(page)
    page.keyboard.press("1")
    settle(page)
    page.evaluate("document.activeElement.blur()")  # without the ring of the focus
    shoot(page, "viewer")
    page.click("#stage", position={"x": 5, "y": 5})
    page.keyboard.press("Control+e")
    settle(page)
    shoot(page, "export")
    page.keyboard.press("Escape")
    page.emulate_media(color_scheme="light")
    page.keyboard.press("?")
    settle(page)
    shoot(page, "keys")
    page.keyboard.press("Escape")
    sleep(4)  # until what was done is in the session's file, and so on the card
    page.emulate_media(color_scheme="dark")
    page.goto(address)
    page.wait_for_selector(".card")
    settle(page)
    shoot(page, "library")


def click(page: Any, x: float, y: float) -> None:
    page.mouse.click(*place(page, x, y))
    settle(page)


def box(page: Any, x0: float, y0: float, x1: float, y1: float) -> None:
    page.mouse.move(*place(page, x0, y0))
    page.mouse.down()
    page.mouse.move(*place(page, x1, y1), steps=5)
    page.mouse.up()
    settle(page)


def describe(page: Any, title: str, category: str) -> None:
    page.keyboard.press("F2")
    page.fill("#title", title)
    page.fill("#category", category)
    page.keyboard.press("Enter")
    settle(page)


def place(page: Any, x: float, y: float) -> tuple[float, float]:
    area = page.locator("#picture").bounding_box()
    scale = area["width"] / page.evaluate("document.querySelector('#picture').width")
    return area["x"] + x * scale, area["y"] + y * scale


def settle(page: Any) -> None:
    sleep(1.5)


def shoot(page: Any, name: str) -> None:
    path = IMAGES / f"annotate-{name}.jpg"
    page.screenshot(path=path, type="jpeg", quality=88)
    print(path)


if __name__ == "__main__":
    main()
