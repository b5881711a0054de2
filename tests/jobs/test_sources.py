"""Videos of folders, patterns, URLs and manifests, and what is said of those that cannot be read."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import fsspec
import pyarrow
import pyarrow.parquet
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from masklet.errors import FormatError, MaskletError, MediaError
from masklet.jobs.places import find, local_copy, read, size_of, write_file
from masklet.jobs.sources import Source, find_videos, is_many

PROMPTS = [{"frame": 0, "object": "cup", "box": [1, 2, 30, 40]}]


class Closed(MemoryFileSystem):
    """A bucket that this user may not look into."""

    protocol = "closed"
    store: dict[str, Any] = {}  # noqa: RUF012
    pseudo_dirs: list[str] = [""]  # noqa: RUF012

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise PermissionError("403 Forbidden")

    cat_file = glob = get_file = pipe_file = size = exists = _refuse


@pytest.fixture(autouse=True)
def closed_bucket() -> None:
    fsspec.register_implementation("closed", Closed, clobber=True)


def names(*sources: str | Path) -> list[tuple[str, str]]:
    return [(Path(found.video).name, found.name) for found in find_videos(map(str, sources))]


def test_folders_patterns_and_files(clips: Path) -> None:
    assert names(clips) == [("a.mp4", "a"), ("b.mp4", "b")]
    assert names(clips / "**" / "*.mp4") == [("a.mp4", "a"), ("b.mp4", "b"), ("a.mp4", "more/a")]
    assert names(clips / "b.mp4", clips, clips / "b.mp4") == [("b.mp4", "b"), ("a.mp4", "a")]
    assert is_many(str(clips))
    assert is_many(str(clips / "*.mp4"))
    assert not is_many(str(clips / "a.mp4"))


def test_two_videos_never_share_a_folder(clips: Path) -> None:
    (clips / "a.mov").write_bytes(b"")
    assert names(clips) == [("a.mov", "a.mov"), ("a.mp4", "a.mp4"), ("b.mp4", "b")]
    with pytest.raises(MediaError, match=r"would both be in a.mp4; give a manifest with a column name"):
        names(clips / "a.mp4", clips / "more/a.mp4")


def test_a_bucket() -> None:
    for name in ("x.mp4", "y.mp4", "notes.txt", "deep/z.mp4"):
        write_file(f"memory://bucket/{name}", b"film")
    assert [(s.video, s.name) for s in find_videos(["memory://bucket/"])] == [
        ("memory://bucket/x.mp4", "x"),
        ("memory://bucket/y.mp4", "y"),
    ]
    assert find("memory://bucket/**/z.mp4") == ["memory://bucket/deep/z.mp4"]
    with local_copy("memory://bucket/x.mp4") as path:
        assert (path.name, path.read_bytes()) == ("x.mp4", b"film")
    assert not path.exists()


def test_a_web_address_with_a_question_is_one_video() -> None:
    assert find_videos(["https://host/c.mp4?key=a*b"]) == [Source("https://host/c.mp4?key=a*b", "c")]


ROWS = [
    {"path": "a.mp4", "prompts": PROMPTS},
    {"path": "more/a.mp4", "everything": True, "name": "other"},
    {"path": "https://host/films/c.mp4?key=1", "prompts": PROMPTS},
    {"path": "b.mp4"},
]


def as_csv(rows: list[dict[str, Any]]) -> bytes:
    lines = ["path,prompts,everything,name,colour"]
    for row in rows:
        prompts = json.dumps(row["prompts"]).replace('"', '""') if "prompts" in row else ""
        lines.append(f'{row["path"]},"{prompts}",{str(row.get("everything", "")).lower()},{row.get("name", "")},red')
    return "\n".join(lines).encode("utf-8-sig")


def as_parquet(rows: list[dict[str, Any]]) -> bytes:
    buffer = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), buffer)
    return bytes(buffer.getvalue())


def as_json_lines(rows: list[dict[str, Any]]) -> bytes:
    """With signs in a text that JSON leaves as they are, though other texts break lines there."""
    made = ({**row, "note": "one\u2028two\x85three"} for row in rows)
    return b"\r\n".join(json.dumps(row, ensure_ascii=False).encode() for row in made) + b"\n\n"


@pytest.mark.parametrize(("name", "make"), [("m.csv", as_csv), ("m.jsonl", as_json_lines), ("m.parquet", as_parquet)])
def test_a_manifest(tmp_path: Path, name: str, make: Any) -> None:
    rows = (
        [{**{"prompts": None, "everything": None, "like": None, "name": None}, **row} for row in ROWS]
        if "parq" in name
        else ROWS
    )
    (tmp_path / name).write_bytes(make(rows))
    found = find_videos([str(tmp_path / name)])
    assert found == [
        Source(str(tmp_path / "a.mp4"), "a", PROMPTS),
        Source(str(tmp_path / "more/a.mp4"), "other", None, True),
        Source("https://host/films/c.mp4?key=1", "host/films/c", PROMPTS),
        Source(str(tmp_path / "b.mp4"), "b"),
    ]
    write_file(f"memory://bucket/{name}", make(rows))
    assert find_videos([f"memory://bucket/{name}"])[1].video == "memory://bucket/more/a.mp4"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "file,prompts\na.mp4,\n",
            "row 1 of .*m.csv has no path, but file, prompts; give the columns path and prompts",
        ),
        ('path,name\n"",x\n', "row 1 of .*m.csv has no path, but '' in its place"),
        ("path,prompts\n", "m.csv has no rows"),
        ("path,prompts\na.mp4,[box\n", "the cell prompts in row 1 of .*m.csv is no whole JSON"),
        ('path,prompts\na.mp4,"{""box"": 1}"\n', "row 1 of .*m.csv has prompts of type dict"),
        ("path,like\na.mp4,s3://b/cup.jpg\n", "row 1 of .*m.csv has like = s3://b/cup.jpg, a URL; give the path"),
        ("path,everything\na.mp4,perhaps\n", "row 1 of .*m.csv has everything = 'perhaps'; give true or false"),
        ("path,name\na.mp4,../../etc\n", "row 1 of .*m.csv has the name '../../etc'; give a path below"),
        ("path,name\na.mp4,x\nb.mp4,x\n", "would both be in"),
        ('path,prompts\na.mp4,"[{""box"": [1, 2, 3, 4]}]"\na.mp4,\n', "a.mp4 is given twice, with other prompts"),
        (f"path,prompts\na.mp4,{'x' * 140_000}\n", "m.csv cannot be read as CSV .*; give JSON lines or Parquet"),
        (b"path\n\xff\xfe.mp4\n", "m.csv is not a text in UTF-8"),
    ],
)
def test_manifests_that_are_refused(tmp_path: Path, content: str | bytes, said: str) -> None:
    (tmp_path / "m.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(MaskletError, match=said):
        find_videos([str(tmp_path / "m.csv")])


def test_damaged_and_missing_manifests(tmp_path: Path) -> None:
    (tmp_path / "m.parquet").write_bytes(b"PAR1 not really")
    (tmp_path / "m.jsonl").write_text('{"path": "a.mp4"}\n[1, 2]\n')
    with pytest.raises(FormatError, match=r"m.parquet cannot be read as Parquet"):
        find_videos([str(tmp_path / "m.parquet")])
    with pytest.raises(FormatError, match=r"row 2 of .*m.jsonl has no path, but \[1, 2\]"):
        find_videos([str(tmp_path / "m.jsonl")])
    for path in ("a\0.mp4", "\ud800.mp4"):
        (tmp_path / "m.jsonl").write_text(json.dumps({"path": path}))
        with pytest.raises(FormatError, match=r"row 1 of .*m.jsonl has a path or a name with letters that no file has"):
            find_videos([str(tmp_path / "m.jsonl")])
    (tmp_path / "m.jsonl").write_text("[" * 100_000)
    with pytest.raises(FormatError, match=r"line 1 of .*m.jsonl is no whole JSON"):
        find_videos([str(tmp_path / "m.jsonl")])
    for missing in ("n.csv", "n.parquet", "n.jsonl"):
        with pytest.raises(MaskletError, match=r"n\.\w+ cannot be read"):
            find_videos([str(tmp_path / missing)])
    with pytest.raises(MediaError, match="there is no video in"):
        find_videos([str(tmp_path / "*.mp4")])


def test_a_bucket_without_rights() -> None:
    for call in (lambda: find_videos(["closed://bucket/*.mp4"]), lambda: read("closed://bucket/m.csv")):
        with pytest.raises(MediaError, match=r"closed://.*: 403 Forbidden; check the address and the rights"):
            call()
    with pytest.raises(FormatError, match=r"cannot be written: 403 Forbidden"):
        write_file("closed://bucket/a", b"")


def test_an_address_at_which_nobody_answers_says_so() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        place = f"http://127.0.0.1:{taken.getsockname()[1]}/a.mp4"
        with pytest.raises(MediaError, match=r"a\.mp4 cannot be read: .*Connect call failed"):
            size_of(place)


def test_a_kind_of_url_that_nothing_here_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MediaError, match=r"nowhere://x/\* cannot be listed"):
        find_videos(["nowhere://x/*"])
    with pytest.raises(MediaError, match=r"s3:// needs s3fs; pip install s3fs"):
        find_videos(["s3://x/*.mp4"])
