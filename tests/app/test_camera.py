"""A camera on the page: the same page, the same protocol, one picture."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from masklet.app import check_installed
from masklet.app.camera import CameraSession, application, serving
from masklet.app.web import address_of, listen
from masklet.engines.fake import FakeEngine
from masklet.errors import MaskletError
from masklet.live import LiveSession, follow
from masklet.media.camera import Camera
from tests.app.conftest import HERE, SIZE, scene
from tests.app.pages import Viewer, until
from tests.app.program import Program, Refused
from tests.live.conftest import Device

RED, BLUE = (22, 32), (110, 70)


class Shown:
    """A camera that is followed in a thread, and its page."""

    def __init__(self, count: int = 20) -> None:
        self.device = Device(count, scene)
        self.live = LiveSession(Camera(0, opener=lambda _: self.device), FakeEngine())
        self.thread = threading.Thread(target=follow, args=(self.live, lambda result: None, lambda session: None))
        self.thread.start()
        until(lambda: self.live.status().frame == 0)

    def step(self, frames: int = 1) -> None:
        """Let so many pictures come, one after another."""
        for _ in range(frames):
            before = self.live.status().frame
            self.device.go.release()
            until(lambda before=before: self.live.status().frame != before)

    def close(self) -> None:
        self.live.end()
        self.device.go.release()
        self.live.camera.close()
        self.thread.join()


@pytest.fixture
def shown() -> Iterator[Shown]:
    found = Shown()
    yield found
    found.close()


@pytest.fixture
def address(shown: Shown) -> Iterator[str]:
    listening = listen(0)
    with serving(shown.live, listening):
        yield address_of(listening)


def test_a_program_prompts_holds_and_removes(shown: Shown, address: str) -> None:
    program = Program(address, "0")
    video = program.state["video"]
    assert (video["kind"], video["width"], video["height"], program.state["objects"]) == (
        "camera",
        SIZE[1],
        SIZE[0],
        [],
    )
    program.ask("prompt", object="red", points=[RED], labels=[1])
    while not program.state["objects"]:
        program.hear()
    assert program.masks_of(0)["red"][RED[1], RED[0]]
    program.ask("describe", object="red", category="square")
    program.ask("hold", held=True)
    assert shown.live.status().held
    program.ask("prompt", object="blue", box=[99, 59, 121, 81])
    shown.device.go.release()
    program.ask("hold", held=False)
    while 1 not in program.masks:
        program.hear()
    assert {name: bool(mask.any()) for name, mask in program.masks[1].items()} == {"red": True, "blue": True}
    assert [item["category"] for item in program.state["objects"]] == ["square", ""]
    program.ask("remove", object="red")
    while len(program.state["objects"]) > 1:
        program.hear()
    other = Program(address, "0")
    with pytest.raises(Refused, match="another page edits"):
        other.ask("remove", object="blue")
    other.close()
    program.close()


@pytest.mark.parametrize(("kind", "said", "sentence"), [
    ("prompt", {"object": 1, "box": [700, 0, 900, 10]}, "does not lie in the picture, 160 wide and 96 high"),
    ("prompt", {"points": [[1, 2]]}, "prompt cannot be read"),
    ("prompt", {"object": [1], "box": [1, 1, 9, 9]}, "object is \\[1\\]; give a whole number or a text"),
    ("remove", {"object": "nobody"}, "there is no object 'nobody'"),
    ("follow", {"first": 0}, "there is no message of type 'follow' here"),
])  # fmt: skip
def test_what_makes_no_sense_has_its_sentence(address: str, kind: str, said: dict[str, Any], sentence: str) -> None:
    program = Program(address, "0")
    with pytest.raises(Refused, match=sentence):
        program.ask(kind, **said)
    assert program.state["objects"] == []
    program.close()


def test_only_this_machine_and_its_own_page_may_ask(shown: Shown) -> None:
    session = CameraSession(shown.live)
    client = TestClient(application(session), base_url=HERE)
    assert str(client.get("/").url) == f"{HERE}/v/0"
    assert session.ask(session.state).result()["video"]["frames"] == 1
    assert client.get("/v/0/frame/0.jpg").headers["cache-control"] == "no-store"
    assert "come once" in client.get("/v/0/frame/7.jpg").json()["error"]
    assert client.get("/v/0/frame/0.jpg", headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400
    session.close()


def test_the_page_is_gone_with_the_block(shown: Shown) -> None:
    listening = listen(0)
    host, port = listening.getsockname()
    with serving(shown.live, listening), socket.create_connection((host, port)) as left:
        left.sendall(b"GET /v/0 HTTP/1.1\r\n")  # and leaves in the middle
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, port)).close()


def test_a_port_that_is_taken_is_named() -> None:
    with listen(0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(MaskletError, match=rf"port {port} of 127\.0\.0\.1 cannot be used .*; give another --port"):
            listen(port)


def test_what_is_missing_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(MaskletError, match=r"the page needs the package uvicorn: pip install 'masklet\[live\]'"):
        check_installed("the page", "live")


def test_before_the_first_frame_there_is_none_to_ask_for() -> None:
    device = Device(2, scene)
    live = LiveSession(Camera(0, opener=lambda _: device), FakeEngine())
    session = CameraSession(live)
    state = session.ask(session.state).result()
    assert (state["video"]["frames"], state["frame"]) == (0, None)
    with pytest.raises(MaskletError, match="no frame came yet"):
        session.ask(lambda: session.frame(0)).result()
    session.close()
    device.go.release()
    live.camera.close()


def shown_scene(viewer: Viewer) -> int:
    """Which of the first scenes the picture on the page looks like most."""
    seen = viewer.pixels("#picture")[..., :3].astype(int)
    return int(np.argmin([np.abs(seen - scene(frame)).mean() for frame in range(6)]))


def test_on_the_page_by_mouse_and_keyboard(shown: Shown, address: str, open_page: Callable[[str], Any]) -> None:
    viewer = Viewer(open_page(address))
    page = viewer.page
    until(lambda: page.locator("#notice").is_hidden())
    viewer.click(*RED)
    until(lambda: viewer.mask().any())
    assert viewer.mask()[RED[1], RED[0]]
    until(lambda: not shown.live.status().held)  # it was held while the mouse was pressed
    shown.step(3)
    until(lambda: viewer.frame == 3)
    assert shown_scene(viewer) == 3
    until(lambda: viewer.mask()[RED[1], RED[0] + 6])
    assert "presence" in page.inner_text("#panel .facts")
    viewer.press(" ")
    until(lambda: shown.live.status().held)
    until(lambda: page.inner_text("#camera button").strip() == "Go on")
    viewer.press("a")
    viewer.press("b")
    viewer.press("c")  # the cross, in the middle: a box around the blue square by keyboard
    for key, times in (("ArrowRight", 15), ("ArrowDown", 11)):
        for _ in range(times):
            viewer.press(key)
    viewer.press("Enter")
    for key in ("Shift+ArrowRight", "Shift+ArrowRight", "Shift+ArrowRight", "Shift+ArrowDown", "Shift+ArrowDown"):
        viewer.press(key)
    viewer.press("Enter")
    until(lambda: page.locator("#panel .choice").count() == 2 and viewer.mask()[BLUE[1], BLUE[0] - 3])
    viewer.press(" ")
    until(lambda: not shown.live.status().held)
    shown.step()  # prompts were on the frame before: the list of objects changes together with the frame
    until(lambda: viewer.frame == 4)
    assert shown_scene(viewer) == 4
    assert viewer.mask()[RED[1], RED[0] + 8]
    viewer.press("1")
    viewer.press("Delete")
    until(lambda: page.locator("#panel .choice").count() == 1)
    page.click("#camera button:has-text('Remove all')")
    until(lambda: page.locator("#panel .choice").count() == 0)
    assert not shown.live.status().objects
