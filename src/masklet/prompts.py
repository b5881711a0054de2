"""What the user points at: points, a box or a mask of one object in one picture.

`make_prompt` is the border: it takes what people type and either gives a valid `Prompt`
or says what is wrong with it. Behind it prompts are trusted. `masklet.engines.rules.pad_prompts` turns the prompts of
several objects into tensors, which is all that a network sees of them.

Letters: H x W the picture, S side of the square that the network sees.
"""

import operator
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from masklet.errors import PromptError

EXCLUDE, INCLUDE = 0, 1
"""Labels of a user's points."""

BOX_TOP_LEFT, BOX_BOTTOM_RIGHT = 2, 3
"""Labels of a box's two corners, which the network takes as points (SAM 2 release, sam2_image_predictor)."""

NOT_A_POINT = -1
"""Label of the token that says "no more points"."""


ObjectId = int | str
"""The user's name for an object."""

MAX_LOGIT = 32.0
"""Logits of an earlier answer are limited to -32..32, as the published predictor limits what it hands out."""

MAX_NAME_LENGTH = 100
"""Letters of an object's name; its UTF-8 may have twice as many bytes, so that it can be the name of a folder."""

MAX_OBJECT_NUMBER = 10**50
"""Whole numbers that are names lie below this, which leaves room for UUIDs."""


@dataclass(frozen=True, eq=False)
class Prompt:
    """The prompt of one object in one picture; built and checked by `make_prompt`.

    points  (x, y) in pixels of the picture
    labels  one for each point: 1 include, 0 exclude
    box     (x0, y0, x1, y1) in pixels of the picture, or None
    mask    bool (H, W), read-only, or None; never together with points or a box
    logits  float32 (S/4, S/4), a low-resolution mask that the network gave earlier, or None
    """

    points: tuple[tuple[float, float], ...] = ()
    labels: tuple[int, ...] = ()
    box: tuple[float, float, float, float] | None = None
    mask: NDArray[np.bool_] | None = None
    logits: NDArray[np.float32] | None = None

    @property
    def is_ambiguous(self) -> bool:
        """Whether it may mean several things: a shirt, or who wears it. One click does; a box, a second click or an
        earlier answer settle it."""
        return len(self.points) == 1 and self.box is None and self.logits is None

    def __eq__(self, other: object) -> bool:
        """Equal in all fields; masks pixel by pixel."""
        if not isinstance(other, Prompt):
            return NotImplemented
        return all(np.array_equal(getattr(self, f.name), getattr(other, f.name)) for f in fields(self))

    def __hash__(self) -> int:
        return hash((self.points, self.labels, self.box, None if self.mask is None else self.mask.tobytes()))


def make_prompt(
    size: tuple[int, int],
    *,
    points: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    box: ArrayLike | None = None,
    mask: ArrayLike | None = None,
) -> Prompt:
    """Check what a user gave for one object and keep it as a `Prompt`.

    size    (height, width) of the picture
    points  P pairs (x, y), 0 <= x <= width and 0 <= y <= height
    labels  P numbers, 1 include or 0 exclude; all 1 if not given
    box     (x0, y0, x1, y1) with x0 < x1 and y0 < y1; what lies outside the picture is cut off
    mask    (H, W), bool or integers with one value besides 0; an empty mask says "not in this picture"

    Raises PromptError where any of these does not hold, if nothing is given, and if a mask comes
    together with points or a box.
    """
    prompt = Prompt(
        points=(checked_points := _check_points(points, size)),
        labels=_check_labels(labels, len(checked_points)),
        box=_check_box(box, size),
        mask=_check_mask(mask, size),
    )
    if prompt.mask is None and prompt.box is None and not prompt.points:
        raise PromptError("the prompt is empty; give points, a box or a mask")
    if prompt.mask is not None and (prompt.points or prompt.box):
        given = "points" if prompt.points else "a box"
        raise PromptError(f"a mask came together with {given}; give a mask alone, or points and a box without it")
    return prompt


