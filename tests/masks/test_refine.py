from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from masklet.masks.finish import blend, blurred_around, inpainted, own_colors, soft_alpha

LOGITS = npst.arrays(
    np.float32, st.tuples(st.integers(1, 24), st.integers(1, 24)), elements=st.floats(-40, 40, width=32)
)


@given(LOGITS)
def test_alpha_agrees_with_the_mask(logits: np.ndarray) -> None:
    alpha = soft_alpha(logits)
    assert alpha.dtype == np.float32
    assert alpha.shape == logits.shape
    assert ((alpha >= 0) & (alpha <= 1)).all()
    assert (alpha[logits > 0] >= 0.5).all()
    assert (alpha[logits <= 0] <= 0.5).all()


def test_a_doubtful_inside_is_solid_and_a_doubtful_edge_is_soft() -> None:
    distance = 100.5 - np.hypot(*np.mgrid[-150:150, -150:150]).astype(np.float32)
    alpha = soft_alpha(np.clip(distance, -1.5, 1.5))  # a model that is never surer than 0.82
    assert (alpha[distance > 4] == 1).all()
    assert (alpha[distance < -4] == 0).all()
    along = alpha[150, 40:60]
    assert (np.diff(along) >= 0).all()
    assert 2 <= ((along > 0.02) & (along < 0.98)).sum() <= 6


def test_beside_the_edge_alpha_is_the_probability() -> None:
    """And farther from it the less, down to nothing at the end of the band, of 1.5 pixels in a small picture."""
    logits = np.tile(np.array([2, 2, 1, -0.5, -1, -1], np.float32), (6, 1))
    alpha = soft_alpha(logits)
    np.testing.assert_allclose(alpha[:, 2:4], 1 / (1 + np.exp(-logits[:, 2:4])), atol=1e-6)
    assert (alpha[:, 1] > 1 / (1 + np.exp(-2))).all()
    assert ((alpha[:, 4] > 0) & (alpha[:, 4] < 1 / (1 + np.exp(1)))).all()
    assert (alpha[:, 0] == 1).all()
    assert (alpha[:, 5] == 0).all()


@given(LOGITS)
def test_colours_stay_where_the_object_is_solid(logits: np.ndarray) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*logits.shape, 3), np.uint8)
    alpha = soft_alpha(logits)
    colors = own_colors(image, alpha)
    np.testing.assert_array_equal(colors[alpha == 1], image[alpha == 1])
    assert (colors[alpha == 0] == 0).all()
    np.testing.assert_array_equal(blend(image, np.ones_like(alpha), (1, 2, 3)), image)
    assert (blend(image, np.zeros_like(alpha), (1, 2, 3)) == (1, 2, 3)).all()
    assert blurred_around(image, alpha).shape == image.shape


def test_an_edge_gets_the_colour_of_the_solid_part() -> None:
    """Of a pixel that is half the thing's, the ground's half is exchanged for the thing's colour nearby."""
    image, alpha = np.zeros((20, 20, 3), np.uint8), np.zeros((20, 20), np.float32)
    image[:, :10], image[:, 10], image[:, 11:] = (200, 40, 0), (100, 20, 100), (0, 0, 200)
    alpha[:, :10], alpha[:, 10] = 1.0, 0.5
    assert (own_colors(image, alpha)[:, 10] == (150, 30, 50)).all()


def test_what_is_filled_in_resembles_what_is_around_and_all_else_stays() -> None:
    rows, columns = np.mgrid[:120, :160]
    image = np.stack((rows, columns, np.full((120, 160), 90)), axis=-1).astype(np.uint8)
    alpha = np.zeros((120, 160), np.float32)
    alpha[50:70, 60:90] = 1.0
    spoilt = image.copy()
    spoilt[48:72, 58:92] = 255  # with an edge of two pixels that the mask just misses
    made = inpainted(spoilt, alpha)
    near = np.hypot(np.maximum(abs(rows - 59.5) - 9.5, 0), np.maximum(abs(columns - 74.5) - 14.5, 0)) < 3.5
    assert abs(made.astype(int) - image)[alpha > 0].max() < 16
    assert (made == image)[~near].all()
    assert inpainted(image, np.zeros_like(alpha)) is image


def test_a_blurred_ground_has_nothing_of_the_thing_where_it_is_seen() -> None:
    image, alpha = np.full((60, 80, 3), (10, 40, 200), np.uint8), np.zeros((60, 80), np.float32)
    image[20:40, 30:50], alpha[20:40, 30:50] = (250, 0, 0), 1.0
    ground = blurred_around(image, alpha)
    assert abs(ground[alpha < 1].astype(int) - (10, 40, 200)).max() <= 2
    everything = blurred_around(image, np.ones_like(alpha))[25:35, 35:45].astype(int)
    assert abs(everything - (250, 0, 0)).max() <= 2
