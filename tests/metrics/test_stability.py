from __future__ import annotations

import numpy as np
import pytest

from masklet.errors import EvaluationError
from masklet.metrics.stability import temporal_stability


def moving(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """A square that goes two pixels right and one down in each frame, and the flow back."""
    masks = np.zeros((steps, 30, 40), np.bool_)
    for step in range(steps):
        masks[step, 5 + step : 12 + step, 4 + 2 * step : 14 + 2 * step] = True
    flow = np.broadcast_to(np.array([-2, -1], np.float32), (steps - 1, 30, 40, 2))
    return masks, flow


def test_a_mask_that_moves_with_the_picture_is_stable() -> None:
    masks, flow = moving(4)
    assert temporal_stability(masks, flow).tolist() == [1, 1, 1]
    assert (temporal_stability(masks, 0 * flow) < 1).all()


def test_a_mask_that_flickers_is_not() -> None:
    masks, flow = moving(4)
    masks[2] = False
    assert temporal_stability(masks, flow).tolist() == [1, 0, 0]
    masks[3] = False
    assert temporal_stability(masks, flow)[2] == 1  # both are empty


def test_merged_is_whole() -> None:
    masks, flow = moving(5)
    both = np.stack([masks, masks[::-1]])
    whole = temporal_stability(both, flow)
    parts = [temporal_stability(both[:, :3], flow[:2]), temporal_stability(both[:, 2:], flow[2:])]
    assert whole.shape == (2, 4)
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)


def test_what_does_not_fit_is_named() -> None:
    masks, flow = moving(4)
    with pytest.raises(EvaluationError, match=r"\(4, 30, 40\) and flow of \(2, 30, 40, 2\)"):
        temporal_stability(masks, flow[:2])
