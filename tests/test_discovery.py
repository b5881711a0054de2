"""Everything in a video: found on key frames, followed, numbered for good."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import masklet
from masklet.checkpoints import Model
from masklet.discovery import DiscoveryOptions, examples_of, track_everything
from masklet.engines.fake import FakeEngine
from masklet.errors import MediaError, SessionError
from masklet.image import EverythingOptions
from masklet.video import FrameResult, VideoTracker

SIZE = (120, 160)
FINDS = EverythingOptions(points_per_side=6, least_iou=0.5, least_stability=0.7)


@pytest.fixture(scope="module")
def nano() -> Model:
    return masklet.load_model("nano", device="cpu")


def clip(frames: int, enters: int) -> NDArray[np.uint8]:
    """A bright disk that comes into an empty picture on a frame, and moves to the right: (T, H, W, 3)."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    pictures = np.full((frames, *SIZE, 3), (40, 70, 40), np.uint8)
    for frame in range(enters, frames):
        pictures[frame][(rows - 40) ** 2 + (columns - 40 - 2 * frame) ** 2 < 22**2] = (240, 230, 200)
    return pictures


def box(*corners: int) -> NDArray[np.bool_]:
    mask = np.zeros(SIZE, np.bool_)
    x0, y0, x1, y1 = corners
    mask[y0:y1, x0:x1] = True
    return mask


def test_a_thing_is_found_as_it_enters_and_keeps_its_number(nano: Model) -> None:
    options = DiscoveryOptions(every=4, masks=FINDS)
    with VideoTracker(clip(13, enters=3), nano) as tracker:
        results = list(track_everything(tracker, options=options))
        known = tracker.known_frames()
    assert [result.frame for result in results] == list(range(13))
    on_the_disk = [
        {name for name, found in result.objects.items() if found.mask[40, 40 + 2 * result.frame]} for result in results
    ]
    assert not any(on_the_disk[:4]), "it enters between two key frames"
    assert len(on_the_disk[4]) == 1
    assert on_the_disk[4:] == [on_the_disk[4]] * 9, "later key frames do not find it again"
    assert set(known) >= set(range(4, 13))


@pytest.mark.parametrize("stop", [3, 4, 5, 7])
def test_a_session_that_is_gone_on_with_ends_the_same(nano: Model, tmp_path: Path, stop: int) -> None:
    """Stopped before, on and behind a key frame on which things are found, and between key frames."""
    options = DiscoveryOptions(every=4, masks=FINDS)
    video = clip(11, enters=3)
    with VideoTracker(video, nano) as tracker:
        whole = list(track_everything(tracker, options=options))
    with VideoTracker(video, nano) as tracker:
        list(track_everything(tracker, stop=stop, options=options))
        reached = max(tracker.known_frames(), default=None)
        tracker.save(tmp_path / "part.masklet")
    with VideoTracker.open(tmp_path / "part.masklet", video, nano) as tracker:
        part = list(track_everything(tracker, reached=reached, options=options))
    assert [result.frame for result in part] == list(range(11))
    for result, wanted in zip(part, whole, strict=True):
        assert list(result.objects) == list(wanted.objects)
        np.testing.assert_array_equal(result.masks, wanted.masks, err_msg=str(result.frame))


