"""Each pixel goes to the surest object that claims it: decided once, and for good."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from masklet.engines.fake import FakeEngine
from masklet.formats.base import PlainFrame, RleMask
from masklet.formats.project_file import project_frame, read_project
from masklet.masks.rle import encode_rle, resize_logits
from masklet.video import TrackingOptions, VideoTracker
from masklet.video import result as results
from masklet.video.result import FramePixels, FrameResult, ObjectResult
from masklet.video.state import ObjectId
from tests.app.conftest import scene

SIZE = (64, 64)
NUMBERS: dict[ObjectId, int] = {"a": 1, "b": 2, 3: 3}


def hill(x: int, height: int) -> NDArray[np.float32]:
    rows, columns = np.mgrid[:16, :16]
    return (height - np.hypot(rows - 8, columns - x)).astype(np.float32)


LOGITS: dict[ObjectId, NDArray[np.float32]] = {"a": hill(4, 5), "b": hill(8, 6), 3: hill(10, 5)}
ALONE = {name: resize_logits(own, SIZE) for name, own in LOGITS.items()}


def result(pixels: FramePixels) -> FrameResult:
    objects = {name: ObjectResult(name, pixels, 1.0, 1.0) for name in pixels.names}
    return FrameResult(0, 0.0, SIZE, objects, NUMBERS, np.zeros((*SIZE, 3), np.uint8))


def test_the_surest_has_the_pixel() -> None:
    highest = np.max(list(ALONE.values()), axis=0)
    for name, found in result(FramePixels(LOGITS, {}, SIZE, 16, apart=True)).objects.items():
        assert found.mask.any()
        np.testing.assert_array_equal(found.mask, (ALONE[name] > 0) & (ALONE[name] == highest))


def test_masks_may_overlap_and_index_maps_cannot() -> None:
    found = result(FramePixels(LOGITS, {}, SIZE, 16))
    for name, item in found.objects.items():
        np.testing.assert_array_equal(item.mask, ALONE[name] > 0)
    best = np.argmax([np.zeros(SIZE), *ALONE.values()], axis=0)
    np.testing.assert_array_equal(found.index_map(), best)


def test_a_lost_pixel_is_not_surer_than_published() -> None:
    """Also outside of masks: as the published non-overlapping constraint."""
    highest = np.max(list(ALONE.values()), axis=0)
    for name, found in result(FramePixels(LOGITS, {}, SIZE, 16, apart=True)).objects.items():
        expected = np.where(ALONE[name] == highest, ALONE[name], np.minimum(ALONE[name], -10))
        np.testing.assert_array_equal(found.full_logits(), expected)


@pytest.mark.parametrize("apart", [True, False])
def test_a_final_mask_keeps_all_its_pixels(apart: bool) -> None:
    final = np.zeros(SIZE, bool)
    final[20:50, 10:30] = True
    found = result(FramePixels(LOGITS, {"a": RleMask(encode_rle(final))}, SIZE, 16, apart))
    np.testing.assert_array_equal(found.objects["a"].mask, final)
    np.testing.assert_array_equal(found.index_map() == 1, final)


def test_what_is_saved_is_decided_as_before() -> None:
    """Index maps of a session, of its file, and of the session that comes of the file are the same."""
    found = result(FramePixels(LOGITS, {}, SIZE, 16))
    saved = project_frame(found).objects
    np.testing.assert_array_equal(PlainFrame(0, 0.0, SIZE, saved, NUMBERS).index_map(), found.numbers)
    for whole in (["a", "b", 3], ["b"], ["a", 3]):
        final = {name: saved[name] for name in whole}
        again = FramePixels({n: own for n, own in LOGITS.items() if n not in whole}, final, SIZE, 16)
        np.testing.assert_array_equal(result(again).numbers, found.numbers)


def test_each_mask_is_stretched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """For an index map, an overlay, and a save together."""
    counted: list[object] = []

    def counting(logits: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
        counted.append(logits)
        return resize_logits(logits, size)

    monkeypatch.setattr(results, "resize_logits", counting)
    found = result(FramePixels(LOGITS, {}, SIZE, 16))
    found.index_map()
    found.overlay()
    project_frame(found)
    assert len(counted) == len(LOGITS)
    assert all(isinstance(item, RleMask) for item in project_frame(found).objects.values())


def test_masks_can_still_be_called_for_a_while() -> None:
    found = result(FramePixels(LOGITS, {}, SIZE, 16))
    with pytest.warns(DeprecationWarning, match="leave the brackets away"):
        np.testing.assert_array_equal(found.masks(), found.masks)


@pytest.mark.parametrize("apart", [False, True], ids=["overlapping", "apart"])
def test_what_a_person_gives_goes_before_what_was_tracked_in_results_and_files(tmp_path: Path, apart: bool) -> None:
    """Whether it is given before the session was saved or after."""
    images, path = [scene(frame) for frame in range(40)], tmp_path / "a.masklet"
    seen: list[Any] = []
    options = TrackingOptions(non_overlapping=apart)
    for reopens in (False, True):
        with VideoTracker(images, FakeEngine(), options=options) as tracker:
            tracker.add_points(frame=0, object="found", points=[(22, 32)])
            for result in tracker.propagate():
                if result.frame == 15:
                    found = result.objects["found"].mask
            tracker.save(path)
            given = np.zeros(found.shape, np.bool_)
            rows, columns = np.nonzero(found)
            given[rows.min() : rows.max() + 1, columns.min() : int(np.median(columns))] = True
            with VideoTracker.open(path, images, FakeEngine()) if reopens else nullcontext(tracker) as there:
                there.add_mask(frame=15, object="given", mask=given)
                assert there.masks(15).index_map().tolist() == there.result(15).index_map().tolist()
                seen.append(there.result(15))
                there.save(path)
        with VideoTracker.open(path, images, FakeEngine()) as again:
            seen += [again.result(15), next(frame for frame in read_project(path).results() if frame.frame == 15)]
    for one in seen:
        assert (one.index_map()[given] == seen[0].indices["given"]).all()
        np.testing.assert_array_equal(one.index_map(), seen[0].index_map())
        np.testing.assert_array_equal(one.objects["found"].mask, found & ~given if apart else found)
