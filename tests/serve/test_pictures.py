"""Masks of pictures: in every shape the same, several at once as one by one, and sentences for what makes no sense."""

from __future__ import annotations

import base64
import io
import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event
from typing import Any

import httpx2
import numpy as np
import pytest
from PIL import Image

from masklet.engines.fake import FakeEngine
from masklet.errors import SessionError
from masklet.image import EverythingOptions, ImagePredictor, segment_everything
from masklet.masks.polygons import Polygon
from masklet.masks.rle import decode_rle, rle_from_json
from masklet.prompts import make_prompt
from masklet.serve import pictures
from masklet.serve.pictures import PictureDesk, Question
from tests.app.conftest import SIZE, scene
from tests.masks.filling import fill_polygons
from tests.serve.conftest import RED, Begin


def picture(frame: int = 0) -> str:
    buffer = io.BytesIO()
    Image.fromarray(scene(frame)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def mask_of(told: dict[str, Any], shape: str) -> np.ndarray:
    if shape == "rle":
        return decode_rle(rle_from_json(told["rle"], SIZE))
    if shape == "png":
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(told["png"])))) > 0
    parts = [Polygon(np.array(p["outer"]), tuple(map(np.array, p["holes"]))) for p in told["polygons"]]
    return fill_polygons(parts, SIZE)


@pytest.fixture
def client(begin: Begin) -> httpx2.Client:
    return begin()


@pytest.mark.parametrize("shape", ["rle", "png", "polygons"])
def test_a_picture_gives_the_masks_of_the_predictor(client: httpx2.Client, shape: str) -> None:
    prompts = [{"object": "red", "box": RED}, {"object": 7, "points": [[110, 70]]}]
    answer = client.post(
        "/v1/pictures", json={"image": picture(), "prompts": prompts, "shape": shape, "multimask": False}
    )
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["width"], told["height"], [mask["object"] for mask in told["masks"]]) == (SIZE[1], SIZE[0], ["red", 7])

    predictor = ImagePredictor(FakeEngine())
    seen = predictor.encode(scene(0))
    expected = predictor.predict(seen, boxes=[RED, None], points=[None, [(110, 70)]], multimask=False)
    for mask, wanted, area in zip(told["masks"], expected.masks, expected.areas, strict=True):
        assert np.array_equal(mask_of(mask, shape), wanted)
        assert mask["area"] == area


