"""A server that is killed in the middle: the same command goes on, and nothing that was acknowledged is lost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from queue import Queue
from typing import Any

import numpy as np
import pytest

import masklet
from masklet.app import keeping
from masklet.app.library import Library
from masklet.app.session import AnnotationSession
from masklet.app.wire import read_message
from masklet.engines.fake import FakeEngine
from masklet.errors import FormatError, MaskletError
from masklet.formats.project_file import read_project
from masklet.jobs.record import leased
from masklet.video.journal import Journal
from tests.app.conftest import serving, write_scene
from tests.app.program import Program
from tests.cli.conftest import Run, run  # noqa: F401

FRAMES = 40

SERVER = """
import sys
from pathlib import Path
from masklet.app import keeping
from masklet.app.library import Library
from masklet.app.server import application
from masklet.app.web import Server, listen, run
from masklet.engines.fake import FakeEngine

keeping.KEEP_EVERY, keeping.KEEP_SHARE, keeping.TIDY_AFTER = float(sys.argv[3]), 0, 0.01
keeping.MAX_JOURNAL_BYTES = 10_000
library, listening = Library([Path(sys.argv[1])], Path(sys.argv[2]), FakeEngine()), listen(0)
ready = lambda: print(listening.getsockname()[1], *library.items, flush=True)
run(Server(application(library), ready), listening, library.close)
"""


SLOW = """
from masklet.app.session import AnnotationSession
from time import sleep
AnnotationSession._end = lambda session: (print("closes", flush=True), sleep(90))
"""


def test_a_second_ctrl_c_is_heard_by_whichever_thread_the_system_gives_it_to(tmp_path: Path) -> None:
    """Here by one of the server's own, while the main thread waits for what is saved."""
    clip, project = write_scene(tmp_path / "clip.mp4", 4), tmp_path / "project"
    elsewhere = (
        "import signal, threading\n"
        "from masklet.app.session import AnnotationSession\n"
        "hear = lambda: signal.pthread_kill(threading.get_ident(), signal.SIGINT)\n"
        "AnnotationSession._end = lambda session: (threading.Timer(0.5, hear).start(), threading.Event().wait())\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", elsewhere + SERVER, str(clip), str(project), "1"],
        stdout=subprocess.PIPE, text=True,
    ) as running:  # fmt: skip
        assert running.stdout is not None
        port, name = running.stdout.readline().split()
        Program(f"http://127.0.0.1:{port}", name).ask("prompt", frame=0, object=1, points=[(22, 32)], labels=[1])
        running.send_signal(signal.SIGINT)
        try:
            assert running.wait(20) == 130
        finally:
            running.kill()


