"""What clients of the reference give, and what they catch: prompts taken as they are, for the network answers what lies
outside the picture, boxes without area, and padding, as it does there; and errors of masklet that are also of the type
that the reference raises.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from masklet.engines.arrays import resize
from masklet.errors import CheckpointError, EngineError, MaskletError, MediaError, PromptError, SessionError
from masklet.prompts import BOX_BOTTOM_RIGHT, EXCLUDE, INCLUDE, NOT_A_POINT, Prompt

LABELS = range(NOT_A_POINT, BOX_BOTTOM_RIGHT + 1)
"""Labels that the network knows: -1 padding, 0 exclude, 1 include, 2 and 3 the corners of a box."""


class NothingAsked(PromptError, AssertionError):
    """Prompts of no object at all; the reference fails by an assertion."""


class CallRefused(SessionError, RuntimeError):
    """A call that does not fit what was done before; the reference raises RuntimeError."""


class VideoRefused(MediaError, NotImplementedError):
    """A video that cannot be read; the reference raises RuntimeError, or NotImplementedError, which is one too."""


class WeightsRefused(CheckpointError, RuntimeError):
    """Weights that do not fit the configuration; the reference raises RuntimeError."""


class WeightsMissing(CheckpointError, FileNotFoundError):
    """There is no file of weights; the reference raises FileNotFoundError."""


class DeviceRefused(EngineError, RuntimeError):
    """A device that is not here; PyTorch raises RuntimeError."""


class SettingRefused(CheckpointError, ValueError):
    """A configuration or an override that masklet has no word for."""


REFUSALS: dict[type[MaskletError], type[MaskletError]] = {
    SessionError: CallRefused,
    MediaError: VideoRefused,
    CheckpointError: WeightsRefused,
    EngineError: DeviceRefused,
}


@contextmanager
def as_reference() -> Iterator[None]:
    """Errors of masklet leave as those that clients catch, with the same sentence. Prompts that make no sense are
    ValueErrors in both."""
    try:
        yield
    except MaskletError as error:
        if type(error) not in REFUSALS:
            raise
        raise REFUSALS[type(error)](str(error)) from error


def prompt_of(points: Any, labels: Any, box: Any, size: tuple[int, int], *, in_pixels: bool = True) -> Prompt:
    """One object's prompt in a picture of (height, width) = `size`: points (P, 2), x and y, with labels (P,), and a box
    of four numbers in any shape; None for what is not said. Coordinates that are no pixels are shares of the sides.

    Raises PromptError for points without as many labels, an unknown label, or what is no finite number.
    """
    if (points is None) != (labels is None):
        raise PromptError("points and labels must be given together, one label for each point")
    clicks, kinds = numbers(points, (-1, 2)), numbers(labels, (-1,))
    if len(clicks) != len(kinds):
        raise PromptError(f"there are {len(kinds)} labels for {len(clicks)} points; give one label for each point")
    if unknown := [kind for kind in kinds.tolist() if kind not in LABELS]:
        raise PromptError(f"a label is {unknown[0]:g}; give {INCLUDE} to include or {EXCLUDE} to exclude")
    scale = (1, 1) if in_pixels else size[::-1]
    return Prompt(
        points=tuple((float(x), float(y)) for x, y in clicks * scale),
        labels=tuple(int(kind) for kind in kinds),
        box=None if box is None else tuple((numbers(box, (2, 2)) * scale).ravel().tolist()),  # type: ignore[arg-type]
    )


def click_or_box_of(points: Any, labels: Any, box: Any, size: tuple[int, int], *, in_pixels: bool) -> Prompt:
    """As `prompt_of`, but raises PromptError too if there are neither points nor a box."""
    prompt = prompt_of(points, labels, box, size, in_pixels=in_pixels)
    if not prompt.points and prompt.box is None:
        raise PromptError("the prompt is empty; give points with labels, or a box")
    return prompt


def mask_of(values: Any, size: tuple[int, int]) -> NDArray[np.bool_]:
    """A mask as an array or a tensor, bool or 0 and 1, as bool (H, W); one of another size is scaled."""
    inside: NDArray[np.bool_] = array_of(values) > 0
    if inside.ndim == 2 and inside.size and inside.shape != size:
        inside = resize(inside[None, None].astype(np.float32), size, antialias=True)[0, 0] >= 0.5
    return inside


def numbers(values: Any, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Lists, arrays or tensors on any device as finite float64 of a shape. Raises PromptError for anything else."""
    try:
        found = np.asarray([] if values is None else array_of(values), np.float64).reshape(shape)
    except (TypeError, ValueError) as error:
        raise PromptError(f"{values!r} cannot be taken as numbers of the shape {shape}: {error}") from error
    if not np.isfinite(found).all():
        raise PromptError(f"{values!r} holds {found[~np.isfinite(found)][0]}; give finite numbers")
    return found


def array_of(values: Any) -> NDArray[Any]:
    """Lists, arrays or tensors on any device."""
    if not isinstance(values, torch.Tensor):
        return np.asarray(values)
    values = values.detach().cpu()
    return np.asarray((values.float() if values.dtype == torch.bfloat16 else values).numpy())  # NumPy has no such type
