"""The page in Chromium, with an engine that needs no network: tools, keys, two tabs, a server that goes away."""

from __future__ import annotations

import base64
import shutil
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import cv2
import numpy as np
import pytest

import masklet
from masklet.app.library import Library
from masklet.app.session import EDIT_ACTIONS
from masklet.engines.fake import FakeEngine
from masklet.media.video_file import VideoFile
from tests.app.conftest import scene, serving, write_scene
from tests.app.pages import Viewer, until
from tests.media.clips import Clip, write_clip, write_hidden_head

PAGE = Path(__file__).parents[2] / "src/masklet/app/page"
RED, BLUE, GREY = (22, 32), (110, 70), (140, 20)


@pytest.fixture
def address(library: Library) -> Iterator[str]:
    with serving(library) as found:
        yield f"{found}/v/{next(iter(library.items))}"


@pytest.fixture
def viewer(address: str, open_page: Callable[[str], Any]) -> Viewer:
    found = Viewer(open_page(address))
    until(lambda: found.page.locator("#notice").is_hidden())
    return found


def test_the_types_of_the_page_are_right() -> None:
    compiler = shutil.which("tsc")
    if compiler is None:
        pytest.skip("there is no tsc; scripts/test installs it where it may (Debian: node-typescript)")
    options = "--noEmit --allowJs --checkJs --target es2022 --lib es2022,dom,dom.iterable --module esnext"
    files = (PAGE / "app.js", Path(__file__).with_name("page.d.ts"))
    found = subprocess.run(
        [compiler, *options.split(), "--moduleResolution", "node", *map(str, files)], capture_output=True, text=True
    )
    assert found.returncode == 0, found.stdout


def covers(viewer: Viewer, *places: tuple[int, int]) -> bool:
    mask = viewer.mask()
    return all(mask[y, x] for x, y in places)


CLIPS: dict[str, Callable[[Path], Path]] = {
    "B-frames": lambda folder: write_clip(folder / "b.mp4", Clip(".mp4", count=30)),
    "varying rate": lambda folder: write_clip(
        folder / "v.mkv", Clip(".mkv", count=20, pts=[40 * n + 300 * (n > 7) + 12 * (n % 3) for n in range(20)])
    ),
    "hidden head": lambda folder: write_hidden_head(folder / "h.mp4", 5, 30),
}


@pytest.mark.parametrize("kind", CLIPS)
def test_the_picture_of_a_number_is_the_decoders(open_page: Callable[[str], Any], tmp_path: Path, kind: str) -> None:
    clip = CLIPS[kind](tmp_path)
    pictures = [frame.image.astype(int) for frame in VideoFile(clip).frames()]
    library = Library([clip], tmp_path / "project", FakeEngine())
    with serving(library) as address:
        viewer = Viewer(open_page(f"{address}/v/{next(iter(library.items))}"))
        assert viewer.page.inner_text("#transport .soft") == f"of {len(pictures) - 1}"
        for frame in (0, 1, 2, len(pictures) - 1, 9, 8, 3):
            viewer.page.fill("#transport .at", str(frame))
            viewer.press("Enter")
            until(lambda frame=frame: viewer.frame == frame)
            seen = viewer.pixels("#picture")[..., :3].astype(int)
            assert int(np.argmin([np.abs(seen - picture).mean() for picture in pictures])) == frame


def test_the_filmstrip_shows_the_frame_that_is_there_and_nothing_jumps(viewer: Viewer, clip: Path) -> None:
    page, place = viewer.page, viewer.at(0, 0)
    pictures = [frame.image for frame in VideoFile(clip).frames()]
    slots = round((page.locator(".ruler").bounding_box()["width"] - 24) / 38 * 96 / 160)
    expected = [int((slot + 0.5) * len(pictures) / slots) for slot in range(slots)]
    until(lambda: page.evaluate(FETCHED) == slots)
    viewer.click(*RED)
    until(lambda: viewer.mask().any())
    viewer.press("a")
    viewer.click(*BLUE)
    until(lambda: covers(viewer, RED, BLUE))
    assert viewer.at(0, 0) == place
    strip = viewer.pixels(".ruler")[:38, 12:-12, :3].astype(int)
    each = strip.shape[1] / slots
    for slot in range(1, slots):  # the first one is under the line of the frame one is at
        shown = strip[:, round(slot * each) : round((slot + 1) * each) - 2]
        near = [np.abs(shown - small(picture, shown.shape)).mean() for picture in pictures]
        assert abs(int(np.argmin(near)) - expected[slot]) <= 1


