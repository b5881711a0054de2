"""Recall speaks of frame numbers and slots, so whole numbers test it: the recorded scenarios of the reference."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from masklet.video.recall import RecallOptions, published_recall
from tests.conftest import read_json

SCENARIOS: dict[str, Any] = read_json("small/memory_conditioning.json")
MEANINGS = {
    "num_maskmem": "slots",
    "memory_temporal_stride_for_eval": "stride",
    "max_cond_frames_in_attn": "most_prompted",
    "max_obj_ptrs_in_encoder": "pointers",
}


def options_of(scenario: dict[str, Any]) -> RecallOptions:
    options = scenario["opt"]
    named = {ours: options[theirs] for theirs, ours in MEANINGS.items() if theirs in options}
    return RecallOptions(
        **{"pointers": min(scenario["n"], 16), **named},
        future_pointers=options.get("only_obj_ptrs_in_the_past_for_eval") is False,
    )


@pytest.mark.parametrize("name", [name for name, scenario in SCENARIOS.items() if not scenario.get("init")])
def test_the_recorded_scenarios(name: str) -> None:
    scenario = SCENARIOS[name]
    recall = published_recall(
        scenario["frame"], scenario["cond"], set(scenario["non"]), options_of(scenario), backward=scenario["rev"]
    )
    assert list(recall.memories) == scenario["spatial_memory_frames_in_order"]
    assert list(recall.slots) == scenario["maskmem_tpos_enc_index"]
    assert list(recall.pointers) == scenario["object_pointer_frames_in_order"]


def test_seven_slots_of_a_long_track() -> None:
    recall = published_recall(10, [0], set(range(1, 10)), RecallOptions())
    assert recall.memories == (0, 4, 5, 6, 7, 8, 9)
    assert recall.slots == (6, 5, 4, 3, 2, 1, 0)
    assert recall.ages == (10, 1, 2, 3, 4, 5, 6, 7, 8, 9)


def test_backward_is_forward_in_a_mirror() -> None:
    forward = published_recall(10, [2], set(range(3, 10)), RecallOptions())
    mirrored = published_recall(-10, [-2], {-f for f in range(3, 10)}, RecallOptions(), backward=True)
    assert mirrored.memories == tuple(-f for f in forward.memories)
    assert (mirrored.slots, mirrored.ages) == (forward.slots, forward.ages)


@given(
    frame=st.integers(0, 200),
    prompted=st.lists(st.integers(0, 200), max_size=8, unique=True),
    tracked=st.sets(st.integers(0, 200), max_size=60),
    slots=st.integers(2, 64),
    stride=st.integers(1, 5),
    most=st.none() | st.integers(2, 6),
)
def test_only_known_frames_each_once_and_never_more_than_the_bank_holds(
    frame: int, prompted: list[int], tracked: set[int], slots: int, stride: int, most: int | None
) -> None:
    options = RecallOptions(slots=slots, stride=stride, most_prompted=most)
    tracked -= {*prompted, frame}
    recall = published_recall(frame, [f for f in prompted if f != frame], tracked, options)
    assert {*recall.memories, *recall.pointers} <= {*prompted, *tracked}
    assert len(set(recall.memories)) == len(recall.memories) == len(recall.slots)
    assert len(set(recall.pointers)) == len(recall.pointers) == len(recall.ages)
    assert len(recall.memories) <= (len(prompted) if most is None else most) + slots - 1
    assert all(0 <= slot < slots for slot in recall.slots)
    assert all(age >= 0 for age in recall.ages)
