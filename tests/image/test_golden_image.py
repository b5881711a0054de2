"""What the reference's image predictor answered, through the public class: same prompts, same masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from masklet.image import EncodedImage, ImagePredictor
from tests.conftest import GOLDEN, read_arrays, read_json

RECORDED = read_json("image/predictor.json")

OTHERWISE = {"shapes_small/batch_of_3_point_sets": [0, 2]}
"""Objects that are compared, where not all are: the reference pads unequal prompts with a token that has an effect."""

EARLIER = {"photo_cat": 1, "shapes_small": 2}
"""Which of the masks of the first click was given as a prompt."""


@pytest.fixture(scope="module")
def pictures(predictor: ImagePredictor) -> dict[str, EncodedImage]:
    names = ("photo_cat", "shapes_small")
    encoded = predictor.encode([GOLDEN / f"image/{name}.png" for name in names])
    return dict(zip(names, encoded, strict=True))


def golden(case: str, what: str) -> Any:
    """(N, K, ...): K candidates of N objects."""
    values = read_arrays("image/predictor.npz").arrays[f"{case}/{what}"]
    return values if "batch" in case else values[None]


def arguments(case: str) -> dict[str, Any]:
    """The recorded arguments in our words, without the labels that ours does not have."""
    given = RECORDED[case]["args"]
    said = {"points": given.get("point_coords"), "labels": given.get("point_labels"), "boxes": given.get("box")}
    if case in OTHERWISE:
        said = {name: [value[n] for n in OTHERWISE[case]] for name, value in said.items() if value is not None}
    if "mask_input" in RECORDED[case]:
        name = RECORDED[case]["picture"]
        said["masks"] = golden(f"{name}/click_multi", "low_res_logits")[0, EARLIER[name]]
    return said


def unpacked(case: str) -> np.ndarray:
    width = RECORDED[case]["masks_shape"][-1]
    return np.unpackbits(golden(case, "masks_packed"), axis=-1)[..., :width].astype(bool)


@pytest.mark.parametrize("case", RECORDED)
def test_same_prompt_gives_the_recorded_masks(
    predictor: ImagePredictor, pictures: dict[str, EncodedImage], case: str
) -> None:
    multimask = RECORDED[case]["args"].get("multimask_output", True)
    answer = predictor.predict(pictures[RECORDED[case]["picture"]], **arguments(case), multimask=multimask)
    rows = OTHERWISE.get(case, slice(None))
    scores, masks = golden(case, "ious")[rows], unpacked(case)[rows]
    assert len(answer) == scores.size
    for number in range(len(scores)):
        ours = answer.of(number)
        best_first = np.argsort(-scores[number], kind="stable")
        np.testing.assert_allclose(ours.iou, scores[number, best_first], atol=1e-4, rtol=0)
        differing = (ours.masks != masks[number, best_first]).sum(axis=(1, 2))
        assert (differing <= 3).all(), f"{differing} pixels differ"
        if f"{case}/low_res_logits" in read_arrays("image/predictor.npz").arrays:
            logits = golden(case, "low_res_logits")[number, best_first]
            np.testing.assert_allclose(ours.logits.clip(-32, 32), logits, atol=2e-3, rtol=0)


@pytest.mark.parametrize("case", ["click_multi", "negative_click", "three_clicks", "box", "mask_input_only"])
def test_without_being_told_only_a_single_click_is_ambiguous(
    predictor: ImagePredictor, pictures: dict[str, EncodedImage], case: str
) -> None:
    answer = predictor.predict(pictures["photo_cat"], **arguments(f"photo_cat/{case}"))
    recorded = golden(f"photo_cat/{case}", "ious")[0]
    assert len(answer) == len(recorded) == (3 if case in ("click_multi", "negative_click") else 1)
    np.testing.assert_allclose(answer.iou, np.sort(recorded)[::-1], atol=1e-4, rtol=0)
