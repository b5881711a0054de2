"""Files that a browser sends: gone on with, checked, under names that are only names."""

from __future__ import annotations

import asyncio
import io
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from starlette.testclient import TestClient

from masklet.app import files
from masklet.app.files import safe_name
from masklet.app.library import Library
from masklet.app.server import application
from masklet.engines.fake import FakeEngine
from masklet.errors import MediaError
from tests.app.conftest import HERE, write_scene


@pytest.fixture
def data(tmp_path: Path) -> bytes:
    return write_scene(tmp_path / "other.mp4", 5).read_bytes()


def sent(client: TestClient, content: bytes, at: int, **about: Any) -> Any:
    return client.put("/api/upload", params={**about, "at": at}, content=content)


def in_uploads(library: Library) -> list[str]:
    folder = library.folder / "uploads"
    return sorted(file.name for file in folder.iterdir()) if folder.exists() else []


def test_a_file_that_comes_in_parts_is_annotated_like_any_other(
    client: TestClient, library: Library, data: bytes, clip: Path
) -> None:
    about = {"name": "mine.mp4", "size": len(data), "changed": "17"}
    assert client.get("/api/upload", params=about).json() == {"at": 0}
    assert sent(client, data[:500], 0, **about).json() == {"at": 500}
    assert [item["name"] for item in client.get("/api/library").json()["items"]] == ["squares.mp4"]
    behind = sent(client, data[900:], 900, **about)  # what came between was lost with the connection
    assert (behind.status_code, behind.json()["at"]) == (409, 500)
    assert client.get("/api/upload", params=about).json() == {"at": 500}
    name = sent(client, data[500:], 500, **about).json()["item"]
    listed = client.get("/api/library").json()["items"]
    assert [(item["name"], item["frames"], item["fault"]) for item in listed][1:] == [("mine.mp4", 5, None)]
    assert client.get(f"/v/{name}/frame/4.jpg").status_code == 200
    again = Library([clip], library.folder, FakeEngine())  # the next day
    assert set(again.items) == set(library.items)
    again.close()


def test_numbered_pictures_stay_pictures(client: TestClient, library: Library, clip: Path) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    for name in ("0001.png", "0002.png"):
        sent(client, buffer.getvalue(), 0, name=name, size=len(buffer.getvalue()))
    again = Library([clip], library.folder, FakeEngine())
    assert set(again.items) == set(library.items)
    again.close()


def test_a_page_that_goes_away_is_no_fault(library: Library) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        pass

    path = f"/v/{next(iter(library.items))}/imports/a.json"
    scope = {"type": "http", "path": path, "method": "PUT", "query_string": b"", "headers": [(b"host", b"localhost")]}
    asyncio.run(application(library)(scope, receive, send))
    assert not list(library.folder.glob("videos/*/imports/*"))
    library.close()


def test_the_same_name_twice_is_two_files(client: TestClient, library: Library, data: bytes) -> None:
    names = {sent(client, data, 0, name="a.mp4", size=len(data), changed=n).json()["item"] for n in (1, 2)}
    assert len(names) == 2
    assert in_uploads(library) == ["a-2.mp4", "a.mp4"]


def test_what_cannot_be_read_is_not_kept(client: TestClient, library: Library, data: bytes) -> None:
    answer = sent(client, data[:300] + bytes(700), 0, name="broken.mp4", size=1000)
    assert answer.status_code == 422
    assert "broken.mp4" in answer.json()["error"]
    assert str(library.folder) not in answer.json()["error"]
    assert in_uploads(library) == []


def test_more_than_was_said_is_refused(client: TestClient, library: Library, data: bytes) -> None:
    assert sent(client, data, 0, name="a.mp4", size=len(data) - 1).status_code == 422
    assert in_uploads(library) == []


def test_size_and_room_are_asked_for_before_a_byte_is_sent(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = Library([clip], tmp_path / "project", FakeEngine(), largest_upload=1)
    client = TestClient(application(library), base_url=HERE)
    for size, sentence in ((0, "0 bytes"), ((1 << 30) + 1, "--largest-upload")):
        answer = client.get("/api/upload", params={"name": "a.mp4", "size": size})
        assert (answer.status_code, sentence in answer.json()["error"]) == (422, True)
    monkeypatch.setattr(files, "FREE_DISK_BYTES", 1 << 60)
    answer = client.get("/api/upload", params={"name": "a.mp4", "size": 1 << 30})
    assert "no room" in answer.json()["error"]
    library.close()


def test_a_disk_that_fills_up_keeps_what_is_there(
    client: TestClient, library: Library, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = {"name": "a.mp4", "size": len(data)}
    sent(client, data[:500], 0, **about)

    class Full(io.FileIO):
        def write(self, part: object) -> int:
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", lambda path, mode: Full(path, mode))
        answer = sent(client, data[500:], 500, **about)
    assert (answer.status_code, "No space left" in answer.json()["error"]) == (422, True)
    assert sent(client, data[500:], 500, **about).status_code == 201


@pytest.mark.parametrize(
    "params", [{}, {"name": "a.mp4"}, {"name": "a.mp4", "size": "x"}, {"name": "a.mp4", "size": 5}]
)
def test_requests_that_say_too_little(client: TestClient, params: dict[str, Any]) -> None:
    assert client.put("/api/upload", params=params, content=b"12345").status_code == 400


def test_another_page_cannot_send(client: TestClient) -> None:
    about = {"name": "a.mp4", "size": 5, "at": 0}
    answer = client.put("/api/upload", params=about, content=b"12345", headers={"origin": "https://evil.example"})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("clip.mp4", "clip.mp4"), ("Ferien am Meer.MOV", "Ferien am Meer.MOV"), ("写真.jpg", "写真.jpg"),
        ("../../etc/a.mp4", "a.mp4"), ("C:\\videos\\a.mp4", "a.mp4"), ("a\x00b\n.png", "a-b-.png"),
        ("..a.mp4", "a.mp4"),        ("x" * 500 + ".mkv", "x" * 100 + ".mkv"),
    ],
)  # fmt: skip
def test_names_are_made_safe(name: str, kept: str) -> None:
    assert safe_name(name) == kept


@given(name=st.text(max_size=80), size=st.integers(-5, 400))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_it_is_called_it_stays_in_its_folder(client: TestClient, name: str, size: int) -> None:
    for suffix in ("", ".mp4", ".png/x.gif"):
        try:
            safe = safe_name(name + suffix)
        except MediaError:
            continue
        assert re.fullmatch(r"[^/\\\x00-\x1f]{1,110}", safe)
        assert not safe.startswith(".")
        assert client.get("/api/upload", params={"name": name + suffix, "size": size}).status_code in (200, 422)
