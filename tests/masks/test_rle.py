from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from masklet.errors import FormatError
from masklet.masks.rle import MAX_MASK_PIXELS, Rle, decode_rle, encode_rle, rle_area, rle_box, rle_from_json

MASKS = npst.arrays(np.bool_, st.tuples(st.integers(1, 40), st.integers(1, 40)))


@given(MASKS)
def test_what_is_decoded_equals_what_was_encoded(mask: np.ndarray) -> None:
    rle = encode_rle(mask)
    decoded = decode_rle(rle)
    assert decoded.dtype == np.bool_
    np.testing.assert_array_equal(decoded, mask)
    assert rle_area(rle) == mask.sum()
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = (columns[0], rows[0], np.ptp(columns) + 1, np.ptp(rows) + 1) if mask.any() else (0, 0, 0, 0)
    assert rle_box(rle) == box
    assert rle_from_json(rle.to_json(), mask.shape) == rle


@given(MASKS)
def test_plain_runs_mean_the_same(mask: np.ndarray) -> None:
    flat = mask.T.ravel()
    edges = [0, *(np.flatnonzero(np.diff(flat)) + 1).tolist(), flat.size]
    runs = np.diff(edges).tolist()
    value = {"size": list(mask.shape), "counts": [0, *runs] if flat[0] else runs}
    np.testing.assert_array_equal(decode_rle(rle_from_json(value, mask.shape)), mask)


@given(st.text(max_size=12), st.integers(1, 6), st.integers(1, 6))
def test_any_text_is_a_mask_of_its_size_or_is_refused(counts: str, height: int, width: int) -> None:
    rle = Rle((height, width), counts)
    try:
        mask = decode_rle(rle)
    except FormatError:
        for measure in (rle_area, rle_box):
            with pytest.raises(FormatError):
                measure(rle)
    else:
        assert mask.shape == (height, width)
        assert rle_area(rle) == mask.sum()


def test_the_string_is_that_of_the_field() -> None:
    mask = np.zeros((4, 6), np.bool_)
    mask[1:3, 2:5] = True
    assert encode_rle(mask).to_json() == {"size": [4, 6], "counts": "9220003"}  # as pycocotools 2.0.11 writes it


def test_slices_and_fortran_order_are_masks_too() -> None:
    whole = np.random.default_rng(0).random((20, 30)) > 0.5
    for mask in (whole[::2, 3:], whole.T, np.asfortranarray(whole)):
        np.testing.assert_array_equal(decode_rle(encode_rle(mask)), mask)


def test_polygons_are_filled() -> None:
    mask = decode_rle(rle_from_json([[1, 1, 5, 1, 5, 4, 1, 4], [6, 6, 9, 6, 9, 9, 6, 9]], (10, 10)))
    assert mask[2, 2] and mask[7, 7]  # noqa: PT018
    assert mask.sum() == 4 * 3 + 3 * 3


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("text", 'neither {"size"'),
        ({"size": [2, 2]}, 'neither {"size"'),
        ({"size": [2, 3], "counts": "04"}, "has the size [2, 3]; the picture has [2, 2]"),
        ({"size": [2, 2], "counts": 4}, "counts of a mask are of type int"),
        ({"size": [2, 2], "counts": [1, 2]}, "do not add up"),
        ({"size": [2, 2], "counts": [5, -1]}, "do not add up"),
        ({"size": [2, 2], "counts": [1, "3"]}, "do not add up"),
        ([["x"]], "not a list of numbers"),
        ([[0, 0, 1, 1]], "has 4 numbers"),
        ([[0, 0, 1, 1, float("nan"), 1]], "has 6 numbers"),
        ([[0, 0, 1, 1, 1e9, 1]], "far outside"),
    ],
)
def test_what_is_no_mask_is_said(value: object, sentence: str) -> None:
    with pytest.raises(FormatError, match=re.escape(sentence)):
        rle_from_json(value, (2, 2))


@pytest.mark.parametrize("size", [(0, 4), (4, -1), (MAX_MASK_PIXELS, 2)])
def test_sizes_beyond_reason_are_refused_before_memory_is_asked_for(size: tuple[int, int]) -> None:
    with pytest.raises(FormatError, match=r"expected sides over 0 and at most \d+ pixels"):
        decode_rle(Rle(size, "0"))