def prompts_per_object(
    size: tuple[int, int],
    mask_size: int,
    *,
    points: Any = None,
    labels: Any = None,
    boxes: Any = None,
    masks: Any = None,
) -> list[Prompt]:
    """Check what a user gave for one object, or for each of N, in a picture of (height, width) = `size`, as
    `ImagePredictor.predict` takes it; `mask_size` is S/4.

    Raises PromptError if nothing is given, numbers of objects differ, or something does not fit the picture.
    """
    given = {
        "points": per_object(points, depth=2),
        "labels": per_object(labels, depth=1),
        "boxes": per_object(boxes, depth=1),
        "masks": per_object(masks, depth=2),
    }
    counts = {name: len(entries) for name, entries in given.items() if entries is not None}
    if not counts:
        raise PromptError("the prompt is empty; give points, boxes or masks")
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name} of {count}" for name, count in counts.items())
        raise PromptError(
            f"the prompts are of different numbers of objects: {told}; "
            "give an entry for each object in each of them, None where there is nothing to say"
        )
    count = next(iter(counts.values()))
    rows = zip(*(entries or [None] * count for entries in given.values()), strict=True)
    return [
        object_prompt(size, mask_size, *row, name=f"object {number}: " if count > 1 else "")
        for number, row in enumerate(rows)
    ]


def object_prompt(
    size: tuple[int, int], mask_size: int, points: Any, labels: Any, box: Any, mask: Any, *, name: str
) -> Prompt:
    """Check what was said about one object; errors begin with `name`."""
    try:
        logits = None if mask is None else check_logits(mask, mask_size)
        only_mask = logits is not None and box is None and labels is None and (points is None or not len(points))
        said = Prompt() if only_mask else make_prompt(size, points=points, labels=labels, box=box)
        return replace(said, logits=logits)
    except PromptError as error:
        raise PromptError(f"{name}{error}") from error


def per_object(entries: Any, depth: int) -> list[Any] | None:
    """One entry for each object; None if nothing is given. `depth` is the number of axes of one object's entry."""
    if entries is None:
        return None
    if isinstance(entries, Sequence) and not isinstance(entries, str):
        # None, or all that is said of one object, and not a part of it such as one point
        many = any(one is None or axes(one) >= depth or (axes(one) == 1 and not len(one)) for one in entries)
    else:
        many = axes(entries) > depth
    return list(entries) if many else [entries]


def axes(value: Any) -> int:
    """How many axes an array has, or how deep the first entries of lists lie."""
    if isinstance(value, list | tuple):
        return 1 + max((axes(entry) for entry in value), default=0)
    return int(np.ndim(value))


def check_logits(mask: ArrayLike, side: int) -> NDArray[np.float32]:
    """The logits of an earlier answer, limited."""
    expected = f"give the logits of an earlier answer, ({side}, {side}), such as result.logits[0]"
    try:
        logits = np.asarray(mask)
    except (TypeError, ValueError) as error:
        raise PromptError(f"masks cannot be read as an array: {error}; {expected}") from error
    if logits.shape != (side, side):
        raise PromptError(f"masks has the shape {logits.shape}; {expected}")
    if logits.dtype.kind != "f":
        raise PromptError(f"masks is of type {logits.dtype}; {expected}, which are floats")
    if not np.isfinite(logits).all():
        raise PromptError(f"masks holds {logits[~np.isfinite(logits)][0]}; {expected}")
    return np.clip(logits, -MAX_LOGIT, MAX_LOGIT).astype(np.float32)


def check_name(name: object) -> int | str:
    """An object's name as an int or a str: the one rule for all that a person, a program or a file may call an object.

    Raises PromptError for anything else: truths, blank texts, long ones, and those with control characters or lone
    surrogates, which no file can hold.
    """
    if isinstance(name, str):
        if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name[: MAX_NAME_LENGTH + 1]):
            raise PromptError(f"object is {name[:40]!r}; give a text without control characters and lone surrogates")
        if len(name) > MAX_NAME_LENGTH or len(name.encode("utf-8")) > 2 * MAX_NAME_LENGTH:
            raise PromptError(
                f"object is {name[:40]!r}... of {len(name)} letters; give at most {MAX_NAME_LENGTH}, and "
                f"{2 * MAX_NAME_LENGTH} bytes of UTF-8"
            )
        if name.strip():
            return str(name)
    elif not isinstance(name, bool | np.bool_):
        with suppress(TypeError):
            number = operator.index(name)  # type: ignore[arg-type]
            if abs(number) < MAX_OBJECT_NUMBER:
                return number
            raise PromptError("object is a number of over 50 digits; give a smaller one, or a text")
    raise PromptError(f"object is {name!r:.80}; give a whole number or a text that is not blank")


