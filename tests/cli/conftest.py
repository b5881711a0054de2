"""The command line in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from masklet.cli.main import main

Run = Callable[..., int]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `masklet ARGUMENTS` and returns the exit code."""

    def call(*arguments: str | Path) -> int:
        monkeypatch.setattr(sys, "argv", ["masklet", *map(str, arguments)])
        try:
            main()
        except SystemExit as ended:
            return int(ended.code or 0)
        return 0

    return call
