"""The documents as a site: no link leads nowhere, and the pages that are made hold every name and every command."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

import masklet
from masklet.cli.main import app
from tests.test_docs import commands_of

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built strictly: a link, anchor or page of the menu that is not there fails, and so does a page in no menu."""
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(out)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return out


def headings(page: Path) -> set[str]:
    return set(re.findall(r'<h2 id="([^"]+)"', page.read_text()))


def test_every_public_name_is_documented_from_its_docstring(site: Path) -> None:
    found = {heading.rpartition(".")[2] for heading in headings(site / "api/index.html")}
    assert {getattr(masklet, name).__name__ for name in masklet.__all__ if name != "__version__"} <= found


def test_every_command_and_option_is_on_the_page_of_commands(site: Path) -> None:
    page = (site / "commands/index.html").read_text()
    for name, command in commands_of(get_command(app)):
        assert f"masklet {name}" in page
        for parameter in command.params:
            assert all(f"<code>{option}</code>" in page for option in parameter.opts if option.startswith("--"))


def test_nothing_is_fetched_from_elsewhere_to_show_a_page(site: Path) -> None:
    for page in site.rglob("*.html"):
        assert not re.search(r'<(?:script|img|link rel="stylesheet")[^>]+(?:src|href)="https?:', page.read_text()), page
