"""What every server of masklet is made of: who may ask, answers, listening, and running until it is ended."""

import hmac
import json
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from hashlib import sha256
from importlib import resources
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from anyio import to_thread
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from masklet import machine
from masklet.atomic import atomic_write
from masklet.errors import MaskletError

LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]", "::1")
"""Names of this machine to itself."""

MIME_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data: blob:; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""Nothing comes from elsewhere, and no other page shows what is here."""

FRESH, FOR_EVER = "no-store", "private, max-age=31536000, immutable"

COOKIE_NAME = "masklet"

HEARTBEAT, SILENT = 5.0, 20.0
"""Seconds between two questions whether a page is still there, and those after which one that says nothing has gone."""

MAX_MESSAGE_BYTES = 16 << 20
"""Bytes of a message: a brushed mask of a large picture."""


def pages(routes: Sequence[BaseRoute], token: str | None) -> Starlette:
    """An application of pages, with the files that they are made of. `token` is what a browser must show once, as
    /enter?token=...; None where only this machine reaches the server."""

    def knows(shown: str) -> bool:
        return token is not None and hmac.compare_digest(shown.encode(), token.encode())

    def refusal(connection: HTTPConnection) -> str | None:
        path = connection.scope["path"]
        if path not in ("/", "/enter") and not is_ours(connection):
            return "only the page itself may ask"
        if token is not None and path != "/enter" and not knows(connection.cookies.get(COOKIE_NAME, "")):
            return "open the address that masklet printed when it started: it has a token in it"
        return None

    async def part(request: Request) -> Response:
        (now, files), name = parts(), request.path_params["name"]
        if request.path_params["version"] != now or name not in files:
            return as_json({"error": "there is no such file"}, 404)
        kind = MIME_TYPES[name[name.rfind(".") :]]
        return Response(files[name], media_type=kind, headers={**SECURITY_HEADERS, "Cache-Control": FOR_EVER})

    async def enter(request: Request) -> Response:
        if token is None or not knows(request.query_params.get("token", "")):
            return as_json({"error": "this is not the token that masklet printed when it started"}, 403)
        answer = RedirectResponse("/", 303, headers=SECURITY_HEADERS)
        answer.set_cookie(COOKIE_NAME, token, max_age=30 * 86400, httponly=True, samesite="strict")
        return answer

    own = [Route("/enter", enter), Route("/page/{version}/{name}", part)]
    answered = dict.fromkeys((MaskletError, ValueError, ClientDisconnect), error_response)
    return Starlette(
        routes=[*own, *routes], middleware=guards(refusal, 403, here=token is None), exception_handlers=answered
    )


def guards(refusal: Callable[[HTTPConnection], str | None], status: int, *, here: bool) -> list[Middleware]:
    """What stands before an application. `refusal` says why a request is not answered, which it is told with the
    status, or None; `here` is whether only this machine reaches the server."""
    hosts = [Middleware(TrustedHostMiddleware, allowed_hosts=list(LOCAL_HOSTS))] if here else []
    return [*hosts, Middleware(guarded, refusal=refusal, status=status)]


def guarded(app: ASGIApp, refusal: Callable[[HTTPConnection], str | None], status: int) -> ASGIApp:
    """An application that refuses requests and WebSockets, as of `guards`."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        sentence = refusal(HTTPConnection(scope))
        if sentence is None:
            await app(scope, receive, send)
        elif scope["type"] == "http":
            await as_json({"error": sentence}, status)(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": sentence})

    return answer


def is_ours(request: HTTPConnection) -> bool:
    """Whether a request comes from the page itself, or from no page at all."""
    origin, host = request.headers.get("origin"), request.headers.get("host")
    if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
        return False
    return request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")


async def limited(content: AsyncIterator[bytes], most: int, error: MaskletError) -> AsyncIterator[bytes]:
    """The parts of what is sent. Raises the error once there are more bytes than `most`."""
    left = most
    async for part in content:
        left -= len(part)
        if left < 0:
            raise error
        yield part


async def store(content: AsyncIterator[bytes], path: Path, most: int, error: MaskletError) -> None:
    """Keep what is sent in a file, which appears when it is whole. Raises the error once there are more bytes than
    `most`, and FormatError if it cannot be written."""
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        async for part in limited(content, most, error):
            await to_thread.run_sync(file.write, part)


async def error_response(request: Request, error: Exception) -> Response:
    """The answer to a request that makes no sense."""
    return as_json({"error": str(error)}, 404)


@cache
def parts() -> tuple[str, dict[str, bytes]]:
    """The files of the page by name. Before them their version, which is a part of their addresses, so that browsers
    may keep them."""
    folder = resources.files("masklet.app") / "page"
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir(), key=lambda path: path.name)}
    return sha256(b"".join(files.values())).hexdigest()[:12], files


