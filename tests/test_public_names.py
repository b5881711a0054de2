"""The public names: there, quick to import, and honest about what is not there."""

from __future__ import annotations

import ast
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest

import masklet
from masklet import errors

HEAVY = ("torch", "numpy", "cv2")


def run_python(program: str) -> str:
    """What a fresh interpreter prints for a program."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_brings_nothing_heavy() -> None:
    program = f"import sys, masklet; print([name for name in {HEAVY!r} if name in sys.modules])"
    assert run_python(program) == "[]"


def test_looking_at_the_names_brings_nothing_heavy():
    program = f"import sys, masklet; dir(masklet); print([name for name in {HEAVY!r} if name in sys.modules])"
    assert run_python(program) == "[]"


@pytest.mark.parametrize("name", masklet.__all__)
def test_public_name_resolves(name: str):
    assert getattr(masklet, name) is not None
    assert name in dir(masklet)


def test_all_is_the_lazy_names_and_the_version_and_has_every_error():
    raised = {name for name, value in vars(errors).items() if isinstance(value, type) and name.endswith("Error")}
    assert set(masklet.__all__) == {*chain(*masklet._LAZY.values()), "__version__"} >= raised
    assert len(masklet.__all__) == len(set(masklet.__all__))


def test_checkers_of_types_are_told_the_lazy_names():
    told: dict[str, set[str]] = {}
    for node in ast.walk(ast.parse(Path(masklet.__file__).read_text())):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            for line in node.body:
                assert isinstance(line, ast.ImportFrom)
                told.setdefault(str(line.module), set()).update(name.name for name in line.names)
    assert told == {module: {*names} for module, names in masklet._LAZY.items()}


def test_a_name_is_looked_up_once():
    program = "import masklet; found = masklet.list_models; print(vars(masklet)['list_models'] is found)"
    assert run_python(program) == "True"


def test_unknown_name_is_told():
    with pytest.raises(AttributeError, match="'masklet' has no attribute 'VideoTracer'") as caught:
        masklet.VideoTracer  # noqa: B018
    assert caught.value.name == "VideoTracer"


def test_version_is_a_release_number():
    assert all(part.isdigit() for part in masklet.__version__.split("."))
