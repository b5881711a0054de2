"""Pictures, and a predictor with the golden network."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from masklet.checkpoints import Model
from masklet.image import EncodedImage, ImagePredictor
from masklet.media.image_file import read_image
from tests.conftest import GOLDEN, small_network


@pytest.fixture(scope="session")
def predictor() -> ImagePredictor:
    return ImagePredictor(Model("golden-small", small_network()))


@pytest.fixture(scope="session")
def cat() -> NDArray[np.uint8]:
    """(150, 226, 3)"""
    return read_image(GOLDEN / "image/photo_cat.png")


@pytest.fixture(scope="session")
def picture(predictor: ImagePredictor, cat: NDArray[np.uint8]) -> EncodedImage:
    return predictor.encode(cat)