def test_everything_in_a_picture(client: httpx2.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    lenient = partial(EverythingOptions, points_per_side=8, least_iou=0.0, least_stability=0.0)
    monkeypatch.setattr(pictures, "EverythingOptions", lenient)
    told = client.post(
        "/v1/pictures", json={"image": f"data:image/png;base64,{picture()}", "everything": True, "multimask": None}
    ).json()
    assert [mask["object"] for mask in told["masks"]] == list(range(1, len(told["masks"]) + 1))
    expected = segment_everything(scene(0), FakeEngine(), lenient())
    assert len(expected)
    assert [mask["area"] for mask in told["masks"]] == expected.areas.tolist()


def test_questions_that_wait_together_are_answered_together_and_as_alone() -> None:
    class Slow(FakeEngine):
        def encode_image(self, images: Any) -> Any:
            seen.append(len(images))
            return super().encode_image(images)

    seen: list[int] = []
    desk = PictureDesk(Slow(), 8)
    questions = [Question(scene(n), [make_prompt(SIZE, box=RED)], False) for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        found = [future.result(60) for future in pool.map(desk.ask, questions)]
    desk.close()
    assert sum(seen) == 8
    assert max(seen) <= 4
    predictor = ImagePredictor(FakeEngine())
    for question, masks in zip(questions, found, strict=True):
        alone = predictor.predict(predictor.encode(question.image), boxes=RED, multimask=False)
        assert (masks[0] == alone[0]).all()


def test_a_question_that_was_given_up_hinders_nobody() -> None:
    desk = PictureDesk(FakeEngine(), 8)
    gone = Question(scene(0), [make_prompt(SIZE, box=RED)], False)
    gone.answer.cancel()
    desk.ask(gone)
    assert len(desk.ask(Question(scene(0), [make_prompt(SIZE, box=RED)], False)).result(60)) == 1
    desk.close()


def test_a_batch_holds_what_waits_and_too_much_is_refused() -> None:
    class Held(FakeEngine):
        def encode_image(self, images: Any) -> Any:
            reached.set()
            assert go_on.wait(60)
            return super().encode_image(images)

    reached, go_on = Event(), Event()
    desk = PictureDesk(Held(), 2)
    asked = [Question(scene(n), [make_prompt(SIZE, box=RED)], False) for n in range(4)]
    desk.ask(asked[0])
    assert reached.wait(60)  # it waits no more
    answers = [desk.ask(question) for question in asked[1:3]]
    with pytest.raises(SessionError, match="2 pictures wait already"):
        desk.ask(asked[3])
    go_on.set()
    desk.close()
    assert all(answer.done() for answer in answers)


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"
"""A picture for which Pillow would start Ghostscript."""

BAD: list[tuple[dict[str, Any], int, str]] = [
    ({}, 400, "give the picture as image, in base64, or as url"),
    ({"image": "?", "prompts": [{"box": RED}]}, 400, "image is no base64"),
    ({"image": base64.b64encode(b"GIF89a").decode(), "prompts": [{"box": RED}]}, 400, "the picture cannot be read"),
    (
        {"url": "http://169.254.169.254/x", "prompts": [{"box": RED}]},
        400,
        "may not be fetched; the server allows no URL",
    ),
    ({"image": picture()}, 422, "give prompts, a list of at most 256, or everything"),
    ({"image": picture(), "prompts": [{"box": RED}], "everything": True}, 422, "one of them"),
    ({"image": picture(), "prompts": [{"object": 1}]}, 422, "the prompt is empty"),
    ({"image": picture(), "prompts": [{"points": [[9000, 1]]}]}, 422, "9000"),
    ({"image": picture(), "prompts": ["red"]}, 422, "prompt"),
    ({"image": picture(), "prompts": [{"points": [[10**400, 1]]}]}, 422, "which is not an array of numbers"),
    ({"image": base64.b64encode(EPS).decode(), "prompts": [{"box": RED}]}, 400, "the picture cannot be read; give one"),
    ({"image": picture(), "prompts": [{"box": RED}], "multimask": "false"}, 422, "multimask is 'false'; give true or"),
    ({"image": picture(), "prompts": [], "everything": 1}, 422, "everything is 1; give true or false"),
    ({"image": picture(), "prompts": [{"box": RED}], "shapes": "png"}, 422, "has shapes, which nothing knows"),
    ({"image": picture(), "prompts": [{"box": RED}], "shape": []}, 422, "shape is []"),
    ({"image": picture(), "prompts": [{"box": RED}], "shape": "svg"}, 422, "shape is 'svg'; give rle, png, polygons"),
]


@pytest.mark.parametrize(("said", "status", "sentence"), BAD)
def test_what_makes_no_sense(client: httpx2.Client, said: dict[str, Any], status: int, sentence: str) -> None:
    answer = client.post("/v1/pictures", json=said)
    assert (answer.status_code, sentence in answer.json()["error"]) == (status, True), answer.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/nothing", 404), ("PUT", "/v1/videos", 405), ("GET", "/v1/pictures", 405)],
)
def test_requests_that_there_are_not(client: httpx2.Client, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.json()["error"] == f"there is no {method} {path}; GET /openapi.json describes all requests"
    assert ("allow" in answer.headers) == (status == 405)


def test_bodies_that_are_none(begin: Begin) -> None:
    client = begin(largest_question=100)
    for body, status in ((b"[1]", 422), (b"{", 422), (b"\xff", 422), (json.dumps({"image": "a" * 200}).encode(), 413)):
        answer = client.post("/v1/pictures", content=body)
        assert answer.status_code == status, answer.text
        assert answer.json()["error"]
