"""Values projected after attention are values projected before it, whichever is quicker here."""

from __future__ import annotations

import pytest
import torch

from masklet.nn import narrow_attention
from masklet.nn.narrow_attention import WAYS, attend_narrow, project_after, project_before, quicker_way
from masklet.nn.rotary import _rotate_complex, _rotate_real, rotation


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("padded", [False, True])
def test_both_ways_give_the_same(frames: int, padded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(narrow_attention, "SCORES", 1000)  # so that queries go in several blocks
    generator = torch.manual_seed(0)
    q = torch.randn(frames, 1, 50, 64, generator=generator)
    k, memory = torch.randn(3, 1, 70, 64, generator=generator), torch.randn(3, 70, 16, generator=generator)
    keep = torch.rand(3, 70, generator=generator) > 0.3 if padded else None
    projection = torch.nn.Linear(16, 64)
    before, after = (way(q, k, memory, projection, keep) for way in (project_before, project_after))
    torch.testing.assert_close(before, after, rtol=1e-5, atol=1e-5)


@torch.inference_mode()
def test_the_environment_decides_without_a_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_trial(*_: object) -> None:
        raise AssertionError("a trial was made")

    monkeypatch.setattr(narrow_attention, "quicker_way", no_trial)
    q, memory = torch.ones(1, 1, 4, 8), torch.ones(1, 6, 4)
    for name in WAYS:
        monkeypatch.setenv("MASKLET_ATTENTION", name)
        assert attend_narrow(q, q, memory[:, :4], torch.nn.Linear(4, 8), None).shape == (1, 1, 4, 8)


def test_the_trial_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(narrow_attention, "TRIAL", (8, 16))
    quicker_way.cache_clear()
    numbers = torch.get_rng_state()
    assert quicker_way(16, 8, 1) is quicker_way(16, 8, 1)
    assert quicker_way.cache_info().misses == 1
    assert torch.equal(torch.get_rng_state(), numbers)
    quicker_way.cache_clear()


def test_turning_in_real_and_in_complex_numbers_is_the_same() -> None:
    by = rotation(32, 6, torch.device("cpu"))
    x = torch.randn(2, 1, 3, 36, 16, 2, generator=torch.manual_seed(0))
    torch.testing.assert_close(_rotate_complex(x, by), _rotate_real(x, by), rtol=1e-6, atol=1e-6)


def test_squares_of_cells_are_turned_as_their_centres() -> None:
    fine, coarse = rotation(16, 4, torch.device("cpu")), rotation(16, 4, torch.device("cpu"), pool=2)
    angles = torch.atan2(fine.sin, fine.cos).unflatten(0, (2, 2, 2, 2)).mean(dim=(1, 3)).flatten(0, 1)
    small = torch.atan2(coarse.sin, coarse.cos)
    torch.testing.assert_close(angles, small, rtol=1e-5, atol=1e-5)
