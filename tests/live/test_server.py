"""The page on loopback: reached while it is served, gone afterwards."""

from __future__ import annotations

import json
import socket
import sys
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from masklet.errors import MaskletError
from masklet.live.server import address, check_page, listen, serving
from tests.live.conftest import Open

pytest.importorskip("uvicorn", reason="the extra masklet[live] is not installed")


def test_served_inside_the_block_alone(open_scene: Open) -> None:
    scene = open_scene()
    scene.step()
    listening = listen(0)
    place = address(listening)
    assert place.startswith("http://127.0.0.1:")
    with serving(scene.session, listening):
        with urlopen(place + "state", timeout=10) as answer:
            assert json.load(answer)["frame"] == 0
        watching = urlopen(place + "picture", timeout=10)
        assert watching.read(9) == b"--frame\r\n"
    watching.close()
    with pytest.raises(URLError):
        urlopen(place + "state", timeout=10)


def test_clients_that_leave_in_the_middle_leave_no_trace(
    open_scene: Open, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    scene = open_scene()
    scene.step()
    listening = listen(0)
    place = address(listening)
    host, port = listening.getsockname()
    head = f"POST /box HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nContent-Length: 900\r\n"
    with serving(scene.session, listening):
        for sent in (head, head + "\r\n", head + '\r\n{"object": 1', f"GET /picture HTTP/1.1\r\nHost: {host}\r\n\r\n"):
            with socket.create_connection((host, port), timeout=10) as client:
                client.sendall(sent.encode())
        with urlopen(place + "state", timeout=10) as answer:
            assert json.load(answer)["frame"] == 0
    said = caplog.text + "".join(capfd.readouterr())
    assert "Traceback" not in said
    assert "Exception" not in said


def test_a_port_that_is_taken_is_named() -> None:
    with listen(0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(MaskletError, match=rf"port {port} of 127\.0\.0\.1 cannot be used .*; give another --port"):
            listen(port)


def test_what_is_missing_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(MaskletError, match=r"pip install 'masklet\[live\]'"):
        check_page()
