"""The protocol of executors, and jobs on this machine: one after another, or in several processes."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import chain
from typing import Any, Protocol, TypeVar

from masklet.errors import MaskletError

Task = TypeVar("Task")
Result = TypeVar("Result")

ATTEMPTS = 3
"""Times that a job is begun whose process is killed, for instance by a lack of memory."""


@dataclass(frozen=True)
class Failure:
    """A job that gave no result. The reason is one sentence."""

    reason: str


class Executor(Protocol):
    """A way to do many jobs."""

    def run(self, work: Callable[[Task], Result], jobs: Iterable[Task]) -> Iterator[tuple[Task, Result | Failure]]:
        """Every job with its result, in the order in which they are ready. A MaskletError is a failure of its job. Jobs
        are taken when there is a place for them."""


@dataclass(frozen=True)
class Serial:
    """One job after another, in this process."""

    def run(self, work: Callable[[Task], Result], jobs: Iterable[Task]) -> Iterator[tuple[Task, Result | Failure]]:
        """In the order of the jobs."""
        for job in jobs:
            yield job, attempt(work, job)


@dataclass(frozen=True)
class Pool:
    """Several processes on this machine. Where there are GPUs, they are dealt to the processes in turn.

    count  processes, at least 1
    gpus   of this machine

    If a process is killed, those that worked beside it are begun again too, and their jobs with them, each alone: a job
    that is killed again and again takes no other with it.
    """

    count: int
    gpus: int = 0

    def run(self, work: Callable[[Task], Result], jobs: Iterable[Task]) -> Iterator[tuple[Task, Result | Failure]]:
        """At most `count` jobs are under way."""
        waiting: Iterator[tuple[Task, int]] = ((job, 1) for job in jobs)
        while (first := next(waiting, None)) is not None:
            alone = first[1] > 1
            queue = iter([first]) if alone else chain([first], waiting)
            broken: list[tuple[Task, int]] = []
            with self._pool() as pool:
                under_way: dict[Future[Result | Failure], tuple[Task, int]] = {}
                while True:
                    while not broken and len(under_way) < self.count and (begun := next(queue, None)) is not None:
                        try:
                            under_way[pool.submit(attempt, work, begun[0])] = begun
                        except BrokenProcessPool:  # a process was killed since the last look
                            broken.append(begun)
                    if not under_way:
                        break
                    for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                        job, tries = under_way.pop(future)
                        if isinstance(future.exception(), BrokenProcessPool):
                            broken.append((job, tries + 1))
                        else:
                            yield job, future.result()
            for job, tries in broken:
                if tries > ATTEMPTS:
                    yield job, killed()
                else:
                    waiting = chain([(job, tries)], waiting)

    def _pool(self) -> ProcessPoolExecutor:
        """New processes; spawned, as CUDA and OpenCV do not survive a fork."""
        context = multiprocessing.get_context("spawn")
        places = context.Queue()
        for place in range(self.count):
            places.put(place)
        threads = max(1, (os.cpu_count() or 1) // self.count)
        return ProcessPoolExecutor(self.count, context, _settle, (places, threads, self.gpus))


def gpu_count() -> int:
    """CUDA devices of this machine."""
    import torch

    return torch.cuda.device_count()


def _settle(places: Any, threads: int, gpus: int) -> None:
    """What a new process does first, before torch is imported: take its share of cores and GPUs."""
    place = places.get()
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if gpus:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(gpus)))).split(",")
        os.environ["CUDA_VISIBLE_DEVICES"] = visible[place % len(visible)]
    import cv2

    cv2.setNumThreads(threads)


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
