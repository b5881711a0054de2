"""The shipped `nano` answers as it did when it was measured: a box and a click on one picture.

A change that moves its answers makes the figures of docs/nano.md untrue, and needs them measured again.
"""

from __future__ import annotations

import json

import numpy as np
from PIL import Image

from masklet.checkpoints import load_model
from masklet.image import ImagePredictor
from tests.conftest import GOLDEN

RECORDED = GOLDEN / "nano.json"
"""Every fourth logit, and the predicted IoU. Made by `python -m tests.image.test_nano`."""

PROMPTS = {
    "box": {"boxes": [(60, 20, 250, 200)]},
    "click": {"points": [(150, 110)], "labels": [1]},
}


def answers() -> dict[str, dict[str, object]]:
    predictor = ImagePredictor(load_model("nano", device="cpu"))
    picture = predictor.encode(np.array(Image.open(GOLDEN / "image/photo_cat.png").convert("RGB")))
    found = {}
    for name, prompt in PROMPTS.items():
        masks = predictor.predict(picture, **prompt)  # type: ignore[arg-type]
        found[name] = {
            "iou": np.round(masks.iou, 4).tolist(),
            "logits": np.round(masks.logits[0, ::4, ::4], 3).tolist(),
        }
    return found


def test_nano_answers_as_it_was_measured() -> None:
    recorded, found = json.loads(RECORDED.read_text()), answers()
    for name in PROMPTS:
        np.testing.assert_allclose(found[name]["iou"], recorded[name]["iou"], atol=2e-3)
        np.testing.assert_allclose(found[name]["logits"], recorded[name]["logits"], atol=0.05)


if __name__ == "__main__":
    RECORDED.write_text(json.dumps(answers()) + "\n")
