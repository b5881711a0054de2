"""Properties of the four functions: batched = one by one, padded = unpadded, one graph, any precision."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from masklet.nn import ConvNetConfig, Levels, MemoryBank, ModelConfig, Network, PromptTokens
from masklet.nn.config import InvertedResidualConfig, RepViTConfig
from masklet.nn.mask_decoder import MaskDecoder, ScoreCalibration
from tests.conftest import SMALL

NARROW = dataclasses.replace(SMALL, width=32, memory_width=8, decoder_mlp=64, image_size=64 * 2)
REFINING = dataclasses.replace(NARROW, encoder=ConvNetConfig((8, 16, 24, 32), (1, 1, 1, 1)), head="refining")
STAGES = ((3, 1, 1, 8, 1), (3, 2, 2, 8, 2), (5, 2, 2, 16, 1), (3, 2, 2, 16, 2), (3, 2, 2, 24, 1))
INVERTED = dataclasses.replace(NARROW, encoder=InvertedResidualConfig(8, STAGES, detail=8))
CONDENSED = dataclasses.replace(
    NARROW, encoder=RepViTConfig((8, 8, 16, 16), (1, 2, 1, 1)), version="2.0", memory_grid=4
)
CONFIGS = {
    "hiera": NARROW,
    "convolutions, refining head": REFINING,
    "inverted residuals": INVERTED,
    "condensed memories": CONDENSED,
}


@pytest.fixture(scope="module", params=list(CONFIGS))
def network(request: pytest.FixtureRequest) -> Network:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Network(CONFIGS[request.param]).eval().requires_grad_(False).prepare()


def levels_of(network: Network, pictures: int = 1) -> Levels:
    side = network.config.image_size
    return network.encode_image(torch.randn(pictures, 3, side, side, generator=torch.manual_seed(1)))


def tokens(count: int, points: int = 3, masks: int | None = None) -> PromptTokens:
    generator = torch.manual_seed(2)
    labels = torch.randint(0, 2, (count, points), generator=generator)
    labels[:, -1] = -1
    given = None if masks is None else torch.randn(count, 1, masks, masks, generator=generator)
    return PromptTokens(torch.rand(count, points, 2, generator=generator) * 100, labels, masks=given)


def bank_of(config: ModelConfig, count: int, memories: int = 2, pointers: int = 3) -> MemoryBank:
    generator = torch.manual_seed(3)
    return MemoryBank(
        torch.randn(count, memories, *config.memory_shape, generator=generator),
        torch.randint(0, config.memory_frames, (count, memories), generator=generator),
        torch.randn(count, pointers, config.width, generator=generator),
        torch.rand(count, pointers, generator=generator),
    )


def close(ours: Tensor, other: Tensor, limit: float = 1e-5) -> None:
    torch.testing.assert_close(ours, other, rtol=limit, atol=limit)


def every(fields: Any, index: slice) -> Any:
    return type(fields)(*(None if field is None else field[index] for field in fields))


def test_objects_together_are_as_one_by_one(network: Network) -> None:
    levels, bank, prompts = levels_of(network), bank_of(network.config, 3), tokens(3, masks=network.config.mask_size)
    masks = torch.rand(3, 1, network.config.image_size, network.config.image_size)
    features = network.attend_memory(levels.stride16, bank)
    decoded = network.decode_masks(features, levels, prompts)
    memory = network.encode_memory(levels.stride16, masks, decoded.presence)
    for n in range(3):
        one = slice(n, n + 1)
        alone = network.attend_memory(levels.stride16, every(bank, one))
        close(features[one], alone)
        answer = network.decode_masks(alone, levels, every(prompts, one))
        for ours, other in zip(decoded, answer, strict=True):
            close(ours[one], other)
        close(memory[one], network.encode_memory(levels.stride16, masks[one], decoded.presence[one]))


def test_one_frame_for_all_is_as_copies_of_it(network: Network) -> None:
    levels, bank = levels_of(network), bank_of(network.config, 2)
    copies = Levels(*(level.repeat(2, 1, 1, 1) for level in levels))
    close(network.attend_memory(levels.stride16, bank), network.attend_memory(copies.stride16, bank))
    ours = network.decode_masks(levels.stride16, levels, tokens(2))
    for a, b in zip(ours, network.decode_masks(copies.stride16, copies, tokens(2)), strict=True):
        close(a, b)


def test_padded_prompts_are_as_unpadded(network: Network) -> None:
    levels, plain = levels_of(network), tokens(2)
    padded = PromptTokens(
        torch.cat((plain.points, torch.full((2, 4, 2), 77.0)), dim=1),
        torch.cat((plain.labels, torch.full((2, 4), -1)), dim=1),
        keep=torch.tensor([[True] * 3 + [False] * 4] * 2),
    )
    ours = network.decode_masks(levels.stride16, levels, padded)
    for a, b in zip(ours, network.decode_masks(levels.stride16, levels, plain), strict=True):
        close(a, b)


def test_padded_banks_are_as_unpadded(network: Network) -> None:
    levels, plain = levels_of(network), bank_of(network.config, 1)
    padded = MemoryBank(
        torch.cat((plain.memories, torch.full((1, 2, *network.config.memory_shape), 9.0)), dim=1),
        torch.cat((plain.slots, torch.zeros(1, 2, dtype=torch.int64)), dim=1),
        torch.cat((plain.pointers, torch.full((1, 1, network.config.width), 9.0)), dim=1),
        torch.cat((plain.ages, torch.zeros(1, 1)), dim=1),
        keep_memories=torch.tensor([[True, True, False, False]]),
        keep_pointers=torch.tensor([[True, True, True, False]]),
    )
    close(network.attend_memory(levels.stride16, padded), network.attend_memory(levels.stride16, plain))


def test_an_object_that_remembers_nothing_beside_one_that_does(network: Network) -> None:
    levels, bank = levels_of(network), bank_of(network.config, 2)
    keep = bank._replace(
        keep_memories=torch.tensor([[True, True], [False, False]]),
        keep_pointers=torch.tensor([[True, True, True], [False, False, False]]),
    )
    features = network.attend_memory(levels.stride16, keep)
    close(features[:1], network.attend_memory(levels.stride16, every(bank, slice(0, 1))))
    close(features[1:], network.attend_memory(levels.stride16, bank_of(network.config, 1, memories=0, pointers=0)))


def test_an_object_with_a_mask_beside_one_without(network: Network) -> None:
    levels, prompts = levels_of(network), tokens(2, masks=network.config.mask_size)
    some = network.decode_masks(levels.stride16, levels, prompts._replace(keep_masks=torch.tensor([True, False])))
    both = network.decode_masks(levels.stride16, levels, prompts)
    none = network.decode_masks(levels.stride16, levels, prompts._replace(masks=None))
    close(some.logits[0], both.logits[0])
    close(some.logits[1], none.logits[1])


def test_prepared_tables_change_no_number(network: Network) -> None:
    fresh = copy.deepcopy(network)
    fresh.forget()
    for a, b in zip(levels_of(network), levels_of(fresh), strict=True):
        assert torch.equal(a, b)
    bank = bank_of(network.config, 2)
    features = levels_of(network).stride16
    assert torch.equal(network.attend_memory(features, bank), fresh.attend_memory(features, bank))


def test_tables_do_not_outlive_their_weights(network: Network) -> None:
    changed = copy.deepcopy(network)
    state = {key: value * 1.5 if value.is_floating_point() else value for key, value in network.state_dict().items()}
    changed.load_state_dict(state)
    (grid,) = changed.sam_prompt_encoder.tables()
    assert not torch.equal(grid, network.sam_prompt_encoder.tables()[0])
    changed.prepare().train()
    assert all(value is None for name, value in changed.named_buffers() if name.endswith("position"))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_near(network: Network, dtype: torch.dtype) -> None:
    half = copy.deepcopy(network).to(dtype).prepare()
    side = network.config.image_size
    image = torch.randn(1, 3, side, side, generator=torch.manual_seed(4))
    bank, masks = bank_of(network.config, 2), torch.rand(2, 1, side, side)

    def run(net: Network, dtype: torch.dtype) -> list[Tensor]:
        levels = net.encode_image(image.to(dtype))
        features = net.attend_memory(levels.stride16, bank)
        decoded = net.decode_masks(features, levels, tokens(2))
        memory = net.encode_memory(levels.stride16, masks.to(dtype), decoded.presence)
        assert all(t.dtype == dtype for t in (*levels, features, *decoded, memory))
        return [levels.stride16, features, decoded.logits, decoded.pointers, memory]

    for exact, rounded in zip(run(network, torch.float32), run(half, dtype), strict=True):
        error = (exact - rounded.float()).abs().mean() / exact.abs().mean()
        assert error < (0.05 if dtype == torch.bfloat16 else 0.01)


def functions(network: Network) -> dict[str, Callable[[Callable[..., Any]], Any]]:
    """Each of the four functions, called the way a tracker calls it."""
    config, side = network.config, network.config.image_size
    image, levels, bank, prompts = (
        torch.randn(1, 3, side, side),
        levels_of(network),
        bank_of(network.config, 2),
        tokens(2),
    )
    masks, presence = torch.rand(2, 1, side, side), torch.tensor([1.0, -1.0])
    features = network.attend_memory(levels.stride16, bank)
    with_mask = tokens(2, masks=config.mask_size)._replace(keep_masks=torch.tensor([True, False]))
    return {
        "encode_image": lambda f: f(image),
        "attend_memory": lambda f: f(levels.stride16, bank),
        "decode_masks": lambda f: (*f(features, levels, prompts), *f(features, levels, with_mask)),
        "encode_memory": lambda f: f(levels.stride16, masks, presence),
    }


def of_new_parts() -> Iterator[tuple[str, str]]:
    """Each network, and those of its functions that are made of other parts than those of the networks before it."""
    seen = set()
    for network, config in CONFIGS.items():
        memory, head = config.memory_grid, config.head
        parts = {"encode_image": network, "attend_memory": memory, "encode_memory": memory, "decode_masks": head}
        yield from ((network, name) for name, part in parts.items() if (name, part) not in seen)
        seen |= {*parts.items()}


@pytest.mark.parametrize(("network", "name"), list(of_new_parts()), indirect=["network"])
@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, while it compiles
def test_each_function_compiles_as_one_graph(network: Network, name: str, backend: str) -> None:
    torch._dynamo.reset()
    call = functions(network)[name]
    plain = getattr(network, name)
    compiled = torch.compile(plain, fullgraph=True, backend=backend)
    with torch.no_grad():
        ours, other = call(compiled), call(plain)
    pairs = zip(ours, other, strict=True) if isinstance(ours, tuple) else [(ours, other)]
    for a, b in pairs:
        close(a, b, 1e-4)


def test_a_network_is_not_called_itself(network: Network) -> None:
    with pytest.raises(TypeError, match="four functions"):
        network(torch.zeros(1))


@pytest.mark.gpu
def test_cuda_gives_what_the_cpu_gives(network: Network) -> None:
    moved = copy.deepcopy(network).cuda().prepare()
    levels, ours = levels_of(network), moved.encode_image(
        torch.randn(1, 3, *[network.config.image_size] * 2, generator=torch.manual_seed(1)).cuda()
    )  # fmt: skip
    for a, b in zip(levels, ours, strict=True):
        close(a, b.cpu(), 1e-3)


def test_a_refining_decoder_begins_as_the_published_one() -> None:
    refining = Network(REFINING).eval()
    published = copy.deepcopy(refining)
    published.sam_mask_decoder = MaskDecoder(REFINING).eval()
    missing, _ = published.sam_mask_decoder.load_state_dict(refining.sam_mask_decoder.state_dict(), strict=False)
    assert not missing
    levels = levels_of(refining)
    with torch.inference_mode():
        a, b = (n.decode_masks(levels.stride16, levels, tokens(3)) for n in (published, refining))
    for ours, theirs in zip(b, a, strict=True):
        close(ours, theirs)


def test_a_refining_decoder_learns_from_its_neighbours_and_from_the_prompt() -> None:
    network = Network(REFINING)
    levels = levels_of(network)
    network.decode_masks(levels.stride16, levels, tokens(2)).logits.square().mean().backward()
    head = network.sam_mask_decoder
    for module in (head.refine_s0.conv2, head.refine_s1.conv2, head.drawn_s0, head.drawn_s1):
        assert module.weight.grad is not None
        assert module.weight.grad.any()


def test_what_is_followed_has_scores_of_its_own() -> None:
    """Nobody points at it: neither a box nor points, in a batch beside objects with them."""
    network = Network(REFINING).eval()
    with torch.inference_mode():
        scores, levels = network.sam_mask_decoder.calibration, levels_of(network)
        scores.iou.copy_(torch.tensor([[0.25, 0, 0], [0.75, 0, 0]]))
        scores.presence.copy_(torch.tensor([[1.0, 0], [2.0, 0]]))
        given = tokens(3)
        labels = torch.tensor([[-1, -1, -1], [1, -1, -1], [2, 3, -1]])
        points = torch.tensor([[[0.0, 0], [0, 0], [0, 0]], [[9, 9], [0, 0], [0, 0]], [[8, 8], [30, 30], [0, 0]]])
        decoded = network.decode_masks(levels.stride16, levels, given._replace(points=points, labels=labels))
    assert decoded.iou[:, 0].tolist() == [0.75, 0.25, 0.25]
    assert decoded.presence.tolist() == [2, 1, 1]


def test_scores_that_nobody_fitted_stay_as_they_are() -> None:
    iou, logits, presence = torch.rand(3, 4), torch.randn(3, 4, 8, 8), torch.tensor([-2.0, 0.5, 3.0])
    found = ScoreCalibration()(iou, logits, presence, torch.tensor([False, True, True]))
    torch.testing.assert_close(found, (iou, presence), rtol=0, atol=0)
