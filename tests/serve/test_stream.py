"""A stream over a WebSocket: prompted, followed, told what is wrong, and as many as may be open."""

from __future__ import annotations

import io
import json
from typing import Any

import httpx2
import numpy as np
from PIL import Image
from websockets.sync.client import ClientConnection, connect

from masklet.engines.fake import FakeEngine
from masklet.masks.rle import decode_rle, rle_from_json
from masklet.serve import server
from masklet.video import StreamTracker
from tests.app.conftest import SIZE, scene
from tests.serve.conftest import RED, Begin


def said(socket: ClientConnection, message: bytes | dict[str, Any]) -> dict[str, Any]:
    socket.send(message if isinstance(message, bytes) else json.dumps(message))
    told: dict[str, Any] = json.loads(socket.recv(timeout=60))
    return told


def png(frame: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(scene(frame)).save(buffer, "PNG")
    return buffer.getvalue()


def address(client: httpx2.Client) -> str:
    return f"ws{str(client.base_url).removeprefix('http').rstrip('/')}/v1/stream"


def test_a_stream_is_followed_as_the_tracker_does(begin: Begin) -> None:
    tracker = StreamTracker(FakeEngine())
    with connect(address(begin())) as socket:
        assert said(socket, {"object": 1, "box": RED})["error"]
        assert said(socket, b"no picture")["error"].startswith("the picture cannot be read")
        assert said(socket, png(0)) == {"frame": 0, "masks": []}
        assert "give object, and box or points" in said(socket, {"object": 1})["error"]
        told = said(socket, {"object": "red", "box": RED})
        tracker.step(scene(0))
        expected = tracker.add_box(object="red", box=RED)
        for frame in range(1, 5):
            (mask,) = told["masks"]
            assert (mask["object"], mask["state"]) == ("red", expected.objects["red"].state)
            assert np.array_equal(decode_rle(rle_from_json(mask["rle"], SIZE)), expected.objects["red"].mask)
            told, expected = said(socket, png(frame)), tracker.step(scene(frame))
        assert told["frame"] == 4


def test_more_streams_than_may_be_open(begin: Begin, monkeypatch: Any) -> None:
    monkeypatch.setattr(server, "MAX_STREAMS", 1)
    place = address(begin())
    with connect(place) as first:
        said(first, png(0))
        with connect(place) as second:
            assert "1 streams are open already" in json.loads(second.recv(timeout=60))["error"]
    with connect(place) as third:
        assert said(third, png(0))["frame"] == 0
