"""Sessions with networks of other families: what was found is there again after opening, and goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import masklet
from masklet.nn import ModelConfig
from masklet.nn.config import RepViTConfig
from tests.checkpoints.test_first_parity import CONFIG as FIRST
from tests.conftest import GOLDEN

CONDENSED = ModelConfig(
    name="condensed",
    encoder=RepViTConfig((8, 8, 16, 16), (1, 2, 0, 1)),
    version="2.0",
    image_size=128,
    width=64,
    memory_width=16,
    memory_grid=4,
    attention_layers=2,
    attention_mlp=32,
    decoder_mlp=32,
    head_width=16,
)


@pytest.mark.parametrize("config", [FIRST, CONDENSED], ids=["without memory", "condensed memories"])
def test_a_session_is_saved_and_goes_on(config: ModelConfig, tmp_path: Path) -> None:
    model = masklet.build_model(config, seed=1)
    mask = np.zeros((120, 160), dtype=bool)
    mask[20:60, 20:60] = True
    with masklet.VideoTracker(GOLDEN / "video/frames", model) as tracker:
        tracker.add_mask(frame=0, object=1, mask=mask)
        tracker.add_box(frame=2, object=2, box=(10, 10, 80, 80))
        list(tracker.propagate(0, 5))
        tracker.save(tmp_path / "session.masklet")
        before = [tracker.result(frame).masks.copy() for frame in range(5)]
    assert before[4].shape == (2, 120, 160)
    with masklet.VideoTracker.open(tmp_path / "session.masklet", model=model) as tracker:
        for frame, masks in enumerate(before):
            assert np.array_equal(tracker.result(frame).masks, masks)
        tracker.add_points(frame=3, object=2, points=[(40, 40)])
        assert [result.frame for result in tracker.propagate(3, 6)] == [3, 4, 5]
