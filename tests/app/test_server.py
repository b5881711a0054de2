"""Who may ask, and for what; nothing outside of the opened folder is read."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from urllib.parse import quote

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient
from websockets.exceptions import ConnectionClosed, InvalidStatus

from masklet.app import web
from masklet.app.library import Library
from masklet.app.server import application
from masklet.app.session import AnnotationSession
from masklet.engines.fake import FakeEngine
from masklet.errors import MaskletError
from tests.app.conftest import HERE, serving, write_scene
from tests.app.program import Program


@pytest.fixture
def name(library: Library) -> str:
    return next(iter(library.items))


def test_pages_need_nothing_from_elsewhere(client: TestClient, name: str) -> None:
    for path in ("/", f"/v/{name}"):
        page = client.get(path)
        assert "default-src 'none'" in page.headers["content-security-policy"]
        asked = set(re.findall(r'"(/page/[^"]+)"', page.text))
    folder = Path(web.__file__).parent / "page"
    place = next(iter(asked)).rpartition("/")[0]
    assert asked == {f"{place}/{file.name}" for file in folder.iterdir() if file.name != "index.html"}  # all at once
    for file in folder.iterdir():
        answer = client.get(f"{place}/{file.name}")
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        assert "https://" not in file.read_text()
        assert len(file.read_text().splitlines()) <= 300


def test_frames_are_those_of_the_number_and_may_be_kept(client: TestClient, name: str) -> None:
    answer = client.get(f"/v/{name}/frame/5.jpg?v=1")
    assert "immutable" in answer.headers["cache-control"]
    image = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape == (96, 160, 3)
    assert image[32, 32, 2] > 180  # the red square, five frames on
    small = client.get(f"/v/{name}/frame/5.jpg?w=80").content
    assert cv2.imdecode(np.frombuffer(small, np.uint8), cv2.IMREAD_COLOR).shape == (48, 80, 3)  # type: ignore[union-attr]


@pytest.mark.parametrize("path", [
    "/v/{name}/frame/24.jpg", "/v/{name}/frame/99999999999999999999.jpg", "/v/nobody/frame/0.jpg",
    "/v/nobody/cover.jpg",
    "/v/{name}/frame/0.jpg?w=x", "/v/{name}/exports/..%2fjournal.jsonl", "/v/{name}/exports/.hidden",
    "/v/{name}/exports/a",
    "/page/..%2fserver.py", "/page/server.py", "/page/%2e%2e/server.py", "/page/", "/v/{name}/formats/x", "/etc/passwd",
    "/v/..%2f..%2fetc/cover.jpg", "/v/%00/cover.jpg", "/page/%00.js", "/page/before/app.js",
    f"/page/{web.parts()[0]}/server.py", f"/page/{web.parts()[0]}/..%2fserver.py",
])  # fmt: skip
def test_what_is_not_there(client: TestClient, name: str, path: str) -> None:
    answer = client.get(path.format(name=name))
    assert answer.status_code in (400, 404)
    assert b"import" not in answer.content


@given(
    start=st.sampled_from(["/", "/page/", "/v/{}/", "/v/{}/exports/", "/v/"]),
    path=st.text(max_size=40),
    query=st.text(max_size=20),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_path_has_an_answer(client: TestClient, name: str, start: str, path: str, query: str) -> None:
    asked = start.format(name) + quote(path, errors="replace")
    assert client.get(asked, params={"w": query, "v": query}).status_code < 500, asked


def test_a_page_from_elsewhere_cannot_ask(client: TestClient, name: str) -> None:
    for headers in (
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ):
        for path in ("/api/library", f"/v/{name}/frame/0.jpg"):
            assert client.get(path, headers=headers).status_code == 403, headers
    assert client.get("/api/library", headers={"origin": HERE}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "192.168.0.7:8766", ""])
def test_a_name_that_was_made_to_lead_here_is_refused(client: TestClient, host: str) -> None:
    assert client.get("/api/library", headers={"host": host}).status_code == 400


def test_a_page_from_elsewhere_cannot_speak(library: Library, name: str) -> None:
    with serving(library) as address:
        with pytest.raises((InvalidStatus, ConnectionClosed)):
            Program(address, name, **{"Sec-Fetch-Site": "cross-site"})
        Program(address, name).close()


def test_others_need_the_token(library: Library, name: str) -> None:
    client = TestClient(application(library, "secret"), base_url="http://10.0.0.5:8766")
    assert client.get("/").status_code == 403
    assert client.get(f"/v/{name}/frame/0.jpg").status_code == 403
    assert client.get("/enter?token=guess").status_code == 403
    assert client.get("/", headers={"cookie": "masklet=guess"}).status_code == 403
    entered = client.get("/enter?token=secret", follow_redirects=False)
    assert entered.status_code == 303
    assert "httponly" in entered.headers["set-cookie"].lower()
    assert "samesite=strict" in entered.headers["set-cookie"].lower()
    assert client.get("/").status_code == 200
    assert client.get("/api/library", headers={"origin": "https://evil.example"}).status_code == 403
    with serving(library, "secret") as address:
        with pytest.raises((InvalidStatus, ConnectionClosed)):
            Program(address, name)
        Program(address, name, Cookie="masklet=secret").close()


def test_many_idle_pages(library: Library, name: str) -> None:
    with serving(library) as address:
        first, *others = [Program(address, name) for _ in range(51)]
        first.ask("prompt", frame=0, object="red", points=[(22, 32)], labels=[1])
        for other in others:
            while 0 not in other.masks:
                other.hear()
        for program in (first, *others):
            program.close()


def test_pages_of_many_videos_that_come_at_once(tmp_path: Path) -> None:
    paths = [write_scene(tmp_path / f"clip-{number}.mp4", 3) for number in range(7)]
    library = Library(paths, tmp_path / "project", FakeEngine())
    with serving(library) as address, ThreadPoolExecutor(7) as pool:
        programs = list(pool.map(partial(Program, address), library.items))
        for program in programs:
            program.ask("prompt", frame=0, object="red", points=[(22, 32)], labels=[1])
            program.close()


def test_a_session_that_could_not_be_opened_ends_no_other(
    library: Library, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = library.place(library.item(name)) / "session.masklet"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"nothing")
    wait, later = AnnotationSession.wait_open, list[object]()

    def waited(session: AnnotationSession) -> None:
        try:
            wait(session)
        except MaskletError:  # before this page hears of it, another one heard, and a third one came
            damaged.unlink()
            library._sessions.clear()
            later.append(library.session(name))
            raise

    monkeypatch.setattr(AnnotationSession, "wait_open", waited)
    with pytest.raises(MaskletError):
        library.session(name)
    assert [library.session(name)] == later
    library.close()


def test_a_folder_without_anything_is_said(tmp_path: Path) -> None:
    from masklet.errors import MediaError

    (tmp_path / "empty").mkdir()
    for path in ("empty", "missing"):
        with pytest.raises(MediaError, match=path):
            Library([tmp_path / path], tmp_path / "project", FakeEngine())


def test_few_videos_stay_open_that_nobody_looks_at(tmp_path: Path) -> None:
    from threading import enumerate as threads

    paths = [write_scene(tmp_path / f"clip-{number}.mp4", 3) for number in range(7)]
    library = Library(paths, tmp_path / "project", FakeEngine())
    for number, name in enumerate(library.items):
        said = {"frame": 0, "object": f"red {number}", "points": [(22, 32)], "labels": [1]}
        library.session(name).do("prompt", said).result()
    assert sum(thread.name.startswith("masklet-clip-") for thread in threads()) == 4
    first = library.session(next(iter(library.items)))
    assert first.ask(first.state).result()["objects"][0]["name"] == "red 0"
    library.close()
