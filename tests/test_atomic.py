from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from masklet.atomic import atomic_write, remove_stale
from masklet.errors import FormatError


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with atomic_write(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == path.parent
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_exception_leaves_no_trace(tmp_path: Path) -> None:
    def broken_run() -> None:
        with atomic_write(tmp_path / "a.txt") as temporary:
            temporary.write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        broken_run()
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(FormatError, match=r"gone.a\.txt cannot be written: No such file .*; give a path in"),
        atomic_write(tmp_path / "gone" / "a.txt") as temporary,
    ):
        temporary.write_text("new")


def test_threads_that_write_one_file_do_not_disturb_each_other(tmp_path: Path) -> None:
    def write(number: int) -> None:
        for _ in range(20):
            with atomic_write(tmp_path / "a.txt") as temporary:
                temporary.write_text(str(number) * 1000)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert (tmp_path / "a.txt").read_text() in {str(number) * 1000 for number in range(4)}
    assert list(tmp_path.iterdir()) == [tmp_path / "a.txt"]


def test_what_must_survive_a_power_cut_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    sync, rename = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (steps.append("flush"), sync(handle)))
    monkeypatch.setattr(os, "replace", lambda *names: (steps.append("rename"), rename(*names)))
    with atomic_write(tmp_path / "a.txt", durable=True) as temporary:
        temporary.write_text("new")
    assert steps[:2] == ["flush", "rename"]
    assert (tmp_path / "a.txt").read_text() == "new"


def test_a_file_system_that_takes_no_write_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "unlink", refuse)
    with (
        pytest.raises(FormatError, match=r"a\.txt cannot be written: Read-only file system; give a path"),
        atomic_write(tmp_path / "a.txt"),
    ):
        refuse()


def test_leftovers_of_killed_runs_are_removed_and_nothing_else(tmp_path: Path) -> None:
    for name in (".a.txt.12.partial", ".a.txt.12-0f3a.partial", ".mine.partial", "a.txt"):
        (tmp_path / name).write_text("x")
    remove_stale(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".mine.partial", "a.txt"]
