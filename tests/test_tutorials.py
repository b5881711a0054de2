"""What the tutorials tell a reader to type works, in order, in an empty folder."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs/tutorials").glob("*.md"))


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_of_a_tutorial_work(page: Path, tmp_path: Path) -> None:
    script = runpy.run_path(str(ROOT / "scripts/tutorials.py"))
    script["run"](page.stem, tmp_path)
    told = set(re.findall(r"`([a-z-]+/[\w./-]+\.\w+)`", page.read_text()))
    assert told or page.stem in ("annotator", "researcher"), "a page names what its commands leave"
    for name in told:
        assert (tmp_path / name).exists(), f"{page.name} speaks of {name}"
    if page.stem in script["PICTURES"]:
        assert script["PICTURES"][page.stem](tmp_path).size[0] >= 640
