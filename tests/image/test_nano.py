"""`nano`, in the package and beside it, answers as it did when it was measured: a box and a click on one picture.

A change that moves its answers makes the figures of docs/nano.md untrue, and needs them measured again.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from masklet.checkpoints import load_model
from masklet.image import ImagePredictor
from tests.conftest import GOLDEN

RESEARCH = Path(__file__).parents[2] / "release/nano-research.safetensors"

RECORDED = {"nano": GOLDEN / "nano.json", str(RESEARCH): GOLDEN / "nano-research.json"}
"""Every fourth logit, and the predicted IoU. Made by `python -m tests.image.test_nano`."""

PROMPTS = {
    "box": {"boxes": [(60, 20, 250, 200)]},
    "click": {"points": [(150, 110)], "labels": [1]},
}


def answers(model: str) -> dict[str, dict[str, object]]:
    predictor = ImagePredictor(load_model(model, device="cpu"))
    picture = predictor.encode(np.array(Image.open(GOLDEN / "image/photo_cat.png").convert("RGB")))
    found = {}
    for name, prompt in PROMPTS.items():
        masks = predictor.predict(picture, **prompt)  # type: ignore[arg-type]
        found[name] = {
            "iou": np.round(masks.iou, 4).tolist(),
            "logits": np.round(masks.logits[0, ::4, ::4], 3).tolist(),
        }
    return found


@pytest.mark.parametrize("model", RECORDED, ids=["in the package", "of a release"])
def test_nano_answers_as_it_was_measured(model: str) -> None:
    if model == str(RESEARCH) and not RESEARCH.is_file():
        pytest.skip("a source distribution does not hold what a release carries beside it")
    recorded, found = json.loads(RECORDED[model].read_text()), answers(model)
    for name in PROMPTS:
        np.testing.assert_allclose(found[name]["iou"], recorded[name]["iou"], atol=2e-3)
        np.testing.assert_allclose(found[name]["logits"], recorded[name]["logits"], atol=0.05)


if __name__ == "__main__":
    for model, path in RECORDED.items():
        path.write_text(json.dumps(answers(model)) + "\n")
