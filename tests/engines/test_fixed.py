"""Compiled functions: few graphs whatever comes and goes, and the answers of those that are not compiled."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch

import masklet
from masklet.checkpoints import Model, build_model
from masklet.engines.base import FUNCTIONS
from masklet.engines.torch import FixedShapes
from masklet.media.frames import ArrayFrames
from masklet.nn import MemoryBank, PromptTokens
from tests.app.conftest import scene
from tests.engines.conftest import SMALLEST

FRAMES = [scene(frame) for frame in range(8)]


class Counted:
    """Compiles nothing, and counts for what shapes it would."""

    def __init__(self) -> None:
        self.shapes: set[str] = set()

    def __call__(self, function: Callable[..., Any], dynamic: bool) -> Callable[..., Any]:
        assert not dynamic

        def counted(*given: Any) -> Any:
            self.shapes.add(f"{function.__name__} {layout(given)}")
            return function(*given)

        return counted


def layout(value: Any) -> Any:
    """What a graph is made for: the shape, order in memory, type and mode of each tensor."""
    if isinstance(value, torch.Tensor):
        return [*value.shape, *value.stride(), value.dtype, value.is_inference()]
    return value if value is None else [layout(part) for part in value]


def follow(model: Model) -> None:
    """Nine objects that come one after another, by one to nine clicks, a box or a mask, some of which leave; frames are
    followed in between, forward and backward, and corrected."""
    with masklet.VideoTracker(ArrayFrames(FRAMES), model) as tracker:
        for number in range(9):
            clicks = [(10 + 15 * n, 20 + 5 * n) for n in range(number + 1)]
            labels = [n % 2 for n in range(len(clicks))]
            tracker.add_points(frame=number % 3, object=number, points=clicks, labels=labels)
            if number in (0, 3, 8):
                assert len(list(tracker.propagate(0))) == len(FRAMES)
        tracker.add_box(frame=5, object=3, box=(30, 15, 60, 50))
        tracker.add_mask(frame=4, object="given", mask=FRAMES[4][..., 0] > 200)
        tracker.remove(1)
        assert len(list(tracker.propagate(7, direction="backward"))) == len(FRAMES)


def test_ten_graphs_serve_all_that_comes_and_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted()
    monkeypatch.setattr(torch, "compile", counted)
    follow(Model("toy", build_model(SMALLEST, seed=1).network, compiled=True))
    assert len(counted.shapes) == 10, counted.shapes


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, while it compiles
def test_torch_compiles_ten_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    graphs: list[Any] = []

    def count(graph: Any, _: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    torch._dynamo.reset()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=count, fullgraph=True))
    model = Model("toy", build_model(SMALLEST, seed=1).network, compiled=True)
    follow(model)
    assert len(graphs) == 10
    follow(model)
    assert len(graphs) == 10


@pytest.mark.parametrize("own", [False, True], ids=["one frame", "a frame each"])
@pytest.mark.parametrize("count", [2, 17])
def test_what_is_filled_up_changes_nothing(count: int, own: bool) -> None:
    """More objects, memories, pointers and clicks than a graph takes, and objects that remember nothing."""
    config = SMALLEST
    network = build_model(config, seed=1).network
    fixed = FixedShapes(network, {name: getattr(network, name) for name in FUNCTIONS})
    random = torch.Generator().manual_seed(3)
    side, size, pictures = config.image_size, config.memory_size, count if own else 1

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=random)

    images, features = noise(2, 3, side, side), noise(pictures, config.width, size, size)
    remembered = noise(count, 9, *config.memory_shape), torch.randint(0, 7, (count, 9), generator=random)
    told, seen = (noise(count, 17, config.width), noise(count, 17).abs()), (noise(count, 9) > 0, noise(count, 17) > 0)
    for keep in seen:
        keep[:1] = False
    tokens = PromptTokens(side * noise(count, 18, 2).abs(), torch.randint(-1, 4, (count, 18), generator=random))
    masks, some = noise(count, 1, config.mask_size, config.mask_size), noise(count) > 0
    with torch.inference_mode():
        levels = network.encode_image(images[:1])
        calls: list[Callable[[Any], Any]] = [
            lambda net: net.encode_image(images),
            lambda net: [net.attend_memory(features, MemoryBank(*remembered, *told, *seen))],
            lambda net: [net.attend_memory(features, MemoryBank(*remembered, *told))],
            lambda net: net.decode_masks(features, levels, tokens),
            lambda net: net.decode_masks(features, levels, tokens._replace(masks=masks, keep_masks=some)),
            lambda net: net.decode_masks(features, levels, tokens._replace(masks=noise(count, 1, side, side).sign())),
            lambda net: [net.encode_memory(features, noise(count, 1, side, side), some.float())],
        ]
        for call in calls:
            kept = random.get_state()
            theirs = call(network)
            random.set_state(kept)
            for a, b in zip(call(fixed), theirs, strict=True):
                torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)
