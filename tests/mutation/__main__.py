"""`python -m tests.mutation`: makes small faults in the core, and counts those that tests find; see `scripts/mutate`.

Each mutant runs in a process that is forked from one in which PyTorch is already imported, on a copy of the source, and
within a limit of processor time.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from tests.mutation.covering import Covering, measure
from tests.mutation.mutants import Mutant, sample

ROOT = Path(__file__).parents[2]

CORE = {
    "video": ["src/masklet/video"],
    "nn": ["src/masklet/nn"],
    "training": ["src/masklet/training/unroll.py", "src/masklet/training/losses.py"],
    "masks": ["src/masklet/masks"],
}
"""What is mutated."""

TESTS = [
    *("tests/masks", "tests/nn", "tests/video", "tests/engines", "tests/training"),
    *("tests/formats/test_footage.py", "tests/formats/test_overlay.py"),
    *("tests/image/test_golden_everything.py", "tests/image/test_nano.py", "tests/test_prompts.py"),
]
"""Their tests."""

COPIED = ["src", "tests", "examples", "docs", "benchmarks", "scripts", "pyproject.toml", "README.md", "CONTRIBUTING.md"]

MAX_MEMORY = 8 << 30
"""Bytes that a mutant may hold."""

BROKEN = 99
"""Exit code of a child that could not run pytest."""


def main() -> int:
    """Returns the exit code: 1 if fewer than --least percent were found."""
    parser = argparse.ArgumentParser(description="Make small faults in the core, and count those that tests find.")
    parser.add_argument("--sample", type=int, default=200, help="so many mutants, in equal shares of the packages")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--packages", default=",".join(CORE))
    parser.add_argument("--limit", type=float, default=60, help="seconds for the tests of a mutant, as measured")
    parser.add_argument("--least", type=float, default=90, help="percent that must be found")
    parser.add_argument("--measure", action="store_true", help="find out again which tests run which lines")
    parser.add_argument("--cache", type=Path, default=ROOT / ".mutation", help="folder for that, and for results")
    asked = parser.parse_args()
    if asked.measure or not (asked.cache / "seconds.xml").exists():
        measure(ROOT, asked.cache, TESTS)
    covering = Covering.load(asked.cache)
    names = asked.packages.split(",")
    drawn = {name: sample(ROOT, files(name), -(-asked.sample // len(names)), asked.seed) for name in names}
    kept = asked.cache / "results.jsonl"
    known = dict(map(json.loads, kept.read_text().splitlines())) if kept.exists() else {}
    warm()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), covering, asked.limit)
        for mutant in filter(None, itertools.chain(*itertools.zip_longest(*drawn.values()))):
            key = mutant.key(ROOT)
            if key not in known:
                known[key] = bench.outcome(mutant)
                with kept.open("a") as file:
                    file.write(json.dumps([key, known[key]]) + "\n")
                print(f"{mutant.path}:{mutant.line} {known[key]}", flush=True)
    return report(drawn, known, asked.least)


def files(package: str) -> list[str]:
    """Its source files."""
    found = [ROOT / path for path in CORE[package]]
    inside = [file for path in found for file in (sorted(path.rglob("*.py")) if path.is_dir() else [path])]
    return [str(file.relative_to(ROOT)) for file in inside]


def warm() -> None:
    """Import here what takes long and is not ours, for all children."""
    for name in ("av", "cv2", "PIL.Image", "pytest", "rich.progress", "rlemasklib", "safetensors.torch", "typer"):
        importlib.import_module(name)
    import hypothesis
    import torch

    torch.set_num_threads(1)
    sys.dont_write_bytecode = False
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    hypothesis.settings.register_profile("mutation", phases=phases, derandomize=True, deadline=None)
    hypothesis.settings.load_profile("mutation")


class Bench:
    """A copy of the repository in which mutants are tried."""

    def __init__(self, folder: Path, covering: Covering, limit: float) -> None:
        self.folder, self.covering, self.limit = folder, covering, limit
        self.sound: set[str] = set()
        for name in COPIED:
            (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, folder / name)

    def outcome(self, mutant: Mutant) -> str:
        """`killed by TEST`, `survived`, `timeout`, or `no tests`."""
        tests = self.covering.of(ROOT, mutant.path, mutant.line)
        if not tests:
            return "no tests"
        mirror = f"tests/{mutant.path.split('/')[2]}/test_{Path(mutant.path).stem}.py"
        path = self.folder / mutant.path
        for compiled in path.parent.glob(f"__pycache__/{path.stem}.*"):
            compiled.unlink()  # Python would take it for the mutant's, if time and size are the same
        path.write_text(mutant.source(ROOT))
        try:
            result = self.run(self.within(tests), mirror)
        finally:
            shutil.copy2(ROOT / mutant.path, path)
        if result.startswith("killed by tests"):
            self.check(result.removeprefix("killed by "))
        return result

    def within(self, tests: list[str]) -> list[str]:
        """As many of the tests as the limit allows, quick ones first."""
        chosen, total = [], 0.0
        for test in tests:
            total += self.covering.seconds.get(test, 0.0)
            if chosen and total > self.limit:
                break
            chosen.append(test)
        return chosen

    def check(self, test: str) -> None:
        """A test that kills passes on the source as it is."""
        if test not in self.sound:
            result = self.run([test])
            assert result == "survived", f"{test} fails without a mutant: {result}"
            self.sound.add(test)

    def run(self, tests: list[str], mirror: str = "") -> str:
        """Run tests in the copy, until one fails; first those of the file `mirror` that are newer than the measure."""
        expected = sum(self.covering.seconds.get(test, 0.0) for test in tests)
        note = self.folder / "first-failure"
        note.unlink(missing_ok=True)
        child = os.fork()
        if child == 0:
            os._exit(in_child(self.folder, tests, note, 30 + 3 * expected, mirror, self.covering.seconds))
        end = time.monotonic() + 10 * (30 + 3 * expected)
        while True:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                break
            if time.monotonic() > end:
                os.killpg(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return "timeout"
            time.sleep(0.05)
        if os.WIFSIGNALED(status):
            signalled = os.WTERMSIG(status)
            return "timeout" if signalled in (signal.SIGXCPU, signal.SIGKILL) else f"killed by signal {signalled}"
        code = os.WEXITSTATUS(status)
        assert code != BROKEN, note.read_text()
        if code == 0:
            return "survived"
        return f"killed by {note.read_text() if note.exists() else 'import'}"


def in_child(
    folder: Path, tests: list[str], note: Path, limit: float, mirror: str, measured: Mapping[str, float]
) -> int:
    """Run tests, in a process of their own; returns 0 if all pass."""
    import pytest

    os.setpgid(0, 0)
    resource.setrlimit(resource.RLIMIT_CPU, (int(limit), int(limit) + 5))
    resource.setrlimit(resource.RLIMIT_DATA, (MAX_MEMORY, MAX_MEMORY))
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    os.chdir(folder)
    original = {"", str(ROOT), str(ROOT / "src")}
    sys.path[:] = [str(folder / "src"), str(folder), *(place for place in sys.path if place not in original)]
    os.environ["PYTHONPATH"] = f"{folder / 'src'}:{folder}"
    for name in [name for name in sys.modules if name.partition(".")[0] in ("tests", "masklet", "examples")]:
        del sys.modules[name]
    order = {test: place for place, test in enumerate(tests)}

    class Chosen:
        """Leaves the chosen tests, in their order, and notes the first that fails."""

        def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
            chosen = [item for item in items if item.nodeid in order]
            newer = [item for item in items if item.nodeid.startswith(f"{mirror}::") and item.nodeid not in measured]
            items[:] = [*newer, *sorted(chosen, key=lambda item: order[item.nodeid])]

        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            if report.failed and not note.exists():
                note.write_text(report.nodeid)

    paths = {test.partition("::")[0] for test in tests} | ({mirror} if mirror and (folder / mirror).exists() else set())
    quiet = "ignore::pytest.PytestAssertRewriteWarning"  # hypothesis is imported before pytest starts
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:cov", "-W", quiet]
    try:
        return int(pytest.main([*options, *sorted(paths)], plugins=[Chosen()]))
    except BaseException:
        note.write_text(traceback.format_exc())
        return BROKEN


def report(drawn: dict[str, list[Mutant]], known: dict[str, str], least: float) -> int:
    """Print a table and the survivors."""
    total: Counter[str] = Counter()
    survivors = []
    print(f"{'package':10} {'mutants':>8} {'killed':>8} {'timeouts':>8} {'survived':>8}   found")
    for name, mutants in drawn.items():
        count: Counter[str] = Counter()
        for mutant in mutants:
            outcome = known[mutant.key(ROOT)]
            count["killed" if outcome.startswith("killed") else outcome] += 1
            if outcome in ("survived", "no tests"):
                survivors.append(f"{mutant.path}:{mutant.line} {outcome}\n{mutant.diff(ROOT)}")
        total += count
        print(row(name, count))
    print(row("all", total), *survivors, sep="\n\n")
    return 0 if found(total) >= least else 1


def row(name: str, count: Counter[str]) -> str:
    left = count["survived"] + count["no tests"]
    return f"{name:10} {count.total():8} {count['killed']:8} {count['timeout']:8} {left:8}   {found(count):.1f} %"


def found(count: Counter[str]) -> float:
    """Percent that were found: a test fails, or never ends."""
    return 100 * (count["killed"] + count["timeout"]) / max(count.total(), 1)


if __name__ == "__main__":
    sys.exit(main())
