"""`masklet annotate`: wrong usage is said at once; what it serves is tested in tests/app."""

import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Patch, Read

Run = Callable[..., int]


def test_what_is_not_there(run: Run, tmp_path: Path, capsys: Read) -> None:
    assert run("annotate", tmp_path / "missing.mp4", "--project", tmp_path / "work", "--port", 0) == 1
    assert "there is nothing at" in capsys.readouterr().err
    assert not (tmp_path / "work").exists()


def test_a_port_that_is_taken(run: Run, tmp_path: Path, capsys: Read) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert run("annotate", "--project", tmp_path / "work", "--port", taken.getsockname()[1]) == 1
    assert "give another --port" in capsys.readouterr().err


def test_an_unknown_model(run: Run, tmp_path: Path, capsys: Read) -> None:
    assert run("annotate", "--project", tmp_path / "work", "--port", 0, "--model", "nanno") == 1
    assert "nano" in capsys.readouterr().err


def test_a_missing_library_is_named(run: Run, tmp_path: Path, monkeypatch: Patch, capsys: Read) -> None:
    monkeypatch.setitem(sys.modules, "websockets", None)
    assert run("annotate", "--project", tmp_path / "work", "--port", 0) == 1
    assert "pip install 'masklet[app]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "sentence"), [(None, "cannot be read"), (b"\xff\xfe\xff", "in UTF-8"), (b" \n\n", "has no classes")]
)
def test_classes_that_are_none(run: Run, tmp_path: Path, capsys: Read, content: bytes | None, sentence: str) -> None:
    if content is not None:
        (tmp_path / "classes.txt").write_bytes(content)
    given = ("--classes", tmp_path / "classes.txt")
    assert run("annotate", "--project", tmp_path / "work", "--port", 0, *given) == 1
    assert sentence in " ".join(capsys.readouterr().err.split())


def test_a_host_that_is_none(run: Run, tmp_path: Path, capsys: Read) -> None:
    assert run("annotate", "--project", tmp_path / "work", "--host", "\udcff", "--port", 0) == 1
    assert "cannot be used" in capsys.readouterr().err
