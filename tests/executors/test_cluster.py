"""What becomes of jobs whose workers die, hang, fail or fill their disk, on a Ray of a few lines in this process."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from masklet import executors
from masklet.errors import EngineError, FormatError
from masklet.executors import Failure, Ray

Work = Callable[[Any], Any]


class ActorDied(Exception):
    pass


class Reference:
    """A call of an actor: `call` gives its answer, or None if it never comes."""

    def __init__(self, call: Callable[[], Any] | None) -> None:
        self.call = call


class Method:
    def __init__(self, call: Callable[..., Callable[[], Any] | None]) -> None:
        self._call = call

    def options(self, **_: Any) -> Method:
        return self

    def remote(self, *arguments: Any) -> Reference:
        return Reference(self._call(*arguments))


class FakeRay:
    """Jobs that are "hang" never end; work of its own may raise what it likes. `starts` says whether a worker starts:
    True, False for never, or an error."""

    def __init__(self, starts: Iterator[bool | Exception], cores: int = 2) -> None:
        self.exceptions = SimpleNamespace(RayActorError=ActorDied, RayError=ActorDied)
        self.starts, self.cores = starts, cores
        self.begun = 0
        self.killed = 0

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": self.cores}

    def remote(self, **_: Any) -> Callable[[type], Any]:
        return lambda worker: SimpleNamespace(remote=lambda work, cores: self._actor(worker, work, cores))

    def _actor(self, worker: type, work: Work, cores: int) -> Any:
        self.begun += 1
        starts, made = next(self.starts), worker(work, cores)

        def pulse() -> Callable[[], Any] | None:
            def answer() -> Any:
                if isinstance(starts, Exception):
                    raise starts
                return made.pulse()

            return answer if starts else None

        return SimpleNamespace(
            do=Method(lambda job: None if job == "hang" else (lambda: made.do(job))), pulse=Method(pulse)
        )

    def wait(self, references: list[Reference], **_: Any) -> tuple[list[Reference], list[Reference]]:
        return [reference for reference in references if reference.call is not None][:1], []

    def get(self, reference: Reference) -> Any:
        assert reference.call is not None
        return reference.call()

    def kill(self, actor: Any) -> None:
        self.killed += 1


def forever(value: Any) -> Iterator[Any]:
    while True:
        yield value


def done_by(ray: FakeRay, plan: Ray, work: Work, jobs: Any, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, Any]]:
    """What comes of jobs; each look at the clock is a second later."""
    clock = iter(range(10**6))
    monkeypatch.setattr(executors, "monotonic", lambda: float(next(clock)))
    return list(executors._Crew(ray, plan, work, jobs).run())


def test_every_job_is_done_and_taken_when_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []

    def jobs() -> Iterator[int]:
        for number in range(50):
            taken.append(number)
            yield number

    def work(number: int) -> int:
        assert len(taken) <= number + 2 * 3  # those under way, and as many that wait
        if number == 7:
            raise FormatError("seven is damaged")
        return number * number

    done = done_by(FakeRay(forever(True)), Ray(workers=3), work, jobs(), monkeypatch)
    assert dict(done) == {n: n * n if n != 7 else Failure("seven is damaged") for n in range(50)}


def test_a_job_whose_worker_dies_is_begun_three_times_and_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[str] = []

    def work(job: str) -> str:
        tries.append(job)
        if job == "deadly" or (job == "unlucky" and tries.count(job) < 3):
            raise ActorDied("worker died")
        if job == "strange":
            raise ZeroDivisionError("division by zero")
        return job

    ray = FakeRay(forever(True))
    done = dict(done_by(ray, Ray(), work, ["deadly", "a", "unlucky", "strange", "b"], monkeypatch))
    assert {job: done[job] for job in ("a", "b", "unlucky")} == {"a": "a", "b": "b", "unlucky": "unlucky"}
    assert "killed 3 times" in done["deadly"].reason
    assert done["strange"].reason == "it ended 3 times in an error: division by zero"
    assert (tries.count("deadly"), tries.count("strange")) == (3, 3)
    assert ray.begun == 2 + 3 + 2 + 3 - 1  # each death costs a worker, and the last one of all is not replaced


def test_a_job_that_hangs_loses_its_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "silent_for", lambda: 1000.0)
    done = done_by(FakeRay(forever(True)), Ray(lease=60), str, ["hang", 1, 2], monkeypatch)
    assert dict(done) == {"hang": Failure("it did not get on for 60 s, 3 times"), 1: "1", 2: "2"}


def test_a_job_that_gets_on_is_left_alone_until_it_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "silent_for", lambda: 0.0)
    ray = FakeRay(forever(True))
    done = done_by(ray, Ray(lease=60, limit=5000), str, ["hang", 1], monkeypatch)
    assert dict(done) == {"hang": Failure("it took longer than 5000 s"), 1: "1"}
    assert ray.begun == 2


def full(job: Any) -> Any:
    raise FormatError("masks cannot be written: No space left on device") from OSError(errno.ENOSPC, "full")


def test_a_worker_with_a_full_disk_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    first: list[Any] = []

    def work(job: int) -> int:
        if not first:
            first.append(job)
            full(job)
        return job

    ray = FakeRay(forever(True))
    assert dict(done_by(ray, Ray(), work, range(5), monkeypatch)) == {n: n for n in range(5)}
    assert ray.begun == 2
    with pytest.raises(EngineError, match="no worker is left: masks cannot be written: No space left on device"):
        done_by(FakeRay(forever(True)), Ray(), full, range(5), monkeypatch)


def test_workers_that_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = ActorDied("error raised in its creation task\n  File x\nModuleNotFoundError: No module named 'masklet'")
    ray = FakeRay(forever(missing))
    with pytest.raises(
        EngineError, match="no worker is left: a worker could not start: ModuleNotFoundError: No module"
    ):
        done_by(ray, Ray(), str, range(5), monkeypatch)
    assert ray.begun == 2

    some = iter([missing, True])  # on another machine it is there
    assert len(done_by(FakeRay(some), Ray(), str, range(5), monkeypatch)) == 5


def test_a_cluster_without_room_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineError, match=r"gave no worker of 1 cores and 0.5 GPUs within 120 s; see ray status"):
        done_by(FakeRay(forever(False)), Ray(gpus=0.5, patience=120, workers=2), str, range(5), monkeypatch)


def test_a_cluster_that_grows_gets_more_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = FakeRay(forever(True), cores=1)

    def work(job: int) -> int:
        ray.cores = 4
        return job

    assert len(done_by(ray, Ray(), work, range(200), monkeypatch)) == 200
    assert ray.begun == 4
    assert len(done_by(FakeRay(forever(True)), Ray(cpus=0), str, range(3), monkeypatch)) == 3


def test_a_cluster_that_does_not_start_in_time() -> None:
    def init(**_: Any) -> None:
        raise Exception("The current node timed out during startup.\nMore of it")  # as Ray does

    with pytest.raises(EngineError, match=r"there is no Ray cluster at here: The current .*; try again when"):
        executors.connect(SimpleNamespace(init=init), Ray())


def test_a_cluster_that_is_not_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        for address in (f"127.0.0.1:{port}", f"ray://127.0.0.1:{port}"):
            with pytest.raises(EngineError, match=f"there is no Ray cluster at {address}: .*refused"):
                executors.check_reachable(address)
