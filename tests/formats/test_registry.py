from __future__ import annotations

import re
from pathlib import Path

import pytest

from masklet.errors import FormatError
from masklet.formats.registry import find_format, format_of, formats, read_masks, reads, writer, writes

PAGE = Path(__file__).parents[2] / "docs/formats.md"


def test_every_format_tells_what_it_is_in_one_line_and_has_its_place_in_the_documents() -> None:
    page = PAGE.read_text()
    for name, entry in formats().items():
        assert entry.name == name
        assert 20 < len(entry.help) < 90
        assert all(suffix.startswith(".") for suffix in entry.suffixes)
        assert re.search(rf"^\| `{name}` \|", page, re.MULTILINE), name


def test_an_unknown_format_is_named_with_the_nearest() -> None:
    with pytest.raises(FormatError, match=r"unknown format 'davs'; nearest: davis; there are background, coco"):
        writer("davs", "a", size=(4, 4))
    with pytest.raises(FormatError, match=r"the format overlay holds pictures, not masks; .* are coco, davis"):
        read_masks("overlay", "a.mp4")


@pytest.mark.parametrize(("path", "name"), [("a.TXT", "mots"), ("a.masklet", "project"), ("b/a.mov", "prores")])
def test_a_suffix_tells_the_format(path: str, name: str) -> None:
    assert format_of(path) is find_format(name)


def test_a_suffix_of_several_or_none_is_named() -> None:
    with pytest.raises(FormatError, match=r"a\.json may be any of coco, sav, ytvis; name the one"):
        format_of("a.json")
    with pytest.raises(FormatError, match=r"a\.xyz does not tell its format; name one of background"):
        format_of(Path("a.xyz"))


def test_a_name_is_registered_once() -> None:
    davis = find_format("davis")
    assert davis.read is not None
    with pytest.raises(AssertionError, match="registered twice"):
        writes("davis", suffixes=(), help="another")(davis.open)
    with pytest.raises(AssertionError, match="registered twice"):
        reads("davis")(davis.read)
