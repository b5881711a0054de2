"""A live session: stepped by one thread, prompted and looked at by others."""

from __future__ import annotations

import threading
import time

import pytest

from masklet.errors import MediaError, PromptError, SessionError
from masklet.live import LiveSession, follow
from masklet.video import FrameResult
from tests.live.conftest import Open

BOX = (8, 18, 32, 42)


def boxed(session: LiveSession) -> None:
    session.prompt("it", lambda tracker: tracker.add_box(object="it", box=BOX))


def test_a_prompt_shows_at_once_and_is_followed(open_scene: Open) -> None:
    scene = open_scene()
    assert scene.session.status().frame is None
    scene.step()
    assert scene.session.status().objects == ()
    boxed(scene.session)
    (seen,) = scene.session.status().objects
    assert seen.name == "it"
    scene.step()
    status = scene.session.status()
    assert (status.frame, status.size, status.passed_over, status.lost) == (1, (60, 80), 0, None)
    assert [item.name for item in status.objects] == ["it"]


def test_what_a_prompt_raises_changes_nothing(open_scene: Open) -> None:
    scene = open_scene()
    scene.step()
    with pytest.raises(PromptError, match="does not lie in the picture"):
        scene.session.prompt("it", lambda tracker: tracker.add_box(object="it", box=(700, 0, 800, 10)))
    assert scene.session.status().objects == ()


def test_objects_go_one_by_one_or_all(open_scene: Open) -> None:
    scene = open_scene()
    scene.step()
    for name in (1, "b", "c"):
        scene.session.prompt(name, lambda tracker, name=name: tracker.add_box(object=name, box=BOX))
    scene.session.remove("b")
    assert [item.name for item in scene.session.status().objects] == [1, "c"]
    with pytest.raises(SessionError, match="there is no object 'b'"):
        scene.session.remove("b")


def test_the_latency_is_the_age_of_the_newest_frame(open_scene: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = open_scene()
    assert scene.session.status().latency == 0
    for age in (0.25, 0.125):
        monkeypatch.setattr(scene.session.camera, "age", lambda frame, age=age: age + 10 * frame.index)
        scene.step()
    assert scene.session.status().latency == 10.125


def test_watchers_hear_of_every_change(open_scene: Open) -> None:
    scene, seen = open_scene(), []
    scene.session.watchers.append(lambda: seen.append(scene.session.newest()[0]))
    scene.step()
    boxed(scene.session)
    scene.session.describe("it", title="cup")
    assert [None if result is None else list(result.objects) for result in seen] == [[], ["it"], ["it"]]
    assert scene.session.newest()[1]["it"].description.title == "cup"


def test_a_held_frame_waits_for_its_prompts(open_scene: Open) -> None:
    scene = open_scene(count=2)
    written: list[FrameResult] = []
    scene.session.hold(True)
    thread = threading.Thread(target=follow, args=(scene.session, written.append, lambda session: None))
    thread.start()
    while scene.session.status().frame is None:
        time.sleep(0.01)
    assert not written
    boxed(scene.session)
    scene.device.go.release()
    scene.device.go.release()
    scene.session.hold(False)
    thread.join(20)
    assert [(result.frame, list(result.objects)) for result in written] == [(0, ["it"]), (1, ["it"])]
    assert scene.session.over


def test_times_are_those_of_capturing(open_scene: Open) -> None:
    scene = open_scene(count=3)
    for _ in range(3):
        scene.device.go.release()
    written: list[FrameResult] = []
    assert follow(scene.session, written.append, boxed) == len(written)
    assert [result.frame for result in written] == list(range(len(written)))
    times = [result.time for result in written]
    assert times[0] == 0
    assert times == sorted(times)
    assert scene.session.camera.captured == 3
    assert scene.session.status().passed_over == 3 - len(written)


def test_a_limit_of_frames_or_seconds_ends_it(open_scene: Open) -> None:
    scene = open_scene(count=9)
    for _ in range(9):
        scene.device.go.release()
    assert follow(scene.session, lambda result: None, boxed, frames=1) == 1
    still = open_scene(count=9)
    threading.Timer(1.5, still.device.go.release).start()  # a read that is under way is waited for
    assert follow(still.session, lambda result: None, boxed, seconds=0.2) == 1


def test_ctrl_c_ends_it_in_good_order(open_scene: Open) -> None:
    scene = open_scene(count=3)

    def interrupted(result: FrameResult) -> None:
        scene.device.go.release()
        raise KeyboardInterrupt

    assert follow(scene.session, interrupted, boxed) == 0
    assert scene.session.over
    with pytest.raises(MediaError, match="was closed"):
        scene.session.camera.frames()
