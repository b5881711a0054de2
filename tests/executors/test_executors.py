"""Jobs over processes and a Ray cluster: all are done, failures are told, and a killed worker costs only a retry."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from masklet.errors import FormatError, MaskletError
from masklet.executors import Executor, Failure, Pool, Ray, Serial


def square(number: int) -> int:
    if number == 3:
        raise FormatError("three is damaged")
    return number * number


def killed_once(path: Path) -> str:
    """Kills its own process at the first call."""
    if not path.exists():
        path.write_text("begun")
        os.kill(os.getpid(), signal.SIGKILL)
    with path.open("a") as file:
        file.write(" again")
    return path.read_text()


def always_killed(path: Path) -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    return ""


needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed (extra: ray)")
needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no SIGKILL")


def check_all_done(executor: Executor) -> None:
    done = dict(executor.run(square, [1, 2, 3, 4]))
    assert done == {1: 1, 2: 4, 3: Failure("three is damaged"), 4: 16}


def check_killed(executor: Executor, folder: Path) -> None:
    paths = [folder / "a", folder / "b"]
    paths[1].write_text("quiet")
    assert dict(executor.run(killed_once, paths)) == {paths[0]: "begun again", paths[1]: "quiet again"}


def test_here() -> None:
    check_all_done(Serial())


def test_processes() -> None:
    check_all_done(Pool(2))


@needs_signals
def test_a_killed_process_costs_a_retry(tmp_path: Path) -> None:
    path = tmp_path / "a"
    assert dict(Pool(2).run(killed_once, [path])) == {path: "begun again"}


@needs_signals
def test_a_job_that_always_kills_is_told() -> None:
    ((_, done),) = Pool(1).run(always_killed, [Path("a")])
    assert isinstance(done, Failure)
    assert "killed 3 times" in done.reason


def killed_or_slow(name: str) -> str:
    if name == "killed":
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(3.0 if name == "slow" else 0.0)
    return name


@needs_signals
@pytest.mark.parametrize("jobs", [["killed", "slow"], ["quick", "killed", "last"]])
def test_a_job_that_always_kills_takes_no_other_with_it(jobs: list[str]) -> None:
    found = {}
    for job, answer in Pool(2).run(killed_or_slow, jobs):
        found[job] = answer
        time.sleep(1.0)  # meanwhile a process is killed
    assert isinstance(found.pop("killed"), Failure)
    assert found == {name: name for name in jobs if name != "killed"}


@needs_ray
@needs_signals
@pytest.mark.slow  # starting a cluster takes some ten seconds
@pytest.mark.filterwarnings("default")  # Ray's own warnings are not ours
def test_a_local_cluster_of_two_workers(tmp_path: Path) -> None:
    check_all_done(Ray(workers=2))
    check_killed(Ray(workers=2), tmp_path)


def test_a_missing_ray_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MaskletError, match=r"a cluster needs the package ray: pip install 'masklet\[ray\]'"):
        list(Ray().run(square, [1]))
