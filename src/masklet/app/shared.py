"""What several pages look at and one of them changes: a thread that answers them one after another, and the WebSockets
by which they ask. docs/annotator-protocol.md describes the messages."""

import asyncio
import json
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from anyio import to_thread
from starlette.websockets import WebSocket, WebSocketDisconnect

from masklet.app.wire import frame_of, mask_of
from masklet.errors import MaskletError, SessionError
from masklet.formats.json_file import parse_json
from masklet.prompts import Prompt, make_prompt

Said = Mapping[str, Any]
"""A message of a page."""

PROTOCOL_VERSION = 1
"""Of the protocol."""

MAX_WAITING = 32
"""Masks that wait to be sent to a slow page; others are left out, and the page asks for those that it needs."""

MAX_WANTED = 64
"""Frames whose masks are asked for at once."""

MAX_USER_NAME = 40
"""Letters of a user's name."""


class SharedSession(ABC):
    """A video or a camera, owned by a thread of its own. All methods without an underscore may be called from any
    thread, but for those that say that the thread calls them.

    Attributes:
        pages: Who looks at it, and is told what changes.
        editor: The page that may change something; None while nobody does.
        reads: What any page may ask, by type: called by the thread with the message.
        writes: What only the editor may ask.
    """

    reads: Mapping[str, Callable[[Said], Any]]
    writes: Mapping[str, Callable[[Said], Any]]

    def __init__(self, name: str) -> None:
        self.pages: list[Channel] = []
        self.editor: Channel | None = None
        self._questions: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._opened: Future[None] = Future()
        self._thread = Thread(target=self._run, name=f"masklet-{name}", daemon=True)

    def wait_open(self) -> None:
        """Wait until it can be asked. Raises MaskletError if it cannot be opened."""
        self._opened.result()

    def ask(self, question: Callable[[], Any]) -> Future[Any]:
        """Have something done by the thread."""
        answer: Future[Any] = Future()

        def run() -> None:
            try:
                answer.set_result(question())
            except Exception as error:
                if not isinstance(error, MaskletError):
                    traceback.print_exception(error)
                answer.set_exception(error)

        self._questions.put(run)
        return answer

    def do(self, kind: str, said: Said) -> Future[Any]:
        """The answer to a message of a page, once it is done. Raises, in the future, MaskletError for what makes no
        sense."""
        question = self.writes.get(kind) or self.reads.get(kind)

        def done() -> Any:
            if question is None:
                raise SessionError(f"there is no message of type {kind!r:.40} here")
            try:
                answer = question(said)
            except MaskletError:
                raise
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise SessionError(
                    f"{kind} cannot be read ({error!r:.100}); give it as docs/annotator-protocol.md describes"
                ) from error
            return answer if isinstance(answer, bytes) else {"type": "done", "req": said.get("req"), **(answer or {})}

        return self.ask(done)

    def wake(self) -> None:
        """Have the thread look whether there is something to do."""
        self._questions.put(lambda: None)

    def look(self, frame: int) -> None:  # noqa: B027
        """Somebody looks at a frame, and may click."""

    def close(self) -> None:
        """Save, and give back what is open."""
        self._questions.put(None)
        self._thread.join()

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """All that a page needs to begin; called by the thread."""

    @abstractmethod
    def frame(self, frame: int) -> bytes:
        """The message with the masks of a frame; called by the thread."""

    def _tell(self, message: Said | bytes) -> None:
        for page in list(self.pages):
            page.tell(message)

    # --- the thread ---------------------------------------------------------------------------------

    def _open(self) -> None:  # noqa: B027
        """What is done before anybody is answered."""

    @abstractmethod
    def _patience(self) -> float | None:
        """Seconds to wait for a question; None where nothing else is to be done."""

    @abstractmethod
    def _go_on(self) -> None:
        """What is done while nobody asks."""

    def _end(self) -> None:  # noqa: B027
        """What is done at the end."""

    def _run(self) -> None:
        try:
            self._open()
        except Exception as error:  # whoever waits must hear of it
            self._opened.set_exception(error)
            return
        self._opened.set_result(None)
        while True:
            try:
                question = self._questions.get(timeout=self._patience())
            except Empty:
                try:
                    self._go_on()
                except Exception as error:  # the thread goes on: pages wait for it
                    self._tell({"type": "warning", "sentence": f"the server failed: {error!r:.200}"})
                    traceback.print_exception(error)
                continue
            if question is None:
                break
            question()
        self._end()


async def converse(socket: WebSocket, open: Callable[[], SharedSession]) -> None:
    """Speak to a page of a session, until it has gone. `open` raises MaskletError for one that cannot be opened; it may
    take its time."""
    try:
        session = await to_thread.run_sync(open)
    except MaskletError as error:
        await socket.accept()
        await socket.send_text(json.dumps({"type": "fault", "sentence": str(error)}))
        await socket.close(1011)
        return
    await socket.accept()
    await Channel(socket, session).run()


