"""Jobs in several processes of this machine."""

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import chain
from typing import Any

from masklet.executors.base import ATTEMPTS, Failure, Result, Task, attempt, killed


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
