"""The backends for Label Studio and CVAT: what Label Studio itself sent, which was recorded, and CVAT's own agent in
front of a server that has nothing but its tasks; CVAT's Nuclio function by the messages of its documents."""

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
from masklet.masks.polygons import Polygon
from tests.app.conftest import SIZE, scene
from tests.masks.filling import fill_polygons
from tests.serve.conftest import RED, Begin

EXAMPLES = Path(__file__).parents[2] / "examples/serving"
HEIGHT, WIDTH = SIZE

RECORDED = json.loads(Path(__file__).with_name("label_studio.json").read_text(encoding="utf-8"))
"""What Label Studio sent to `label_studio.py`, with its version and how it was brought to send it."""


@pytest.fixture
def example(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Imports an example that asks a server with a token."""
    client: httpx2.Client = begin(tokens=("secret",))
    monkeypatch.setenv("MASKLET_SERVER", str(client.base_url).rstrip("/"))
    monkeypatch.setenv("MASKLET_TOKEN", "secret")
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield importlib.import_module
    for name in ("masklet_client", "label_studio", "cvat", "cvat_agent"):
        sys.modules.pop(name, None)


def png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(scene(0)).save(buffer, "PNG")
    return buffer.getvalue()


def expected(**prompt: Any) -> np.ndarray:
    predictor = ImagePredictor(FakeEngine())
    return predictor.predict(predictor.encode(scene(0)), **prompt, multimask=False)[0]


def filled(result: list[dict[str, Any]]) -> np.ndarray:
    """The polygons that Label Studio gets, as a mask."""
    assert {(part["from_name"], part["to_name"], part["type"]) for part in result} == {
        ("polygons", "image", "polygonlabels")
    }
    assert all(part["value"]["polygonlabels"] == ["Cup"] for part in result)
    rings = [np.array(part["value"]["points"]) * [WIDTH / 100, HEIGHT / 100] for part in result]
    return fill_polygons([Polygon(ring.round()) for ring in rings], SIZE)


def test_what_label_studio_sends(example: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = example("label_studio")
    monkeypatch.setattr(backend, "picture", lambda place: png() if place.startswith("/data/upload/1/") else b"")
    client = TestClient(backend.app)
    answers: dict[str, list[Any]] = {}
    for sent in RECORDED["requests"]:
        answer = client.request(sent["method"], sent["path"], json=sent["body"])
        assert answer.status_code == 200, sent["path"]
        answers.setdefault(sent["path"], []).append(answer.json())
    (health,), (setup,), (clicks, box, nothing) = answers["/health"], answers["/setup"], answers["/predict"]
    assert (health["status"], setup) == ("UP", {"model_version": "masklet"})
    wanted = expected(points=[(20, 30), (100, 70)], labels=[1, 0])
    assert np.array_equal(filled(clicks["results"][0]["result"]), wanted)
    assert np.array_equal(filled(box["results"][0]["result"]), expected(boxes=[16, 9.6, 56, 57.6]))
    assert nothing == {"results": []}

    asked = RECORDED["requests"][2]["body"]
    asked = {**asked, "label_config": asked["label_config"].replace("PolygonLabels", "BrushLabels")}
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

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            good = (self.path, asked) == ("/api/token/refresh", {"refresh": "a.personal.token"})
            self.send_response(200 if good else 401)
            self.end_headers()
            self.wfile.write(b'{"access": "brief"}')

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as host:
        thread = Thread(target=host.serve_forever)
        thread.start()
        backend = example("label_studio")
        monkeypatch.setattr(backend, "HOST", f"http://127.0.0.1:{host.server_port}")
        monkeypatch.setattr(backend, "KEY", "secret")
        backend.picture("/photo")
        monkeypatch.setattr(backend, "KEY", "a.personal.token")
        backend.picture("/photo")
        host.shutdown()
        thread.join()
    assert seen == ["Token secret", None, "Bearer brief", None]


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


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_cvats_agent(example: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """CVAT's own agent loads the function, says what it can, and passes clicks and a picture to it."""
    agents = pytest.importorskip("cvat_cli._internal.agent", reason="cvat-cli is not installed (Python 3.11 or newer)")
    from cvat_cli._internal.agent_driver_interaction import AgentInteractionFunctionDriver
    from cvat_cli._internal.common import FunctionLoader
    from cvat_sdk.masks import decode_mask

    loader = FunctionLoader(function_module=None, function_file=EXAMPLES / "cvat_agent.py", function_parameters={})
    agents._worker_init(loader, None)
    spec = agents._worker_job_get_function_spec()
    assert agents.get_function_driver_class(spec) is AgentInteractionFunctionDriver
    here = SimpleNamespace(submit=lambda job, *given: job(*given), result=lambda found: found)
    driver = AgentInteractionFunctionDriver(None, here, spec)
    fields = driver.get_remote_function_fields(spec)
    assert fields == {"min_pos_points": 1, "min_neg_points": 0, "startswith_box_optional": True}
    driver.validate_function_compatibility({**fields, "startswith_box": False})

    fetched = []

    def sample(asked: Any) -> Any:
        fetched.append(asked["frame"])
        return SimpleNamespace(media=SimpleNamespace(load_image=lambda: Image.fromarray(scene(0)))), None

    monkeypatch.setattr(driver, "_get_sample_from_ar_params", sample)
    clicks = {"pos_points": [[20, 30]], "neg_points": [[100, 70]], "obj_bbox": []}
    for box in ([], [RED[:2], RED[2:]]):
        asked = {"type": "interact", "task": 3, "frame": 0, **clicks, "obj_bbox": box}
        (shape,) = driver.calculate_result_for_ar(asked, None)["shapes"]
        boxes = {"boxes": RED} if box else {}
        mask = decode_mask(shape["points"], image_width=WIDTH, image_height=HEIGHT)
        assert np.array_equal(mask, expected(points=[(20, 30), (100, 70)], labels=[1, 0], **boxes))
        assert shape["type"] == "mask"
        assert 0 <= float(shape["attributes"][0]["value"]) <= 1
    assert fetched == [0]  # the second time the picture is known
