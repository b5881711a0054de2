"""The documents: every public name and option stands in the reference, and what README and examples show can be run."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

import masklet
from masklet.cli.main import app

ROOT = Path(__file__).parent.parent
REFERENCE = (ROOT / "docs/reference.md").read_text()
OF_ROOT = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
PAGES = [*OF_ROOT, *sorted((ROOT / "docs").rglob("*.md"))]
commands_of = runpy.run_path(str(ROOT / "scripts/site.py"))["commands_of"]


@pytest.mark.parametrize("name", [name for name in masklet.__all__ if name != "__version__"])
def test_every_public_name_is_in_the_reference(name: str) -> None:
    assert re.search(rf"`[^`\n]*\b{name}\b[^`\n]*`", REFERENCE)


def test_every_command_and_option_says_what_it_is_for() -> None:
    for name, command in commands_of(get_command(app)):
        assert command.help, f"masklet {name}"
        for parameter in command.params:
            assert parameter.help or parameter.hidden, f"masklet {name} {parameter.name}"


def test_every_number_on_the_command_line_has_bounds() -> None:
    """So that a slip of the finger is a sentence, and no wish for all memory."""
    for name, command in commands_of(get_command(app)):
        for parameter in command.params:
            if parameter.bare_type() in ("int", "float"):
                assert None not in (parameter.min, parameter.max), f"masklet {name} {parameter.name}"


def test_every_measurement_is_on_the_page_of_evaluation() -> None:
    page = (ROOT / "docs/evaluation.md").read_text()
    measures = [name for name, _ in commands_of(get_command(app)) if name.startswith("eval ")]
    assert len(measures) >= 8
    assert [name for name in measures if f"{name}" not in page] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_modules_that_are_named_are_there(page: Path) -> None:
    """`masks/shape.py`, from the package, the root or the page on; NAME stands for one's own."""
    for named in set(re.findall(r"`([\w./-]+\.(?:py|js))`", page.read_text())):
        if "NAME" not in named and "/" in named:
            places = (ROOT / "src", ROOT / "src/masklet", ROOT, page.parent)
            assert any((place / named).is_file() for place in places), f"{page.name} names {named}"


def test_python_in_the_readme_compiles() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        compile(block, "README.md", "exec")


def test_the_example_runs_on_the_sample() -> None:
    example, sample = ROOT / "examples/track_video.py", ROOT / "src/masklet/samples/clip.mp4"
    if not sample.exists():
        pytest.skip("the sample clip is not in this checkout")
    arguments = [sys.executable, str(example), str(sample), "100", "100", "300", "300"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "of the picture" in done.stdout
