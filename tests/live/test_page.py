"""The page: what it shows, what it may be asked, and who may not ask."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import anyio
import cv2
import numpy as np
import pytest

import masklet.live
from masklet.live import page as live_page
from masklet.live.page import page
from tests.live.conftest import Open, Scene

pytest.importorskip("starlette", reason="the extra masklet[live] is not installed")

from starlette.testclient import TestClient

WEB = Path(masklet.live.__file__).parent / "web"
BOX = {"object": 1, "box": [8, 18, 32, 42]}


@pytest.fixture
def scene(open_scene: Open) -> Scene:
    found = open_scene()
    found.step()
    return found


@pytest.fixture
def client(scene: Scene) -> TestClient:
    return TestClient(page(scene.session), base_url="http://127.0.0.1:8765")


def ask(client: TestClient, what: str, content: dict[str, Any], **headers: str) -> Any:
    headers = {"content-type": "application/json", **headers}
    return client.post(f"/{what}", content=json.dumps(content), headers=headers)


def test_the_page_needs_nothing_from_elsewhere(client: TestClient) -> None:
    shown = client.get("/")
    assert shown.status_code == 200
    assert "masklet" in shown.text
    assert "default-src 'none'" in shown.headers["content-security-policy"]
    for name in re.findall(r'(?:src|href)="(/[^"]+)"', shown.text):
        if name != "/picture":
            assert client.get(name).status_code == 200, name
    for file in WEB.iterdir():
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", file.read_text()), file.name


def test_the_page_asks_for_what_there_is() -> None:
    asked = set(re.findall(r'ask\("(\w+)"', (WEB / "page.js").read_text()))
    assert asked == set(live_page.QUESTIONS)


def test_pointing_holding_and_removing(client: TestClient) -> None:
    assert client.get("/state").json()["objects"] == []
    told = ask(client, "box", BOX).json()
    assert (told["frame"], told["size"]) == (0, [60, 80])
    (seen,) = told["objects"]
    assert (seen["name"], seen["number"]) == (1, 1)
    assert re.fullmatch("#[0-9a-f]{6}", seen["color"])
    points = {"object": "b", "points": [[20, 30], [70, 50]], "labels": [1, 0]}
    assert [item["name"] for item in ask(client, "points", points).json()["objects"]] == [1, "b"]
    assert ask(client, "hold", {"held": True}).json()["held"] is True
    assert ask(client, "hold", {"held": False}).json()["held"] is False
    assert [item["name"] for item in ask(client, "remove", {"object": 1}).json()["objects"]] == ["b"]
    assert ask(client, "reset", {}).json()["objects"] == []


@pytest.mark.parametrize(("what", "content", "sentence"), [
    ("box", {"object": 1, "box": [100, 0, 900, 10]}, "does not lie in the picture, 80 wide and 60 high"),
    ("box", {"object": 1, "box": "abc"}, "box"),
    ("box", {"object": [1], "box": [1, 1, 9, 9]}, "object is [1]; give a whole number or a text"),
    ("points", {"object": 1, "points": [[1, 2]], "labels": [1, 1]}, "labels has 2 entries"),
    ("points", {"points": [[1, 2]]}, "the question cannot be read"),
    ("remove", {"object": "nobody"}, "there is no object 'nobody'"),
    ("box", {"object": "\ud800", "box": [1, 1, 9, 9]}, "without control characters and lone surrogates"),
    ("points", {"object": "x" * 300, "points": [[1, 2]]}, "of 300 letters; give at most 100"),
    ("remove", {"object": "\ud800"}, "there is no object"),
])  # fmt: skip
def test_what_makes_no_sense_has_its_sentence(
    client: TestClient, what: str, content: dict[str, Any], sentence: str
) -> None:
    answer = ask(client, what, content)
    assert answer.status_code == 400
    assert sentence in answer.json()["error"]
    assert client.get("/state").json()["objects"] == []


def test_questions_that_are_no_json_objects(client: TestClient) -> None:
    for content in (b"{", b"[]", b"7", b"x" * 70_000, b"[" * 60_000, b'{"a": 1e999, "object": NaN}'):
        answer = client.post("/box", content=content, headers={"content-type": "application/json"})
        assert answer.status_code == 400


def test_a_page_from_elsewhere_cannot_ask(client: TestClient) -> None:
    assert ask(client, "box", BOX, origin="http://127.0.0.1:8765").status_code == 200
    for headers in (
        {"origin": "https://evil.example"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"content-type": "text/plain"},
    ):
        assert ask(client, "reset", {}, **headers).status_code == 403, headers
    assert client.get("/picture", headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert len(client.get("/state").json()["objects"]) == 1


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "192.168.0.7:8765", ""])
def test_a_name_that_was_made_to_lead_here_is_refused(client: TestClient, host: str) -> None:
    assert client.get("/state", headers={"host": host}).status_code == 400


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost:8765", "[::1]:8765"])
def test_this_machine_by_any_of_its_names(client: TestClient, host: str) -> None:
    assert client.get("/state", headers={"host": host}).status_code == 200


def test_pictures_come_as_motion_jpeg(scene: Scene) -> None:
    async def first_two() -> list[bytes]:
        parts = live_page._parts(scene.session)
        return [await anext(parts) for _ in range(3)]

    begin, *parts = anyio.run(first_two)
    assert begin == b"--frame\r\n"
    for part in parts:  # the second is the same again, for Chromium
        head, data = part.split(b"\r\n\r\n", 1)
        assert head == b"Content-Type: image/jpeg"
        image = cv2.imdecode(np.frombuffer(data.removesuffix(b"\r\n--frame\r\n"), np.uint8), cv2.IMREAD_COLOR)
        assert image.shape == (60, 80, 3)


def test_pictures_end_with_the_session(scene: Scene, client: TestClient) -> None:
    scene.session.end()
    assert client.get("/picture").content == b"--frame\r\n"
