"""Sessions in project files: saved, closed and opened again, they go on as if nothing had happened."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from masklet.engines.fake import FAKE, FakeEngine
from masklet.errors import CheckpointError, FormatError
from masklet.formats.description import Description
from masklet.formats.project_file import Project, read_project, write_project
from masklet.formats.registry import read_masks
from masklet.media.source import open_video
from masklet.video import TrackingOptions, VideoTracker
from masklet.video import tracker as video_tracker
from masklet.video.events import (
    Cleared,
    Described,
    Followed,
    Locked,
    Marked,
    Merged,
    Prompted,
    Removed,
    Split,
    Swapped,
    event_from_json,
    event_to_json,
)
from masklet.video.packing import UNDO_ATTACHMENT
from masklet.video.policies import PublishedPolicy
from tests.conftest import GOLDEN
from tests.formats.sounding import BLIP, begin_of_tone, shown, source_with_sound
from tests.video.test_session import ACTIONS, act_all, assert_same, known, run

CLIP = GOLDEN / "video/frames"


@pytest.fixture(scope="module")
def model() -> FakeEngine:
    return FakeEngine()


def begin(tracker: VideoTracker) -> None:
    mask = np.zeros((120, 160), bool)
    mask[30:80, 40:120] = True
    tracker.add_points(frame=0, object="a", points=[(80, 60), (10, 10)], labels=[1, 0])
    tracker.add_mask(frame=2, object=7, mask=mask)
    run(tracker, stop=8)


@pytest.fixture(scope="module")
def saved(model: FakeEngine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a session, which tests only read."""
    path = tmp_path_factory.mktemp("saved") / "clip.masklet"
    with VideoTracker(CLIP, model) as tracker:
        begin(tracker)
        tracker.save(path)
    return path


def test_a_reopened_session_goes_on_as_if_nothing_had_happened(model: FakeEngine, saved: Path) -> None:
    with VideoTracker(CLIP, model) as straight:
        begin(straight)
        straight.add_box(frame=5, object="a", box=(20, 20, 90, 90))
        expected = run(straight, start=5)
    with VideoTracker.open(saved, model=model) as reopened:
        assert [type(event) for event in reopened.events] == [Prompted, Prompted, Followed]
        reopened.add_box(frame=5, object="a", box=(20, 20, 90, 90))
        seen = run(reopened, start=5)
    for frame, result in expected.items():
        for name, wanted in result.objects.items():
            np.testing.assert_allclose(seen[frame].objects[name].logits, wanted.logits, atol=1e-2, rtol=0)


def test_a_model_in_another_mode_is_refused(saved: Path) -> None:
    other = FakeEngine(config=dataclasses.replace(FAKE, name="fake:fast"))
    with pytest.raises(CheckpointError, match=r"was made with .*, and this is .*:fast; give the speed and image size"):
        VideoTracker.open(saved, model=other)


def test_masks_of_no_model_are_gone_on_with_by_any(saved: Path, tmp_path: Path) -> None:
    """As what masklet convert made of another program's file."""
    project = read_project(saved)
    write_project(tmp_path / "a.masklet", Project(project.size, project.indices, frames=project.frames))
    with VideoTracker.open(
        tmp_path / "a.masklet", CLIP, FakeEngine(config=dataclasses.replace(FAKE, name="fake:fast"))
    ) as tracker:
        assert tracker.known_frames() == sorted(project.frames)


def test_a_session_is_tracked_on_as_it_was(model: FakeEngine, tmp_path: Path) -> None:
    path = tmp_path / "clip.masklet"
    chosen = TrackingOptions(policy="published", fill_holes=3, non_overlapping=True)
    with VideoTracker(CLIP, model, options=chosen) as tracker:
        begin(tracker)
        tracker.save(path)
    with VideoTracker.open(path, model=model) as reopened:
        assert reopened.options == chosen
        assert isinstance(reopened.policy, PublishedPolicy)
    with VideoTracker.open(path, model=model, options=TrackingOptions()) as reopened:
        assert reopened.options == TrackingOptions()
    older = dataclasses.replace(read_project(path), options={"colour": "red"})
    write_project(path, older)  # a file of the first versions, or of a later one
    with VideoTracker.open(path, model=model) as reopened:
        assert reopened.options == TrackingOptions()


