"""The same work on many jobs: in this process, in several, or on a Ray cluster. Results come as they are ready."""

import errno
import multiprocessing
import os
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, islice
from time import monotonic
from typing import Any, Generic, Protocol, TypeVar

from masklet.errors import EngineError, MaskletError, needing

Task = TypeVar("Task")
Result = TypeVar("Result")

MAX_ATTEMPTS = 3
"""Times that a job is begun whose process is killed, for instance by a lack of memory."""


CHECK_SECONDS = 1.0
"""Seconds after which leases are looked at, if no job is ready before."""

PULSE_EVERY = 10.0
"""Seconds between two questions to a worker whether its job gets on."""

COUNT_EVERY = 30.0
"""Seconds between two looks at how large the cluster is."""

CONNECT_SECONDS = 5.0
"""Seconds in which a cluster must take a connection."""

DISK_FULL_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""What the system says of a disk to which nothing more can be written."""


@dataclass(frozen=True)
class Failure:
    """A job that gave no result. The reason is one sentence."""

    reason: str


KILLED = Failure(f"its process was killed {MAX_ATTEMPTS} times; is there enough memory?")
"""Of a job whose process was killed each time."""


@dataclass(frozen=True)
class _Full(Failure):
    """The job's machine has no room left on its disk: another one may do it."""


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
                if tries > MAX_ATTEMPTS:
                    yield job, KILLED
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
        full = isinstance(error.__cause__, OSError) and error.__cause__.errno in DISK_FULL_ERRORS
        return (_Full if full else Failure)(str(error))


_alive = monotonic()


def alive() -> None:
    """Say that the job that this process does gets on, such as after each frame; see `Ray.lease`."""
    global _alive
    _alive = monotonic()


def silent_for() -> float:
    """Seconds since the last `alive()` of this process."""
    return monotonic() - _alive


@dataclass(frozen=True)
class Ray:
    """A Ray cluster. Each worker is an actor that keeps what it has loaded and does one job at a time.

    address   of the cluster, such as "auto" or "ray://host:10001"; None for one on this machine
    workers   so many; None for as many as the cluster has room for, also while it grows
    cpus      cores, and threads, of a worker
    gpus      GPUs of a worker, such as 0.25; None for 1 if the cluster has any
    lease     seconds that a job may go on without `alive`; then its worker is killed, as if it had died; None for ever
    limit     seconds that a job may take; then it has failed, and is not tried again; None for ever
    patience  seconds to wait for a first worker, or another one after the last is gone

    A job whose worker dies, or that ends in an error which is no MaskletError, is begun again on a new worker, at most
    twice; then it has failed. A worker that cannot write for want of room is given up, and its job goes to another.
    Folders must be reachable from all machines under the same paths.
    """

    address: str | None = None
    workers: int | None = None
    cpus: float = 1
    gpus: float | None = None
    lease: float | None = None
    limit: float | None = None
    patience: float = 300

    def run(self, work: Callable[[Task], Result], jobs: Iterable[Task]) -> Iterator[tuple[Task, Result | Failure]]:
        """As many jobs at once as there are workers.

        Raises EngineError if Ray is missing, the cluster cannot be reached, no worker can start or none is left.
        """
        with needing("ray", "a cluster", EngineError):
            import ray
        joined = ray.is_initialized()  # a cluster that the program has joined already is used, and not left
        if not joined:
            connect(ray, self)
        try:
            yield from _Crew(ray, self, work, jobs).run()
        finally:
            if not joined:
                ray.shutdown()


def connect(ray: Any, plan: Ray) -> None:
    """Join the cluster, or start one. Raises EngineError if nothing answers there."""
    if plan.address is None:
        options: dict[str, Any] = {"num_cpus": plan.workers and max(1, round(plan.workers * plan.cpus))}
        options["object_store_memory"] = 128 << 20  # only jobs and records pass through it
    else:
        check_reachable(plan.address)
        options = {"address": plan.address}
    try:
        ray.init(logging_level="error", log_to_driver=False, include_dashboard=False, **options)
    except Exception as error:  # of a node that does not start in time Ray raises no kind of its own
        told = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        hint = "start one with ray start --head, or give --cluster here for one on this machine"
        hint = hint if plan.address else "try again when this machine has less to do"
        raise EngineError(f"there is no Ray cluster at {plan.address or 'here'}: {told}; {hint}") from error