def test_a_second_ctrl_c_ends_it_at_once_with_a_sentence(tmp_path: Path) -> None:
    clip, project = write_scene(tmp_path / "clip.mp4", 4), tmp_path / "project"
    with subprocess.Popen(
        [sys.executable, "-c", SLOW + SERVER, str(clip), str(project), "1"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as running:  # fmt: skip
        assert running.stdout is not None
        assert running.stderr is not None
        port, name = running.stdout.readline().split()
        program = Program(f"http://127.0.0.1:{port}", name)
        program.ask("prompt", frame=0, object=1, points=[(22, 32)], labels=[1])
        running.send_signal(signal.SIGINT)
        assert running.stdout.readline() == "closes\n"
        running.send_signal(signal.SIGINT)
        assert running.wait(60) == 130
        (sentence,) = running.stderr.read().splitlines()
        assert "ended before all was closed" in sentence
        program.close()
    with masklet.VideoTracker.open(project / f"videos/clip-{name}/session.masklet", clip, FakeEngine()) as tracker:
        assert tracker.masks(0).objects[1].mask.any()


@contextmanager
def ended(clip: Path, project: Path, keep_every: float, how: signal.Signals) -> Iterator[Program]:
    """A server in a process of its own, and who speaks to it. At the end it gets a signal; of SIGTERM it ends well."""
    running = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(clip), str(project), str(keep_every)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert running.stdout is not None
        port, name = running.stdout.readline().split()
        program = Program(f"http://127.0.0.1:{port}", name)
        yield program
        running.send_signal(how)
        assert running.wait(60) == (0 if how == signal.SIGTERM else -how)
        program.close()
    finally:
        running.kill()
        running.wait()
        if running.stdout is not None:
            running.stdout.close()


@contextmanager
def reopened(clip: Path, project: Path) -> Iterator[Program]:
    """The same command again."""
    library = Library([clip], project, FakeEngine())
    with serving(library) as address:
        program = Program(address, *library.items)
        yield program
        program.close()


RED = {"frame": 0, "object": "red", "points": [(22, 32)], "labels": [1]}
BLUE = {"frame": 20, "object": "blue", "points": [(90, 70)], "labels": [1]}


@pytest.mark.parametrize("keep_every", [0, 1e6], ids=["every frame", "acts alone"])
def test_killed_while_following_the_end_equals_a_straight_run(tmp_path: Path, keep_every: float) -> None:
    clip, project = write_scene(tmp_path / "clip.mp4", FRAMES), tmp_path / "project"
    with ended(clip, project, keep_every, signal.SIGKILL) as program:
        program.ask("prompt", req="first", **RED)
        program.ask("follow", first=0)
        while max(program.masks, default=0) < 12:
            program.hear()
        program.ask("prompt", **BLUE)
        while max(program.masks, default=0) < 24:
            program.hear()
    with reopened(clip, project) as program:
        assert {item["name"] for item in program.state["objects"]} == {"red", "blue"}
        assert program.ask("prompt", req="first", **RED)["seq"] == 1  # it was done already
        program.follow(first=0)
        found = {frame: dict(program.masks_of(frame)) for frame in range(FRAMES)}
        program.ask("undo")
    with reopened(clip, project) as program:
        assert program.state["redo"].startswith("following")
        program.ask("redo")
        again = {frame: dict(program.masks_of(frame)) for frame in range(FRAMES)}
    with masklet.VideoTracker(clip, FakeEngine()) as straight:
        straight.add_points(**RED)
        straight.add_points(**BLUE)
        for result in straight.propagate(0):
            for seen in (found, again):
                assert list(seen[result.frame]) == list(result.objects)
                for name, item in result.objects.items():
                    assert np.array_equal(seen[result.frame][name], item.mask), (result.frame, name)


def test_ended_in_good_order_everything_is_in_the_file(tmp_path: Path) -> None:
    clip, project = write_scene(tmp_path / "clip.mp4", FRAMES), tmp_path / "project"
    with ended(clip, project, 1e6, signal.SIGTERM) as program:
        program.ask("prompt", **RED)
        program.ask("follow", first=0)
        while max(program.masks, default=0) < 12:
            program.hear()
    (saved,) = project.glob("videos/*/session.masklet")
    assert set(range(13)) <= set(read_project(saved).frames)


def test_a_project_is_not_opened_twice(
    run: Run,  # noqa: F811
    clip: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Two servers on one project would each write over what the other has acknowledged."""
    with leased(str(tmp_path / "project")):
        assert run("annotate", clip, "--project", tmp_path / "project", "--model", "missing") == 1
    assert "another run works there, process" in capsys.readouterr().err


class Watcher:
    """A page that keeps what it is told, but masks."""

    who = ""

    def __init__(self) -> None:
        self.told: Queue[Mapping[str, Any]] = Queue()

    def tell(self, message: Mapping[str, Any] | bytes) -> None:
        if not isinstance(message, bytes):
            self.told.put(message)

    def tell_lease(self) -> None:
        pass


def test_a_pass_that_was_taken_back_on_its_way_stays_so(clip: Path, tmp_path: Path) -> None:
    session = AnnotationSession(clip, tmp_path / "work", FakeEngine())
    session.do("prompt", RED).result()
    session.do("follow", {"first": 0}).result()
    session.do("undo", {}).result()
    shutil.copytree(tmp_path / "work", tmp_path / "copy")  # as after a kill
    again = AnnotationSession(clip, tmp_path / "copy", FakeEngine())
    states = [one.ask(one.state).result() for one in (session, again)]
    assert states[0]["objects"] == states[1]["objects"]
    assert (states[0]["undo"], states[0]["redo"]) == (states[1]["undo"], states[1]["redo"])
    session.close()
    again.close()


def test_what_was_taken_back_before_a_restart_is_gone_once_something_is_followed(clip: Path, tmp_path: Path) -> None:
    session = AnnotationSession(clip, tmp_path / "work", FakeEngine())
    for ask in (RED, BLUE):
        session.do("prompt", ask).result()
    session.do("undo", {}).result()
    session.close()
    again, page = AnnotationSession(clip, tmp_path / "work", FakeEngine()), Watcher()
    assert again.ask(again.state).result()["redo"].startswith("click on blue")
    again.pages.append(page)
    again.do("follow", {"first": 0, "stop": 2}).result()
    while (told := page.told.get(timeout=60)).get("following") is not False:
        pass
    assert told["redo"] is None
    again.close()


def test_what_cannot_be_written_is_refused_and_not_done(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = AnnotationSession(clip, tmp_path / "work", FakeEngine())
    session.do("prompt", RED).result()
    page = Watcher()
    session.pages.append(page)

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(MaskletError, match="No space left"):
            session.do("prompt", BLUE).result()
    for state in (list(page.told.queue)[-1], session.ask(session.state).result()):
        assert [item["name"] for item in state["objects"]] == ["red"]
    assert session.do("prompt", BLUE).result()["seq"] == 2
    session.close()


def test_a_disk_that_is_full_while_following_is_said_and_nothing_is_lost(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "KEEP_EVERY", 0)
    page = Watcher()

    def until(kind: str) -> Mapping[str, Any]:
        while (message := page.told.get(timeout=60))["type"] != kind:
            pass
        return message

    session = AnnotationSession(clip, tmp_path / "work", FakeEngine())
    session.pages.append(page)
    session.do("prompt", RED).result()

    def full(*_: object) -> None:
        raise FormatError("the journal cannot be written: No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "_write", full)
        session.do("follow", {"first": 0}).result()
        assert "No space left" in until("warning")["sentence"]
        assert until("state")["following"] is False
        found = [session.ask(partial(session.frame, frame)).result() for frame in range(24)]
    session.do("describe", {"object": "red", "category": "square"}).result()  # there is room again
    shutil.copytree(tmp_path / "work", tmp_path / "copy")  # as after a kill
    again = AnnotationSession(clip, tmp_path / "copy", FakeEngine())
    for frame, message in enumerate(found):
        assert read_message(again.ask(partial(again.frame, frame)).result())[1] == read_message(message)[1] != []
    session.close()
    again.close()


def test_a_video_that_cannot_be_opened_says_so(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"nothing")
    library = Library([tmp_path / "broken.mp4"], tmp_path / "project", FakeEngine())
    (item,) = library.listing()
    assert "broken.mp4" in item["fault"]
    with pytest.raises(MaskletError, match=r"broken\.mp4"):
        library.session(item["id"])
    library.close()


def test_another_video_under_the_same_name_is_noticed(clip: Path, tmp_path: Path) -> None:
    session = AnnotationSession(clip, tmp_path / "work", FakeEngine())
    session.do("prompt", RED).result()
    session.close()
    write_scene(clip, 9)
    with pytest.raises(MaskletError, match="another video"):
        AnnotationSession(clip, tmp_path / "work", FakeEngine()).wait_open()
