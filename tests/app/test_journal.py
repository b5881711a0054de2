"""What was acknowledged is in the journal, whatever happened to the file's end."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masklet.app.journal import Journal
from masklet.errors import FormatError

RECORDS = [{"do": "undo", "req": "a"}, {"do": "event", "event": {"event": "lock", "frame": 3}}, {"do": "redo"}]


def test_records_come_back_in_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.append(RECORDS[:2])
    journal.append(RECORDS[2:])
    assert journal.seq == 3
    journal.close()
    again = Journal(tmp_path / "j")
    assert [{**record, "seq": 0} for record in again.records] == [{**record, "seq": 0} for record in RECORDS]
    assert [record["seq"] for record in again.records] == [1, 2, 3]
    again.close()


@given(lost=st.integers(1, 200))
@settings(max_examples=30)
def test_a_file_cut_anywhere_keeps_its_whole_records(lost: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("journal") / "j"
    journal = Journal(path)
    journal.append(RECORDS)
    journal.close()
    data = path.read_bytes()
    cut = data[: max(0, len(data) - lost)]
    path.write_bytes(cut)
    again = Journal(path)
    assert again.seq == cut.count(b"\n")
    again.append(RECORDS[:1])
    assert again.records[-1]["seq"] == again.seq
    again.close()
    Journal(path).close()


def test_a_record_is_on_the_disk_when_append_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[int] = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (flushed.append(os.fstat(handle).st_size), real(handle))[1])
    journal = Journal(tmp_path / "j")
    journal.append(RECORDS[:1])
    assert flushed == [(tmp_path / "j").stat().st_size]
    journal.close()


def test_a_full_disk_keeps_none_of_the_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "j")
    journal.append(RECORDS[:1])

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(FormatError, match="No space left"):
            journal.append(RECORDS[1:])
    assert journal.seq == 1
    journal.append(RECORDS[2:])
    journal.close()
    with closing(Journal(tmp_path / "j")) as again:
        assert [record["do"] for record in again.records] == ["undo", "redo"]


def test_damage_in_the_middle_is_said(tmp_path: Path) -> None:
    for content in (b'{"seq": 1}\nnothing\n', b'{"seq": 1}\n{"seq": 3}\n', b"[]\n"):
        (tmp_path / "j").write_bytes(content)
        with pytest.raises(FormatError, match="line"):
            Journal(tmp_path / "j")
