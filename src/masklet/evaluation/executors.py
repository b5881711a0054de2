"""The same work on many jobs: in this process, in several, or on a Ray cluster. Results come as they are ready."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from masklet.errors import EvaluationError, MaskletError

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

    def run(self, work: Callable[[Task], Result], jobs: Sequence[Task]) -> Iterator[tuple[Task, Result | Failure]]:
        """Every job with its result, in the order in which they are ready. A MaskletError is a failure of its job."""
        ...


@dataclass(frozen=True)
class Serial:
    """One job after another, in this process."""

    def run(self, work: Callable[[Task], Result], jobs: Sequence[Task]) -> Iterator[tuple[Task, Result | Failure]]:
        """In the order of the jobs."""
        for job in jobs:
            yield job, attempt(work, job)


@dataclass(frozen=True)
class Pool:
    """Several processes on this machine. Where there are GPUs, they are dealt to the processes in turn.

    count  processes, at least 1
    gpus   of this machine

    If a process is killed, those that worked beside it are begun again too, and their jobs with them.
    """

    count: int
    gpus: int = 0

    def run(self, work: Callable[[Task], Result], jobs: Sequence[Task]) -> Iterator[tuple[Task, Result | Failure]]:
        """At most `count` jobs are under way."""
        todo = [(job, 1) for job in reversed(jobs)]
        while todo:
            with self._pool() as pool:
                under_way: dict[Future[Result | Failure], tuple[Task, int]] = {}
                broken: list[tuple[Task, int]] = []
                while (todo and not broken) or under_way:
                    while todo and not broken and len(under_way) < self.count:
                        job, tries = todo.pop()
                        under_way[pool.submit(attempt, work, job)] = job, tries
                    for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                        job, tries = under_way.pop(future)
                        if isinstance(future.exception(), BrokenProcessPool):
                            broken.append((job, tries + 1))
                        else:
                            yield job, future.result()
            for job, tries in broken:
                if tries > ATTEMPTS:
                    yield job, Failure(f"its process was killed {ATTEMPTS} times; is there enough memory?")
                else:
                    todo.append((job, tries))

    def _pool(self) -> ProcessPoolExecutor:
        """New processes; spawned, as CUDA and OpenCV do not survive a fork."""
        context = multiprocessing.get_context("spawn")
        places = context.Queue()
        for place in range(self.count):
            places.put(place)
        threads = max(1, (os.cpu_count() or 1) // self.count)
        return ProcessPoolExecutor(self.count, context, _settle, (places, threads, self.gpus))


@dataclass(frozen=True)
class Ray:
    """A Ray cluster; a job whose worker is killed is begun again elsewhere, and no other job with it.

    address  of the cluster, such as "auto" or "ray://host:10001"; None for one on this machine
    workers  of a cluster on this machine; None for one for each core

    Folders must be reachable from all machines under the same paths. Raises EvaluationError if Ray is missing.
    """

    address: str | None = None
    workers: int | None = None

    def run(self, work: Callable[[Task], Result], jobs: Sequence[Task]) -> Iterator[tuple[Task, Result | Failure]]:
        """As many jobs at once as the cluster has cores, or GPUs if it has any."""
        ray = _import_ray()
        options: dict[str, Any] = {"num_cpus": self.workers} if self.address is None else {"address": self.address}
        ray.init(logging_level="error", log_to_driver=False, include_dashboard=False, **options)
        try:
            gpus = 1 if ray.cluster_resources().get("GPU", 0) else 0
            remote = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=ATTEMPTS - 1)(attempt)
            under_way = {remote.remote(work, job): job for job in jobs}
            while under_way:
                for reference in ray.wait(list(under_way))[0]:
                    yield under_way.pop(reference), _fetched(ray, reference)
        finally:
            ray.shutdown()


def gpu_count() -> int:
    """CUDA devices of this machine."""
    import torch

    return torch.cuda.device_count()


def attempt(work: Callable[[Task], Result], job: Task) -> Result | Failure:
    """The result, or what a user can mend about the job."""
    try:
        return work(job)
    except MaskletError as error:
        return Failure(str(error))


def _settle(places: Any, threads: int, gpus: int) -> None:
    """What a new process does first, before torch is imported: take its share of cores and GPUs."""
    place = places.get()
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if gpus:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(gpus)))).split(",")
        os.environ["CUDA_VISIBLE_DEVICES"] = visible[place % len(visible)]
    import cv2

    cv2.setNumThreads(threads)


def _import_ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise EvaluationError('--cluster needs Ray; install it with: pip install "masklet[ray]"') from error
    return ray


def _fetched(ray: Any, reference: Any) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.WorkerCrashedError:
        return Failure(f"its worker was killed {ATTEMPTS} times; is there enough memory?")
