"""What several pages look at and one of them changes: a thread that answers them one after another."""

from __future__ import annotations

import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Protocol

from masklet.errors import MaskletError, SessionError

Said = Mapping[str, Any]
"""A message of a page."""


class Page(Protocol):
    """Who looks at it."""

    who: str
    """What the user of the page is called; "" if they did not say."""

    def tell(self, message: Said | bytes) -> None:
        """Called by any thread."""

    def tell_lease(self) -> None:
        """Tell who edits; called by the thread of the pages."""


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
        self.pages: list[Page] = []
        self.editor: Page | None = None
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
                answer.set_exception(error)

        self._questions.put(run)
        return answer

    def do(self, kind: str, said: Said) -> Future[Any]:
        """Have done what a message of a page asks for. Raises, in the future, MaskletError for what makes no sense."""
        question = self.writes.get(kind) or self.reads.get(kind)

        def done() -> Any:
            if question is None:
                raise SessionError(f"there is no message of type {kind!r:.40} here")
            return question(said)

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


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Raise SessionError where a message lacks something, or has another kind of value."""
    try:
        yield
    except MaskletError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SessionError(
            f"{what} cannot be read ({error!r:.100}); give it as docs/annotator-protocol.md describes"
        ) from error
