from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from masklet.formats.base import comes_evenly, distance_logits, index_map
from tests.formats.conftest import box_mask, frame_of


@given(npst.arrays(np.bool_, st.tuples(st.integers(1, 24), st.integers(1, 24))))
def test_logits_made_from_a_mask_have_its_sign(mask: np.ndarray) -> None:
    logits = distance_logits(mask)
    assert logits.dtype == np.float32
    np.testing.assert_array_equal(logits > 0, mask)
    assert np.abs(logits).min() >= 1


@pytest.mark.parametrize(
    ("times", "evenly"),
    [
        ([0, 0.04, 0.08, 0.12], True),
        ([0, 0.033, 0.09, 0.12], True),  # as clocks of milliseconds and cameras have them
        ([0, 0.04, 0.101, 0.12], False),
        ([5, 5.04, 5.08, 5.12], True),
        ([], True),
    ],
)
def test_frames_come_evenly_if_none_is_half_a_frame_off(times: list[float], evenly: bool) -> None:
    assert comes_evenly(25, range(7, 7 + len(times)), times) == evenly
    assert comes_evenly(None, range(len(times)), times)


def test_an_index_map_holds_the_numbers_and_the_surer_wins() -> None:
    size = (20, 20)
    frame = frame_of(0, {"a": box_mask(size, 0, 0, 12, 12), "b": box_mask(size, 10, 10, 14, 14)}, size)
    numbers = index_map(frame)
    assert numbers.dtype == np.uint8
    assert set(np.unique(numbers)) == {0, 1, 2}
    assert numbers[5, 5] == 1
    assert numbers[13, 13] == 2
