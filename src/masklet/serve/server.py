"""The requests of other programs, as an ASGI application, and serving it."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anyio import to_thread
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from masklet.app.web import HOSTS, Server, plain
from masklet.engines.base import Engine
from masklet.errors import FormatError, MaskletError, PromptError, SessionError
from masklet.formats.json_file import parse_json
from masklet.jobs.places import TooLarge, local_copy
from masklet.serve.openapi import document
from masklet.serve.pictures import PictureDesk, answer_of, question_of
from masklet.serve.stream import follow
from masklet.serve.videos import ENDED, Missing, VideoDesk, check_allowed

WATCHED_EVERY = 0.25
"""Seconds between two looks at a job whose progress is told."""

OPEN = ("/health", "/openapi.json")
"""What is told without a token."""

MOST_STREAMS = 4
"""WebSockets at a time, each with a tracker of its own."""


@dataclass(frozen=True)
class Limits:
    """What one request may ask.

    question  bytes of a picture with its prompts
    upload    bytes of a video
    waiting   pictures, and videos, that may wait
    """

    question: int = 32 << 20
    upload: int = 4 << 30
    waiting: int = 100


STATUS: Mapping[type[MaskletError], int] = {
    TooLarge: 413,
    Missing: 404,
    SessionError: 429,
    PromptError: 422,
    FormatError: 422,
}
"""The status of an answer to a request that cannot be done; 400 for other errors."""


class Service:
    """All that a server holds.

    Args:
        engine: The model.
        folder: Where video jobs lie.
        tokens: Of which a request must show one; none where only this machine reaches the server.
        allowed: Beginnings of URLs that may be fetched.
        limits: What one request may ask.
    """

    def __init__(
        self,
        engine: Engine,
        folder: Path,
        tokens: tuple[str, ...] = (),
        allowed: tuple[str, ...] = (),
        limits: Limits | None = None,
    ) -> None:
        self.engine, self.tokens, self.allowed, self.limits = engine, tokens, allowed, limits or Limits()
        self.videos = VideoDesk(engine, folder, allowed, self.limits.waiting, self.limits.upload)
        self.pictures = PictureDesk(engine, self.limits.waiting)
        self.streams = 0

    def close(self) -> None:
        """End; jobs that are not done go on when the folder is served again."""
        self.pictures.close()
        self.videos.close()

    # --- requests -------------------------------------------------------------------------------------

    async def health(self, request: Request) -> Response:
        """Whether it works."""
        jobs = self.videos.jobs()
        states = {state: sum(job.state == state for job in jobs) for state in ("waiting", "running")}
        return plain({"status": "ok", "model": self.engine.config.name, "videos": states})

    async def describe(self, request: Request) -> Response:
        """The OpenAPI document."""
        return plain(document())

    async def picture(self, request: Request) -> Response:
        """Masks of a picture."""
        said = parse_json(await self._body(request), "the request")
        question, names, shape = await to_thread.run_sync(question_of, said, self._fetched)
        found = await asyncio.wrap_future(self.pictures.ask(question))
        return plain(await to_thread.run_sync(answer_of, found, names, shape))

    async def upload(self, request: Request) -> Response:
        """Keep a video."""
        place, size = self.videos.upload_place(), 0
        partial = place.with_suffix(".partial")
        try:
            with partial.open("wb") as file:
                async for part in request.stream():
                    size += len(part)
                    if size > self.limits.upload:
                        raise TooLarge(f"the video has more than {self.limits.upload} bytes")
                    file.write(part)
            partial.replace(place)
        except OSError as error:
            raise FormatError(f"the upload cannot be kept: {error.strerror}") from error
        finally:
            partial.unlink(missing_ok=True)
        return plain({"upload": place.name, "bytes": size}, 201)

    async def remove_upload(self, request: Request) -> Response:
        """Remove a video that was sent."""
        self.videos.remove_upload(request.path_params["id"])
        return Response(status_code=204)

    async def create(self, request: Request) -> Response:
        """A new video job."""
        said = parse_json(await self._body(request), "the request")
        job = await to_thread.run_sync(self.videos.create, said)
        return plain(job.told, 201)

    async def listing(self, request: Request) -> Response:
        """All video jobs."""
        return plain({"videos": [job.told for job in self.videos.jobs()]})

    async def video(self, request: Request) -> Response:
        """One job."""
        return plain(self.videos.job(request.path_params["id"]).told)

    async def cancel(self, request: Request) -> Response:
        """End a job."""
        return plain(self.videos.cancel(request.path_params["id"]).told)

    async def remove(self, request: Request) -> Response:
        """Remove a job."""
        await to_thread.run_sync(self.videos.remove, request.path_params["id"])
        return Response(status_code=204)

    async def result(self, request: Request) -> Response:
        """A file of a job."""
        path = self.videos.result(request.path_params["id"], request.path_params["path"])
        return FileResponse(path, filename=path.name, headers={"X-Content-Type-Options": "nosniff"})

    async def events(self, request: Request) -> Response:
        """How a job gets on."""
        job = self.videos.job(request.path_params["id"])

        async def told() -> AsyncIterator[str]:
            before: dict[str, Any] = {}
            while True:
                now = job.told
                if now != before:
                    before = now
                    yield f"data: {json.dumps(now)}\n\n"
                if now["state"] in ENDED:
                    return
                await asyncio.sleep(WATCHED_EVERY)

        return StreamingResponse(told(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    async def stream(self, socket: WebSocket) -> None:
        """A stream of pictures."""
        await socket.accept()
        if self.streams >= MOST_STREAMS:
            await socket.send_text(json.dumps({"error": f"{MOST_STREAMS} streams are open already; come back later"}))
            await socket.close(1013)
            return
        self.streams += 1
        try:
            await follow(socket, self.engine)
        finally:
            self.streams -= 1

    async def _body(self, request: Request) -> bytes:
        content = bytearray()
        async for part in request.stream():
            content += part
            if len(content) > self.limits.question:
                raise TooLarge(f"the request has more than {self.limits.question} bytes")
        return bytes(content)

    def _fetched(self, url: str) -> bytes:
        check_allowed(url, self.allowed)
        with local_copy(url, redirects=False, most=self.limits.question) as path:
            return path.read_bytes()


def application(service: Service) -> Starlette:
    """The requests of a service."""
    routes: list[BaseRoute] = [
        Route("/health", service.health),
        Route("/openapi.json", service.describe),
        Route("/v1/pictures", service.picture, methods=["POST"]),
        Route("/v1/uploads", service.upload, methods=["POST"]),
        Route("/v1/uploads/{id}", service.remove_upload, methods=["DELETE"]),
        Route("/v1/videos", service.listing, methods=["GET"]),
        Route("/v1/videos", service.create, methods=["POST"]),
        Route("/v1/videos/{id}", service.video, methods=["GET"]),
        Route("/v1/videos/{id}", service.remove, methods=["DELETE"]),
        Route("/v1/videos/{id}/cancel", service.cancel, methods=["POST"]),
        Route("/v1/videos/{id}/events", service.events),
        Route("/v1/videos/{id}/results/{path:path}", service.result),
        WebSocketRoute("/v1/stream", service.stream),
    ]
    guards = [Middleware(Guard, tokens=service.tokens)]
    if not service.tokens:
        guards.insert(0, Middleware(TrustedHostMiddleware, allowed_hosts=list(HOSTS)))
    return Starlette(routes=routes, middleware=guards, exception_handlers={MaskletError: told, ClientDisconnect: told})


class Guard:
    """Refuses who shows no token, and, where none is asked for, pages of other places."""

    def __init__(self, app: ASGIApp, tokens: tuple[str, ...]) -> None:
        self._app = app
        self._tokens = [token.encode() for token in tokens]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or scope["path"] in OPEN or self._may(HTTPConnection(scope)):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await plain({"error": "show a token: Authorization: Bearer TOKEN"}, 401)(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "show a token"})

    def _may(self, connection: HTTPConnection) -> bool:
        if not self._tokens:
            return "origin" not in connection.headers  # programs send none; a browser's page is none of ours
        kind, _, shown = connection.headers.get("authorization", "").partition(" ")
        return kind.lower() == "bearer" and any(hmac.compare_digest(shown.encode(), token) for token in self._tokens)


async def told(request: Request, error: Exception) -> Response:
    """The answer to a request that cannot be done."""
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 400)
    return plain({"error": str(error)}, status)


def server(service: Service, ready: Callable[[], None]) -> Server:
    """The server of a service; `ready` is called when requests are answered, its `run` takes the listening sockets."""
    return Server(application(service), ready, patience=5)
