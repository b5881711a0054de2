"""One page's WebSocket: what it says, and what it is told. docs/annotator-protocol.md describes the messages."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from masklet.app.acts import ACTS
from masklet.app.session import Session
from masklet.app.wire import frame_of
from masklet.errors import MaskletError, SessionError
from masklet.formats.json_file import parse_json

VERSION = 1
"""Of the protocol."""

MOST_WAITING = 32
"""Masks that wait to be sent to a slow page; others are left out, and the page asks for those that it needs."""

MOST_WANTED = 64
"""Frames whose masks are asked for at once."""

CHANGES = {*ACTS, "redo"}
"""What changes a session."""

WRITES = {*CHANGES, "follow", "import", "stop"}
"""What only the page that edits may say."""


class Channel:
    """A page of a session, as the event loop sees it. The first page of a session edits, others watch.

    Args:
        socket: The accepted WebSocket.
        session: The open session.
        desk: Who edits each session.
    """

    def __init__(self, socket: WebSocket, session: Session, desk: dict[Session, Channel]) -> None:
        self._socket = socket
        self._session = session
        self._desk = desk
        self._loop = asyncio.get_running_loop()
        self._out: asyncio.Queue[Mapping[str, Any] | bytes] = asyncio.Queue()
        self._masks = 0  # that wait in it
        self._left_out: set[int] = set()

    async def run(self) -> None:
        """Until the page has gone."""
        self._session.listeners.append(self._listen)
        sending = asyncio.create_task(self._send())
        try:
            while True:
                await self._hear(await self._socket.receive())
        except WebSocketDisconnect:
            pass
        finally:
            sending.cancel()
            self._session.listeners.remove(self._listen)
            if self._desk.get(self._session) is self:
                del self._desk[self._session]
                self._tell_all({"type": "lease", "mine": False, "free": True})

    # --- what it says -------------------------------------------------------------------------------

    async def _hear(self, event: Mapping[str, Any]) -> None:
        if event["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(event.get("code", 1000))
        said: Mapping[str, Any] = {}
        try:
            said = parse_json((event.get("text") or "").encode("utf-8", "replace"), "the message")
            self._answer(said)
        except MaskletError as error:
            self._refuse(said, str(error))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            self._refuse(said, f"the message cannot be read ({error!r:.100})")

    def _answer(self, said: Mapping[str, Any]) -> None:
        kind, session = said.get("type"), self._session
        if kind in WRITES and self._desk.get(session) is not self:
            raise SessionError("another page edits this video; take over to change it here")
        if kind == "hello":
            if said.get("version") != VERSION:
                raise SessionError(
                    f"this page speaks version {said.get('version')!r:.20} and the server {VERSION}; load it again"
                )
            self._desk.setdefault(session, self)
            self._tell_lease()
            self._when(session.ask(session.state), self._put)
        elif kind == "look":
            session.look(frame_number(said["frame"]))
        elif kind == "want":
            for frame in list(said["frames"])[:MOST_WANTED]:
                self._when(session.ask(partial(session.frame, frame_number(frame))), self._put)
        elif kind == "take":
            before = self._desk.get(session)
            self._desk[session] = self
            self._tell_lease()
            if before is not None and before is not self:
                before._tell_lease()
        elif kind == "preview":
            self._when(session.ask(lambda: session.preview(said)), self._put, said)
        elif kind == "candidates":
            self._when(session.ask(lambda: session.candidates(said)), self._put, said)
        elif kind == "follow":
            self._when(session.ask(lambda: session.follow(said)), self._done(said), said)
        elif kind == "stop":
            self._when(session.ask(lambda: session.stop(str(said.get("job", "follow")))), self._done(said), said)
        elif kind == "export":
            self._when(session.ask(lambda: session.export(said)), self._done(said), said)
        elif kind == "import":
            self._when(session.ask(lambda: session.take_masks(said)), self._done(said), said)
        elif kind in CHANGES:
            self._when(session.do(str(kind), said), self._done(said), said)
        else:
            raise SessionError(f"there is no message of type {kind!r:.40}")

    # --- what it is told ----------------------------------------------------------------------------

    def _done(self, said: Mapping[str, Any]) -> Callable[[Any], None]:
        return lambda answer: self._put({"type": "done", "req": said.get("req"), **(answer or {})})

    def _refuse(self, said: Mapping[str, Any], sentence: str) -> None:
        self._put({"type": "refused", "req": said.get("req"), "sentence": sentence})

    def _when(self, answer: Future[Any], then: Callable[[Any], None], said: Mapping[str, Any] | None = None) -> None:
        """Tell of an answer once it is there; it comes in the session's thread."""

        def finish(done: Future[Any]) -> None:
            error = done.exception()
            if error is None:
                self._later(then, done.result())
            elif isinstance(error, MaskletError):
                self._later(self._refuse, said or {}, str(error))
            else:
                self._later(self._refuse, said or {}, f"the server failed: {error!r:.200}; its terminal says more")
                self._loop.call_soon_threadsafe(
                    self._loop.call_exception_handler, {"message": "a question failed", "exception": error}
                )

        answer.add_done_callback(finish)

    def _later(self, call: Callable[..., None], *values: Any) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call, *values)

    def _listen(self, message: Mapping[str, Any] | bytes) -> None:
        """Called in the session's thread."""
        self._later(self._put, message)

    def _put(self, message: Mapping[str, Any] | bytes) -> None:
        if isinstance(message, bytes):
            if self._masks >= MOST_WAITING:
                self._left_out.add(frame_of(message))
                return
            self._masks += 1
        self._out.put_nowait(message)

    async def _send(self) -> None:
        try:
            while True:
                message = await self._out.get()
                if isinstance(message, bytes):
                    self._masks -= 1
                    await self._socket.send_bytes(message)
                    if not self._masks and self._left_out:
                        self._out.put_nowait({"type": "stale", "frames": sorted(self._left_out)})
                        self._left_out.clear()
                else:
                    await self._socket.send_text(json.dumps(message))
        except (WebSocketDisconnect, RuntimeError):  # the page has gone; `run` hears of it too
            return

    def _tell_lease(self) -> None:
        holder = self._desk.get(self._session)
        self._put({"type": "lease", "mine": holder is self, "free": holder is None})

    def _tell_all(self, message: Mapping[str, Any]) -> None:
        for listener in self._session.listeners:
            listener(message)


def frame_number(value: object) -> int:
    """A frame's number. Raises SessionError for anything else."""
    if type(value) is not int or not 0 <= value < 1 << 40:
        raise SessionError(f"{value!r:.40} is no frame; give a whole number, counted from 0")
    return value