FETCHED = "performance.getEntriesByType('resource').filter((entry) => entry.name.includes('&w=')).length"
"""How many pictures of the filmstrip have come."""


def small(picture: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A picture so reduced that its middle fills a shape."""
    scale = max(shape[0] / picture.shape[0], shape[1] / picture.shape[1])
    whole = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(int)
    top, left = (whole.shape[0] - shape[0]) // 2, (whole.shape[1] - shape[1]) // 2
    return whole[top : top + shape[0], left : left + shape[1]]


def test_each_tool_once(viewer: Viewer) -> None:
    viewer.drag((8, 18), (36, 46))  # a box, with any tool of the network's
    until(lambda: covers(viewer, RED))
    assert viewer.page.locator(".marks .box").count() == 1
    viewer.click(20, 28)
    until(lambda: viewer.page.locator(".marks .include:not(.pale)").count() == 1)  # a pale one is not answered
    viewer.click(20, 28)  # on a point: it is taken back
    until(lambda: viewer.page.locator(".marks .include").count() == 0)
    viewer.click(60, 60, button="right")
    until(lambda: viewer.page.locator(".marks .exclude:not(.pale)").count() == 1)

    viewer.press("w")
    viewer.drag((60, 20), (80, 20))
    until(lambda: covers(viewer, RED, (60, 20), (70, 20), (80, 20)))
    viewer.press("e")
    viewer.drag((60, 20), (70, 20))
    until(lambda: not viewer.mask()[20, 65] and covers(viewer, RED))
    viewer.press("Control+z")
    until(lambda: covers(viewer, RED, (65, 20)))

    viewer.press("p")
    viewer.press("a")
    viewer.page.mouse.move(*viewer.at(*BLUE))
    viewer.page.keyboard.down("Shift")
    viewer.page.mouse.move(*viewer.at(BLUE[0] + 1, BLUE[1]))
    until(lambda: covers(viewer, BLUE, RED))
    viewer.page.keyboard.up("Shift")
    until(lambda: not viewer.mask()[BLUE[1], BLUE[0]])
    assert viewer.page.get_attribute("button[aria-label='Undo']", "title").startswith("Undo mask on object 1")

    viewer.click(*BLUE)
    until(lambda: covers(viewer, BLUE, RED))
    viewer.press("s")
    until(lambda: covers(viewer, BLUE) and not covers(viewer, RED))
    viewer.press("s")
    viewer.press("h")
    until(lambda: covers(viewer, RED) and not covers(viewer, BLUE))
    viewer.press("m")
    until(lambda: not viewer.mask().any())


RINGS = """async ([mask, width, height, tolerance]) => {
  const place = document.querySelector("script").src.replace("app.js", "");
  const { runsOf, maskOf } = await import(place + "masks.js");
  const { ringsOf, runsOfRings } = await import(place + "rings.js");
  const rings = ringsOf(runsOf(mask), width, height, tolerance);
  return [[...maskOf(runsOfRings(rings, width, height), mask.length)], rings.flat().length];
}"""


def test_rings_of_any_mask_give_it_back(viewer: Viewer) -> None:
    random = np.random.default_rng(5)
    for _ in range(4):
        mask = cv2.blur(random.random((40, 60)), (9, 9)) > 0.5
        mask[0, 0] = mask[39, 59] = mask[1, 1] = True
        flat, found, corners = mask.astype(int).ravel().tolist(), {}, {}
        for tolerance in (0, 2):
            pixels, corners[tolerance] = viewer.page.evaluate(RINGS, [flat, 60, 40, tolerance])
            found[tolerance] = np.array(pixels, bool).reshape(mask.shape)
        assert np.array_equal(found[0], mask)
        whole, kernel = np.pad(mask.astype(np.uint8), 3), np.ones((7, 7))
        far = (cv2.dilate(whole, kernel) == cv2.erode(whole, kernel))[3:-3, 3:-3]
        assert np.array_equal(found[2][far], mask[far])
        assert corners[2] < corners[0] / 2


def test_corners_of_a_polygon_are_moved_and_taken_away_and_rings_drawn(viewer: Viewer) -> None:
    viewer.drag((8, 18), (36, 46))
    until(lambda: covers(viewer, RED))
    first = viewer.mask()
    rows, columns = np.nonzero(first)
    corner = (columns[rows == rows.max()].max() + 0.5, rows.max() + 0.5)
    viewer.press("g")
    until(lambda: viewer.page.locator(".marks .corner").count() >= 4)
    assert np.array_equal(viewer.mask(), first)  # looking changes nothing
    viewer.drag(corner, (70, 80))
    until(lambda: viewer.page.get_attribute("button[aria-label='Undo']", "title").startswith("Undo mask"))
    assert covers(viewer, (50, 62))
    moved = viewer.mask()
    viewer.click(69.5, 79.5, button="right")
    until(lambda: not viewer.mask()[62, 50])
    viewer.press("Control+z")
    until(lambda: np.array_equal(viewer.mask(), moved))
    for place in ((120, 10), (150, 10), (135, 40)):
        viewer.click(*place)
    viewer.press("Enter")
    until(lambda: covers(viewer, (135, 20), (50, 62)))
    assert not viewer.mask()[38, 122]
    for place in ((130, 12), (140, 12), (135, 25)):  # inside of it: a hole
        viewer.click(*place)
    viewer.press("Enter")
    until(lambda: not viewer.mask()[15, 135])
    assert covers(viewer, (135, 35))


def test_the_ring_of_the_brush_has_its_size_at_once(viewer: Viewer) -> None:
    viewer.press("e")
    viewer.drag((60, 20), (80, 20))
    until(lambda: "nothing to erase" in viewer.page.inner_text("#news"))
    viewer.press("w")
    radius = lambda: float(viewer.page.get_attribute(".marks .brush.over", "r"))  # noqa: E731
    before = radius()
    viewer.press("]")
    assert radius() == pytest.approx(before * 1.25)
    viewer.press("[")
    viewer.press("[")
    assert radius() == pytest.approx(before / 1.25)


def test_a_stroke_goes_on_from_one_that_is_not_answered(viewer: Viewer, monkeypatch: pytest.MonkeyPatch) -> None:
    prompt, done = EDIT_ACTIONS["prompt"], []

    def slow(*given: Any) -> None:
        time.sleep(0.3)
        prompt(*given)
        done.append(given)

    monkeypatch.setitem(EDIT_ACTIONS, "prompt", slow)
    viewer.press("w")
    viewer.drag((30, 20), (40, 20))
    viewer.drag((120, 70), (130, 70))
    until(lambda: len(done) == 2)
    until(lambda: covers(viewer, (35, 20), (125, 70)))


def test_a_stroke_goes_on_from_one_whose_answer_is_not_on_the_screen(viewer: Viewer) -> None:
    viewer.page.evaluate("""() => {  // masks take half a second from the message to the canvas
      const read = Response.prototype.arrayBuffer;
      Response.prototype.arrayBuffer = async function () {
        await new Promise((go) => setTimeout(go, 500));
        return read.call(this);
      };
    }""")
    undo = viewer.page.locator("button[aria-label=Undo]")
    viewer.press("w")
    viewer.drag((30, 20), (40, 20))
    until(undo.is_enabled)  # it is answered
    viewer.drag((120, 70), (130, 70))
    until(lambda: covers(viewer, (35, 20), (125, 70)))


def test_an_answer_that_comes_while_the_one_before_is_unpacked_is_shown(viewer: Viewer) -> None:
    viewer.page.evaluate("""() => {  // the first masks take half a second from the message to the canvas
      const read = Response.prototype.arrayBuffer;
      let slow = 500;
      Response.prototype.arrayBuffer = async function () {
        const wait = slow;
        slow = 0;
        await new Promise((go) => setTimeout(go, wait));
        return read.call(this);
      };
    }""")
    viewer.press("b")
    viewer.drag((8, 18), (36, 46))
    until(lambda: viewer.page.locator(".marks .box").count() == 1)
    viewer.press("a")
    viewer.drag((98, 58), (122, 82))
    until(lambda: covers(viewer, RED, BLUE))


NOTE = """() => {
  window.said = [];
  const note = () => window.said.push(document.getElementById("news")?.textContent ?? "");
  new MutationObserver(note).observe(document.body, { childList: true, subtree: true });
}"""
"""Notes sentences that go away by themselves."""


def held(monkeypatch: pytest.MonkeyPatch, act: str) -> Event:
    """Have an act wait until this is set."""
    plain, answer = EDIT_ACTIONS[act], Event()

    def waits(*given: Any) -> None:
        answer.wait(60)
        plain(*given)

    monkeypatch.setitem(EDIT_ACTIONS, act, waits)
    return answer


def test_a_stroke_waits_for_the_answer_to_a_click(viewer: Viewer, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = held(monkeypatch, "prompt")
    viewer.page.evaluate(NOTE)
    viewer.click(*RED)
    viewer.press("w")
    viewer.drag((120, 20), (130, 20))
    until(lambda: any("not answered yet" in sentence for sentence in viewer.page.evaluate("window.said")))
    answer.set()
    until(lambda: viewer.page.locator(".marks .include:not(.pale)").count() == 1)
    until(lambda: viewer.page.locator(".marks .pale").count() == 0)
    viewer.drag((120, 20), (130, 20))
    until(lambda: covers(viewer, RED, (125, 20)))
    until(lambda: viewer.page.get_attribute("button[aria-label='Undo']", "title").startswith("Undo mask"))
    assert covers(viewer, RED, (125, 20))


@pytest.mark.parametrize("change", ["undo", "another candidate"])
def test_a_stroke_waits_for_the_answer_to_any_change(
    viewer: Viewer, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    viewer.click(*RED)
    until(lambda: viewer.page.locator(".candidates button").count() > 1)
    viewer.page.evaluate(NOTE)
    first, answer = viewer.mask(), held(monkeypatch, "undo" if change == "undo" else "prompt")
    viewer.press("w")
    viewer.press("Control+z" if change == "undo" else "v")
    viewer.drag((120, 20), (130, 20))
    until(lambda: any("not answered yet" in sentence for sentence in viewer.page.evaluate("window.said")))
    answer.set()
    until(lambda: not np.array_equal(viewer.mask(), first))
    changed = viewer.mask()
    viewer.drag((120, 20), (130, 20))
    until(lambda: covers(viewer, (125, 20)))
    until(lambda: viewer.page.get_attribute("button[aria-label='Undo']", "title").startswith("Undo mask"))
    assert np.array_equal(viewer.mask()[:, :100], changed[:, :100])


def test_a_double_click_is_one_click(viewer: Viewer, monkeypatch: pytest.MonkeyPatch) -> None:
    prompt, asked = EDIT_ACTIONS["prompt"], []

    def slow(*given: Any) -> None:
        time.sleep(0.3)
        asked.append(given)
        prompt(*given)

    monkeypatch.setitem(EDIT_ACTIONS, "prompt", slow)
    viewer.page.mouse.dblclick(*viewer.at(*RED))
    until(lambda: viewer.page.locator(".marks .include:not(.pale)").count() == 1)
    viewer.click(*BLUE, button="right")
    until(lambda: viewer.page.locator(".marks .exclude:not(.pale)").count() == 1)
    assert len(asked) == 2


def test_another_meaning_of_a_first_click_is_chosen_by_key_and_compared(viewer: Viewer) -> None:
    page, keys = viewer.page, viewer.page.keyboard
    viewer.click(*RED)
    choices = page.locator(".candidates button")
    until(lambda: choices.count() > 1)
    first = viewer.mask()
    viewer.press("v")
    until(lambda: not np.array_equal(viewer.mask(), first))
    other = viewer.mask()
    assert covers(viewer, RED)
    assert choices.nth(1).get_attribute("aria-pressed") == "true"
    for key, expected in (("q", first), ("r", np.zeros_like(first))):
        keys.down(key)
        until(lambda expected=expected: np.array_equal(viewer.mask(), expected))
        keys.up(key)
        until(lambda: np.array_equal(viewer.mask(), other))
    choices.first.click()
    until(lambda: np.array_equal(viewer.mask(), first))
    viewer.press("Control+z")
    until(lambda: np.array_equal(viewer.mask(), other))
    viewer.press("f")
    until(lambda: choices.first.is_hidden())
    viewer.press("d")
    viewer.click(24, 36)  # a second click is clear
    until(lambda: page.locator(".marks .include").count() == 1)
    assert choices.first.is_hidden()


DROP = """(text) => {
  const transfer = new DataTransfer(), data = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  transfer.items.add(new File([data], "masks.zip"));
  document.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
}"""
"""Drops a ZIP on the page."""


def test_masks_of_a_file_are_taken_and_what_is_none_is_refused(viewer: Viewer, clip: Path, tmp_path: Path) -> None:
    page, file = viewer.page, tmp_path / "masks.json"
    with masklet.VideoTracker(clip, FakeEngine()) as tracker:
        tracker.add_points(frame=0, object="red", points=[RED])
        tracker.describe("red", category="square")
        masks = {result.frame: result.objects["red"].mask for result in tracker.propagate(stop=6)}
        tracker.export(file, format="coco")
    packed = tmp_path / "masks.zip"
    with zipfile.ZipFile(packed, "w") as members:
        members.write(clip, "work/pictures/squares.mp4")
        members.write(file, "work/annotations/instances.json")
    viewer.press("Control+i")
    page.set_input_files("#file", {"name": "no masks.json", "mimeType": "text/plain", "buffer": b"[1, 2"})
    page.click("dialog button[type=submit]")
    until(lambda: "no-masks.json" in page.inner_text("#news"))
    until(lambda: page.locator("dialog").count() == 0)
    page.evaluate(DROP, base64.b64encode(packed.read_bytes()).decode())
    page.fill("#to", "4")
    page.click("dialog button[type=submit]")
    until(lambda: page.locator("dialog").count() == 0)
    assert page.locator("#panel .name").first.get_attribute("data-category") == "square"
    until(lambda: np.array_equal(viewer.mask(), masks[0]))
    for _ in range(4):
        viewer.press("f")
    until(lambda: viewer.frame == 4)
    assert np.array_equal(viewer.mask(), masks[4])
    viewer.press("f")
    until(lambda: viewer.frame == 5)
    assert not viewer.mask().any()


def test_the_tour_goes_on_with_what_is_done_and_comes_once(viewer: Viewer) -> None:
    page, tour = viewer.page, viewer.page.locator(".tour")
    step = lambda number: until(lambda: f"tour {number} of 4" in tour.inner_text().lower())  # noqa: E731
    step(1)
    viewer.click(*RED)
    step(2)
    viewer.press("t")
    step(3)
    viewer.click(30, 30)
    step(4)
    viewer.press("Control+e")
    page.click("dialog button[type=submit]")
    until(lambda: tour.is_hidden())
    page.reload()
    Viewer(page)
    assert tour.is_hidden()
    viewer.press("?")
    page.click("dialog button:has-text('tour')")
    step(1)
    page.click(".tour button:has-text('Skip')")
    step(2)
    page.click(".tour button:has-text('Leave')")
    assert tour.is_hidden()


def test_everything_by_keyboard_alone(viewer: Viewer) -> None:
    page = viewer.page
    viewer.press("c")  # the cross, in the middle
    for _ in range(3):
        viewer.press("Shift+ArrowUp")
    for _ in range(8):
        viewer.press("Shift+ArrowLeft")
    viewer.press("ArrowDown")
    viewer.press("Enter")
    until(lambda: viewer.mask().any())
    assert covers(viewer, RED)
    viewer.press("Escape")
    viewer.press("t")
    until(lambda: viewer.frame == 23 and page.locator("button[aria-label='Follow forward']").is_visible())
    for key, frame in (("Home", 0), (".", 1), ("f", 2), ("Shift+ArrowRight", 12), ("d", 11), ("End", 23), (",", 22)):
        viewer.press(key)
        until(lambda frame=frame: viewer.frame == frame)
    viewer.press("ArrowUp")
    until(lambda: viewer.frame == 0)
    viewer.press("F2")
    page.keyboard.type("scooter")
    viewer.press("Tab")
    page.keyboard.type("vehicle")
    viewer.press("Enter")
    until(lambda: page.locator("#panel .name").first.inner_text() == "scooter")
    until(lambda: page.locator("dialog").count() == 0)
    viewer.press("Shift+l")
    until(lambda: page.locator(".job").inner_text() in ("locked", ""))
    viewer.press("?")
    assert "Follow forward" in page.inner_text("dialog")
    viewer.press("Escape")
    viewer.press("Control+e")
    with page.expect_download() as waiting:
        page.focus("dialog button[type=submit]")
        viewer.press("Enter")
    assert waiting.value.suggested_filename == "squares-coco.json"


def test_every_tool_by_keyboard_alone(viewer: Viewer) -> None:
    page = viewer.page

    def walk(**steps: int) -> None:
        for way, times in steps.items():
            for _ in range(times):
                viewer.press(f"Shift+Arrow{way}")

    viewer.press("c")  # the cross, in the middle
    viewer.press("w")
    viewer.press("Enter")
    walk(Right=3)
    viewer.press("Enter")
    until(lambda: covers(viewer, (80, 48), (92, 48), (104, 48)))
    viewer.press("e")
    viewer.press("Enter")
    walk(Right=1)
    viewer.press("Enter")
    until(lambda: not viewer.mask()[48, 104] and covers(viewer, (80, 48)))
    viewer.press("a")
    viewer.press("b")
    walk(Left=2, Down=1)
    viewer.press("Enter")
    walk(Right=4, Down=4)
    viewer.press("Enter")
    until(lambda: covers(viewer, BLUE))
    viewer.press("g")
    walk(Left=14, Up=9)
    viewer.press("Enter")
    walk(Right=2)
    viewer.press("Enter")
    walk(Down=2)
    viewer.press("Enter")
    viewer.press("Enter")  # twice at a place: the ring is closed
    until(lambda: covers(viewer, (28, 20), BLUE))
    viewer.press("F2")
    viewer.press("Tab")
    page.keyboard.type("square")
    viewer.press("Enter")
    classes = lambda: [name.get_attribute("data-category") for name in page.locator("#panel .name").all()]  # noqa: E731
    until(lambda: classes() == ["", "square"])
    until(lambda: page.locator("dialog").count() == 0)  # it goes once its act is done, and takes no key before
    viewer.press("1")
    viewer.press("Shift+Digit1")
    until(lambda: classes() == ["square", "square"])
    viewer.press("Shift+Digit1")
    until(lambda: classes() == ["", "square"])


def test_a_key_can_be_changed(viewer: Viewer) -> None:
    viewer.press("?")
    viewer.page.click("button[aria-label='Keys of: Next object']")
    viewer.press("t")
    assert "is taken" in viewer.page.inner_text("dialog p[aria-live]")
    viewer.page.click("button[aria-label='Keys of: One frame on']")
    viewer.press("z")
    viewer.press("Escape")
    viewer.page.reload()
    viewer = Viewer(viewer.page)
    viewer.press("z")
    until(lambda: viewer.frame == 1)
    viewer.press("f")
    viewer.press("z")
    until(lambda: viewer.frame == 2)


def test_an_object_is_accepted_away_split_and_merged(viewer: Viewer) -> None:
    page = viewer.page
    viewer.click(*RED)
    until(lambda: viewer.mask().any())
    viewer.press("t")
    until(lambda: viewer.frame == 23 and page.locator("button[aria-label='Follow forward']").is_visible())
    until(lambda: viewer.mask().any())
    viewer.press("x")
    until(lambda: not viewer.mask().any())
    assert "absent" in page.inner_text("#panel .facts")
    viewer.press("d")
    until(lambda: viewer.frame == 22 and viewer.mask().any())
    viewer.press("Enter")
    until(lambda: page.get_attribute("button[aria-label='Undo']", "title").startswith("Undo accepting object 1"))
    viewer.press("F2")
    page.click("dialog button:has-text('Split')")
    until(lambda: page.locator("#panel .choice").count() == 2)
    until(lambda: page.locator("dialog").count() == 0)  # it goes once its act is done, and takes no key before
    viewer.press("F2")
    page.click("dialog button:has-text('Merge')")
    until(lambda: page.locator("#panel .choice").count() == 1)
    until(lambda: page.locator("dialog").count() == 0)
    viewer.press("Control+z")
    until(lambda: page.locator("#panel .choice").count() == 2)


def test_doubts_come_one_after_another(viewer: Viewer) -> None:
    viewer.click(*RED)
    until(lambda: viewer.mask().any())
    viewer.press("End")
    until(lambda: viewer.frame == 23)
    viewer.press("w")
    viewer.drag((100, 20), (130, 20))  # far from where it is: it jumps there and back
    until(lambda: viewer.mask().any())
    viewer.press("Home")
    viewer.press("t")
    until(lambda: viewer.page.locator("button[aria-label='Follow forward']").is_visible())
    doubts = viewer.page.locator("#panel .doubt")
    if doubts.count():
        viewer.press("n")
        until(lambda: viewer.page.locator(".job").inner_text() == "in doubt here")


def test_a_second_tab_watches_and_takes_over(viewer: Viewer, address: str, open_page: Callable[[str], Any]) -> None:
    other = Viewer(open_page(address))
    until(lambda: "Another page edits" in other.page.inner_text("#notice"))
    viewer.click(*RED)
    until(lambda: covers(other, RED))
    other.click(*BLUE)
    assert not covers(other, BLUE)
    other.page.click("#notice button")
    until(lambda: other.page.locator("#notice").is_hidden())
    until(lambda: "Another page edits" in viewer.page.inner_text("#notice"))
    other.press("a")
    other.click(*BLUE)
    until(lambda: covers(viewer, RED, BLUE))


def test_a_server_that_comes_back(open_page: Callable[[str], Any], clip: Path, tmp_path: Path) -> None:
    with serving(Library([clip], tmp_path / "project", FakeEngine())) as address:
        port = int(address.rpartition(":")[2])
        library = Library([clip], tmp_path / "project", FakeEngine())
        viewer = Viewer(open_page(f"{address}/v/{next(iter(library.items))}"))
        viewer.click(*RED)
        until(lambda: covers(viewer, RED))
    until(lambda: "No connection" in viewer.page.inner_text("#notice"))
    with serving(library, port=port):
        until(lambda: viewer.page.locator("#notice").is_hidden())
        assert covers(viewer, RED)
        viewer.press("a")
        viewer.click(*BLUE)
        until(lambda: covers(viewer, RED, BLUE))


def test_a_click_whose_answer_was_lost_is_done_once(address: str, open_page: Callable[[str], Any]) -> None:
    page, lost = open_page("about:blank"), []

    def connect(socket: Any) -> None:
        server = socket.connect_to_server()

        def heard(message: str | bytes) -> None:
            if isinstance(message, str) and '"type": "done"' in message and not lost:
                lost.append(message)
                socket.close()  # the change is on the disk, and the page does not know it
            else:
                socket.send(message)

        server.on_message(heard)

    page.route_web_socket("**/session", connect)
    page.goto(address)
    viewer = Viewer(page)
    viewer.click(*RED)
    until(lambda: page.title() and lost)  # Playwright hears while it is asked
    until(lambda: covers(viewer, RED) and page.locator("#notice").is_hidden())
    until(lambda: page.locator(".marks .include").count() == 1 and page.locator(".marks .pale").count() == 0)
    viewer.press("Control+z")
    until(lambda: page.locator("button[aria-label='Undo']").is_disabled() and not viewer.mask().any())


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_pages_can_be_used_by_everybody(
    library: Library, open_page: Callable[[str], Any], address: str, theme: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    viewer = Viewer(open_page(address))
    viewer.page.emulate_media(color_scheme=theme)
    viewer.click(*RED)
    until(lambda: viewer.page.locator("#panel .choice").count() and viewer.mask().any())
    found = [Axe().run(viewer.page)]
    viewer.press("?")
    found.append(Axe().run(viewer.page))
    viewer.page.goto(address.partition("/v/")[0])
    viewer.page.wait_for_selector(".card")
    found.append(Axe().run(viewer.page))
    assert "\n".join(report.generate_report() for report in found if report.violations_count) == ""


def test_the_library_shows_videos_and_pictures(open_page: Callable[[str], Any], tmp_path: Path) -> None:
    folder = tmp_path / "footage"
    (folder / "frames").mkdir(parents=True)
    write_scene(folder / "one.mp4", 6)
    (folder / "broken.mp4").write_bytes(b"nothing")
    for frame in range(4):
        cv2.imwrite(str(folder / "frames" / f"{frame:05d}.png"), scene(frame)[..., ::-1])
    cv2.imwrite(str(folder / "photo.jpg"), scene(0)[..., ::-1])
    with serving(Library([folder], tmp_path / "project", FakeEngine())) as address:
        page = open_page(address)
        page.wait_for_selector(".card")
        names = page.locator(".card .name").all_inner_texts()
        assert sorted(names) == ["broken.mp4", "frames", "one.mp4", "photo.jpg"]
        assert "broken.mp4" in page.inner_text(".card.bad .warn")
        until(lambda: page.evaluate("[...document.querySelectorAll('.cover img')].every((i) => i.naturalWidth > 0)"))
        page.fill("input[type=search]", "photo")
        page.click(".card")
        viewer = Viewer(page)
        viewer.click(*RED)
        until(lambda: covers(viewer, RED))
        viewer.press("Control+e")
        page.select_option("#format", "labelme")
        page.click("dialog button[type=submit]")
        page.wait_for_selector("dialog a.button:visible")
