"""What every engine keeps: shapes and types, padding without effect, many objects as one by one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import numpy as np

from masklet.cli.models import GraphsFor
from masklet.engines.arrays import Array, as_memory, given, to_numpy
from masklet.engines.base import Engine, as_engine
from masklet.engines.graphs import ENGINES
from masklet.export import PACKINGS
from masklet.nn import Levels, MemoryBank, PromptTokens
from tests.engines.conftest import EXPORTED

COUNT, FRAMES, POINTERS = 3, 2, 4


def test_every_engine_of_graphs_is_exported_for_and_runs_here() -> None:
    """The other tests here run it once its name stands in `EXPORTED`."""
    assert get_args(GraphsFor) == tuple(ENGINES) == tuple(PACKINGS)
    assert {name.partition(",")[0] for name in EXPORTED} == {*ENGINES}
    extras = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert [name for name in ENGINES if not re.search(rf"^{name} = \[", extras, re.MULTILINE)] == []


def noise(engine: Engine, seed: int, *shape: int) -> Array:
    return given(engine, np.random.default_rng(seed).standard_normal(shape, np.float32))


def pictures(engine: Engine, count: int) -> Array:
    return noise(engine, 0, count, 3, engine.config.image_size, engine.config.image_size)


def clicks(engine: Engine) -> PromptTokens:
    """A click, a box and two clicks, of which one is excluded; padded to two points."""
    side = engine.config.image_size
    points = np.array([[[0.3, 0.4], [0.0, 0.0]], [[0.1, 0.2], [0.7, 0.8]], [[0.5, 0.5], [0.9, 0.9]]], np.float32)
    labels = np.array([[1, -1], [2, 3], [1, 0]])
    keep = np.array([[True, False], [True, True], [True, True]])
    return PromptTokens(given(engine, points * side), given(engine, labels), given(engine, keep))


def bank(engine: Engine) -> MemoryBank:
    config = engine.config
    return MemoryBank(
        memories=as_memory(noise(engine, 1, COUNT, FRAMES, *config.memory_shape)),
        slots=given(engine, np.array([[0, 6], [6, 1], [0, 1]])),
        pointers=abs(noise(engine, 2, COUNT, POINTERS, config.width)),
        ages=abs(noise(engine, 3, COUNT, POINTERS)).clip(0, 1),
        keep_memories=given(engine, np.array([[True, True], [True, False], [False, False]])),
        keep_pointers=given(engine, np.array([[True] * 4, [True] * 2 + [False] * 2, [False] * 4])),
    )


def rows(value: tuple[Any, ...], index: int) -> list[Any]:
    return [None if part is None else part[index : index + 1] for part in value]


def same(one: Array, other: Array) -> None:
    np.testing.assert_allclose(to_numpy(one), to_numpy(other), rtol=1e-4, atol=1e-4)


def test_shapes_and_types(engine: Engine) -> None:
    config = as_engine(engine).config
    side, small = config.image_size, config.memory_size
    levels = engine.encode_image(pictures(engine, 2))
    assert [tuple(level.shape) for level in levels] == [
        (2, config.width // 8, side // 4, side // 4),
        (2, config.width // 4, side // 8, side // 8),
        (2, config.width, small, small),
    ]
    one = Levels(*(level[:1] for level in levels))
    features = engine.attend_memory(one.stride16, bank(engine))
    assert features.shape == (COUNT, config.width, small, small)
    decoded = engine.decode_masks(features, one, clicks(engine))
    assert decoded.logits.shape == (COUNT, 4, side // 4, side // 4)
    assert decoded.iou.shape == (COUNT, 4)
    assert decoded.pointers.shape == (COUNT, 4, config.width)
    assert decoded.presence.shape == (COUNT,)
    assert decoded.iou.min() >= 0
    assert decoded.iou.max() <= 1
    masks = noise(engine, 4, COUNT, 1, side, side).clip(-1, 1) * 10
    memory = engine.encode_memory(one.stride16, masks, decoded.presence)
    assert memory.shape == (COUNT, *config.memory_shape)
    assert engine.absent_pointer.shape == (1, config.width)
    for array in (*levels, features, *decoded, memory, engine.absent_pointer):
        assert array.dtype == engine.dtype
        assert str(getattr(array, "device", "cpu")) == str(engine.device)
        assert not getattr(array, "requires_grad", False)
    assert isinstance(engine.digest, str)


def test_pictures_together_are_pictures_one_by_one(engine: Engine) -> None:
    images = pictures(engine, 2)
    together = engine.encode_image(images)
    for index in range(2):
        for level, alone in zip(together, engine.encode_image(images[index : index + 1]), strict=True):
            same(level[index : index + 1], alone)


def test_objects_together_are_objects_one_by_one(engine: Engine) -> None:
    levels, everything, prompts = engine.encode_image(pictures(engine, 1)), bank(engine), clicks(engine)
    side = engine.config.image_size
    masks = noise(engine, 5, COUNT, 1, side, side).clip(-1, 1) * 10
    presence = given(engine, np.array([1.0, -1.0, 3.0], np.float32))
    features = engine.attend_memory(levels.stride16, everything)
    decoded = engine.decode_masks(features, levels, prompts)
    memory = engine.encode_memory(levels.stride16, masks, presence)
    for index in range(COUNT):
        own = slice(index, index + 1)
        alone = engine.attend_memory(levels.stride16, MemoryBank(*rows(everything, index)))
        same(features[own], alone)
        answer = engine.decode_masks(alone, levels, PromptTokens(*rows(prompts, index)))
        for all_of, one in zip(decoded, answer, strict=True):
            same(all_of[own], one)
        same(memory[own], engine.encode_memory(levels.stride16, masks[own], presence[own]))


def test_padding_has_no_effect(engine: Engine) -> None:
    levels, padded, prompts = engine.encode_image(pictures(engine, 1)), bank(engine), clicks(engine)
    second = engine.attend_memory(levels.stride16, MemoryBank(*rows(padded, 1)))
    whole = MemoryBank(padded.memories[1:2, :1], padded.slots[1:2, :1], padded.pointers[1:2, :2], padded.ages[1:2, :2])
    same(second, engine.attend_memory(levels.stride16, whole))
    answer = engine.decode_masks(levels.stride16, levels, prompts)
    alone = engine.decode_masks(levels.stride16, levels, PromptTokens(prompts.points[:1, :1], prompts.labels[:1, :1]))
    for padded_one, one in zip(answer, alone, strict=True):
        same(padded_one[:1], one)
    masks = noise(engine, 6, COUNT, 1, *levels.stride4.shape[-2:])
    keep = given(engine, np.array([False, True, True]))
    mixed = engine.decode_masks(levels.stride16, levels, prompts._replace(masks=masks, keep_masks=keep))
    for mixed_one, one in zip(mixed, answer, strict=True):
        same(mixed_one[:1], one[:1])


def test_an_object_that_remembers_nothing_is_as_one_with_an_empty_bank(engine: Engine) -> None:
    levels, padded = engine.encode_image(pictures(engine, 1)), bank(engine)
    empty = MemoryBank(padded.memories[:1, :0], padded.slots[:1, :0], padded.pointers[:1, :0], padded.ages[:1, :0])
    same(engine.attend_memory(levels.stride16, padded)[2:], engine.attend_memory(levels.stride16, empty))
