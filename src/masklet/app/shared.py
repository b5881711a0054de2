"""What several pages look at and one of them changes: a thread that answers them one after another, and long work in
steps between what they ask."""

from __future__ import annotations

import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Protocol

from masklet.errors import MaskletError, SessionError

Said = Mapping[str, Any]
"""A message of a page."""

Steps = Generator[Said | None, None, None]
"""Long work: a step at each `next`, which gives what pages are told of it, or None."""


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


UNDER_WAY = {
    "follow": "objects are being followed",
    "export": "an export is being made",
    "import": "masks are being taken from a file",
}
"""What each kind of job is."""


@dataclass(frozen=True)
class Job:
    """Long work of a kind. `end` is called when it is over, with the error that ended it, or None."""

    kind: str
    steps: Steps
    end: Callable[[MaskletError | None], None]


class Jobs:
    """What is under way, at most one of each kind; all take turns. `tell` gets what pages are told."""

    def __init__(self, tell: Callable[[Said], None]) -> None:
        self._jobs: list[Job] = []
        self._tell = tell

    def __bool__(self) -> bool:
        return bool(self._jobs)

    def has(self, kind: str) -> bool:
        """Whether one of a kind is under way."""
        return any(job.kind == kind for job in self._jobs)

    def check_free(self, kind: str) -> None:
        """Raise SessionError if one of a kind is under way."""
        if self.has(kind):
            raise SessionError(f"{UNDER_WAY[kind]} already; wait for it, or stop it")

    def begin(self, job: Job) -> None:
        """Begin it with the next step."""
        self._jobs.append(job)

    def step(self) -> None:
        """Do one step of the one whose turn it is."""
        job = self._jobs[0]
        try:
            step = next(job.steps)
        except StopIteration:
            self._end(job, None)
        except MaskletError as error:
            self._end(job, error)
        else:
            self._jobs.append(self._jobs.pop(0))
            if step is not None:
                self._tell({"type": "progress", "job": job.kind, **step})

    def stop(self, kind: str | None = None) -> None:
        """End what is under way of a kind, or everything; what it has done stays."""
        for job in [job for job in self._jobs if kind in (None, job.kind)]:
            self._end(job, None)

    def _end(self, job: Job, error: MaskletError | None) -> None:
        self._jobs.remove(job)
        job.steps.close()
        try:
            job.end(error)
        except MaskletError as failure:
            self._tell({"type": "warning", "sentence": str(failure)})
