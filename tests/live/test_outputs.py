"""The pipe into which live results go, as another program reads it."""

from __future__ import annotations

import io
import os
import threading

import av
import numpy as np
import pytest

from masklet.errors import FormatError
from masklet.live import into_pipe, piped_format
from masklet.video import FrameResult
from masklet.video.result import FramePixels, ObjectResult

SIZE = (24, 40)


def result(number: int, time: float) -> FrameResult:
    """The left half of a grey picture is an object."""
    logits = np.where(np.arange(16) < 8, 8, -8).astype(np.float32) * np.ones((16, 1), np.float32)
    item = ObjectResult("it", FramePixels({"it": logits}, {}, SIZE, 16), iou=0.9, presence=0.9)
    return FrameResult(number, time, SIZE, {"it": item}, {"it": 3}, np.full((*SIZE, 3), 40 * number, np.uint8))


@pytest.mark.parametrize(("format", "pixels"), [("overlay", "rgb24"), ("davis", "gray"), ("rgba", "rgba")])
def test_a_pipe_carries_pictures_and_their_times(format: str, pixels: str) -> None:
    reading, writing = os.pipe()
    times = [0.0, 0.04, 0.5, 0.54]

    def write() -> None:
        with os.fdopen(writing, "wb") as pipe, into_pipe(pipe, format, SIZE) as sink:
            for number, time in enumerate(times):
                sink(result(number, time))

    thread = threading.Thread(target=write)
    thread.start()
    with os.fdopen(reading, "rb") as pipe, av.open(pipe) as container:
        assert container.format.name == "nut"
        found = list(container.decode(video=0))
    thread.join()
    assert [frame.format.name for frame in found] == [pixels] * 4
    assert [frame.time for frame in found] == pytest.approx(times)
    seen = found[1].to_ndarray()
    if format == "davis":
        assert (seen[2, 2], seen[2, -2]) == (3, 0)
    elif format == "rgba":
        assert (seen[2, 2, 3], seen[2, -2, 3]) == (255, 0)
    else:
        assert tuple(seen[2, -2]) == (40, 40, 40)


def test_a_reader_that_goes_away_has_its_sentence() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with io.FileIO(writing, "wb") as pipe, pytest.raises(FormatError, match="the program that read the pipe has ended"):
        write_some(pipe)


def write_some(pipe: io.FileIO) -> None:
    with into_pipe(pipe, "davis", SIZE) as sink:
        for number in range(5):
            sink(result(number, number / 10))


def test_formats_that_a_pipe_cannot_carry() -> None:
    with pytest.raises(FormatError, match=r"a pipe cannot carry 'coco'.*; give one of overlay, davis, rgba"):
        piped_format("coco")
    assert piped_format(None) == "overlay"
