"""The requests of other programs, and their streams of pictures: described in OpenAPI, answered, and served."""

import asyncio
import hmac
import inspect
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from anyio import to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

import masklet
from masklet.app.web import as_json, guards, limited, store
from masklet.engines.base import Engine
from masklet.errors import FormatError, MaskletError, PromptError, SessionError
from masklet.formats.json_file import parse_json
from masklet.jobs.places import TooLarge, local_copy
from masklet.masks.rle import encode_rle
from masklet.serve.pictures import MAX_PROMPTS, SHAPES, PictureDesk, TooMany, answer_of, question_of, sent_picture
from masklet.serve.videos import DIRECTIONS, FINAL_STATES, Missing, VideoDesk, check_allowed
from masklet.video import FrameResult, StreamTracker

WATCHED_EVERY = 0.25
"""Seconds between two looks at a job whose progress is told."""

PUBLIC_PATHS = ("/health", "/openapi.json")
"""What is told without a token."""

MAX_STREAMS = 4
"""WebSockets at a time, each with a tracker of its own."""


ERROR_STATUS: Mapping[type[MaskletError], int] = {
    TooLarge: 413,
    Missing: 404,
    TooMany: 429,
    SessionError: 409,
    PromptError: 422,
    FormatError: 422,
}
"""The status of an answer to a request that cannot be done; 400 for other errors."""


# --- what stands in requests and answers ------------------------------------------------------------------------------

TEXT_SCHEMA = {"type": "string"}


def record(description: str | None = None, required: Sequence[str] = (), **properties: Any) -> dict[str, Any]:
    """The schema of an object."""
    said = {"description": description} if description else {}
    return {"type": "object", **said, **({"required": list(required)} if required else {}), "properties": properties}


def several(items: Any, **more: Any) -> dict[str, Any]:
    """The schema of a list."""
    return {"type": "array", "items": items, **more}


