"""`masklet.segment`: a picture and a prompt in, masks out; the model stays loaded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import masklet
from masklet.checkpoints import save_model
from masklet.image import EncodedImage, ImagePredictor, Masks
from masklet.image.predictor import cached_predictor
from tests.conftest import GOLDEN


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    cached_predictor.cache_clear()
    yield
    cached_predictor.cache_clear()


@pytest.fixture
def weights(predictor: ImagePredictor, tmp_path: Path) -> Path:
    save_model(predictor.engine, tmp_path / "small.safetensors")  # type: ignore[arg-type]
    return tmp_path / "small.safetensors"


def test_it_is_the_predictor(predictor: ImagePredictor, picture: EncodedImage, cat: NDArray[np.uint8]) -> None:
    ours = masklet.segment(
        cat, points=[(113, 75), (9, 9)], labels=[1, 0], box=(30, 20, 200, 140), model=predictor.engine
    )
    expected = predictor.predict(picture, points=[(113, 75), (9, 9)], labels=[1, 0], boxes=(30, 20, 200, 140))
    assert isinstance(ours, Masks)
    np.testing.assert_allclose(ours.logits, expected.logits, atol=2e-3, rtol=0)


def test_one_click_gives_three(predictor: ImagePredictor) -> None:
    assert len(masklet.segment(GOLDEN / "image/photo_cat.png", points=[(113, 75)], model=predictor.engine)) == 3


def test_the_model_stays_loaded_until_its_file_changes(weights: Path, cat: NDArray[np.uint8]) -> None:
    for model in (weights, str(weights), weights):
        masklet.segment(cat, points=[(113, 75)], model=model)
    assert cached_predictor.cache_info().misses == 1
    os.utime(weights, ns=(1, 1))
    masklet.segment(cat, points=[(113, 75)], model=weights)
    assert cached_predictor.cache_info().misses == 2


def test_bad_input_has_its_sentence(predictor: ImagePredictor, tmp_path: Path) -> None:
    with pytest.raises(masklet.MediaError, match="there is no file at"):
        masklet.segment(tmp_path / "gone.png", points=[(1, 1)], model=predictor.engine)
    with pytest.raises(masklet.PromptError, match="the prompt is empty"):
        masklet.segment(GOLDEN / "image/photo_cat.png", model=predictor.engine)
    with pytest.raises(masklet.CheckpointError, match="unknown model 'nana'; nearest: nano"):
        masklet.segment(GOLDEN / "image/photo_cat.png", points=[(1, 1)], model="nana")
