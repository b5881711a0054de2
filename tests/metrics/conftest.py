"""The recorded J and F of other programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pytest

from tests.conftest import GOLDEN

SEQUENCES = (
    "three_objects_noise",
    "larger_shift4",
    "perfect",
    "second_object_never_predicted",
    "gt_absent_some_frames",
    "both_empty_one_empty",
    "one_pixel",
    "touching_border_full_frame",
    "three_frames_only_middle_counts",
    "odd_size_20_frames",
    "davis_480p",
    "third_object_appears_late",
    "third_object_appears_late_clean",
)


@pytest.fixture(scope="session")
def recorded() -> Iterator[Mapping[str, np.ndarray]]:
    """By name, as tests/golden/README.md says."""
    with np.load(GOLDEN / "jf.npz") as arrays:
        yield arrays
