"""Whatever is done through the protocol, masks are those of a plain tracker on which the same was done."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from websockets.client import ClientProtocol
from websockets.uri import parse_uri

import masklet
from masklet.app import shared, web
from masklet.app.library import Library
from masklet.app.session import EDIT_ACTIONS
from masklet.engines.fake import FakeEngine
from masklet.errors import MaskletError
from masklet.masks.rle import row_runs
from tests.app.conftest import SIZE, serving, write_scene
from tests.app.program import Program, Refused

FRAMES = 8
MARKS: dict[str, Any] = {
    "accept": masklet.VideoTracker.accept,
    "absent": masklet.VideoTracker.mark_absent,
    "unmark": masklet.VideoTracker.unmark,
}
OBJECTS = st.sampled_from(["red", "blue"])
PLACES = {"red": lambda frame: (22 + 2 * frame, 32), "blue": lambda frame: (110 - frame, 70)}


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Iterator[None]:
    """No pings: they draw random numbers on a thread of their own, and Hypothesis refuses that while it draws."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(web, "HEARTBEAT", 3600.0)
        yield


@pytest.fixture
def served(library: Library) -> Iterator[tuple[str, str]]:
    with serving(library) as address:
        yield address, next(iter(library.items))


@pytest.fixture
def program(served: tuple[str, str]) -> Iterator[Program]:
    found = Program(*served)
    yield found
    found.close()


class Protocol(RuleBasedStateMachine):
    """Acts in any order, on both."""

    def __init__(self) -> None:
        super().__init__()
        self.opened = ExitStack()
        folder = Path(self.opened.enter_context(TemporaryDirectory()))
        clip, engine = write_scene(folder / "clip.mp4", FRAMES), FakeEngine()
        library = Library([clip], folder / "project", engine)
        address = self.opened.enter_context(serving(library))
        self.program = Program(address, next(iter(library.items)))
        self.opened.callback(self.program.close)
        self.plain = self.opened.enter_context(masklet.VideoTracker(clip, engine))

    def teardown(self) -> None:
        self.opened.close()

    def both(self, type: str, plain: Any, **values: Any) -> None:
        """Both do it, or both refuse."""
        try:
            plain()
        except MaskletError as error:
            with pytest.raises(Refused, match=re.escape(str(error))):
                self.program.ask(type, **values)
        else:
            self.program.ask(type, **values)

    @rule(name=OBJECTS, frame=st.integers(0, FRAMES), label=st.integers(0, 1))
    def click(self, name: str, frame: int, label: int) -> None:
        said = {"frame": frame, "object": name, "points": [PLACES[name](frame)], "labels": [label]}
        self.both("prompt", lambda: self.plain.add_points(**said), **said)

    @rule(name=OBJECTS, frame=st.integers(0, FRAMES - 1))
    def brush(self, name: str, frame: int) -> None:
        mask = np.zeros(SIZE, np.bool_)
        mask[10:30, 20 + frame : 50] = True
        said = {"frame": frame, "object": name}
        self.both(
            "prompt", lambda: self.plain.add_mask(**said, mask=mask), **said, mask=row_runs(mask).tolist(), replace=True
        )

    @rule(name=OBJECTS, frame=st.integers(0, FRAMES - 1))
    def clear(self, name: str, frame: int) -> None:
        self.both("clear", lambda: self.plain.clear(frame, name), frame=frame, object=name)

    @rule(name=OBJECTS)
    def remove(self, name: str) -> None:
        self.both("remove", lambda: self.plain.remove(name), object=name)

    @rule(frame=st.integers(0, FRAMES - 1))
    def lock(self, frame: int) -> None:
        self.both("lock", lambda: self.plain.lock(frame), frame=frame)

    @rule(name=OBJECTS, first=st.integers(0, FRAMES - 1), length=st.integers(0, 3), act=st.sampled_from(sorted(MARKS)))
    def mark(self, name: str, first: int, length: int, act: str) -> None:
        said = {"object": name, "first": first, "last": min(FRAMES - 1, first + length)}
        self.both(act, lambda: MARKS[act](self.plain, **said), **said)

    @rule(frame=st.integers(0, FRAMES - 1))
    def swap(self, frame: int) -> None:
        self.both("swap", lambda: self.plain.swap(frame, "red", "blue"), frame=frame, object="red", other="blue")

    @rule(frame=st.integers(0, FRAMES - 1), name=OBJECTS)
    def split(self, frame: int, name: str) -> None:
        self.both("split", lambda: self.plain.split(frame, name, "new"), frame=frame, object=name, new="new")

    @rule(name=OBJECTS, into=st.sampled_from(["red", "blue", "new"]))
    def merge(self, name: str, into: str) -> None:
        self.both("merge", lambda: self.plain.merge(name, into), object=name, into=into)

    @rule()
    def undo(self) -> None:
        self.both("undo", self.plain.undo)

    @rule()
    def redo(self) -> None:
        self.both("redo", self.plain.redo)

    @precondition(lambda self: any(track.prompted for track in self.plain.tracks.values()))
    @rule(first=st.integers(0, FRAMES - 1), direction=st.sampled_from(["forward", "backward", "both"]))
    def follow(self, first: int, direction: Any) -> None:
        list(self.plain.propagate(first, direction=direction))
        self.program.follow(first=first, direction=direction)

    @invariant()
    def masks_are_equal(self) -> None:
        for frame in range(FRAMES):
            found, wanted = self.program.masks_of(frame), self.plain.masks(frame).objects
            assert list(found) == list(wanted)
            for name, mask in found.items():
                assert np.array_equal(mask, wanted[name].mask), (frame, name)
        assert (self.program.state["undo"] is None) == (not self.plain.events)
        assert (self.program.state["redo"] is None) == (not self.plain.undone)


