"""Judging a model while it is trained: the same items each time, by the protocols of evaluation."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from masklet.checkpoints import Model
from masklet.datasets.base import Clip, IndexMasks
from masklet.errors import FormatError
from masklet.loop.learn import Amounts, choose, held_out
from masklet.training.batch import PickOptions
from masklet.training.data import Collection, read_data
from tests.training.shapes import picture, tiny_network, write_shapes

FEW = Amounts(pictures=3, videos=1, frames=3)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> list[Collection]:
    return read_data([str(write_shapes(tmp_path_factory.mktemp("shapes")))])


def test_a_model_is_judged_in_pictures_and_videos(shapes: list[Collection]) -> None:
    model = Model("tiny", tiny_network().eval().requires_grad_(False).prepare())
    judge = held_out(shapes, FEW)
    figures = judge(model)
    assert set(figures) == {"box", "click", "video"}
    assert all(0 <= value <= 1 for value in figures.values())
    assert judge(model) == held_out(shapes, FEW)(model) == figures


def test_the_choice_is_small_and_stays_the_same(shapes: list[Collection]) -> None:
    chosen, again = choose(shapes, FEW), choose(shapes, FEW)
    assert [len(one.clip.annotated) > 1 for one in chosen] == [False, False, False, True]
    assert [(one.clip.name, one.objects) for one in chosen] == [(one.clip.name, one.objects) for one in again]


def test_a_long_video_is_thinned(shapes: list[Collection]) -> None:
    video = choose(shapes, FEW)[-1]
    clip = video.excerpt("0", most=3)
    assert clip.annotated == (0, 1, 2)  # frames 0, 2 and 4 of five
    assert clip.entering == {1: 0}
    with clip.open() as source:
        found = [source.read(frame).image for frame in clip.annotated]
    np.testing.assert_array_equal(found[1], video.clip.read([2])[0].image)
    np.testing.assert_array_equal(clip.masks(1)[1], video.clip.read([2])[0].masks[1])


class AllUnknown(IndexMasks):
    """Of the objects that are marked nothing is known, as of those within a crowd."""

    def __init__(self, labels: NDArray[np.uint8]) -> None:
        super().__init__(labels)
        self.void = np.ones((72, 96), bool)


def test_objects_of_which_nothing_is_known_are_not_asked_for() -> None:
    image, labels = picture(np.random.default_rng(0))
    crowd = Clip("crowd", (image,), {0: partial(AllUnknown, labels)}, "image")
    plain = Clip("plain", (image,), {0: partial(IndexMasks, labels)}, "image")
    chosen = choose([Collection("both", [crowd, plain], 2.0)], Amounts())
    assert [one.clip.name for one in chosen] == ["plain"]


def test_nothing_to_judge_by(tmp_path: Path, shapes: list[Collection]) -> None:
    with pytest.raises(FormatError, match=r"none of 10 pictures and videos with masks has an object of 80\.0% to 90%"):
        held_out(shapes, Amounts(pick=PickOptions(least=0.8)))
    write_shapes(tmp_path / "data")
    with pytest.raises(FormatError, match="none of 0 pictures and videos with masks"):
        held_out(read_data([f"pictures:{tmp_path / 'data/images'}"]))
