"""What executors share: the protocol, jobs one after another, and how a job fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from masklet.errors import MaskletError

Task = TypeVar("Task")
Result = TypeVar("Result")

ATTEMPTS = 3
"""Times that a job is begun whose process is killed, for instance by a lack of memory."""


@dataclass(frozen=True)
class Failure:
    """A job that gave no result.

    reason  one sentence
    """

    reason: str


class Executor(Protocol):
    """A way to do many jobs."""

    def run(self, work: Callable[[Task], Result], jobs: Iterable[Task]) -> Iterator[tuple[Task, Result | Failure]]:
        """Every job with its result, in the order in which they are ready. A MaskletError is a failure of its job. Jobs
        are taken when there is a place for them."""
        ...


@dataclass(frozen=True)
class Serial:
    """One job after another, in this process."""

    def run(self, work: Callable[[Task], Result], jobs: Iterable[Task]) -> Iterator[tuple[Task, Result | Failure]]:
        """In the order of the jobs."""
        for job in jobs:
            yield job, attempt(work, job)


def attempt(work: Callable[[Task], Result], job: Task) -> Result | Failure:
    """The result, or what a user can mend about the job."""
    try:
        return work(job)
    except MaskletError as error:
        return Failure(str(error))


def killed() -> Failure:
    """Of a job whose process was killed each time."""
    return Failure(f"its process was killed {ATTEMPTS} times; is there enough memory?")


_alive = time.monotonic()


def alive() -> None:
    """Say that the job that this process does gets on, such as after each frame; see `Ray.lease`."""
    global _alive
    _alive = time.monotonic()


def silent_for() -> float:
    """Seconds since the last `alive()` of this process."""
    return time.monotonic() - _alive