Protocol.TestCase.settings = settings(max_examples=8, stateful_step_count=12, deadline=None)
TestProtocol = Protocol.TestCase


def test_a_request_that_is_sent_again_is_done_once(program: Program) -> None:
    said = {"frame": 0, "object": "red", "points": [(22, 32)], "labels": [1]}
    first = program.ask("prompt", req="one", **said)
    assert program.ask("prompt", req="one", **said)["seq"] == first["seq"] == 1
    program.ask("undo")
    assert program.state["undo"] is None


def test_a_click_while_following_waits_for_one_frame_and_following_goes_on(program: Program) -> None:
    program.ask("prompt", frame=0, object="red", points=[(22, 32)], labels=[1])
    program.ask("follow", first=0)
    program.ask("prompt", frame=0, object="blue", points=[(110, 70)], labels=[1])
    while program.hear()["type"] != "state":
        pass
    assert program.masks_of(23)["red"].any()


def test_undo_while_following_ends_it_and_takes_it_back(served: tuple[str, str], program: Program) -> None:
    program.ask("prompt", frame=0, object="red", points=[(22, 32)], labels=[1])
    program.ask("follow", first=0)
    while 2 not in program.masks:
        program.hear()
    program.ask("undo")
    assert program.state["following"] is False
    assert program.state["undo"] == "click on red, frame 0"
    assert program.state["redo"].startswith("following")
    assert [frame for frame in range(24) if program.masks_of(frame)] == [0]


def test_stopping_keeps_what_was_followed(program: Program) -> None:
    program.ask("prompt", frame=0, object="red", points=[(22, 32)], labels=[1])
    program.ask("follow", first=0)
    program.ask("stop")
    assert program.state["following"] is False
    known = [frame for frame in range(24) if program.masks_of(frame)]
    assert known == list(range(len(known)))


def test_a_preview_changes_nothing(program: Program) -> None:
    told = program.ask("preview", frame=3, object="red", points=[(28, 32)], labels=[1])
    assert told["masks"]["red"].sum() > 300
    assert program.masks_of(3) == {}
    assert program.ask("prompt", frame=3, object="red", points=[(28, 32)], labels=[1])["seq"] == 1
    assert np.array_equal(program.masks_of(3)["red"], told["masks"]["red"])