async def page(request: Request) -> Response:
    """The page; its scripts see by the address what they show. All of them are asked for at once."""
    version, files = parts()
    modules = (f'<link rel="modulepreload" href="/page/{name}">' for name in files if name.endswith(".js"))
    text = files["index.html"].decode().replace("<!-- modules -->", "\n".join(modules))
    text = text.replace('"/page/', f'"/page/{version}/')
    return Response(text, media_type="text/html", headers={**SECURITY_HEADERS, "Cache-Control": "no-cache"})


def picture(data: bytes, kept: str = FRESH) -> Response:
    """A JPEG."""
    return Response(data, media_type="image/jpeg", headers={**SECURITY_HEADERS, "Cache-Control": kept})


def as_json(content: Mapping[str, Any], status: int = 200) -> Response:
    """JSON in ASCII, which holds every text: the name of a file need not be UTF-8."""
    headers = {**SECURITY_HEADERS, "Cache-Control": FRESH}
    return Response(json.dumps(content), status, media_type="application/json", headers=headers)


def listen(port: int, host: str = LOCAL_HOSTS[0]) -> socket.socket:
    """A socket, on loopback if no other host is given; port 0 takes any free one. Raises MaskletError if the port is
    taken."""
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()
    except (OSError, OverflowError, TypeError) as error:  # the last for a name that is no UTF-8
        listening.close()
        raise MaskletError(f"port {port} of {host} cannot be used ({error}); give another --port") from None
    return listening


def address_of(listening: socket.socket, host: str = LOCAL_HOSTS[0]) -> str:
    """The address for a browser."""
    return f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"


class Server(uvicorn.Server):
    """A server that calls `ready` once it answers, and at the end gives answers under way `patience` seconds."""

    def __init__(self, application: ASGIApp, ready: Callable[[], None], patience: int = 2) -> None:
        super().__init__(
            uvicorn.Config(
                application, log_level="error", lifespan="off", ws="websockets-sansio", ws_max_size=MAX_MESSAGE_BYTES,
                ws_ping_interval=HEARTBEAT, ws_ping_timeout=SILENT, timeout_graceful_shutdown=patience,
                server_header=False,
            )
        )  # fmt: skip
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End, and at a second signal at once: threads that still save would fail one after another while Python takes
        itself apart."""
        if self.should_exit:
            os.write(2, b"masklet: ended before all was closed; what is on the disk is whole\n")
            os._exit(130)
        self.should_exit = True


def run(server: Server, listening: socket.socket, close: Callable[[], None]) -> None:
    """Run a server until Ctrl-C or SIGTERM; then `close` saves what is under way, unless a second one comes."""
    machine.share_heap()
    ends = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(end, server.handle_exit) for end in ends]
    try:
        server.run([listening])
    finally:
        with ThreadPoolExecutor(1) as pool:
            closing = pool.submit(close)
            while not closing.done():  # any thread may get a signal, and the main one, which handles it, must wake then
                wait([closing], timeout=0.1)
        closing.result()
        listening.close()
        for end, handler in zip(ends, before, strict=True):
            signal.signal(end, handler or signal.SIG_DFL)
