"""Made-up clips with true masks: a ball among others over a textured ground, from a seed; frames are drawn when asked
for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from masklet.formats.davis import write_index_png

SIZE = (180, 320)
"""(height, width)"""

Place = Callable[[int], tuple[float, float]]


@dataclass(frozen=True)
class Thing:
    """A patterned ellipse.

    Attributes:
        look: Seed of its colours.
        place: Its centre (x, y) by frame.
        radius: (x, y) in pixels.
        seen: Whether it is in the picture, by frame.
    """

    look: int
    place: Place
    radius: tuple[int, int] = (26, 20)
    seen: Callable[[int], bool] = lambda frame: True


@dataclass(frozen=True)
class MadeUp:
    """A clip.

    Attributes:
        name: What happens in it.
        frames: Their number.
        things: What is drawn, the first lowest; `target` is followed.
        target: Which of them.
        ground: Seed of the ground by frame; another one is a cut.
        shift: How far the camera has moved, (x, y) by frame.
    """

    name: str
    frames: int
    things: tuple[Thing, ...]
    target: int = 0
    ground: Callable[[int], int] = lambda frame: 0
    shift: Place = lambda frame: (0.0, 0.0)

    def draw(self, frame: int) -> tuple[np.ndarray, np.ndarray]:
        """The picture, uint8 (H, W, 3), and the target's true mask, bool (H, W)."""
        picture = texture(self.ground(frame), self.shift(frame))
        truth = np.zeros(SIZE, bool)
        for n, thing in enumerate(self.things):
            if not thing.seen(frame):
                continue
            inside, pattern = drawn(thing, frame, self.shift(frame))
            picture[inside] = pattern[inside]
            truth = inside if n == self.target else truth & ~inside
        noise = np.random.default_rng(frame).integers(-6, 7, picture.shape)
        return np.clip(picture.astype(np.int16) + noise, 0, 255).astype(np.uint8), truth

    def pairs(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """All pictures with their true masks, one after another."""
        return (self.draw(frame) for frame in range(self.frames))


def texture(seed: int, shift: tuple[float, float]) -> np.ndarray:
    """A soft ground in three colours that moves with the camera."""
    height, width = SIZE
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    x, y = columns + shift[0], rows + shift[1]
    random = np.random.default_rng(1000 + seed)
    base, ground = random.uniform(60, 190, 3), np.zeros((height, width, 3), np.float32)
    for wave in random.uniform(0.01, 0.09, (5, 2)):
        ground += np.sin(wave[0] * x + wave[1] * y)[..., None] * random.uniform(-22, 22, 3)
    return np.clip(base + ground, 0, 255).astype(np.uint8)


def drawn(thing: Thing, frame: int, shift: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Where a thing is, bool (H, W), and its pattern, uint8 (H, W, 3): stripes in two colours that turn with it."""
    height, width = SIZE
    (x, y), (across, along) = thing.place(frame), thing.radius
    x, y = x - shift[0], y - shift[1]
    rows, columns = np.mgrid[:height, :width]
    u, v = columns - x, rows - y
    inside = (u / across) ** 2 + (v / along) ** 2 <= 1
    random = np.random.default_rng(thing.look)
    one, other = random.integers(0, 256, 3), random.integers(0, 256, 3)
    turn = 0.02 * frame
    stripes = (np.cos(turn) * u + np.sin(turn) * v) % 16 < 8
    pattern = np.where(stripes[..., None], one, other)
    return inside, cv2.blur(pattern.astype(np.uint8), (3, 3))


def going_round(x: float, y: float, width: float, height: float, speed: float, start: float = 0.0) -> Place:
    """A path in a loop that never comes back in step."""
    return lambda f: (x + width * np.sin(speed * f + start), y + height * np.sin(0.73 * speed * f + start))


def clips() -> list[MadeUp]:
    """One clip for each thing that goes wrong with trackers."""
    middle = going_round(160, 90, 90, 40, 0.05)
    walls = tuple(Thing(50 + n, lambda f, n=n: (90 + 140 * n, 90), radius=(32, 95)) for n in range(2))
    twins = tuple(Thing(3, going_round(160, 90, 110, 55, speed, start)) for speed, start in ((0.043, 2.0), (0.06, 4.0)))
    passing = (Thing(3, lambda f: (320 - (3.1 * f) % 400, 92)), Thing(3, lambda f: ((2.6 * f) % 420 - 40, 84)))
    wander = tuple(Thing(7 + n, going_round(160, 90, 120, 60, 0.03 + 0.011 * n, n)) for n in range(3))
    slow = Thing(6, going_round(160, 90, 120, 60, 0.021))
    return [
        MadeUp("hidden behind walls", 90, (Thing(1, going_round(160, 90, 130, 30, 0.07)), *walls)),
        MadeUp("gone for a while", 120, (wander[1], Thing(2, middle, seen=lambda f: not 40 <= f < 75)), target=1),
        MadeUp("look-alikes", 120, (Thing(3, middle), *twins)),
        MadeUp("look-alikes that pass by", 120, (Thing(3, lambda f: (160 + 0.2 * f, 90)), *passing)),
        MadeUp("camera jumps", 90, (Thing(4, middle),), shift=lambda f: (50.0 * (f // 30 % 2), -25.0 * (f // 45 % 2))),
        MadeUp(
            "cut away and back",
            120,
            (Thing(5, middle, seen=lambda f: f // 30 % 2 == 0), wander[1]),
            ground=lambda f: f // 30 % 2,
        ),
        MadeUp("1,500 frames", 1500, (*wander[:2], slow, wander[2]), target=2),
    ]


def write_clips(folder: Path) -> None:
    """All clips, laid out as DAVIS-2017 is; the target is object 1. The folder appears when it is whole."""
    begun = folder.with_name(f".{folder.name}")
    for clip in clips():
        name = clip.name.replace(" ", "-").replace(",", "")
        pictures, masks = (begun / part / "480p" / name for part in ("JPEGImages", "Annotations"))
        pictures.mkdir(parents=True, exist_ok=True)
        masks.mkdir(parents=True, exist_ok=True)
        for frame, (picture, truth) in enumerate(clip.pairs()):
            Image.fromarray(picture).save(pictures / f"{frame:05d}.png")
            write_index_png(masks / f"{frame:05d}.png", truth.astype(np.uint8))
    lists = begun / "ImageSets" / "2017"
    lists.mkdir(parents=True, exist_ok=True)
    (lists / "val.txt").write_text("".join(f"{path.name}\n" for path in sorted((begun / "JPEGImages/480p").iterdir())))
    begun.rename(folder)
