"""What a result says of itself, where a console or a notebook shows it."""

from __future__ import annotations

import numpy as np

from masklet.video.result import FrameResult, ObjectResult


def test_a_result_is_shown_in_a_line_without_its_pixels() -> None:
    size = (36, 64)
    cup = ObjectResult(np.ones((8, 8), np.float32), size, iou=0.9, presence=1.0)
    ball = ObjectResult(np.ones((8, 8), np.float32), size, iou=0.9, presence=0.1, needs_prompt="presence lost")
    frame = FrameResult(3, 0.125, size, {"cup": cup, 2: ball}, {"cup": 1, 2: 2}, np.zeros((*size, 3), np.uint8))
    assert repr(frame) == "FrameResult(frame 3 of 64 x 36 pixels, cup visible, 2 absent)"
    assert repr(ball) == "ObjectResult(absent, iou 0.90, presence 0.10, needs a prompt: presence lost)"
