"""A person cuts an object out of the shipped clip, in Chromium, with the shipped model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import masklet
from masklet.app.library import Library
from masklet.checkpoints import load_model
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
