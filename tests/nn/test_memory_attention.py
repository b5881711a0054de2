"""Values projected after attention are values projected before it."""

from __future__ import annotations

import pytest
import torch

from masklet.nn import memory_attention
from masklet.nn.memory_attention import attend_values, project_first, project_last, turned
from masklet.nn.positions import _rotate_complex, _rotate_real, rotation


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("padded", [False, True])
def test_both_ways_give_the_same(frames: int, padded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_attention, "SCORES_IN_CACHE", 1000)  # so that queries go in several blocks
    generator = torch.manual_seed(0)
    q = torch.randn(frames, 1, 50, 64, generator=generator)
    k, memory = torch.randn(3, 1, 70, 64, generator=generator), torch.randn(3, 70, 16, generator=generator)
    keep = torch.rand(3, 70, generator=generator) > 0.3 if padded else None
    projection = torch.nn.Linear(16, 64)
    first, last = (way(q, k, memory, projection, keep) for way in (project_first, project_last))
    torch.testing.assert_close(first, last, rtol=1e-5, atol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize(("width", "last"), [(128, False), (256, True)])
def test_the_width_of_the_heads_decides(width: int, last: bool) -> None:
    """To the last bit, whatever the numbers of queries and keys: so a run is repeatable."""
    for queries, keys in ((4, 6), (80, 900)):
        generator = torch.manual_seed(0)
        q, k = (
            torch.randn(1, 1, queries, width, generator=generator),
            torch.randn(1, 1, keys, width, generator=generator),
        )
        memory, projection = torch.randn(1, keys, 16, generator=generator), torch.nn.Linear(16, width)
        way = project_last if last else project_first
        assert torch.equal(attend_values(q, k, memory, projection, None), way(q, k, memory, projection, None))


def test_turning_in_real_and_in_complex_numbers_is_the_same() -> None:
    by = rotation(32, 6, torch.device("cpu"))
    x = torch.randn(2, 1, 3, 36, 16, 2, generator=torch.manual_seed(0))
    torch.testing.assert_close(_rotate_complex(x, by), _rotate_real(x, by), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("maps", [1, 3])
@torch.inference_mode()
def test_keys_turned_by_products_are_keys_turned(maps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What exported graphs compute is what PyTorch does."""
    by, projection = rotation(32, 6, torch.device("cpu")), torch.nn.Linear(16, 32)
    x = torch.randn(2, 36 * maps, 16, generator=torch.manual_seed(0))
    expected = turned(projection, x, by)
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    torch.testing.assert_close(turned(projection, x, by), expected, rtol=1e-5, atol=1e-6)
