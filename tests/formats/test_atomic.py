from __future__ import annotations

from pathlib import Path

import pytest

from masklet.errors import FormatError
from masklet.formats.atomic import replacing


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == path.parent
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_exception_leaves_no_trace(tmp_path: Path) -> None:
    def broken_run() -> None:
        with replacing(tmp_path / "a.txt") as temporary:
            temporary.write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        broken_run()
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(FormatError, match=r"gone.a\.txt cannot be written: No such file .*; give a path in"),
        replacing(tmp_path / "gone" / "a.txt") as temporary,
    ):
        temporary.write_text("new")