def merge_prompts(earlier: Prompt | None, new: Prompt) -> Prompt:
    """The prompt of an object in a picture after one more prompt.

    Points are added to earlier ones, a new box takes the place of an earlier one, and a mask the place of everything,
    as everything takes the place of a mask.
    """
    if earlier is None or earlier.mask is not None or new.mask is not None:
        return new
    return Prompt(earlier.points + new.points, earlier.labels + new.labels, new.box or earlier.box)


def _check_points(points: ArrayLike | None, size: tuple[int, int]) -> tuple[tuple[float, float], ...]:
    pairs = _numbers("points", [] if points is None else points, "pairs such as [(x, y), (x, y)]")
    if pairs.size == 0:
        return ()
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise PromptError(f"points has the shape {pairs.shape}; give pairs such as [(x, y), (x, y)], shape (points, 2)")
    height, width = size
    for x, y in pairs:
        if not (0 <= x <= width and 0 <= y <= height):
            raise PromptError(
                f"the point ({x:g}, {y:g}) lies outside the picture, {width} wide and {height} high; "
                f"give x in 0..{width} and y in 0..{height}"
            )
    return tuple((float(x), float(y)) for x, y in pairs)


def _check_labels(labels: ArrayLike | None, count: int) -> tuple[int, ...]:
    if labels is None:
        return (INCLUDE,) * count
    values = _numbers("labels", labels, "one label (1 include, 0 exclude) per point").reshape(-1)
    if len(values) != count:
        entries, points = _counted(len(values), "entry", "entries"), _counted(count, "point", "points")
        raise PromptError(f"labels has {entries} for {points}; give one label (1 include, 0 exclude) per point")
    for value in values:
        if value not in (EXCLUDE, INCLUDE):
            raise PromptError(f"labels holds {value:g}; a label is 1 (include) or 0 (exclude)")
    return tuple(int(value) for value in values)


def _check_box(box: ArrayLike | None, size: tuple[int, int]) -> tuple[float, float, float, float] | None:
    if box is None:
        return None
    corners = _numbers("box", box, "four numbers (x0, y0, x1, y1)")
    if corners.shape != (4,):
        raise PromptError(f"box has the shape {corners.shape}; give four numbers (x0, y0, x1, y1)")
    x0, y0, x1, y1 = (float(number) for number in corners)
    shown = f"the box ({x0:g}, {y0:g}, {x1:g}, {y1:g})"
    if x1 <= x0 or y1 <= y0:
        raise PromptError(f"{shown} has no area; give (x0, y0, x1, y1) with x0 < x1 and y0 < y1")
    height, width = size
    cut = (max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height)))
    if cut[0] >= cut[2] or cut[1] >= cut[3]:
        raise PromptError(
            f"{shown} does not lie in the picture, {width} wide and {height} high; "
            f"give x in 0..{width} and y in 0..{height}"
        )
    return cut


def _check_mask(mask: ArrayLike | None, size: tuple[int, int]) -> NDArray[np.bool_] | None:
    if mask is None:
        return None
    pixels = np.asarray(mask)
    if pixels.shape != size:
        raise PromptError(
            f"mask has the shape {pixels.shape}; give one of the picture's size, (height, width) = {size}"
        )
    if pixels.dtype.kind not in "bui":
        raise PromptError(f"mask is of type {pixels.dtype}; give a bool array, such as logits > 0")
    if pixels.dtype.kind != "b" and len(values := np.unique(pixels[pixels != 0])) > 1:
        raise PromptError(
            f"mask holds {len(values)} values besides 0 ({values[0]}, {values[1]}, ...); "
            f"give one object's mask, such as index_map == {values[0]}"
        )
    checked = np.array(pixels, np.bool_)  # a copy, so that the user's later changes don't reach the prompt
    checked.flags.writeable = False
    return checked


def _numbers(name: str, value: ArrayLike, expected: str) -> NDArray[np.float64]:
    """`value` as finite float64; PromptError if it is anything else."""
    try:
        numbers = np.asarray(value, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise PromptError(f"{name} is {value!r:.200}, which is not an array of numbers; give {expected}") from error
    if not np.isfinite(numbers).all():
        raise PromptError(f"{name} holds {numbers[~np.isfinite(numbers)][0]}; give finite numbers: {expected}")
    return numbers


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
