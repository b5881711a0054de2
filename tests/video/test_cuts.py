"""Scene cuts: noticed where one scene ends and another begins, nowhere else, and the pause after them."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from masklet.engines.fake import FakeEngine
from masklet.video import StreamTracker, VideoTracker
from masklet.video.review import ReviewReason, change, is_cut, signature
from masklet.video.state import ObjectTrack
from masklet.video.store import RecentFrames
from tests.video.policies.entries import entry
from tests.video.test_review import reasons

DATA = Path(__file__).resolve().parents[2] / "../shared/data"


def scene(seed: int, frames: int) -> Iterator[np.ndarray]:
    """A square that moves over a coloured ground."""
    random = np.random.default_rng(seed)
    ground, square = random.integers(0, 256, (2, 3))
    for frame in range(frames):
        image = np.full((120, 160, 3), ground, np.uint8)
        image[30:80, 10 + 4 * frame : 60 + 4 * frame] = square
        yield np.clip(image + random.integers(-9, 10, image.shape), 0, 255).astype(np.uint8)


def video() -> list[np.ndarray]:
    """Two scenes of eight frames."""
    return [*scene(1, 8), *scene(5, 8)]


def seen(colours: list[bytes], **changes: object) -> ObjectTrack:
    tracked = RecentFrames(16)
    for frame, here in enumerate(colours):
        tracked = tracked.adding(dataclasses.replace(entry(frame, colours=here), **changes))  # type: ignore[arg-type]
    return ObjectTrack(tracked)


def test_signatures() -> None:
    black, white = np.zeros((90, 120, 3), np.uint8), np.full((90, 120, 3), 255, np.uint8)
    assert change(signature(black), signature(black)) == 0.0
    assert change(signature(black), signature(white)) == 1.0
    assert change(signature(black), b"") == 0.0
    half = black.copy()
    half[:, :60] = 255
    assert change(signature(black), signature(half)) == pytest.approx(0.5, abs=0.02)
    assert len(signature(black)) == 96


def test_a_sudden_change_is_a_cut_and_a_lively_scene_is_none() -> None:
    calm = [signature(image) for image in scene(1, 8)]
    other = signature(next(scene(5, 1)))
    assert is_cut(seen(calm), entry(8, colours=other))
    assert not is_cut(seen(calm), entry(8, colours=calm[-1]))
    assert not is_cut(seen(calm), entry(9, colours=other)), "the frame between is not known"
    flicker = [calm[0], other] * 4
    assert not is_cut(seen(flicker), entry(8, colours=calm[0]))


@pytest.mark.parametrize(("share", "cut"), [(0.18, False), (0.25, True)])
def test_a_fifth_of_the_picture_may_change_at_once(share: float, cut: bool) -> None:
    """As where something large comes in. Frames of one scene change by up to 0.2."""
    still = np.zeros((72, 128, 3), np.uint8)
    changed = still.copy()
    changed[:, : round(64 * share)] = changed[:, 64 : 64 + round(64 * share)] = 255
    now = signature(changed)
    assert change(signature(still), now) == pytest.approx(share, abs=0.015)
    assert is_cut(seen([signature(still)] * 8), entry(8, colours=now)) == cut


def test_the_frame_after_the_cut_is_flagged_in_both_directions() -> None:
    model = FakeEngine()
    with VideoTracker(video(), model) as tracker:  # type: ignore[arg-type]
        tracker.add_points(frame=0, object=1, points=[(30, 50)])
        forward = [result.frame for result in tracker.propagate() if result.scene_cut]
        assert forward == [8]
        assert tracker.result(8).scene_cut
        tracker.add_points(frame=15, object=2, points=[(60, 50)])
        backward = [r.frame for r in tracker.propagate(direction="backward", only=2) if r.scene_cut and 2 in r.objects]
        assert 7 in backward
    stream = StreamTracker(model)
    flagged = []
    for frame, image in enumerate(video()):
        result = stream.step(image)
        if frame == 0:
            stream.add_points(object=1, points=[(30, 50)])
        flagged += [frame] * result.scene_cut
    assert flagged == [8]


def test_a_person_should_look_at_it() -> None:
    there, guess = entry(3), dataclasses.replace(entry(4), cut=True)
    track = ObjectTrack(RecentFrames(16).adding(there).adding(guess))
    assert reasons({1: track}, 4) == {1: ReviewReason.SCENE_CUT}
    gone = dataclasses.replace(guess, presence=-1.0)
    assert reasons({1: ObjectTrack(track.tracked.adding(gone))}, 4) == {1: ReviewReason.PRESENCE_LOST}


@pytest.mark.skipif(not (DATA / "index.csv").exists(), reason="the labelled videos are not beside this checkout")
def test_no_labelled_video_has_a_cut_and_every_joint_of_two_is_one() -> None:
    from masklet.media.source import open_video

    rows = [row for row in csv.DictReader((DATA / "index.csv").read_text().splitlines()) if row["kind"] == "video"]
    paths = [DATA / row["path"] for row in rows if row["split"] == "val"][:4]
    clips = []
    for path in paths:
        with open_video(path) as source:
            clips.append([signature(frame.image) for frame, _ in zip(source, range(10), strict=False)])
    for clip in clips:
        assert not any(is_cut(seen(clip[:f]), entry(f, colours=clip[f])) for f in range(1, len(clip)))
        for other in clips:
            assert other is clip or is_cut(seen(clip), entry(len(clip), colours=other[0]))