def check_reachable(address: str) -> None:
    """Raise EngineError unless something listens there: Ray itself waits for minutes, and then ends the process."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return  # auto, or a name that Ray knows
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise EngineError(
            f"there is no Ray cluster at {address}: {error}; give the address of its head, such as "
            "ray://head:10001 or head:6379, or --cluster here for one on this machine"
        ) from error


class _Worker(Generic[Task, Result]):
    """The actor: one thread does jobs, another answers whether that gets on."""

    def __init__(self, work: Callable[[Task], Result], cores: int) -> None:
        import cv2

        cv2.setNumThreads(cores)
        self._work = work

    def do(self, job: Task) -> Result | Failure:
        """The result, or what a user can mend about the job or the machine."""
        alive()
        return attempt(self._work, job)

    def pulse(self) -> float:
        """Seconds since the job said that it gets on."""
        return silent_for()


@dataclass
class _Hand(Generic[Task]):
    """A worker as the driver sees it: with its job and how often that was begun, or without one, new or idle."""

    actor: Any
    job: tuple[Task, int] | None = None
    begun: float = 0.0
    sign: float = 0.0
    asked: float = 0.0
    pulse: Any = None


@dataclass
class _Crew(Generic[Task, Result]):
    """All workers of one run, and the jobs that wait."""

    ray: Any
    plan: Ray
    work: Callable[[Task], Result]
    jobs: Iterable[Task]
    hands: dict[Any, _Hand[Task]] = field(default_factory=dict)  # by what is waited for, of a new one its first pulse
    idle: list[_Hand[Task]] = field(default_factory=list)
    waiting: deque[tuple[Task, int]] = field(default_factory=deque)
    given_up: int = 0
    reason: str = ""

    def run(self) -> Iterator[tuple[Task, Result | Failure]]:
        """Every job with its result."""
        more, seen = iter(self.jobs), monotonic()
        wanted, counted = self._wanted(), monotonic()
        try:
            while True:
                self.waiting.extend((job, 1) for job in islice(more, max(0, wanted - len(self.waiting))))
                self._hire(wanted)
                self._assign()
                at_work = any(hand.job for hand in self.hands.values())
                if not self.waiting and not at_work:
                    return
                seen = monotonic() if at_work else seen
                self._check_hope(wanted, seen)
                ready, _ = (
                    self.ray.wait(list(self.hands), num_returns=1, timeout=CHECK_SECONDS) if self.hands else ((), ())
                )
                for reference in ready:
                    yield from self._ended(self.hands.pop(reference), reference)
                yield from self._overdue()
                if monotonic() - counted > COUNT_EVERY:
                    wanted, counted = self._wanted(), monotonic()
        finally:
            for hand in [*self.hands.values(), *self.idle]:
                self._kill(hand)

    def _wanted(self) -> int:
        """How many workers there should be."""
        if self.plan.workers is not None:
            return self.plan.workers
        has = self.ray.cluster_resources()
        room = has.get("CPU", 0) / (self.plan.cpus or 1)
        if gpus := self._gpus():
            room = min(room, has.get("GPU", 0) / gpus)
        return max(1, int(room))

    def _gpus(self) -> float:
        if self.plan.gpus is not None:
            return self.plan.gpus
        return 1 if self.ray.cluster_resources().get("GPU", 0) else 0

    def _hire(self, wanted: int) -> None:
        """Start workers for jobs that wait."""
        new = sum(hand.job is None for hand in self.hands.values())
        here = len(self.hands) + len(self.idle)
        for _ in range(min(wanted - self.given_up - here, len(self.waiting) - new - len(self.idle))):
            kind = self.ray.remote(num_cpus=self.plan.cpus, num_gpus=self._gpus(), concurrency_groups={"pulse": 1})
            actor = kind(_Worker).remote(self.work, max(1, int(self.plan.cpus)))
            self.hands[self._pulse(actor)] = _Hand(actor)

    def _pulse(self, actor: Any) -> Any:
        return actor.pulse.options(concurrency_group="pulse").remote()

    def _assign(self) -> None:
        while self.idle and self.waiting:
            hand = self.idle.pop()
            hand.job = self.waiting.popleft()
            hand.begun = hand.sign = hand.asked = monotonic()
            hand.pulse = None
            self.hands[hand.actor.do.remote(hand.job[0])] = hand

    def _check_hope(self, wanted: int, seen: float) -> None:
        """Raise EngineError if no job can be done any more."""
        if self.given_up >= wanted:
            raise EngineError(f"no worker is left: {self.reason}; mend that, and the same command goes on")
        if not self.idle and monotonic() - seen > self.plan.patience:
            why = f" ({self.reason})" if self.reason else ""
            raise EngineError(
                f"the cluster gave no worker of {self.plan.cpus:g} cores and {self._gpus():g} GPUs within "
                f"{self.plan.patience:g} s{why}; see ray status, and the same command goes on"
            )

    def _kill(self, hand: _Hand[Task]) -> None:
        with suppress(Exception):  # whatever it is, the worker is given up
            self.ray.kill(hand.actor)

    def _ended(self, hand: _Hand[Task], reference: Any) -> Iterator[tuple[Task, Result | Failure]]:
        """What comes of a worker that has started or done its job, or that died, or whose job ended in an error that
        nobody foresaw."""
        job, hand.job = hand.job, None
        try:
            answer = self.ray.get(reference)
        except Exception as error:
            self._kill(hand)
            told, died = _told(error), isinstance(error, self.ray.exceptions.RayActorError)
            if job is not None:
                yield from self._again(
                    job, KILLED if died else Failure(f"it ended {MAX_ATTEMPTS} times in an error: {told}")
                )
                return
            self.reason = f"a worker could not start: {told}"
            self.given_up += "creation task" in str(error)  # it would fail again; one whose machine went would not
            return
        if job is not None and isinstance(answer, _Full):
            self.given_up, self.reason = self.given_up + 1, answer.reason
            self.waiting.appendleft(job)
            self._kill(hand)
            return
        self.idle.append(hand)
        if job is not None:
            yield job[0], answer

    def _again(self, job: tuple[Task, int], failure: Failure) -> Iterator[tuple[Task, Failure]]:
        if job[1] < MAX_ATTEMPTS:
            self.waiting.append((job[0], job[1] + 1))
        else:
            yield job[0], failure

    def _overdue(self) -> Iterator[tuple[Task, Failure]]:
        """End jobs that take too long, or whose worker gives no sign of life."""
        now, lease, limit = monotonic(), self.plan.lease, self.plan.limit
        for reference, hand in list(self.hands.items()):
            if hand.job is None:
                continue
            if lease is not None:
                self._feel(hand, now, lease)
            if limit is not None and now - hand.begun > limit:
                self._kill(self.hands.pop(reference))
                yield hand.job[0], Failure(f"it took longer than {limit:g} s")
            elif lease is not None and now - hand.sign > lease:
                self._kill(self.hands.pop(reference))
                yield from self._again(hand.job, Failure(f"it did not get on for {lease:g} s, {MAX_ATTEMPTS} times"))

    def _feel(self, hand: _Hand[Task], now: float, lease: float) -> None:
        """Ask a worker now and then when its job last got on."""
        if hand.pulse is None:
            if now - hand.asked > min(PULSE_EVERY, lease / 4):
                hand.pulse, hand.asked = self._pulse(hand.actor), now
        elif self.ray.wait([hand.pulse], timeout=0)[0]:
            with suppress(self.ray.exceptions.RayError):  # it died: its job says so
                hand.sign = max(hand.sign, hand.asked - self.ray.get(hand.pulse))
            hand.pulse = None


def _told(error: Exception) -> str:
    """What an error of a worker says, without its traceback."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, BaseException):
        return f"{type(cause).__name__}: {cause}"[:300]
    return str(error).strip().splitlines()[-1][:300]