def test_candidates_are_masks_that_differ_and_change_nothing(program: Program) -> None:
    said = {"frame": 3, "points": [(28, 32)], "labels": [1]}
    told = program.ask("candidates", **said)
    assert program.ask("candidates", **said)["masks"].keys() == told["masks"].keys()
    first, *others = told["masks"].values()
    assert others
    assert all((first & other).sum() < 0.85 * (first | other).sum() for other in others)
    assert [item["iou"] for item in told["objects"]] == sorted((item["iou"] for item in told["objects"]), reverse=True)
    assert program.masks_of(3) == {}
    program.ask("prompt", object="red", **said)
    assert np.array_equal(program.masks_of(3)["red"], first)


def test_one_page_edits_others_watch_until_they_take_over(served: tuple[str, str], program: Program) -> None:
    other = Program(*served)
    said = {"frame": 0, "object": "red", "points": [(22, 32)], "labels": [1]}
    assert (program.mine, other.mine) == (True, False)
    with pytest.raises(Refused, match="another page edits"):
        other.ask("prompt", **said)
    program.ask("prompt", **said)
    while 0 not in other.masks:
        other.hear()
    other.say("take")
    while not other.mine:
        other.hear()
    other.ask("undo")
    with pytest.raises(Refused, match="another page edits"):
        program.ask("redo")
    other.close()
    while program.told[-1].get("free") is not True:
        program.hear()
    program.say("take")
    program.ask("redo")


def test_a_page_that_is_silent_edits_no_more(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "HEARTBEAT", 0.1)
    monkeypatch.setattr(web, "SILENT", 0.3)
    name = next(iter(library.items))
    with serving(library) as address:
        place = urlsplit(address)
        hung = ClientProtocol(parse_uri(f"ws://{place.netloc}/v/{name}/session"))  # as a computer that sleeps
        hung.send_request(hung.connect())
        with socket.create_connection((place.hostname, place.port)) as line:
            line.sendall(b"".join(hung.data_to_send()))
            hung.receive_data(line.recv(4096))
            hung.send_text(json.dumps({"type": "hello", "version": 1}).encode())
            line.sendall(b"".join(hung.data_to_send()))
            while b'"mine": true' not in line.recv(1 << 16):
                pass
            other = Program(address, name)
            assert not other.mine
            while other.told[-1].get("free") is not True:
                other.hear()
            other.say("take")
            other.ask("prompt", frame=0, object="red", points=[(22, 32)], labels=[1])
            other.close()


def test_a_slow_page_is_answered(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "MAX_WAITING", 0)
    with serving(library) as address:
        program = Program(address, next(iter(library.items)))
        for kind in ("preview", "candidates"):
            assert program.ask(kind, frame=0, object="red", points=[(22, 32)], labels=[1])["type"] == kind
        program.close()


def prompt(**changed: Any) -> dict[str, Any]:
    return {"type": "prompt", "frame": 0, "object": 1, **changed}


WRONG: list[dict[str, Any]] = [
    {}, {"type": 7}, {"type": "nothing"}, {"type": "hello", "version": 99},
    {"type": "look"}, {"type": "look", "frame": -1}, {"type": "look", "frame": "a"},
    {"type": "want", "frames": 7}, {"type": "want", "frames": [True]},
    {"type": "prompt"}, prompt(), prompt(frame=10**9, points=[[1, 2]]), prompt(object=[], points=[[1, 2]]),
    prompt(mask=[3]), prompt(points=[[10**400, 1]]),
    prompt(points=[[1, 2]], labels=[5]), prompt(frame={}, box=[1, 1, 9, 9]),
    {"type": "clear", "frame": 0, "object": "x"}, {"type": "remove"}, {"type": "remove", "object": {}},
    {"type": "lock", "frame": 5}, {"type": "undo"}, {"type": "redo"},
    {"type": "follow"}, {"type": "follow", "direction": "up"}, {"type": "follow", "first": []},
    {"type": "preview", "frame": 0}, {"type": "preview", "frame": 900, "object": 1, "points": [[1, 2]]},
    {"type": "import"}, {"type": "import", "file": "../../library.json"},
    {"type": "candidates", "frame": 0}, {"type": "candidates", "frame": 900, "points": [[1, 2]]},
    {"type": "export"}, {"type": "export", "format": "word"}, {"type": "export", "format": "coco", "objects": [["a"]]},
]  # fmt: skip