class Channel:
    """A page of a session, as the event loop sees it; its WebSocket was accepted. The first page of a session edits,
    others watch."""

    def __init__(self, socket: WebSocket, session: SharedSession) -> None:
        self.who = ""
        self._socket, self._session = socket, session
        self._loop = asyncio.get_running_loop()
        self._out: asyncio.Queue[Said | bytes] = asyncio.Queue()
        self._masks = 0  # that wait in it
        self._left_out: set[int] = set()

    async def run(self) -> None:
        """Until the page has gone."""
        self._session.pages.append(self)
        sending = asyncio.create_task(self._send())
        try:
            while True:
                await self._hear(await self._socket.receive())
        except WebSocketDisconnect:
            pass
        finally:
            sending.cancel()
            self._session.pages.remove(self)
            if self._session.editor is self:
                self._edit(ends=True)

    # --- what it says -------------------------------------------------------------------------------

    async def _hear(self, event: Mapping[str, Any]) -> None:
        if event["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(event.get("code", 1000))
        said: Said = {}
        try:
            said = parse_json((event.get("text") or "").encode("utf-8", "replace"), "the message")
            self._answer(said)
        except MaskletError as error:
            self._refuse(said, str(error))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            self._refuse(said, f"the message cannot be read ({error!r:.100})")

    def _answer(self, said: Said) -> None:
        kind, session = str(said.get("type")), self._session
        if kind in session.writes and session.editor is not self:
            raise SessionError("another page edits here; take over to change it")
        if kind == "hello":
            if (version := said.get("version")) != PROTOCOL_VERSION:
                raise SessionError(
                    f"this page speaks version {version!r:.20} and the server {PROTOCOL_VERSION}; load it again"
                )
            self.who = str(said.get("who", ""))[:MAX_USER_NAME]
            if session.editor is None:
                self._edit()
            else:
                self.tell_lease()
            self._when(session.ask(session.state))
        elif kind == "look":
            session.look(frame_number(said["frame"]))
        elif kind == "want":
            for frame in list(said["frames"])[:MAX_WANTED]:
                self._when(session.ask(partial(session.frame, frame_number(frame))))
        elif kind == "take":
            self._edit()
        else:
            self._when(session.do(kind, said), said)

    # --- what it is told ----------------------------------------------------------------------------

    def _when(self, answer: Future[Any], said: Said | None = None) -> None:
        """Tell of the answer to what was said, once it is there; it comes in the session's thread."""

        def finish(done: Future[Any]) -> None:
            error = done.exception()
            if error is None:
                self.tell(done.result(), asked=said is not None)
            elif isinstance(error, MaskletError):
                self._refuse(said or {}, str(error))
            else:
                self._refuse(said or {}, f"the server failed: {error!r:.200}; its terminal says more")

        answer.add_done_callback(finish)

    def _refuse(self, said: Said, sentence: str) -> None:
        self.tell({"type": "refused", "req": said.get("req"), "sentence": sentence})

    def tell(self, message: Said | bytes, *, asked: bool = False) -> None:
        """Tell the page something, perhaps what it waits for; called by any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._put, message, asked)

    def _put(self, message: Said | bytes, asked: bool) -> None:
        if isinstance(message, bytes):
            if self._masks >= MAX_WAITING and not asked:
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

    def _edit(self, *, ends: bool = False) -> None:
        """Begin to edit, or end it, and tell all."""
        self._session.editor = None if ends else self
        for page in list(self._session.pages):
            page.tell_lease()

    def tell_lease(self) -> None:
        """Tell the page whether it edits, and who does."""
        editor = self._session.editor
        who = editor.who if editor else ""
        self.tell({"type": "lease", "mine": editor is self, "free": editor is None, "who": who})


def frame_number(value: object) -> int:
    """A frame's number. Raises SessionError for anything else."""
    if type(value) is not int or not 0 <= value < 1 << 40:
        raise SessionError(f"{value!r:.40} is no frame; give a whole number, counted from 0")
    return value


def prompt_of(said: Mapping[str, Any], size: tuple[int, int]) -> Prompt:
    """The prompt that a message has, for a picture of a size (height, width)."""
    mask = None if said.get("mask") is None else mask_of(said["mask"], size)
    return make_prompt(size, points=said.get("points"), labels=said.get("labels"), box=said.get("box"), mask=mask)


def description_of(said: Mapping[str, Any]) -> dict[str, Any]:
    """What a message says of an object, as `describe` of a tracker takes it."""
    return {part: said.get(part) for part in ("title", "category", "colour", "attributes")}