@pytest.mark.parametrize("policy", [PublishedPolicy(), "examples.policies.quality:QualityPolicy"])
def test_a_file_brings_no_policy_but_those_that_are_installed(
    model: FakeEngine, tmp_path: Path, policy: PublishedPolicy | str
) -> None:
    path = tmp_path / "clip.masklet"
    own = TrackingOptions(policy=policy)
    with VideoTracker(CLIP, model, options=own) as tracker:
        begin(tracker)
        tracker.save(path)
    sys.modules.pop("examples.policies.quality", None)
    with pytest.raises(FormatError, match=r"has a policy .*, which no file can bring; give options with it"):
        VideoTracker.open(path, model=model)
    assert "examples.policies.quality" not in sys.modules
    with VideoTracker.open(path, model=model, options=own) as reopened:
        assert reopened.options == own


@pytest.mark.parametrize("options", [{"policy": 3}, {"fill_holes": 0.5}, {"non_overlapping": 1}, {"disk_budget": True}])
def test_a_damaged_option_is_named(saved: Path, tmp_path: Path, options: dict[str, object]) -> None:
    write_project(tmp_path / "clip.masklet", dataclasses.replace(read_project(saved), options=options))
    with pytest.raises(FormatError, match=f"option {next(iter(options))} is "):
        VideoTracker.open(tmp_path / "clip.masklet", model=FakeEngine())


@pytest.mark.parametrize("place", ["rtsp://camera/1", "gone.mp4"])
def test_a_video_that_is_not_there_has_to_be_given(saved: Path, tmp_path: Path, place: str) -> None:
    write_project(tmp_path / "other.masklet", dataclasses.replace(read_project(saved), video=place))
    with pytest.raises(FormatError, match="give the video too"):
        VideoTracker.open(tmp_path / "other.masklet", model=FakeEngine())


