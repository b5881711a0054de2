"""A model as a contender: nano, on a small clip."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from masklet.checkpoints import build_model
from masklet.datasets.registry import open_dataset
from masklet.evaluation.contenders.model import ModelContender, weights_digest
from masklet.evaluation.contenders.registry import BASELINES
from masklet.evaluation.protocols.image_clicks import ImageClicks
from masklet.evaluation.protocols.interactive import Online
from masklet.evaluation.protocols.semi_supervised import SemiSupervised
from masklet.evaluation.protocols.telling import Telling
from masklet.evaluation.submission import Submission


@pytest.fixture(scope="module")
def nano() -> ModelContender:
    return ModelContender("nano", "cpu")


@pytest.mark.parametrize(
    "procedure", [SemiSupervised(), SemiSupervised(Telling("click", 2)), Online(2)], ids=["mask", "clicks", "online"]
)
def test_a_model_follows(make: Callable[[str], Path], tmp_path: Path, nano: ModelContender, procedure: object) -> None:
    clip = open_dataset("davis2017", make("davis2017"), limit=1).clips[0]
    found = procedure.run(clip, nano, Submission(tmp_path / "masks", "index"))  # type: ignore[attr-defined]
    assert set(found.values) == {1, 2}
    assert all(0 <= row["J&F"] <= 1 for row in found.values.values())
    if procedure == SemiSupervised():  # a plain rectangle that moves by a third of its width in every frame
        still = SemiSupervised().run(clip, BASELINES["still"], Submission(tmp_path / "still", "index"))
        assert found.values[1]["J&F"] > 1.5 * still.values[1]["J&F"]
        assert found.values[2]["J&F"] > 0.9  # and one that stands


def test_a_model_answers_clicks(make: Callable[[str], Path], tmp_path: Path, nano: ModelContender) -> None:
    clip = open_dataset("folder", make("folder"), kind="image").clips[0]
    found = ImageClicks("box", 3).run(clip, nano, Submission(tmp_path / "masks", "index"))
    assert all(row["IoU@1"] > 0.3 for row in found.values.values())


def test_the_digest_is_that_of_the_weights() -> None:
    one, same, other = (build_model("nano", seed=seed) for seed in (1, 1, 2))
    assert weights_digest(one) == weights_digest(same) != weights_digest(other)


def test_facts_name_the_model(nano: ModelContender) -> None:
    assert nano.facts["model"] == "nano"
    assert len(nano.facts["weights_sha256"]) == 64
