"""Which tests run which lines, and how long they take: from one run of the tests with coverage."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from coverage import CoverageData


def measure(root: Path, cache: Path, tests: list[str]) -> None:
    """Run tests once, and keep what they run in the folder `cache`."""
    cache.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "--cov=masklet", "--cov-context=test", "--cov-report="]
    command += ["--cov-fail-under=0", f"--junitxml={cache / 'seconds.xml'}", *tests]
    subprocess.run(command, check=True, cwd=root, env={**os.environ, "COVERAGE_FILE": str(cache / "lines")})


@dataclass(frozen=True)
class Covering:
    """Tests by the lines that they run.

    Attributes:
        lines: File, then line, then the tests that run it. Lines that are only run on import have none.
        seconds: How long each test took.
    """

    lines: dict[str, dict[int, list[str]]]
    seconds: dict[str, float]

    @classmethod
    def load(cls, cache: Path) -> Covering:
        """What `measure` kept."""
        data = CoverageData(str(cache / "lines"))
        data.read()
        lines = {}
        for path in data.measured_files():
            contexts = data.contexts_by_lineno(path)
            lines[path[path.index("src/masklet/") :]] = {
                line: sorted({context.rpartition("|")[0] for context in names} - {""})
                for line, names in contexts.items()
            }
        seconds: dict[str, float] = {}
        for case in ElementTree.parse(cache / "seconds.xml").iter("testcase"):
            test = f"{case.attrib['classname'].replace('.', '/')}.py::{case.attrib['name']}"
            seconds[test] = seconds.get(test, 0.0) + float(case.attrib["time"])
        return cls(lines, seconds)

    def of(self, root: Path, path: str, line: int) -> list[str]:
        """The tests that run a line: those of its module first, and quick ones first. For a line that is run on import,
        such as a constant or a field with a default: those that run a line with a name that is given there, or, where
        there is none, those of the package."""
        covered = self.lines.get(path, {})
        tests = {*covered.get(line, ())}
        if not tests:
            start, names = statement((root / path).read_text(), line)
            tests = {*covered.get(start, ())}
            if not tests:
                for other, its_lines in self.lines.items():
                    for used in lines_with((root / other).read_text(), names):
                        tests |= {*its_lines.get(used, ())}
                package = f"tests/{path.split('/')[2]}/"
                tests = tests or {test for test in self.seconds if test.startswith(package)}
        near = f"/test_{Path(path).stem}.py::"
        return sorted(tests, key=lambda test: (near not in test, self.seconds.get(test, 0.0), test))


def statement(source: str, line: int) -> tuple[int, set[str]]:
    """The first line of the innermost statement around a line, and the names that it gives, or that of its class."""
    start, names = line, set[str]()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.stmt) or not node.lineno <= line <= (node.end_lineno or node.lineno):
            continue
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            start, names = node.lineno, {node.name}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            start = node.lineno
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            given = {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
            names = given if node.col_offset == 0 else given | names
        else:
            start = node.lineno
    return start, names


def lines_with(source: str, names: set[str]) -> set[int]:
    """Lines in which one of the names is used."""
    return {
        node.lineno
        for node in ast.walk(ast.parse(source))
        if (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in names)
        or (isinstance(node, ast.Attribute) and node.attr in names)
    }
