"""Masks as bytes come back as they were."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from masklet.app.wire import frame_of, mask_of, message, read_message
from masklet.errors import PromptError
from masklet.masks.rle import row_runs

SHAPES = st.tuples(st.integers(1, 12), st.integers(1, 12))
MASKS = SHAPES.flatmap(lambda shape: st.lists(arrays.arrays(np.bool_, shape), max_size=4))


@given(MASKS)
def test_masks_of_a_message_are_read_as_they_were_written(masks: list[NDArray[np.bool_]]) -> None:
    head, runs = read_message(message({"frame": 7, "objects": []}, masks))
    assert head["frame"] == 7
    assert len(runs) == len(masks)
    for mask, lengths in zip(masks, runs, strict=True):
        assert np.array_equal(mask_of(lengths, mask.shape), mask)


def test_long_runs_take_several_bytes() -> None:
    mask = np.zeros((300, 700), np.bool_)
    mask[150, 350] = True
    data = message({"frame": 3}, [mask])
    assert read_message(data)[1] == [[150 * 700 + 350, 1, 300 * 700 - 150 * 700 - 351]]
    assert frame_of(data) == 3


def test_runs_begin_with_the_background() -> None:
    assert row_runs(np.array([[True, True, False]])).tolist() == [0, 2, 1]


@pytest.mark.parametrize("runs", [[1, 2], [5, -1], [10**30], ["a"], [[1], [3]], None, [float("nan")], [4, 1]])
def test_runs_that_fill_no_picture_are_refused(runs: list[int]) -> None:
    with pytest.raises(PromptError):
        mask_of(runs, (2, 2))
