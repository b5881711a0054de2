"""Values of another type are told in a sentence, at once and not in the middle of the work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import masklet
from masklet.engines.fake import FakeEngine
from masklet.image.tiles import TileOptions
from masklet.masks.finish import Finish
from masklet.masks.polygons import mask_polygons

PICTURE = np.zeros((48, 64, 3), np.uint8)
MASK = np.pad(np.ones((8, 9), bool), 3)
NAN = float("nan")

CALLS: dict[str, tuple[Callable[[], Any], str]] = {
    "a budget": (lambda: masklet.TrackingOptions(disk_budget="1G"), "disk_budget is '1G'; give 0 or more"),
    "holes": (lambda: masklet.TrackingOptions(fill_holes=NAN), "fill_holes is nan"),
    "every": (lambda: masklet.DiscoveryOptions(every="15"), "every is '15'"),
    "a share": (lambda: masklet.DiscoveryOptions(most_known="a"), "most_known is 'a'; give a number from 0 to 1"),
    "cells": (lambda: masklet.EverythingOptions(min_cells="a"), "min_cells is 'a'; give a number"),
    "a radius": (lambda: masklet.SoftEdges(radius=1.5), r"radius is 1\.5; give at least 1 pixel, a whole"),
    "an epsilon": (lambda: masklet.SoftEdges(epsilon="x"), "epsilon is 'x'"),
    "a fade": (lambda: Finish(feather="4"), "feather '4'; give pixels"),
    "a side": (lambda: TileOptions(side="1024"), "the side 1024 and the overlap 256"),
    "a deadline": (lambda: masklet.DeadlineTracker(FakeEngine(), deadline="1"), "the deadline is '1'; give seconds"),
    "a tolerance": (lambda: mask_polygons(MASK, NAN), "tolerance is nan; give a number of pixels"),
    "options of a stream": (
        lambda: masklet.StreamTracker(FakeEngine(), options={"policy": "published"}),
        r"options is a value of type dict; give TrackingOptions\(\.\.\.\)",
    ),
    "options of a video": (lambda: masklet.VideoTracker([PICTURE], FakeEngine(), options={}), "options is a value of"),
    "options of everything": (
        lambda: masklet.segment_everything(PICTURE, FakeEngine(), {"points_per_side": 4}),
        r"give EverythingOptions\(\.\.\.\)",
    ),
    "a picture that was not encoded": (
        lambda: masklet.ImagePredictor(FakeEngine()).predict(None, points=[(1, 1)]),
        "the picture is of type NoneType; give what encode gave",
    ),
}


@pytest.mark.parametrize("what", CALLS)
def test_a_value_of_another_type(what: str) -> None:
    call, sentence = CALLS[what]
    with pytest.raises(masklet.MaskletError, match=sentence):
        call()


@pytest.mark.parametrize("captured", ["now", NAN, float("inf")])
def test_a_time_that_is_none_leaves_the_stream_as_it_was(captured: Any) -> None:
    tracker = masklet.DeadlineTracker(FakeEngine(), deadline=5.0)
    with pytest.raises(masklet.MediaError, match=r"captured is .*; give a time of the clock in seconds"):
        tracker.offer(PICTURE, captured)
    assert tracker.offer(PICTURE) is not None
    assert tracker.punctuality().followed == 1
    assert np.isfinite(tracker.punctuality().median)


def test_calls_of_a_tracker() -> None:
    with masklet.VideoTracker([PICTURE] * 4, FakeEngine()) as tracker:
        tracker.add_points(frame=0, object=1, points=[(20, 20)])
        wrong: dict[str, Callable[[], Any]] = {
            "within is a value of type tuple; give range": lambda: tracker.propagate(within=(0, 3)),
            r"within is range\(0, 4, 2\)": lambda: tracker.propagate(within=range(0, 4, 2)),
            r"there is no object \[1\]; known objects: 1": lambda: tracker.propagate(only=[1]),
            "'undo' is no event; give those of tracker.events": lambda: tracker.replay(["undo"]),
            "finish is a value of type dict; give Finish": lambda: tracker.export("a.webm", finish={"show": "matte"}),
            "type int; give DiscoveryOptions": lambda: masklet.track_everything(tracker, options=5),
        }
        for sentence, call in wrong.items():
            with pytest.raises(masklet.MaskletError, match=sentence):
                call()


@pytest.mark.parametrize("number", [np.float32(0.5), np.array(0.5), np.float64(0.5)])
def test_numbers_of_numpy_are_numbers(number: Any) -> None:
    tracker = masklet.DeadlineTracker(FakeEngine(), deadline=number)
    assert tracker.offer(PICTURE, number) is not None
    assert mask_polygons(MASK, float(number))
