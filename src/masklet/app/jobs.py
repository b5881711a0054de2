"""Long work in steps, between what pages ask: following, exports, imports."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

from masklet.errors import MaskletError, SessionError

Steps = Generator[Mapping[str, Any], None, None]

UNDER_WAY = {
    "follow": "objects are being followed",
    "export": "an export is being made",
    "import": "masks are being taken from a file",
}
"""What each kind of job is."""


@dataclass(frozen=True)
class Job:
    """Long work of a kind. `steps` does one step at each `next`, and gives what pages are told of it; `end` is called
    when it is over, with the error that ended it, or None."""

    kind: str
    steps: Steps
    end: Callable[[MaskletError | None], None]


class Jobs:
    """What is under way, at most one of each kind; all take turns. `tell` gets what pages are told."""

    def __init__(self, tell: Callable[[Mapping[str, Any]], None]) -> None:
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
