from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import astuple
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest

from masklet.cli.eval import score
from masklet.errors import EvaluationError
from masklet.metrics.sequence import PROTOCOLS, RegionAndBoundary, average, find_protocol, score_sequence
from tests.metrics.conftest import SEQUENCES


def summaries(arrays: Mapping[str, np.ndarray], protocol: str) -> list[RegionAndBoundary]:
    return [item.summary() for name in SEQUENCES for item in score_sequence(*arrays[name], protocol)]


@pytest.mark.parametrize("name", SEQUENCES)
def test_objects_equal_davis(recorded: Mapping[str, np.ndarray], name: str) -> None:
    scores = score_sequence(*recorded[name])
    ours = [[*astuple(item.summary().region), *astuple(item.summary().boundary)] for item in scores]
    assert [item.object for item in scores] == list(range(1, len(scores) + 1))
    np.testing.assert_allclose(ours, recorded[f"{name}/objects"][:, :6], rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", SEQUENCES)
def test_objects_equal_sav(recorded: Mapping[str, np.ndarray], name: str) -> None:
    ours = [[item.region.mean() * 100, item.boundary.mean() * 100] for item in score_sequence(*recorded[name], "sav")]
    np.testing.assert_allclose(ours, recorded[f"{name}/objects"][:, 6:], rtol=0, atol=1e-9)


def test_whole_sets_equal_davis_and_sav(recorded: Mapping[str, np.ndarray]) -> None:
    davis, sav = summaries(recorded, "davis2017"), summaries(recorded, "sav")
    ours = [*astuple(average(item.region for item in davis)), *astuple(average(item.boundary for item in davis))]
    np.testing.assert_allclose(ours, recorded["overall/davis"], rtol=0, atol=1e-9)
    region, boundary = average(item.region for item in sav), average(item.boundary for item in sav)
    percent = [100 * region.mean, 100 * boundary.mean, 100 * RegionAndBoundary(region, boundary).mean]
    np.testing.assert_allclose(percent, recorded["overall/sav"], rtol=0, atol=1e-9)


def strip(*values: list[int]) -> np.ndarray:
    """Index maps of one row: one list of pixels for each frame."""
    return np.array([[row] for row in values], np.uint8)


def counted(protocol: str, truth: np.ndarray, predicted: np.ndarray | None = None) -> dict[object, list[int]]:
    scores = score_sequence(truth if predicted is None else predicted, truth, protocol)
    return {item.object: item.frames.tolist() for item in scores}


def test_frames_that_count() -> None:
    truth = strip([1, 0], [1, 0], [1, 0], [1, 2], [1, 2], [1, 2])
    assert counted("davis2017", truth) == {1: [1, 2, 3, 4], 2: [1, 2, 3, 4]}
    assert counted("sav", truth) == {1: [1, 2, 3, 4], 2: [3, 4]}
    assert counted("sav", truth, strip([1, 0], [1, 0], [1, 2], [1, 2], [1, 2], [1, 2]))[2] == [2, 3, 4]
    assert counted("ytvos", truth) == {1: [1, 2, 3, 4, 5], 2: [4, 5]}
    assert counted("all", truth)[2] == [0, 1, 2, 3, 4, 5]
    for name in ("mose", "mosev2", "lvos"):
        assert counted(name, truth) == counted("davis2017", truth)


def test_davis_2016_has_one_object() -> None:
    truth = strip([255, 0], [255, 255], [0, 255])
    predicted = strip([1, 0], [1, 2], [0, 1])
    (only,) = score_sequence(predicted, truth, "davis2016")
    assert only.object == 1
    assert only.region.tolist() == [1.0]


def test_numbers_between_count_for_davis() -> None:
    truth = strip([1, 3], [1, 3], [1, 3])
    assert [item.object for item in score_sequence(truth, truth)] == [1, 2, 3]
    assert [item.object for item in score_sequence(truth, truth, "mose")] == [1, 3]


def test_objects_that_are_only_predicted() -> None:
    truth, predicted = strip([1, 0], [1, 0], [1, 0]), strip([1, 0], [1, 4], [1, 0])
    with pytest.raises(EvaluationError, match="the objects 4, and those of the truth are 1 to 1; give each predicted"):
        score_sequence(predicted, truth)
    for name in ("sav", "ytvos", "mose", "lvos", "all"):
        assert [item.object for item in score_sequence(predicted, truth, name)] == [1]


def test_nothing_that_counts_is_an_error() -> None:
    truth = strip([1, 0], [1, 0])
    with pytest.raises(EvaluationError, match="nothing counts by the protocol davis2017 among 2 frames and 1 objects"):
        score_sequence(truth, truth)
    with pytest.raises(EvaluationError, match="nothing counts by the protocol sav"):
        score_sequence(strip([1], [0], [1]), strip([1], [0], [1]), "sav")


def test_help_and_documents_name_every_protocol() -> None:
    page = (Path(__file__).parents[2] / "docs/metrics.md").read_text()
    told = get_type_hints(score, include_extras=True)["protocol"].__metadata__[0].help
    for name in PROTOCOLS:
        assert re.search(rf"^\|[^|]*`{name}`", page, re.MULTILINE), name
        assert re.search(rf"\b{name}\b", told), name


def test_an_unknown_protocol_names_the_nearest() -> None:
    with pytest.raises(EvaluationError, match="unknown protocol 'davis17'; nearest: davis2017"):
        find_protocol("davis17")


def test_the_truth_of_davis_2016_needs_its_protocol() -> None:
    """Masks of 0 and 255: all of it is void to the others."""
    truth = np.zeros((5, 8, 9), np.uint8)
    truth[:, 2:6, 2:6] = 255
    predicted = (truth > 0).astype(np.uint8)
    with pytest.raises(EvaluationError, match=r"if its masks are 0 and 255, .* give the protocol davis2016"):
        score_sequence(predicted, truth)
    assert score_sequence(predicted, truth, "davis2016")[0].summary().mean == 1