def schema(name: str) -> dict[str, Any]:
    """One of SCHEMAS, by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


NUMBERS_SCHEMA = several({"type": "number"})
NAME_SCHEMA = {"type": ["integer", "string"]}

SCHEMAS: dict[str, Any] = {
    "Error": record(None, ["error"], error={**TEXT_SCHEMA, "description": "One sentence."}),
    "Prompt": record(
        "What is said of one object, in pixels of the picture as it is shown.",
        object={**NAME_SCHEMA, "description": "Its name."},
        frame={"type": "integer", "minimum": 0, "description": "Of a video; 0 if not given."},
        points=several({**NUMBERS_SCHEMA, "minItems": 2, "maxItems": 2}, description="(x, y)"),
        labels=several({"enum": [0, 1]}, description="1 include, 0 exclude."),
        box={**NUMBERS_SCHEMA, "minItems": 4, "maxItems": 4, "description": "x0, y0, x1, y1"},
    ),
    "PictureQuestion": {
        **record(
            "A picture as image or url, and prompts or everything.",
            image={**TEXT_SCHEMA, "contentEncoding": "base64"},
            url={**TEXT_SCHEMA, "format": "uri", "description": "One that the server allows."},
            prompts=several(schema("Prompt"), maxItems=MAX_PROMPTS),
            everything={"type": "boolean"},
            multimask={"type": ["boolean", "null"], "description": "Three candidates of each object, or one."},
            shape={"enum": list(SHAPES), "default": "rle"},
        ),
        "additionalProperties": False,
    },
    "Rle": record("COCO's compressed run lengths.", size=several({"type": "integer"}), counts=TEXT_SCHEMA),
    "Mask": record(
        None,
        ["object", "iou", "box", "area"],
        object=NAME_SCHEMA,
        iou={"type": "number", "description": "Predicted, 0..1."},
        box=NUMBERS_SCHEMA,
        area={"type": "integer"},
        rle=schema("Rle"),
        png={**TEXT_SCHEMA, "contentEncoding": "base64"},
        polygons=several({"type": "object"}, description="outer, holes: lists of (x, y)"),
    ),
    "PictureAnswer": record(width={"type": "integer"}, height={"type": "integer"}, masks=several(schema("Mask"))),
    "VideoQuestion": {
        **record(
            "A video as upload or url, and prompts or everything.",
            upload=TEXT_SCHEMA,
            url={**TEXT_SCHEMA, "format": "uri"},
            prompts=several(schema("Prompt")),
            everything={"type": "boolean"},
            direction={"enum": list(DIRECTIONS), "default": "forward"},
            formats=several(TEXT_SCHEMA, default=["coco"], description="docs/formats.md"),
            overlay={"type": "boolean", "default": False},
        ),
        "additionalProperties": False,
    },
    "VideoJob": record(
        None,
        ["id", "state", "frames", "results"],
        id=TEXT_SCHEMA,
        state={"enum": ["waiting", "running", "done", "failed", "cancelled"]},
        frames={"type": "integer"},
        of={"type": ["integer", "null"]},
        sentence=TEXT_SCHEMA,
        results=several(TEXT_SCHEMA),
        created={"type": "number"},
        asked={"type": "object"},
    ),
}


# --- requests ---------------------------------------------------------------------------------------------------------


class Service:
    """All that a server holds: a model, the folder of video jobs, the tokens of which a request must show one (none
    where only this machine reaches the server), the beginnings of URLs that may be fetched, the bytes that a picture
    with its prompts, and a video, may have, and how many of each may wait."""

    def __init__(
        self,
        engine: Engine,
        folder: Path,
        tokens: tuple[str, ...] = (),
        allowed: tuple[str, ...] = (),
        largest_question: int = 32 << 20,
        largest_video: int = 4 << 30,
        most_waiting: int = 100,
    ) -> None:
        self.engine, self.tokens, self.allowed = engine, tokens, allowed
        self.largest_question, self.largest_video = largest_question, largest_video
        self.videos = VideoDesk(engine, folder, allowed, most_waiting, largest_video)
        self.pictures = PictureDesk(engine, most_waiting)
        self.streams = 0

    def close(self) -> None:
        """End; jobs that are not done go on when the folder is served again."""
        self.pictures.close()
        self.videos.close()

    # --- requests -------------------------------------------------------------------------------------

    async def health(self, request: Request) -> Response:
        """Whether the server works, and how much waits."""
        jobs = self.videos.jobs()
        states = {state: sum(job.state == state for job in jobs) for state in ("waiting", "running")}
        return as_json({"status": "ok", "model": self.engine.config.name, "videos": states})

    async def describe(self, request: Request) -> Response:
        """This document."""
        return as_json(document())

    async def picture(self, request: Request) -> Response:
        """Masks of a picture."""
        said = parse_json(await self._body(request), "the request")
        question = await to_thread.run_sync(question_of, said, self._fetched)
        found = await asyncio.wrap_future(self.pictures.ask(question))
        return as_json(await to_thread.run_sync(answer_of, question, found))

    async def upload(self, request: Request) -> Response:
        """Send a video."""
        place, too_large = self.videos.upload_place(), TooLarge(f"the video has more than {self.largest_video} bytes")
        try:
            await store(request.stream(), place, self.largest_video, too_large)
        except FormatError as error:
            cause = error.__cause__
            why = cause.strerror if isinstance(cause, OSError) else ""
            raise FormatError(f"the upload cannot be kept: {why or 'it cannot be written'}") from error
        return as_json({"upload": place.name, "bytes": place.stat().st_size}, 201)

    async def remove_upload(self, request: Request) -> Response:
        """Remove an upload."""
        self.videos.remove_upload(request.path_params["id"])
        return Response(status_code=204)

    async def create(self, request: Request) -> Response:
        """Track a video."""
        said = parse_json(await self._body(request), "the request")
        job = await to_thread.run_sync(self.videos.create, said)
        return as_json(job.told, 201)

    async def listing(self, request: Request) -> Response:
        """All jobs, the oldest first."""
        return as_json({"videos": [job.told for job in self.videos.jobs()]})

    async def video(self, request: Request) -> Response:
        """How a job stands."""
        return as_json(self.videos.job(request.path_params["id"]).told)

    async def cancel(self, request: Request) -> Response:
        """End a job; what is done stays."""
        return as_json(self.videos.cancel(request.path_params["id"]).told)

    def remove(self, request: Request) -> Response:
        """Remove a job that has ended."""
        self.videos.remove(request.path_params["id"])
        return Response(status_code=204)

    async def result(self, request: Request) -> Response:
        """A file of a job's results."""
        path = self.videos.result(request.path_params["id"], request.path_params["path"])
        return FileResponse(path, filename=path.name, headers={"X-Content-Type-Options": "nosniff"})

    async def events(self, request: Request) -> Response:
        """The job whenever it got on, as server-sent events, until it has ended."""
        job = self.videos.job(request.path_params["id"])

        async def changes() -> AsyncIterator[str]:
            before: dict[str, Any] = {}
            while True:
                now = job.told
                if now != before:
                    before = now
                    yield f"data: {json.dumps(now)}\n\n"
                if now["state"] in FINAL_STATES:
                    return
                await asyncio.sleep(WATCHED_EVERY)

        return StreamingResponse(changes(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    async def stream(self, socket: WebSocket) -> None:
        """A stream of pictures."""
        await socket.accept()
        if self.streams >= MAX_STREAMS:
            await socket.send_text(json.dumps({"error": f"{MAX_STREAMS} streams are open already; come back later"}))
            await socket.close(1013)
            return
        self.streams += 1
        try:
            await follow(socket, self.engine)
        finally:
            self.streams -= 1

    async def _body(self, request: Request) -> bytes:
        too_large = TooLarge(f"the request has more than {self.largest_question} bytes")
        return b"".join([part async for part in limited(request.stream(), self.largest_question, too_large)])

    def _fetched(self, url: str) -> bytes:
        check_allowed(url, self.allowed)
        with local_copy(url, redirects=False, most=self.largest_question) as path:
            return path.read_bytes()


ROUTES: tuple[tuple[str, str, str, Callable[..., Any], str, str | None], ...] = (
    ("get", "/health", "health", Service.health, "200 It does.", None),
    ("get", "/openapi.json", "describe", Service.describe, "200 OpenAPI 3.1.", None),
    ("post", "/v1/pictures", "picture", Service.picture, "200 PictureAnswer", "PictureQuestion"),
    ("post", "/v1/uploads", "upload", Service.upload, "201 Its id, as upload.", "application/octet-stream"),
    ("delete", "/v1/uploads/{id}", "removeUpload", Service.remove_upload, "204 Gone.", None),
    ("get", "/v1/videos", "listVideos", Service.listing, "200 Jobs, as videos.", None),
    ("post", "/v1/videos", "createVideo", Service.create, "201 VideoJob", "VideoQuestion"),
    ("get", "/v1/videos/{id}", "video", Service.video, "200 VideoJob", None),
    ("delete", "/v1/videos/{id}", "removeVideo", Service.remove, "204 Gone.", None),
    ("post", "/v1/videos/{id}/cancel", "cancelVideo", Service.cancel, "200 VideoJob", None),
    ("get", "/v1/videos/{id}/events", "watchVideo", Service.events, "200 Events.", None),
    ("get", "/v1/videos/{id}/results/{path}", "result", Service.result, "200 The file.", None),
)
"""Of each request: method, path, name, what answers, its status with a schema or in words, and what the body is."""


def document() -> dict[str, Any]:
    """All requests in OpenAPI 3.1, from which clients can be made. What one is for is told by the docstring of what
    answers it."""
    paths: dict[str, dict[str, Any]] = {}
    for method, path, name, answered_by, answer, body in ROUTES:
        status, _, said = answer.partition(" ")
        known = {"description": said, **({"content": _content(said)} if said in SCHEMAS else {})}
        if said == "Events.":
            known["content"] = {"text/event-stream": {}}
        failed = {"description": "What is wrong, in one sentence.", "content": _content("Error")}
        operation: dict[str, Any] = {
            "operationId": name,
            "summary": inspect.getdoc(answered_by),
            "responses": {status: known, "default": failed},
        }
        if body is not None:
            operation["requestBody"] = {"content": _content(body), "required": True}
        place = paths.setdefault(path, {})
        place[method] = operation
        if named := re.findall(r"{(\w+)}", path):
            place["parameters"] = [
                {"name": one, "in": "path", "required": True, "schema": TEXT_SCHEMA} for one in named
            ]
    return {
        "openapi": "3.1.0",
        "info": {"title": "masklet", "version": masklet.__version__, "description": "Masks of what is pointed at."},
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
        "paths": paths,
    }


def _content(body: str) -> dict[str, Any]:
    if body not in SCHEMAS:
        return {body: {}}
    return {"application/json": {"schema": schema(body)}}


def application(service: Service) -> Starlette:
    """The requests of a service. Without tokens pages of other places are refused: programs send no origin."""
    tokens = [token.encode() for token in service.tokens]

    def refusal(connection: HTTPConnection) -> str | None:
        kind, _, shown = connection.headers.get("authorization", "").partition(" ")
        known = kind.lower() == "bearer" and any(hmac.compare_digest(shown.encode(), token) for token in tokens)
        if connection.scope["path"] in PUBLIC_PATHS or known or not (tokens or "origin" in connection.headers):
            return None
        return "show a token: Authorization: Bearer TOKEN"

    routes = [
        Route(path.replace("{path}", "{path:path}"), partial(answer, service), methods=[method.upper()])
        for method, path, _, answer, *_ in ROUTES
    ]
    return Starlette(
        routes=[*routes, WebSocketRoute("/v1/stream", service.stream)],
        middleware=guards(refusal, 401, here=not tokens),
        exception_handlers={
            **dict.fromkeys((MaskletError, ClientDisconnect), error_response),
            HTTPException: no_such_request,
        },
    )


async def error_response(request: Request, error: Exception) -> Response:
    """The answer to a request that cannot be done."""
    status = next((code for kind, code in ERROR_STATUS.items() if isinstance(error, kind)), 400)
    return as_json({"error": str(error)}, status)


async def no_such_request(request: Request, error: Exception) -> Response:
    """The answer to a request that there is not: another path, or another method."""
    assert isinstance(error, HTTPException)
    sentence = f"there is no {request.method} {request.url.path[:80]}; GET /openapi.json describes all requests"
    answer = as_json({"error": sentence}, error.status_code)
    answer.headers.update(error.headers or {})
    return answer


async def follow(socket: WebSocket, engine: Engine) -> None:
    """Answer each picture, a binary message, with a text message of its masks; text messages prompt on the newest
    picture, and are answered with its masks too. What cannot be done is told, and the stream goes on."""
    tracker = StreamTracker(engine)
    try:
        while True:
            event = await socket.receive()
            if event["type"] == "websocket.disconnect":
                return
            try:
                found = await to_thread.run_sync(_step, tracker, event)
            except MaskletError as error:
                await socket.send_text(json.dumps({"error": str(error)}))
            else:
                await socket.send_text(json.dumps(frame_to_json(found)))
    except WebSocketDisconnect:
        return


def _step(tracker: StreamTracker, event: Mapping[str, Any]) -> FrameResult:
    if event.get("bytes") is not None:
        return tracker.step(sent_picture(event["bytes"]))
    said = parse_json(str(event.get("text") or "").encode(), "the message")
    name = said.get("object", 1)
    try:
        if "box" in said:
            return tracker.add_box(object=name, box=said["box"])
        return tracker.add_points(object=name, points=said["points"], labels=said.get("labels"))
    except (KeyError, TypeError) as error:
        raise PromptError(f"the message cannot be read ({error!r:.80}); give object, and box or points") from None


def frame_to_json(found: FrameResult) -> dict[str, Any]:
    """A frame in plain values."""
    masks = []
    for name, item in found.objects.items():
        rle = encode_rle(item.mask).to_json()
        masks.append({"object": name, "state": item.state, "iou": round(float(item.iou), 4), "rle": rle})
    return {"frame": found.frame, "masks": masks}
