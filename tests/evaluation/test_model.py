"""A model as a method: nano, on a small clip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from masklet.checkpoints import load_model
from masklet.datasets.base import Clip
from masklet.engines.fake import FakeEngine
from masklet.errors import ConfigError
from masklet.evaluation.images import ImageClicks
from masklet.evaluation.methods import BASELINES, ModelMethod
from masklet.evaluation.protocols import Prompting
from masklet.evaluation.run import Procedure, Submission
from masklet.evaluation.videos import Online, SemiSupervised
from tests.evaluation.conftest import Make, first_clip, index_map, save_mask


@pytest.fixture(scope="module")
def nano() -> ModelMethod:
    return ModelMethod(load_model("nano", device="cpu"))


@pytest.mark.parametrize(
    "procedure", [SemiSupervised(), SemiSupervised(Prompting("click", 2)), Online(2)], ids=["mask", "clicks", "online"]
)
def test_a_model_follows(
    clip: Clip, submission: Submission, tmp_path: Path, nano: ModelMethod, procedure: Procedure
) -> None:
    found = procedure.run(clip, nano, submission)
    assert set(found.values) == {1, 2}
    assert all(0 <= row["J&F"] <= 1 for row in found.values.values())
    if procedure == SemiSupervised():  # a plain rectangle that moves by a third of its width in every frame
        still = SemiSupervised().run(clip, BASELINES["still"], Submission(tmp_path / "still", "index"))
        assert found.values[1]["J&F"] > 1.5 * still.values[1]["J&F"]
        assert found.values[2]["J&F"] > 0.9  # and one that stands


def test_a_model_answers_clicks(make: Make, submission: Submission, nano: ModelMethod) -> None:
    found = ImageClicks("box", 3).run(first_clip("folder", make("folder"), "image"), nano, submission)
    assert all(row["IoU@1"] > 0.3 for row in found.values.values())


def test_a_model_tells_how_far_its_estimates_can_be_believed(make: Make, tmp_path: Path, nano: ModelMethod) -> None:
    """In pictures each answer counts; in a video the frames after the prompted one: four and two, and of predicted IoU
    those in which the object is there, which object 1 is not in the last."""
    root = make("davis2017")
    save_mask(root / "Annotations/480p/first/00004.png", np.where(index_map(4) == 1, 0, index_map(4)).astype(np.uint8))
    clip = first_clip("davis2017", root)
    found = SemiSupervised().run(clip, nano, Submission(tmp_path / "masks", "index"))
    assert sum(found.calibration["presence"].counts) == 4 + 2
    assert sum(found.calibration["presence"].true) == sum(found.calibration["IoU"].counts) == 3 + 2
    assert 1 < sum(found.calibration["IoU"].true) <= 5
    picture = first_clip("folder", make("folder"), "image")
    found = ImageClicks("box", 1).run(picture, nano, Submission(tmp_path / "pictures", "index"))
    ious = [row["IoU@1"] for row in found.values.values()]
    assert sum(found.calibration["IoU"].true) == pytest.approx(sum(ious))
    still = SemiSupervised().run(clip, BASELINES["still"], Submission(tmp_path / "still", "index"))
    assert still.calibration == {}


def test_facts_name_the_model_and_how_it_tracks(nano: ModelMethod) -> None:
    assert nano.facts["model"] == nano.name == "nano"
    assert nano.facts["weights"] == nano.engine.digest
    assert "tracking" not in nano.facts
    careful = ModelMethod(nano.engine, {"fill_holes": 0})
    assert careful.facts["tracking"] == {"fill_holes": 0}
    assert careful.name == "nano, fill_holes 0"
    assert careful.options.fill_holes == 0


def test_an_engine_that_is_no_model_is_measured(clip: Clip, submission: Submission) -> None:
    method = ModelMethod(FakeEngine())
    assert set(SemiSupervised().run(clip, method, submission).values) == {1, 2}
    assert method.facts["model"] == method.engine.config.name


@pytest.mark.parametrize(
    ("tracking", "said"), [({"policy": "nonsense"}, "nonsense"), ({"fill_holes": -1}, "fill_holes is -1")]
)
def test_options_that_a_tracker_cannot_have(nano: ModelMethod, tracking: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        ModelMethod(nano.engine, tracking)