@pytest.mark.parametrize("said", WRONG, ids=json.dumps)
def test_what_makes_no_sense_has_its_sentence_and_changes_nothing(program: Program, said: dict[str, Any]) -> None:
    program.socket.send(json.dumps(said))
    told = program.hear()
    while told["type"] not in ("refused", "warning"):
        told = program.hear()
    assert len(told["sentence"]) > 10
    assert "server failed" not in told["sentence"]
    assert program.ask("prompt", frame=0, object="red", points=[(22, 32)], labels=[1])["seq"] == 1


def test_the_last_frame_of_an_import_is_a_number(library: Library, clip: Path) -> None:
    (item,) = library.items.values()
    (library.place(item) / "imports").mkdir(parents=True)
    with masklet.VideoTracker(clip, FakeEngine()) as tracker:
        tracker.add_points(frame=0, object="red", points=[(22, 32)])
        tracker.export(library.place(item) / "imports/masks.json", format="coco")
    with serving(library) as address:
        program = Program(address, item.id)
        with pytest.raises(Refused, match="import cannot be read"):
            program.ask("import", file="masks.json", last="x")
        program.close()


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 30), st.sampled_from([2**31, 2**63, 10**30, -1, 0.5, -0.0, 1e308]),
    st.sampled_from(["red", "blue", "", "follow", "forward", "both", "coco", "project", "../../x", "\x00", "\ud800"]),
    st.lists(st.integers(-2, 200), max_size=4), st.lists(st.lists(st.integers(-2, 200), max_size=3), max_size=3),
    st.dictionaries(st.sampled_from(["a", "frame"]), st.integers(0, 3), max_size=2),
)  # fmt: skip
KEYS = (
    "frame", "frames", "object", "other", "new", "into", "points", "labels", "box", "mask", "replace", "first", "last",
    "stop", "direction", "only", "resume", "stop_when_unsure", "job", "format", "objects", "title", "category",
    "colour", "attributes", "version", "file",
)  # fmt: skip
KINDS = sorted(
    {
        *EDIT_ACTIONS,
        "redo",
        "follow",
        "import",
        "stop",
        "hello",
        "look",
        "want",
        "take",
        "preview",
        "candidates",
        "export",
    }
)


@given(
    messages=st.lists(
        st.tuples(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6)), max_size=12
    )
)
@example([("prompt", {"points": [[22, 32]], "labels": [1]}), ("undo", {"frame": []})])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_said_has_an_answer(program: Program, messages: list[tuple[str, dict[str, Any]]]) -> None:
    """Plausible kinds with any values: refused in a sentence or done, and the server goes on."""
    program.say("take")
    for number, (kind, said) in enumerate(messages):
        program.say(kind, **{"frame": 0, "object": "red", "first": 0, **said}, req=f"{id(messages)}-{number}")
    program.ask("stop", job="import")
    program.ask("stop", job="export")
    program.ask("stop")
    for told in program.told:
        assert "server failed" not in told.get("sentence", ""), told
    program.told.clear()
    program.ask("prompt", frame=0, object="red", points=[(22, 32)], labels=[1])
    assert program.masks_of(0)["red"].any()
    program.ask("remove", object="red")


def test_messages_that_are_no_json_objects(program: Program) -> None:
    for content in ("", "{", "[]", "7", "[" * 100_000, '{"type": NaN}'):
        program.socket.send(content)
        assert program.hear()["type"] == "refused"
    program.socket.send(b"\x00\x01")
    assert program.hear()["type"] == "refused"
