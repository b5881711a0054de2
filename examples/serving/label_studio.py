"""A machine learning backend of Label Studio for pictures: clicks and boxes become polygons.

    pip install "masklet[app]"
    masklet serve &
    export LABEL_STUDIO_URL=http://localhost:8080 LABEL_STUDIO_API_KEY=...
    uvicorn --app-dir examples/serving label_studio:app --port 9090

Label Studio: Settings, Model, Connect Model, http://localhost:9090, with interactive preannotations; it takes a backend
on its own machine only if it was started with USE_DEFAULT_BANNED_SUBNETS=false. The key is a personal access token of
"Account & Settings", or a legacy token. The labelling set-up has an Image, KeyPointLabels or RectangleLabels with
smart="true", and PolygonLabels with the same labels.
"""

import json
import os
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ElementTree
from typing import Any

from anyio import to_thread
from masklet_client import masks
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

HOST = os.environ.get("LABEL_STUDIO_URL", "http://localhost:8080")
KEY = os.environ.get("LABEL_STUDIO_API_KEY", "")
VERSION = "masklet"


async def health(request: Request) -> Response:
    """Label Studio asks this first."""
    return JSONResponse({"status": "UP", "model_class": VERSION})


async def setup(request: Request) -> Response:
    """Label Studio tells the project; nothing of it is kept."""
    return JSONResponse({"model_version": VERSION})


async def predict(request: Request) -> Response:
    """Polygons for what was clicked in the task that is open; nothing for tasks without clicks."""
    said = await request.json()
    context = (said.get("params") or {}).get("context") or {}
    clicks = [item for item in context.get("result", []) if item["type"] in ("keypointlabels", "rectanglelabels")]
    if not clicks:
        return JSONResponse({"results": []})
    try:
        found = await to_thread.run_sync(polygons, said["label_config"], said["tasks"][0]["data"], clicks)
    except (RuntimeError, OSError, KeyError) as error:
        return JSONResponse({"detail": str(error)}, 422)
    return JSONResponse({"results": [{"model_version": VERSION, "result": found, "score": 1.0}]})


def polygons(config: str, data: dict[str, Any], clicks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The results of a task, all clicks on one object."""
    tree = ElementTree.fromstring(config)
    image, answer = tree.find(".//Image"), tree.find(".//PolygonLabels")
    if image is None or answer is None:
        raise RuntimeError("the labelling set-up has no Image or no PolygonLabels")
    width, height = clicks[0]["original_width"], clicks[0]["original_height"]
    prompt: dict[str, Any] = {"points": [], "labels": []}
    for click in clicks:
        value = click["value"]
        x, y = value["x"] * width / 100, value["y"] * height / 100
        if click["type"] == "rectanglelabels":
            prompt["box"] = [x, y, x + value["width"] * width / 100, y + value["height"] * height / 100]
        else:
            prompt["points"].append([x, y])
            prompt["labels"].append(int(click.get("is_positive", True)))
    told = masks(picture(data[image.get("value", "").lstrip("$")]), [prompt], "polygons")
    label = clicks[0]["value"][clicks[0]["type"]]
    return [
        {
            "from_name": answer.get("name"),
            "to_name": image.get("name"),
            "type": "polygonlabels",
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "score": told["masks"][0]["iou"],
            "value": {
                "points": [[100 * x / width, 100 * y / height] for x, y in part["outer"]],
                "closed": True,
                "polygonlabels": label,
            },
        }
        for part in told["masks"][0]["polygons"]
    ]


def picture(place: str) -> bytes:
    """The picture of a task: of Label Studio itself, whose address is known and which wants its key, and of no other
    host."""
    url = urllib.parse.urljoin(HOST, place)
    if urllib.parse.urlsplit(url)[:2] != urllib.parse.urlsplit(HOST)[:2]:
        raise RuntimeError(f"{place[:80]} is not on {HOST}; import the picture into Label Studio")
    request = urllib.request.Request(url)
    request.add_unredirected_header("Authorization", authorization())  # it may send to a storage, which must not see it
    with urllib.request.urlopen(request, timeout=60) as answer:
        content: bytes = answer.read()
        return content


def authorization() -> str:
    """What Label Studio wants to see. A personal access token, three parts with dots between, is changed for one that
    is good for minutes; a legacy token is shown as it is."""
    if KEY.count(".") != 2:
        return f"Token {KEY}"
    asked = json.dumps({"refresh": KEY}).encode()
    request = urllib.request.Request(
        urllib.parse.urljoin(HOST, "/api/token/refresh"), asked, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return f"Bearer {json.load(answer)['access']}"


app = Starlette(
    routes=[
        Route("/health", health),
        Route("/", health),
        Route("/setup", setup, methods=["POST"]),
        Route("/predict", predict, methods=["POST"]),
    ]
)
