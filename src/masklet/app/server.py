"""The pages of the annotator and their requests, as an ASGI application, and serving it."""

from __future__ import annotations

import hmac
import json
import signal
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import resources
from typing import Any

import uvicorn
from anyio import to_thread
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from masklet.app import exports, imports
from masklet.app.channel import Channel
from masklet.app.library import Library
from masklet.app.pictures import THUMB
from masklet.app.session import Session
from masklet.app.uploads import Behind
from masklet.errors import MaskletError
from masklet.live.page import HOSTS, is_ours

KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data: blob:; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""Nothing comes from elsewhere, and no other page shows what is here."""

FRESH, FOR_EVER = "no-store", "private, max-age=31536000, immutable"

COOKIE = "masklet"

HEARTBEAT, SILENT = 5.0, 20.0
"""Seconds between two questions whether a page is still there, and those after which one that says nothing has gone."""

LARGEST = 16 << 20
"""Bytes of a message: a brushed mask of a large picture."""


def application(library: Library, token: str | None = None) -> Starlette:
    """The annotator of a library.

    Args:
        library: What can be annotated.
        token: What a browser must show once, as /enter?token=...; None where only this machine reaches the server.
    """
    desk: dict[Session, Channel] = {}

    async def page(request: Request) -> Response:
        return file_of("index.html")

    async def part(request: Request) -> Response:
        return file_of(request.path_params["name"])

    async def listing(request: Request) -> Response:
        found = await to_thread.run_sync(library.listing)
        return plain({"items": found, "model": library.engine.config.name, "folder": str(library.folder)})

    async def upload(request: Request) -> Response:
        """How much of a file is there already, or more of it."""
        said = request.query_params
        try:
            begin = library.uploads.begin
            sent, at = await to_thread.run_sync(begin, said["name"], int(said["size"]), said.get("changed", ""))
            if request.method == "PUT":
                path = await library.uploads.receive(sent, int(said["at"]), request.stream())
                if path is not None:
                    return plain({"item": library.add(path).id}, 201)
                _, at = await to_thread.run_sync(begin, said["name"], int(said["size"]), said.get("changed", ""))
            return plain({"at": at})
        except Behind as error:
            return plain({"error": str(error), "at": error.at}, 409)
        except MaskletError as error:
            return plain({"error": str(error)}, 422)
        except (KeyError, ClientDisconnect):
            return plain({"error": "give name, size, changed and at, as docs/annotator-protocol.md describes"}, 400)

    async def cover(request: Request) -> Response:
        data, _ = await to_thread.run_sync(library.cover, request.path_params["id"])
        return Response(data, media_type="image/jpeg", headers={**HEADERS, "Cache-Control": FRESH})

    async def frame(request: Request) -> Response:
        name, number = request.path_params["id"], request.path_params["frame"]
        width = int(request.query_params.get("w", "0")[:6] or 0)
        small = 0 < width <= THUMB
        data = await to_thread.run_sync(lambda: library.pictures(name, small=small).jpeg(number, width))
        return Response(data, media_type="image/jpeg", headers={**HEADERS, "Cache-Control": FOR_EVER})

    async def formats(request: Request) -> Response:
        item = library.item(request.path_params["id"])
        return plain({"formats": exports.choices(picture=item.kind == "picture")})

    async def exported(request: Request) -> Response:
        item, name = library.item(request.path_params["id"]), request.path_params["name"]
        path = library.place(item) / "exports" / name
        if name.startswith(".") or not path.is_file():
            return plain({"error": f"there is no export {name[:80]!r}; make it again"}, 404)
        return FileResponse(path, filename=name, headers={**HEADERS, "Cache-Control": FRESH})

    async def send_masks(request: Request) -> Response:
        item = library.item(request.path_params["id"])
        folder = library.place(item) / "imports"
        return plain({"file": await imports.receive(folder, request.path_params["name"], request.stream())})

    async def session(socket: WebSocket) -> None:
        try:
            opened = await to_thread.run_sync(library.session, socket.path_params["id"])
        except MaskletError as error:
            await socket.accept()
            await socket.send_text(json.dumps({"type": "fault", "sentence": str(error)}))
            await socket.close(1011)
            return
        await socket.accept()
        await Channel(socket, opened, desk).run()

    async def enter(request: Request) -> Response:
        given = request.query_params.get("token", "")
        if token is None or not hmac.compare_digest(given.encode(), token.encode()):
            return plain({"error": "this is not the token that masklet printed when it started"}, 403)
        answer = RedirectResponse("/", 303, headers=HEADERS)
        answer.set_cookie(COOKIE, token, max_age=30 * 86400, httponly=True, samesite="strict")
        return answer

    routes: list[BaseRoute] = [
        Route("/", page),
        Route("/enter", enter),
        Route("/page/{name}", part),
        Route("/api/library", listing),
        Route("/api/upload", upload, methods=["GET", "PUT"]),
        Route("/v/{id}", page),
        Route("/v/{id}/cover.jpg", cover),
        Route("/v/{id}/frame/{frame:int}.jpg", frame),
        Route("/v/{id}/formats", formats),
        Route("/v/{id}/exports/{name}", exported),
        Route("/v/{id}/imports/{name}", send_masks, methods=["PUT"]),
        WebSocketRoute("/v/{id}/session", session),
    ]
    guards = [Middleware(Guard, token=token)]
    if token is None:
        guards.insert(0, Middleware(TrustedHostMiddleware, allowed_hosts=list(HOSTS)))
    answered = dict.fromkeys((MaskletError, ValueError, ClientDisconnect), told)
    return Starlette(routes=routes, middleware=guards, exception_handlers=answered)


class Guard:
    """Refuses what another page sends, and who does not know the token."""

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        sentence = None
        if scope["path"] not in ("/", "/enter") and not is_ours(connection):
            sentence = "only the page itself may ask"
        elif self._token is not None and scope["path"] != "/enter" and not self._knows(connection):
            sentence = "open the address that masklet printed when it started: it has a token in it"
        if sentence is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await plain({"error": sentence}, 403)(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": sentence})

    def _knows(self, connection: HTTPConnection) -> bool:
        assert self._token is not None, "a token is asked for"
        return hmac.compare_digest(connection.cookies.get(COOKIE, "").encode(), self._token.encode())


async def told(request: Request, error: Exception) -> Response:
    """The answer to a request that makes no sense."""
    return plain({"error": str(error)}, 404)


def file_of(name: str) -> Response:
    """A file of the page."""
    path = resources.files("masklet.app") / "page" / name
    kind = KINDS.get(name[name.rfind(".") :])
    if kind is None or "/" in name or not path.is_file():
        return plain({"error": "there is no such file"}, 404)
    return Response(path.read_bytes(), media_type=kind, headers={**HEADERS, "Cache-Control": "no-cache"})


def plain(content: Mapping[str, Any], status: int = 200) -> Response:
    """JSON in ASCII, which holds every text: the name of a file need not be UTF-8."""
    headers = {**HEADERS, "Cache-Control": FRESH}
    return Response(json.dumps(content), status, media_type="application/json", headers=headers)


def serve(library: Library, listening: socket.socket, token: str | None, ready: Callable[[], None]) -> None:
    """Serve until Ctrl-C or SIGTERM; then all is saved and closed. `ready` is called when pages are answered."""
    run(server(library, token, ready), listening, library.close)


def run(running: uvicorn.Server, listening: socket.socket, close: Callable[[], None]) -> None:
    """Run a server until Ctrl-C or SIGTERM; then `close` saves what is under way."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    try:
        with suppress(KeyboardInterrupt):
            running.run([listening])
    finally:
        close()
        listening.close()
        signal.signal(signal.SIGTERM, before)


def server(library: Library, token: str | None, ready: Callable[[], None]) -> uvicorn.Server:
    """The server of a library; its `run` takes the listening sockets."""
    config = uvicorn.Config(
        application(library, token), log_level="error", lifespan="off", ws="websockets-sansio", ws_max_size=LARGEST,
        ws_ping_interval=HEARTBEAT, ws_ping_timeout=SILENT, timeout_graceful_shutdown=2, server_header=False,
    )  # fmt: skip
    return ReadyServer(config, ready)


class ReadyServer(uvicorn.Server):
    """A server that says when it answers."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()
