"""The annotator that evaluation simulates, working through the protocol: it comes to the same masks and scores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from masklet.app.library import Library
from masklet.datasets.base import Clip, PlainMasks
from masklet.engines.fake import FakeEngine
from masklet.evaluation.methods import ModelMethod
from masklet.evaluation.protocols import Workspace
from masklet.evaluation.videos import Offline, Online
from masklet.formats.base import FrameLike, PlainFrame, mask_only
from masklet.media.source import FrameSource
from masklet.prompts import Prompt
from tests.app.conftest import SIZE, serving, write_scene
from tests.app.program import Program

FRAMES = 6


class ByProtocol:
    """A method whose video lies with a server."""

    name, estimates, facts = "annotate", True, {"by": "protocol"}

    def __init__(self, program: Program) -> None:
        self.program = program

    @contextmanager
    def track(self, source: FrameSource) -> Iterator[ByProtocol]:
        yield self

    def prompt(self, frame: int, object: int, prompt: Prompt) -> NDArray[np.bool_]:
        said = {"points": prompt.points, "labels": prompt.labels, "box": prompt.box}
        self.program.ask("prompt", frame=frame, object=object, **said)
        return self.program.masks[frame][object]

    def follow(self, start: int) -> Iterator[FrameLike]:
        self.program.ask("follow", first=start)
        while (told := self.program.hear())["type"] != "state":
            if told["type"] == "masks":
                items = {item["name"]: (item["iou"], item["presence"]) for item in told["objects"]}
                objects = {name: mask_only(told["masks"][name], *scores) for name, scores in items.items()}
                yield PlainFrame(told["frame"], 0.0, SIZE, objects, {1: 1, 2: 2})

    def look(self, image: NDArray[np.uint8]) -> Any:
        raise NotImplementedError


def truth(frame: int) -> PlainMasks:
    """The left of the red square and the top of the blue one: whole squares are wrong, and have to be corrected."""
    red, blue = (np.zeros(SIZE, np.bool_) for _ in range(2))
    red[20:44, 10 + 2 * frame : 22 + 2 * frame] = True
    blue[60:70, 100 - frame : 120 - frame] = True
    return PlainMasks({1: red, 2: blue})


@pytest.mark.parametrize("protocol", [Offline(rounds=3, clicks=2), Online(rounds=3, clicks=2)], ids=lambda p: p.name)
def test_a_robot_scores_as_with_the_tracker(tmp_path: Path, protocol: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_scene(tmp_path / "clip.mp4", FRAMES)
    clip = Clip("clip", path, {frame: partial(truth, frame) for frame in range(FRAMES)})
    made: list[Workspace] = []
    monkeypatch.setattr(Workspace, "hand_in", lambda work, _: made.append(work))
    library = Library([path], tmp_path / "project", FakeEngine())
    with serving(library) as address:
        program = Program(address, next(iter(library.items)))
        by_protocol = protocol.run(clip, ByProtocol(program), None)
        program.close()
    by_tracker = protocol.run(clip, ModelMethod(FakeEngine()), None)
    assert by_protocol.values == by_tracker.values
    page, tracker = made
    assert page.clicks == tracker.clicks > 4  # some were corrections
    for frame, masks in tracker.masks.items():
        assert all(np.array_equal(page.masks[frame][number], mask) for number, mask in masks.items())
