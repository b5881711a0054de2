"""Which frames a frame remembers, in which temporal slots: the published rule, on whole numbers only.

Source: SAM 2 (Ravi et al., 2024, sec. 4 and appendix), as released on 2024-12-11.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class RecallOptions:
    """The published options of recall, at their published values.

    Attributes:
        slots: Temporal slots; the last is for prompted frames, the others for recent ones.
        stride: Recent frames are this far apart, but for the very last one.
        most_prompted: At most this many prompted frames, the nearest; at least 2, None for all.
        pointers: Pointers of this many frames, the frame itself counted.
        future_pointers: Whether pointers of prompted frames still to come are attended.
    """

    slots: int = 7
    stride: int = 1
    most_prompted: int | None = None
    pointers: int = 16
    future_pointers: bool = False


@dataclass(frozen=True)
class Recall:
    """What a frame attends, in order."""

    memories: tuple[int, ...] = ()  # frames whose memories are attended
    slots: tuple[int, ...] = ()  # their temporal slots: 0 the newest, the last for prompted frames
    pointers: tuple[int, ...] = ()  # frames whose pointers are attended
    ages: tuple[int, ...] = ()  # their distances in frames
    # The distance that counts as age 1. The reference takes what the length of the video leaves of it, so that the same
    # frames give other masks in a shorter video; ours do not depend on the length.
    longest: int = 1


def published_recall(
    frame: int,
    prompted: Sequence[int],
    tracked: Collection[int],
    options: RecallOptions,
    *,
    backward: bool = False,
) -> Recall:
    """The frames that a frame recalls of the prompted ones, in the order in which they were prompted, and of those that
    were tracked."""
    nearest = nearest_prompted(frame, prompted, options.most_prompted)
    others = {*prompted} - {*nearest}

    def known(f: int) -> bool:
        return f in others or (f in tracked and f not in nearest)

    recent = [(f, slot) for f, slot in recent_frames(frame, options, backward) if known(f)]
    ahead = -1 if backward else 1
    steps = [(f, (frame - f) * ahead) for f in nearest if options.future_pointers or (frame - f) * ahead >= 0]
    steps += [(frame - age * ahead, age) for age in range(1, options.pointers) if known(frame - age * ahead)]
    return Recall(
        memories=(*nearest, *(f for f, _ in recent)),
        slots=(*(options.slots - 1 for _ in nearest), *(slot for _, slot in recent)),
        pointers=tuple(f for f, _ in steps),
        ages=tuple(age for _, age in steps),
        longest=max(options.pointers - 1, 1),
    )


def nearest_prompted(frame: int, prompted: Sequence[int], most: int | None) -> list[int]:
    """All prompted frames; or the last before the frame, the first from it on, and the next nearest."""
    if most is None or len(prompted) <= most:
        return list(prompted)
    before, after = [f for f in prompted if f < frame], [f for f in prompted if f >= frame]
    chosen = [*([max(before)] if before else []), *([min(after)] if after else [])]
    rest = sorted((f for f in prompted if f not in chosen), key=lambda f: abs(f - frame))
    return [*chosen, *rest[: most - len(chosen)]]


def recent_frames(frame: int, options: RecallOptions, backward: bool) -> list[tuple[int, int]]:
    """(frame, slot), the farthest first: the last frame in slot 0, and before it every `stride`-th."""
    r = options.stride
    near = frame + 1 if backward else frame - 1
    start = -(-(frame + 2) // r) * r if backward else (frame - 2) // r * r
    step = r if backward else -r
    return [(start + (k - 2) * step, k - 1) for k in range(options.slots - 1, 1, -1)] + [(near, 0)]
