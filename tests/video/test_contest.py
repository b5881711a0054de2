"""Each pixel goes to the surest object that claims it."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from masklet.masks.rle import encode_rle
from masklet.video.contest import Contest
from masklet.video.result import ObjectResult

SIZE = (64, 64)


def hill(x: int, height: int) -> NDArray[np.float32]:
    rows, columns = np.mgrid[:16, :16]
    return (height - np.hypot(rows - 8, columns - x)).astype(np.float32)


LOGITS = {"a": hill(4, 5), "b": hill(8, 6), 3: hill(10, 5)}


def won(contest: Contest) -> dict[int | str, NDArray[np.bool_]]:
    results = {
        name: ObjectResult(own, SIZE, 1.0, 1.0, rival=partial(contest.rival, name))
        for name, own in contest.logits.items()
    }
    return {name: result.mask for name, result in results.items()}


def test_the_surest_has_the_pixel() -> None:
    alone = {name: ObjectResult(own, SIZE, 1.0, 1.0).full_logits() for name, own in LOGITS.items()}
    highest = np.max(list(alone.values()), axis=0)
    for name, mask in won(Contest(LOGITS, {}, SIZE)).items():
        assert mask.any()
        np.testing.assert_array_equal(mask, (alone[name] > 0) & (alone[name] == highest))


def test_beside_an_object_of_which_only_the_mask_is_left_it_is_the_same() -> None:
    before = won(Contest(LOGITS, {}, SIZE))
    saved = {"b": encode_rle(before["b"])}
    after = won(Contest({name: own for name, own in LOGITS.items() if name != "b"}, saved, SIZE))
    for name, mask in after.items():
        np.testing.assert_array_equal(mask, before[name] & ~before["b"])