def test_an_undo_that_is_interrupted_leaves_the_session(
    model: FakeEngine, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = read_project(saved)
    older = {
        name: data for name, data in project.attachments.items() if name != UNDO_ATTACHMENT
    }  # a file of the first versions
    write_project(tmp_path / "clip.masklet", dataclasses.replace(project, attachments=older))
    with VideoTracker.open(tmp_path / "clip.masklet", model=model) as reopened:
        events, frames = reopened.events, reopened.known_frames()
        steps, real = iter(range(1)), video_tracker.step

        def step(*arguments: object) -> object:
            if next(steps, None) is None:
                raise KeyboardInterrupt
            return real(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(video_tracker, "step", step)
        with pytest.raises(KeyboardInterrupt):
            reopened.undo()
        monkeypatch.undo()
        assert reopened.events == events
        assert reopened.known_frames() == frames
        reopened.undo()
        assert len(reopened.events) == len(events) - 1


def test_notes_stay_until_others_are_given(model: FakeEngine, tmp_path: Path) -> None:
    path = tmp_path / "clip.masklet"
    with VideoTracker(CLIP, model) as tracker:
        begin(tracker)
        tracker.save(path, notes={"speed": "exact"})
    with VideoTracker.open(path, model=model) as reopened:
        reopened.save(path)
        assert read_project(path).notes == {"speed": "exact"}
        reopened.save(path, notes={})
        assert read_project(path).notes == {}


def test_notes_that_are_refused_spoil_no_later_save(model: FakeEngine, tmp_path: Path) -> None:
    path = tmp_path / "clip.masklet"
    with VideoTracker(CLIP, model) as tracker:
        tracker.add_points(frame=0, object=1, points=[(80, 60)])
        tracker.save(path, notes={"seq": 1})
        with pytest.raises(FormatError, match="notes are of type list; give a dict"):
            tracker.save(path, notes=[("seq", 2)])
        tracker.save(path)
    assert read_project(path).notes == {"seq": 1}


def test_notes_that_a_program_changes_are_saved_when_they_are_given(model: FakeEngine, tmp_path: Path) -> None:
    path, notes = tmp_path / "clip.masklet", {"seq": 1}
    with VideoTracker(CLIP, model) as tracker:
        tracker.add_points(frame=0, object=1, points=[(80, 60)])
        tracker.save(path, notes=notes)
        notes["seq"] = 2
        tracker.save_changes(notes=notes)
    with VideoTracker.open(path, model=model) as tracker:
        assert tracker.notes == {"seq": 2}


def test_a_memory_of_an_unknown_object_is_refused(model: FakeEngine, saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "clip.masklet"
    project = read_project(saved)
    less = dataclasses.replace(project, indices={7: 1}, frames={})
    write_project(path, less)
    with pytest.raises(FormatError, match="remembers 'a', which is none of its objects"):
        VideoTracker.open(path, model=model)
    damaged = {
        name: content.replace(rb"[\"a\"", b"[[0]  ") if isinstance(content, bytes) else content
        for name, content in project.attachments.items()
    }
    assert damaged != dict(project.attachments)
    write_project(path, dataclasses.replace(project, attachments=damaged))
    with pytest.raises(FormatError, match=r"object is \[0\]; give a whole number or a text"):
        VideoTracker.open(path, model=model)


def test_the_documented_events_can_be_read() -> None:
    """The example of docs/formats.md."""
    text = (Path(__file__).parents[2] / "docs/formats.md").read_text()
    example = json.loads(re.search(r"```json\n(\{\n  \"format\".*?)```", text, re.DOTALL)[1])  # type: ignore[index]
    prompted, followed = (event_from_json(event, (480, 854)) for event in example["events"])
    assert isinstance(prompted, Prompted)
    assert prompted.prompt.box == (40, 60, 220, 240)
    assert followed == Followed(0, 79, False, None)


def test_another_video_is_refused(model: FakeEngine, saved: Path, tmp_path: Path) -> None:
    shutil.copytree(CLIP, tmp_path / "other")
    Image.new("RGB", (160, 120)).save(tmp_path / "other/00003.png")
    with pytest.raises(FormatError, match="made from another video"):
        VideoTracker.open(saved, tmp_path / "other", model)
    shutil.copytree(CLIP, tmp_path / "moved")
    (tmp_path / "moved/Thumbs.db").write_bytes(b"a system's own file")
    (tmp_path / "moved/masks").mkdir()
    VideoTracker.open(saved, tmp_path / "moved", model).close()


def test_other_weights_are_refused_unless_they_are_meant_or_the_file_says_nothing(saved: Path, tmp_path: Path) -> None:
    other = FakeEngine(digest="other")
    with pytest.raises(CheckpointError, match="made with other weights of fake"):
        VideoTracker.open(saved, model=other)
    VideoTracker.open(saved, model=other, other_weights=True).close()
    VideoTracker.open(saved, model=FakeEngine()).close()
    write_project(tmp_path / "older.masklet", dataclasses.replace(read_project(saved), weights=""))
    VideoTracker.open(tmp_path / "older.masklet", model=other).close()


@given(actions=ACTIONS, reload=st.integers(0, 8))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whenever_it_is_saved_and_reopened_the_log_rebuilds_it(
    model: FakeEngine,
    tmp_path: Path,
    actions: list[tuple],
    reload: int,  # type: ignore[type-arg]
) -> None:
    with VideoTracker(CLIP, model) as first:
        first.add_points(frame=0, object="a", points=[(80, 60)])
        act_all(first, actions[:reload])
        first.save(tmp_path / "clip.masklet")
    with VideoTracker.open(tmp_path / "clip.masklet", model=model) as reopened, VideoTracker(CLIP, model) as rebuilt:
        act_all(reopened, actions[reload:])
        rebuilt.replay(reopened.events)
        assert_same(known(reopened), known(rebuilt))
        assert {name: track.prompts for name, track in reopened.tracks.items()} == {
            name: track.prompts for name, track in rebuilt.tracks.items()
        }


def test_both_directions_go_on_after_reopening(model: FakeEngine, tmp_path: Path) -> None:
    with VideoTracker(CLIP, model) as tracker:
        tracker.add_points(frame=2, object="a", points=[(80, 60)])
        tracker.add_points(frame=9, object="a", points=[(60, 50)])
        run(tracker, stop=12, direction="both")
        tracker.save(tmp_path / "clip.masklet")
        expected = run(tracker, start=12, stop=15)
    with VideoTracker.open(tmp_path / "clip.masklet", model=model) as reopened:
        assert [event.apart for event in reopened.events if isinstance(event, Followed)] == [True, True]
        for frame, result in run(reopened, start=12, stop=15).items():
            np.testing.assert_allclose(
                result.objects["a"].logits, expected[frame].objects["a"].logits, atol=1e-2, rtol=0
            )


@pytest.mark.parametrize(("format", "name"), [("davis", "masks"), ("coco", "masks.json"), ("objects", "objects")])
def test_a_session_is_exported(model: FakeEngine, tmp_path: Path, format: str, name: str) -> None:
    with VideoTracker(CLIP, model) as tracker:
        tracker.add_points(frame=0, object=1, points=[(80, 60)])
        results = run(tracker, stop=4)
        tracker.export(tmp_path / name, format=format)
    written = {found.frame: found.masks for found in read_masks(format, tmp_path / name)}
    assert list(written) == [0, 1, 2, 3]
    for frame, result in results.items():
        mask = written[frame].get(1, np.zeros((120, 160), bool))
        np.testing.assert_array_equal(mask, result.objects[1].mask)


def test_an_exported_film_has_the_sound_in_step_and_the_background(model: FakeEngine, tmp_path: Path) -> None:
    uneven = (0, 1, 2, 24, 30, 47)
    video = source_with_sound(tmp_path / "clip.mp4", "aac", uneven)
    with VideoTracker(video, model) as tracker:
        tracker.add_box(frame=1, object=1, box=(10, 8, 20, 15))
        run(tracker)
        tracker.export(tmp_path / "a.mp4", format="background", background="white")
        with pytest.raises(FormatError, match=r"a background is given, 'white', and overlay changes none"):
            tracker.export(tmp_path / "b.mp4", format="overlay", background="white")
    assert shown(tmp_path / "a.mp4") == pytest.approx([(tick - 1) / 24 for tick in uneven[1:]], abs=2e-3)
    assert begin_of_tone(tmp_path / "a.mp4") == pytest.approx(BLIP - 1 / 24, abs=0.03)
    with open_video(tmp_path / "a.mp4") as film:
        assert np.median(film.read(1).image) > 100  # it is nearly black in the source


@pytest.mark.parametrize(
    "event",
    [
        Cleared(3, "a"),
        Removed(2),
        Described("a", Description("A", "car", "#00ff00", {"parked": True})),
        Described(7, Description()),
        Locked(9),
        Locked(9, "a"),
        Marked("a", 3, 5, "absent"),
        Marked(2, 3, 3, None),
        Swapped(4, "a", 2),
        Split(4, "a", "c"),
        Merged("a", 2),
        Followed(8, 0, True, "a"),
        Followed(0, 8, False, None, True),
    ],
)
def test_events_are_written_and_read(event: Cleared) -> None:
    assert event_from_json(event_to_json(event), (120, 160)) == event


@pytest.mark.parametrize(
    "record",
    [
        {"event": "dance"},
        {"event": "lock", "where": 1},
        {"event": "mark", "object": 1, "first": 0, "last": 2, "mark": "ugly"},
        {"event": "split", "object": 1, "frame": 0, "new": ""},
        {"event": "describe", "object": 1, "colour": 3},
        {"event": "prompt", "frame": 1},
        {},
    ],
)
def test_a_foreign_event_is_refused(record: dict[str, object]) -> None:
    with pytest.raises(FormatError, match="cannot be read"):
        event_from_json(record, (120, 160))


def test_a_session_of_the_first_version_opens_and_is_undone() -> None:
    """Saved when what events changed was kept in another form: an object boxed in frame 0, followed, clicked in 3."""
    video = np.random.default_rng(0).integers(0, 255, (6, 48, 64, 3)).astype(np.uint8)
    path = Path(__file__).parents[1] / "golden/first-session.masklet"
    with VideoTracker.open(path, video, FakeEngine()) as old, VideoTracker(video, FakeEngine()) as new:
        new.add_box(frame=0, object="a", box=(5, 5, 30, 30))
        list(new.propagate())
        old.undo()
        assert old.events == new.events
        for frame in range(6):
            np.testing.assert_array_equal(old.masks(frame).masks["a"], new.masks(frame).masks["a"])
