"""What a browser shows of a live session, and what it may ask: a page, its picture as MJPEG, its state as JSON.

Only pages that came from here may ask: requests for another host, which a name that was made to lead here would bring,
and those that another page sends, are refused.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import asdict
from importlib import resources
from typing import Any

import cv2
import numpy as np
from anyio import to_thread
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from masklet.errors import MaskletError
from masklet.formats.json_file import parse_json
from masklet.live.session import LiveSession
from masklet.masks.draw import bright_color
from masklet.video import FrameResult

HOSTS = ("127.0.0.1", "localhost", "[::1]", "::1")
"""Names of this machine to itself."""

FILES = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""Nothing comes from elsewhere, and no other page shows what is here."""

WIDEST = 1280
"""Pixels of the picture that is sent; a wider one is reduced."""

QUALITY = 85
"""The quality of its JPEGs, 0..100."""

BOUNDARY = b"--frame\r\n"

QUICK, SLOW = 0.1, 1.0
"""Seconds without a newer frame after which the same is sent again: the first time, and from then on."""

LARGEST = 1 << 16
"""Bytes of a question."""


def page(session: LiveSession) -> Starlette:
    """The page of a session as an ASGI application."""
    routes = [Route(path, _file(*file)) for path, file in FILES.items()]
    routes += [Route("/picture", _pictures(session)), Route("/state", _state(session))]
    routes += [Route(f"/{name}", _asking(session, ask), methods=["POST"]) for name, ask in QUESTIONS.items()]
    return Starlette(routes=routes, middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(HOSTS))])


def add_points(session: LiveSession, asked: Mapping[str, Any]) -> None:
    """`{"object": 1, "points": [[x, y], ...], "labels": [1, ...]}`"""
    name, points, labels = asked["object"], asked["points"], asked.get("labels")
    session.prompt(name, lambda tracker: tracker.add_points(object=name, points=points, labels=labels))


def add_box(session: LiveSession, asked: Mapping[str, Any]) -> None:
    """`{"object": 1, "box": [x0, y0, x1, y1]}`"""
    name, box = asked["object"], asked["box"]
    session.prompt(name, lambda tracker: tracker.add_box(object=name, box=box))


QUESTIONS: dict[str, Callable[[LiveSession, Mapping[str, Any]], None]] = {
    "points": add_points,
    "box": add_box,
    "remove": lambda session, asked: session.remove(asked["object"]),
    "reset": lambda session, asked: session.reset(),
    "hold": lambda session, asked: session.hold(bool(asked["held"])),
}
"""The actions, by the path of a POST with a JSON object."""


def state_of(session: LiveSession) -> dict[str, Any]:
    """How a session goes, in plain values, with the objects' colours."""
    status = asdict(session.status())
    for item in status["objects"]:
        item["color"] = "#{:02x}{:02x}{:02x}".format(*bright_color(item["number"]))
    return status


def jpeg(result: FrameResult) -> bytes:
    """A frame with its masks drawn in, at most WIDEST wide."""
    picture = np.asarray(result.overlay())
    height, width = picture.shape[:2]
    if width > WIDEST:
        size = (WIDEST, max(1, round(height * WIDEST / width)))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    done, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    assert done, "OpenCV encodes every uint8 picture as JPEG"
    return data.tobytes()


def _file(name: str, kind: str) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        content = (resources.files("masklet.live") / "web" / name).read_bytes()
        return Response(content, media_type=kind, headers=HEADERS)

    return answer


def _state(session: LiveSession) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        return _json(state_of(session))

    return answer


def _pictures(session: LiveSession) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        if not is_ours(request):
            return _refused()
        kind = "multipart/x-mixed-replace; boundary=frame"
        return StreamingResponse(_parts(session), media_type=kind, headers=HEADERS)

    return answer


async def _parts(session: LiveSession) -> AsyncIterator[bytes]:
    """One part for each frame. Chromium shows a part only when the next one is there, so it is sent once more where
    nothing newer comes soon."""
    version, data, patience = 0, b"", SLOW
    yield BOUNDARY
    while not session.over:
        newer = await to_thread.run_sync(session.newer, version, patience)
        patience = SLOW
        if newer is not None:
            version, result = newer
            data = await to_thread.run_sync(jpeg, result)
            patience = QUICK
        if data:
            yield b"Content-Type: image/jpeg\r\n\r\n" + data + b"\r\n" + BOUNDARY


def _asking(session: LiveSession, ask: Callable[[LiveSession, Mapping[str, Any]], None]) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        if not is_ours(request):
            return _refused()
        try:
            if int(request.headers.get("content-length") or LARGEST + 1) > LARGEST:
                return _wrong(f"give a JSON object of at most {LARGEST} bytes")
            asked = parse_json(await request.body(), "the question")
            await to_thread.run_sync(ask, session, asked)
        except MaskletError as error:
            return _wrong(str(error))
        except (ValueError, TypeError, KeyError) as error:
            return _wrong(f"the question cannot be read ({error!r}); give a JSON object as docs/live.md describes")
        except ClientDisconnect:  # whoever asked has left in the middle
            return _wrong("the question is not whole")
        return _json(state_of(session))

    return answer


def is_ours(request: HTTPConnection) -> bool:
    """Whether a request comes from the page itself, or from no page at all. A POST must be JSON, too: no other page
    can send that without being asked for its origin first."""
    origin, host = request.headers.get("origin"), request.headers.get("host")
    if origin is not None and origin != f"http://{host}":
        return False
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    if request.scope.get("method") != "POST":
        return True
    return request.headers.get("content-type", "").split(";")[0] == "application/json"


def _wrong(sentence: str) -> Response:
    return _json({"error": sentence}, 400)


def _refused() -> Response:
    return _json({"error": "only the page itself may ask"}, 403)


def _json(content: Mapping[str, Any], status: int = 200) -> Response:
    """JSON in ASCII, which holds every text: the name of a file need not be UTF-8."""
    return Response(json.dumps(content), status, media_type="application/json", headers=HEADERS)
