"""What is computed beside the four functions is the same on NumPy's arrays as on tensors, and runs without PyTorch."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as numpy_arrays

from masklet.engines import arrays
from masklet.engines.rules import single, stability
from masklet.nn import Decoded

SIDES = st.integers(1, 24)


def close(ours: Any, theirs: torch.Tensor, limit: float = 1e-5) -> None:
    assert isinstance(ours, np.ndarray)
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=limit, atol=limit)


@settings(max_examples=40)
@given(seed=st.integers(0, 99), before=st.tuples(SIDES, SIDES), after=st.tuples(SIDES, SIDES), antialias=st.booleans())
def test_resizing(seed: int, before: tuple[int, int], after: tuple[int, int], antialias: bool) -> None:
    assume(not antialias or after[1] > 1)  # PyTorch 2.13 repeats the first row where one column is wanted
    maps = np.random.default_rng(seed).standard_normal((2, 3, *before), np.float32)
    close(arrays.resize(maps, after, antialias), arrays.resize(torch.from_numpy(maps), after, antialias), 1e-4)


@settings(max_examples=40)
@given(seed=st.integers(0, 99), size=st.tuples(SIDES, SIDES))
def test_sampling_inside_and_outside(seed: int, size: tuple[int, int]) -> None:
    noise = np.random.default_rng(seed)
    maps, places = noise.standard_normal((2, 1, *size), np.float32), noise.uniform(-1.5, 1.5, (2, 5, 6, 2))
    places = places.astype(np.float32)
    close(arrays.sample(maps, places), arrays.sample(torch.from_numpy(maps), torch.from_numpy(places)), 1e-4)


@given(numpy_arrays(np.float32, 20, elements=st.floats(-(2.0**80), 2.0**80, width=32)))
def test_memories_are_rounded_to_bfloat16(numbers: np.ndarray) -> None:
    assert np.array_equal(arrays.as_memory(numbers), torch.from_numpy(numbers).bfloat16().float().numpy())
    tensor = arrays.as_memory(torch.from_numpy(numbers))
    assert np.array_equal(arrays.to_bits(tensor), arrays.to_bits(numbers))


def test_logits_of_any_size() -> None:
    logits = np.array([-1024.0, -90, -1, 0, 1, 90, 1024], np.float32)
    close(arrays.sigmoid(logits), torch.from_numpy(logits).sigmoid())


@pytest.mark.parametrize("seed", range(3))
def test_the_rules_choose_the_same(seed: int) -> None:
    noise = np.random.default_rng(seed)
    parts = [noise.standard_normal(shape, np.float32) for shape in ((5, 4, 6, 6), (5, 4), (5, 4, 8), (5,))]
    parts[0][0, 0], parts[0][1, 0] = -9, 9  # nothing inside, and stable
    decoded, tensors = Decoded(*parts), Decoded(*map(torch.from_numpy, parts))  # type: ignore[arg-type]
    close(stability(parts[0][:, 0], 0.05), stability(tensors.logits[:, 0], 0.05))
    assert single(decoded).tolist() == single(tensors).tolist()


def without_torch(source: str, folder: Path) -> str:
    """What a program prints in a process in which importing torch fails."""
    head = "import sys\nsys.modules['torch'] = None\n"
    command = [sys.executable, "-W", "error", "-c", head + textwrap.dedent(source)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_everything_above_an_engine_runs_without_torch(tmp_path: Path) -> None:
    told = without_torch(
        """
        import numpy as np
        import masklet
        from masklet.engines.fake import FakeEngine
        from masklet.media.frames import ArrayFrames

        frames = np.full((6, 64, 64, 3), 120, np.uint8)
        for n, frame in enumerate(frames):
            frame[20:40, 10 + n : 30 + n] = 220, 30, 30
        picture = masklet.segment(frames[0], points=[(20, 30)], model=FakeEngine())
        everything = masklet.segment_everything(frames[0], FakeEngine())
        print(int(picture.best[0].sum()), everything.picture_size)
        marked = np.zeros((64, 64), bool)
        marked[20:40, 10:30] = True
        options = masklet.TrackingOptions(disk_budget=0)
        with masklet.VideoTracker(ArrayFrames(frames), FakeEngine(), options=options) as tracker:
            tracker.add_mask(frame=0, object="a", mask=marked)
            tracker.add_box(frame=2, object="b", box=(12, 20, 32, 40))
            shown = [result.objects["a"].mask for result in tracker.propagate()]
            tracker.add_points(frame=3, object="a", points=[(20, 30)])
            tracker.save("clip.masklet")
        with masklet.VideoTracker.open("clip.masklet", ArrayFrames(frames), FakeEngine()) as again:
            print(np.array_equal(again.result(2).objects["a"].mask, shown[2]), [*again.tracks])
        stream = masklet.StreamTracker(FakeEngine())
        stream.step(frames[0])
        stream.add_mask(object="a", mask=marked)
        print(all(np.array_equal(stream.step(f).objects["a"].mask, m) for f, m in zip(frames[1:], shown[1:])))
        try:
            masklet.load_model("nano")
        except masklet.EngineError as error:
            print(error)
        """,
        tmp_path,
    )
    pictures, *rest, refused = told.splitlines()
    area, size = pictures.split(maxsplit=1)
    assert 300 < int(area) < 500
    assert size == "(64, 64)"
    assert rest == ["True ['a', 'b']", "True"]
    assert refused == (
        "nano needs PyTorch, which is not installed: pip install torch; or give a folder that `masklet export` wrote"
    )