def test_a_key_frame_is_taken_up_whole_or_not_at_all(nano: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    options, add = DiscoveryOptions(every=4, masks=FINDS), VideoTracker.add_mask
    two = [box(18, 18, 62, 62), box(110, 80, 150, 110)]
    monkeypatch.setattr("masklet.video.tracker.new_things", lambda *found: dict(enumerate(two)))

    def interrupted(tracker: VideoTracker, **what: Any) -> FrameResult:
        if what["object"] == 2:
            raise KeyboardInterrupt
        return add(tracker, **what)

    with VideoTracker(clip(3, enters=0), nano) as tracker:
        monkeypatch.setattr(VideoTracker, "add_mask", interrupted)
        with pytest.raises(KeyboardInterrupt):
            list(track_everything(tracker, options=options))
        assert not tracker.tracks
        monkeypatch.setattr(VideoTracker, "add_mask", add)
        list(track_everything(tracker, options=options))
        assert list(tracker.tracks) == [1, 2]


def test_the_number_of_objects_is_bounded_and_what_is_there_stays(nano: Model) -> None:
    options = DiscoveryOptions(every=3, most=2, masks=FINDS)
    with VideoTracker(clip(5, enters=0), nano) as tracker:
        tracker.add_box(frame=0, object="mine", box=(18, 18, 62, 62))
        results = list(track_everything(tracker, options=options))
    assert all(len(result.objects) <= 2 for result in results)
    assert all("mine" in result.objects for result in results)


def test_an_empty_video_of_nothing_still_has_its_frames(nano: Model) -> None:
    options = DiscoveryOptions(every=2, masks=EverythingOptions(points_per_side=2, least_iou=1.0, least_stability=1.0))
    with VideoTracker(np.zeros((5, *SIZE, 3), np.uint8), nano) as tracker:
        results = list(track_everything(tracker, 1, 4, options=options))
    assert [(result.frame, len(result.objects)) for result in results] == [(1, 0), (2, 0), (3, 0)]


def test_wrong_calls(nano: Model) -> None:
    with VideoTracker(clip(3, enters=0), nano) as tracker:
        with pytest.raises(MediaError, match="no frame 9"):
            track_everything(tracker, 9)
        with pytest.raises(SessionError, match="give a stop after it"):
            track_everything(tracker, 2, 2)
        with pytest.raises(SessionError, match="reached is 1; give a frame from the first, 2, on and before the stop"):
            track_everything(tracker, 2, reached=1)
    with pytest.raises(SessionError, match="every is 0"):
        DiscoveryOptions(every=0)
    with pytest.raises(SessionError, match="most_known is 2"):
        DiscoveryOptions(most_known=2)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A picture with the disk of `clip`, and its mask beside it."""
    picture = clip(4, enters=3)[3]
    Image.fromarray(picture).save(tmp_path / "disk.jpg", quality=95)
    Image.fromarray((picture[..., 0] > 128).astype(np.uint8) * 255).save(tmp_path / "disk.png")
    return tmp_path / "disk.jpg"


def followed(like: Path, video: NDArray[np.uint8], least: float = 0.9) -> list[dict[str, list[int]]]:
    """The frames of each object that is found, with what it is called."""
    options = DiscoveryOptions(every=4, like=str(like), least_likeness=least)
    with VideoTracker(video, FakeEngine()) as tracker:
        results = list(track_everything(tracker, options=options))
        names = {name: track.description.category for name, track in tracker.tracks.items()}
    return [{names[name]: [result.frame for result in results if result.objects.get(name)]} for name in names]


def test_what_is_like_an_example_is_followed_from_where_it_is_found_on(disk: Path) -> None:
    found = followed(disk, clip(10, enters=3))
    assert found == [{"disk": list(range(4, 10))}], "found once, though later key frames have it too"


def test_an_example_that_has_changed_is_learned_again(disk: Path) -> None:
    engine, mask = FakeEngine(), np.asarray(Image.open(disk.with_suffix(".png")))
    before = examples_of(str(disk), engine)
    assert examples_of(str(disk), engine) is before
    Image.fromarray(255 - mask).save(disk.with_suffix(".png"))
    assert examples_of(str(disk), engine) is not before


def test_where_nothing_is_like_it_enough_nothing_is_followed(disk: Path) -> None:
    assert followed(disk, clip(6, enters=6)) == []
    other = clip(6, enters=0)
    other[other[..., 0] == 240] = (255, 190, 200)  # near enough for the engine, and of another colour
    (found,) = followed(disk, other, least=0)
    assert found["disk"] == list(range(6))
    assert followed(disk, other, least=0.999) == []
    assert followed(disk, clip(6, enters=0), least=0.999) != []


def test_examples_come_from_a_session_and_from_coco_too(disk: Path, tmp_path: Path) -> None:
    Image.fromarray(clip(1, enters=0)[0]).save(tmp_path / "one.jpg", quality=95)
    video = clip(4, enters=0)
    folder = tmp_path / "frames"
    folder.mkdir()
    for number, picture in enumerate(video):
        Image.fromarray(picture).save(folder / f"{number:05d}.png")
    with VideoTracker(folder, FakeEngine()) as tracker:
        tracker.add_box(frame=0, object="disk", box=(16, 16, 64, 64))
        list(tracker.propagate())
        tracker.save(tmp_path / "session.masklet")
    masks = masklet.segment(tmp_path / "one.jpg", box=(16, 16, 64, 64), model=FakeEngine())
    masks.save(tmp_path / "one.json")
    for like, name in (("session.masklet", "disk"), ("one.json", "object")):
        assert [list(found) for found in followed(tmp_path / like, clip(6, enters=0))] == [[name]]
