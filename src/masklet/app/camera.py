"""A camera on the page of the annotator: the newest frame with its masks, prompts on it, and how it goes."""

import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from threading import Thread
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from masklet.app import summary
from masklet.app.pictures import Pictures
from masklet.app.shared import Said, SharedSession, converse, description_of, prompt_of
from masklet.app.web import SECURITY_HEADERS, Server, page, pages, picture
from masklet.errors import SessionError
from masklet.live import LiveSession
from masklet.video import FrameResult
from masklet.video.state import Tracks

STATUS_SECONDS = 0.25
"""Seconds after which pages are told how it goes, though no frame came."""

PAGE_PATH = "/v/0"
"""Of the page."""


class CameraSession(SharedSession):
    """A camera that is followed, as pages see it. Whoever made the live session steps it; this looks, and prompts."""

    def __init__(self, live: LiveSession) -> None:
        super().__init__("camera")
        self.pictures = Pictures(live.camera)
        self.reads = {}
        self.writes = {
            "prompt": self._prompt,
            "describe": lambda said: live.describe(said["object"], **description_of(said)),
            "remove": lambda said: live.remove(said["object"]),
            "hold": self._hold,
        }
        self._live = live
        self._key = secrets.token_hex(8)
        self._seen: object = None  # the result that pages have
        self._objects: list[dict[str, Any]] = []  # as pages have them
        self._status: dict[str, Any] = {}
        live.watchers.append(self.wake)
        self._thread.start()

    # --- changes ------------------------------------------------------------------------------------

    def _prompt(self, said: Said) -> None:
        name, prompt = said["object"], prompt_of(said, self._live.camera.size)
        replace = bool(said.get("replace", False))
        self._live.prompt(name, lambda tracker: tracker.add_prompt(object=name, prompt=prompt, replace=replace))

    def _hold(self, said: Said) -> None:
        self._live.hold(bool(said.get("held", True)))
        self._go_on()

    # --- what pages are told ------------------------------------------------------------------------

    def _patience(self) -> float | None:
        return STATUS_SECONDS if self._live.newest()[0] is self._seen else 0.0

    def _go_on(self) -> None:
        """Tell pages what is new."""
        result, tracks = self._live.newest()
        is_new, self._seen = result is not self._seen, result
        if not self.pages:
            return
        objects = list_objects(result, tracks)
        if objects != self._objects:
            self._objects = objects
            self._tell(self._state(result, objects))
        if result is not None and is_new:
            self._tell(self._message(result, tracks))
        status = self._told(result)
        if status != self._status:
            self._status = status
            self._tell(status)

    def state(self) -> dict[str, Any]:
        result, tracks = self._live.newest()
        return self._state(result, list_objects(result, tracks))

    def _state(self, result: FrameResult | None, objects: list[dict[str, Any]]) -> dict[str, Any]:
        height, width = self._live.camera.size
        return {
            **self._told(result),
            "type": "state",
            "seq": 0,
            "epoch": 0,
            "undo": None,
            "redo": None,
            "interrupted": None,
            "following": False,
            "video": {
                "kind": "camera", "key": self._key, "name": self._live.camera.name, "width": width, "height": height,
                "frames": 0 if result is None else result.frame + 1, "rate": None,
            },
            "model": self._live.model,
            "classes": [],
            "objects": objects,
        }  # fmt: skip

    def _told(self, result: FrameResult | None) -> dict[str, Any]:
        """How it goes, with the frame that pages have: the camera may be ahead of it."""
        status = asdict(self._live.status()) | {"frame": None if result is None else result.frame}
        queue = [
            {"frame": status["frame"], "object": item["name"], "reason": item["needs_prompt"], "grave": 0}
            for item in status.pop("objects")
            if item["needs_prompt"]
        ]
        return {"type": "camera", **status, "rate": round(status["rate"], 1), "queue": queue}

    def frame(self, frame: int) -> bytes:
        result, tracks = self._live.newest()
        if result is None:
            raise SessionError("no frame came yet")
        return self._message(result, tracks)

    def _message(self, result: FrameResult, tracks: Tracks) -> bytes:
        """The masks of a frame, whose picture can be fetched once they are told."""
        self.pictures.offer(result.frame, result.image)
        return summary.frame_message(tracks, result, 0)


def list_objects(result: FrameResult | None, tracks: Tracks) -> list[dict[str, Any]]:
    """All objects, each with its prompts on the newest frame."""
    frame = -1 if result is None else result.frame
    return [summary.object_summary(name, track, [frame]) | {"cells": "", "ious": ""} for name, track in tracks.items()]


def application(session: CameraSession) -> Starlette:
    """The page of a camera, for this machine alone."""

    async def begin(request: Request) -> Response:
        return RedirectResponse(PAGE_PATH, 303, headers=SECURITY_HEADERS)

    def frame(request: Request) -> Response:
        return picture(session.pictures.jpeg(request.path_params["frame"]))

    async def speak(socket: WebSocket) -> None:
        await converse(socket, lambda: session)

    routes = [
        Route("/", begin),
        Route(PAGE_PATH, page),
        Route(PAGE_PATH + "/frame/{frame:int}.jpg", frame),
        WebSocketRoute(PAGE_PATH + "/session", speak),
    ]
    return pages(routes, None)


@contextmanager
def serving(live: LiveSession, listening: socket.socket) -> Iterator[None]:
    """Serve the page of a camera inside the `with` block. Closes the socket."""
    session = CameraSession(live)
    server = Server(application(session), lambda: None)
    thread = Thread(target=server.run, args=([listening],), name="masklet-page", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()
        session.close()
        listening.close()
