"""Things by name: our own, those of other packages, and `module:Name`."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from masklet import plugins
from masklet.errors import ConfigError

OWN = {"one": 1, "two": 2}


def test_own_names_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [EntryPoint("one", "math:pi", "masklet.things"), EntryPoint("pi", "math:pi", "masklet.things")]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: points if group == "masklet.things" else [])
    assert plugins.find("things", "one", OWN) == 1
    assert plugins.find("things", "pi", OWN) == pytest.approx(3.14159, abs=1e-4)
    assert plugins.names("things", OWN) == ["one", "two", "pi"]


def test_a_module_of_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "of_my_own.py").write_text("THING = 7\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert plugins.find("things", "of_my_own:THING", OWN) == 7


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("twoo", "no 'twoo' among the things; nearest: two"),
        ("there_is_no_such_module:x", "cannot be imported"),
        ("math:no_such_name", "cannot be imported"),
    ],
)
def test_what_is_not_there_is_a_sentence(name: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        plugins.find("things", name, OWN)
