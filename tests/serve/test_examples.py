"""The backends for Label Studio and CVAT, by the messages that the two tools' own documents describe."""

from __future__ import annotations

import base64
import importlib
import io
import json
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import httpx2
import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from masklet.engines.fake import FakeEngine
from masklet.image import ImagePredictor
from masklet.masks.polygons import Polygon, fill_polygons
from tests.app.conftest import SIZE, scene
from tests.serve.conftest import RED, Begin

EXAMPLES = Path(__file__).parents[2] / "examples/serving"
HEIGHT, WIDTH = SIZE

CONFIG = """<View><Image name="image" value="$photo"/>
<KeyPointLabels name="points" toName="image" smart="true"><Label value="Cup"/></KeyPointLabels>
<RectangleLabels name="boxes" toName="image" smart="true"><Label value="Cup"/></RectangleLabels>
<PolygonLabels name="polygons" toName="image"><Label value="Cup"/></PolygonLabels></View>"""


@pytest.fixture
def example(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Imports an example that asks a server with a token."""
    client: httpx2.Client = begin(tokens=("secret",))
    monkeypatch.setenv("MASKLET_SERVER", str(client.base_url).rstrip("/"))
    monkeypatch.setenv("MASKLET_TOKEN", "secret")
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield importlib.import_module
    for name in ("masklet_client", "label_studio", "cvat"):
        sys.modules.pop(name, None)


def png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(scene(0)).save(buffer, "PNG")
    return buffer.getvalue()


def expected(**prompt: Any) -> np.ndarray:
    predictor = ImagePredictor(FakeEngine())
    return predictor.predict(predictor.encode(scene(0)), **prompt, multimask=False)[0]


def keypoint(x: float, y: float, positive: bool) -> dict[str, Any]:
    value = {"x": 100 * x / WIDTH, "y": 100 * y / HEIGHT, "width": 0.5, "keypointlabels": ["Cup"]}
    sides = {"original_width": WIDTH, "original_height": HEIGHT}
    return {"type": "keypointlabels", "from_name": "points", "is_positive": positive, "value": value, **sides}


def test_label_studio(example: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = example("label_studio")
    client = TestClient(backend.app)
    assert client.get("/health").json()["status"] == "UP"
    assert client.post("/setup", json={"project": "1.2", "schema": CONFIG}).json()["model_version"]
    task = {"id": 5, "data": {"photo": "/data/upload/1/photo.png"}}
    asked = {"tasks": [task], "label_config": CONFIG, "project": "1.2", "params": {"context": None}}
    assert client.post("/predict", json=asked).json() == {"results": []}

    monkeypatch.setattr(backend, "picture", lambda place: png() if place == task["data"]["photo"] else b"")
    clicks = [keypoint(20, 30, True), keypoint(100, 70, False)]
    asked["params"] = {"context": {"result": clicks}}
    (answer,) = client.post("/predict", json=asked).json()["results"]
    result = answer["result"]
    assert {(part["from_name"], part["to_name"], part["type"]) for part in result} == {
        ("polygons", "image", "polygonlabels")
    }
    assert all(part["value"]["polygonlabels"] == ["Cup"] for part in result)
    rings = [np.array(part["value"]["points"]) * [WIDTH / 100, HEIGHT / 100] for part in result]
    wanted = expected(points=[(20, 30), (100, 70)], labels=[1, 0])
    assert np.array_equal(fill_polygons([Polygon(ring.round()) for ring in rings], SIZE), wanted)

    asked["label_config"] = CONFIG.replace("PolygonLabels", "BrushLabels")
    assert "no PolygonLabels" in client.post("/predict", json=asked).json()["detail"]


def test_label_studio_fetches_from_its_own_host_alone(example: Any) -> None:
    backend = example("label_studio")
    for place in ("http://169.254.169.254/latest", "file:///etc/passwd", "//evil.org/x.png"):
        with pytest.raises(RuntimeError, match="is not on http://localhost:8080"):
            backend.picture(place)


def test_a_storage_to_which_label_studio_sends_does_not_see_its_key(
    example: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers.get("Authorization"))
            self.send_response(303 if self.path == "/photo" else 200)
            self.send_header("Location", "/storage")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as host:
        thread = Thread(target=host.serve_forever)
        thread.start()
        backend = example("label_studio")
        monkeypatch.setattr(backend, "HOST", f"http://127.0.0.1:{host.server_port}")
        monkeypatch.setattr(backend, "KEY", "secret")
        backend.picture("/photo")
        host.shutdown()
        thread.join()
    assert seen == ["Token secret", None]


def test_cvat(example: Any) -> None:
    handler = example("cvat").handler
    context = SimpleNamespace(Response=lambda **told: SimpleNamespace(**told))
    asked = {
        "image": base64.b64encode(png()).decode(),
        "pos_points": [[20, 30]],
        "neg_points": [[100, 70]],
        "obj_bbox": [RED[:2], RED[2:]],
    }
    told = handler(context, SimpleNamespace(body=asked))
    assert (told.status_code, told.content_type) == (200, "application/json")
    found = json.loads(told.body)
    mask = expected(points=[(20, 30), (100, 70)], labels=[1, 0], boxes=RED)
    assert np.array_equal(np.array(found["mask"], bool), mask)
    rows, columns = np.nonzero(mask)
    assert found["points"][0] == [columns.min(), rows.min()]

    refused = handler(context, SimpleNamespace(body={**asked, "pos_points": [[9999, 3]]}))
    assert refused.status_code == 400
    assert "9999" in json.loads(refused.body)["error"]
