"""In Chromium: a person cuts an object out of the shipped clip with the shipped model, and brings their own files."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import masklet
from masklet.app.library import Library
from masklet.checkpoints import load_model
from masklet.engines.fake import FakeEngine
from masklet.formats.json_file import listed_in
from masklet.formats.registry import read_masks
from tests.app.conftest import SAMPLE, serving
from tests.app.pages import Viewer, until


def test_click_follow_correct_undo_reload_and_export(open_page: Callable[[str], Any], tmp_path: Path) -> None:
    engine = load_model("nano")
    library = Library([SAMPLE], tmp_path / "project", engine)
    (name,) = library.items
    with serving(library) as address:
        viewer = Viewer(open_page(f"{address}/v/{name}"))
        assert viewer.frame == 0
        assert not viewer.mask().any()

        viewer.click(465, 150)
        until(lambda: viewer.mask().any())
        with masklet.VideoTracker(SAMPLE, engine) as straight:
            first = straight.add_points(frame=0, object="object 1", points=[(465.5, 150.5)])
            clicked = viewer.mask()
            assert np.mean(clicked == first.objects["object 1"].mask) > 0.999  # the screen rounds the place a little

        viewer.press("t")
        until(lambda: viewer.frame >= 3)
        viewer.press("Escape")
        viewer.page.wait_for_selector("#transport button[aria-label='Follow forward']:visible")
        stopped = viewer.frame
        until(lambda: viewer.mask().any())
        found = viewer.mask()

        viewer.click(465, 40, button="right")
        viewer.page.wait_for_selector("#marks .exclude, .marks .exclude")
        until(lambda: viewer.page.get_attribute("button[aria-label='Undo']", "title").startswith("Undo click"))
        viewer.press("Control+z")
        until(lambda: not viewer.page.locator(".marks .exclude").count())
        until(lambda: np.array_equal(viewer.mask(), found))
        viewer.press("Control+Shift+z")
        viewer.page.wait_for_selector(".marks .exclude")
        corrected = library.session(name)._tracker.masks(stopped).objects["object 1"].mask
        until(lambda: np.array_equal(viewer.mask(), corrected))

        viewer.page.reload()
        viewer = Viewer(viewer.page)
        until(lambda: viewer.page.locator("#panel .choice").count() == 1)
        viewer.page.fill("#transport .at", str(stopped))
        viewer.press("Enter")
        until(lambda: viewer.frame == stopped and np.array_equal(viewer.mask(), corrected))

        viewer.press("Control+e")
        viewer.page.select_option("#format", "coco")
        viewer.page.click("dialog button[type=submit]")
        with viewer.page.expect_download() as waiting:
            viewer.page.click("dialog a.button:visible")
        waiting.value.save_as(tmp_path / "out.json")
    frames = {frame.frame: frame for frame in read_masks("coco", tmp_path / "out.json")}
    assert sorted(frames) == list(range(len(frames)))
    assert np.array_equal(frames[stopped].objects["object 1"].mask, corrected)


DROP = """([name, text]) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([bytes], name));
  document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true }));
}"""


def test_files_that_are_dropped_or_chosen_come_to_the_others(
    clip: Path, tmp_path: Path, open_page: Callable[[str], Any]
) -> None:
    (tmp_path / "classes.txt").write_text("car\n\n person \ncar\n")
    library = Library(
        [clip], tmp_path / "project", FakeEngine(), classes=listed_in(tmp_path / "classes.txt", "classes")
    )
    with serving(library) as address:
        page = open_page(address)
        page.wait_for_selector(".card")
        page.evaluate(DROP, ["bad.mp4", base64.b64encode(b"nothing").decode()])
        page.wait_for_selector("#news .grave")
        assert "bad.mp4" in page.inner_text("#news")
        with page.expect_file_chooser() as chosen:
            page.click("button:has-text('Add files')")
        chosen.value.set_files({"name": "mine.mp4", "mimeType": "video/mp4", "buffer": clip.read_bytes()})
        page.locator("a.card", has_text="mine.mp4").click()
        page.wait_for_selector("#stage[data-frame]")
        page.wait_for_selector("#notice", state="hidden")
        page.keyboard.press("a")
        page.keyboard.press("F2")
        offered = page.locator("#categories option").evaluate_all("(all) => all.map((one) => one.value)")
        assert offered == ["car", "person"]
