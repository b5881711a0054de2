"""A made-up clip: a picture under a moving camera, things of other pictures moving over it, exact masks.

A clip follows from its random numbers alone. Letters: S side of the square in pixels.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from masklet.datasets.base import IndexMasks, Labelled
from masklet.metrics.sequence import VOID
from masklet.training.synthesis.motion import Matrix, MotionOptions, Window, draw_bends, draw_path, look_up, wander
from masklet.training.synthesis.things import CutOut, Journey, cut_out, leave, look_alike, pass_by, place, seen, stay

FIRST_THING = 240
"""Numbers from here on are things that were pasted; the ground keeps its own, if they are lower."""

MOST_THINGS = (VOID - FIRST_THING - 1) // 2
"""So many have numbers, as each may come with another, and something passes by."""


@dataclass(frozen=True)
class LookOptions:
    """How often clips look so."""

    light: float = 0.6  # share of clips whose light changes
    out_of_focus: float = 0.2  # share of clips with some frames out of focus
    motion_blur: float = 0.25  # share of clips that are blurred along a direction
    jpeg: float = 0.4  # share of clips with JPEG noise
    sensor: float = 0.2  # share of clips with grain


@dataclass(frozen=True)
class MadeUpOptions:
    """How clips are made up."""

    things: int = 3  # at most so many things are pasted, up to MOST_THINGS; with none, only the camera moves
    # longest side of a thing when it is pasted, as shares of the square's side: least and most
    extent: tuple[float, float] = (0.2, 0.7)
    leave: float = 0.25  # probability that a thing leaves the picture and comes back
    look_alike: float = 0.25  # probability that a thing comes with another that looks nearly the same
    pass_by: float = 0.3  # probability that something passes in front of all
    cut: float = 0.1  # probability that another scene is shown for a frame or two
    camera: MotionOptions = field(default_factory=lambda: MotionOptions().scaled(0.5))  # how the ground moves
    motion: MotionOptions = field(default_factory=MotionOptions)  # how things move over it
    look: LookOptions = field(default_factory=LookOptions)  # what the camera does to the picture
    # how much quicker or slower things are than `motion`, each for itself: the deviation of a logarithm
    pace: float = 0.0


Draw = Callable[[], Labelled]
"""Gives another picture at every call."""


def make_clip(draw: Draw, frames: int, size: int, rng: np.random.Generator, options: MadeUpOptions) -> list[Labelled]:
    """A clip of so many frames, each S x S, whose objects are those of the ground and the things."""
    ground = draw()
    start = _fit(ground, size, rng)
    journey = Journey(
        [step @ start for step in draw_path(frames, size, rng, options.camera)],
        draw_bends(frames, size, rng, options.camera.bend / 2),
    )
    layers = draw_layers(draw, frames, size, rng, options)
    painted = [_paint(ground, journey, layers, frame, size) for frame in range(frames)]
    images, labels = [image for image, _ in painted], [map_ for _, map_ in painted]
    if frames > 2 and rng.random() < options.cut:
        _show_another(draw(), images, labels, size, rng)
    images = spoil(images, rng, options.look)
    return [Labelled(image, IndexMasks(map_)) for image, map_ in zip(images, labels, strict=True)]


def draw_layers(
    draw: Draw, frames: int, size: int, rng: np.random.Generator, options: MadeUpOptions
) -> list[tuple[CutOut, Journey]]:
    """Things and their journeys, the farthest first."""
    layers: list[tuple[CutOut, Journey]] = []
    for _ in range(int(rng.integers(options.things + 1))):
        thing = cut_out(draw(), rng)
        if thing is None:
            continue
        twins = [thing, look_alike(thing, rng)] if rng.random() < options.look_alike else [thing]
        for twin in twins:
            motion = options.motion.scaled(math.exp(rng.normal(0, options.pace))) if options.pace else options.motion
            journey = stay(place(twin, size, rng, options.extent), frames, size, rng, motion)
            layers.append((twin, leave(journey, size, rng) if rng.random() < options.leave else journey))
    if rng.random() < options.pass_by and (thing := cut_out(draw(), rng)) is not None:
        layers.append((thing, pass_by(thing, frames, size, rng, options.extent)))
    return layers


def _fit(ground: Labelled, size: int, rng: np.random.Generator) -> Matrix:
    """From a picture's pixels to the square: a part of it, so that the camera has room to move."""
    height, width = ground.image.shape[:2]
    share = rng.uniform(0.6, 1.0, 2)
    scale_x, scale_y = size / (share * (width, height))
    x, y = rng.uniform(0, 1, 2) * (1 - share) * (width, height)
    return np.array([[scale_x, 0, -x * scale_x], [0, scale_y, -y * scale_y], [0, 0, 1.0]])


def _paint(
    ground: Labelled, journey: Journey, layers: list[tuple[CutOut, Journey]], frame: int, size: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """One frame: uint8 (S, S, 3), and its index map. What is nearer hides what is farther."""
    whole = Window(0, 0, size, size)
    image, labels = _ground(ground, look_up(journey.matrices[frame], journey.bends[frame], size, whole))
    for number, (thing, path) in enumerate(layers, start=FIRST_THING):
        if (found := seen(thing, path, frame, size)) is not None:
            part = (slice(found.window.y0, found.window.y1), slice(found.window.x0, found.window.x1))
            alpha = found.pixels[..., 3:].astype(np.uint16)
            blended = found.pixels[..., :3] * alpha + image[part] * (255 - alpha) + 127
            image[part] = blended // 255
            labels[part][alpha[..., 0] > 127] = number
    return image, labels


def _ground(ground: Labelled, map_to: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The ground as the camera sees it; beyond its border it is mirrored, and nobody knows what is there."""
    image = cv2.remap(ground.image, map_to, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)  # type: ignore[call-overload]
    labels = cv2.remap(  # type: ignore[call-overload]
        index_map(ground), map_to, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=VOID
    )
    return np.asarray(image, np.uint8), np.asarray(labels, np.uint8)


def index_map(picture: Labelled) -> NDArray[np.uint8]:
    """uint8 (H, W): the objects of a picture by number, smaller ones over larger ones."""
    if isinstance(picture.masks, IndexMasks):
        labels = picture.masks.labels.copy()
        labels[(labels >= FIRST_THING) & (labels < VOID)] = VOID
        return labels
    labels = np.zeros(picture.masks.size, np.uint8)
    if (void := picture.masks.void) is not None:
        labels[void] = VOID
    largest_first = sorted(picture.masks.areas().items(), key=lambda entry: -entry[1])
    for number, (name, _) in enumerate(largest_first[: FIRST_THING - 1], start=1):
        labels[picture.masks[name]] = number
    return labels


def _show_another(
    scene: Labelled,
    images: list[NDArray[np.uint8]],
    labels: list[NDArray[np.uint8]],
    size: int,
    rng: np.random.Generator,
) -> None:
    """Put another scene in place of a frame or two after the first; nothing of the clip is in it."""
    first = int(rng.integers(1, len(images) - 1))
    still = np.asarray(cv2.resize(scene.image, (size, size), interpolation=cv2.INTER_AREA), np.uint8)
    for frame in range(first, min(first + int(rng.integers(1, 3)), len(images) - 1)):
        images[frame], labels[frame] = still, np.zeros((size, size), np.uint8)


Images = list[NDArray[np.uint8]]


def spoil(images: Images, rng: np.random.Generator, options: LookOptions) -> Images:
    effects = (
        (options.light, change_light),
        (options.out_of_focus, defocus),
        (options.motion_blur, smear),
        (options.sensor, add_grain),
        (options.jpeg, compress),
    )
    for share, effect in effects:
        if rng.random() < share:
            images = effect(images, rng)
    return images


def change_light(images: Images, rng: np.random.Generator) -> Images:
    """Brightness, tint and contrast curve, which drift along the clip."""
    start, drift = rng.uniform(0.8, 1.2, 3), wander(len(images), 3, rng, 0.3) * 0.02
    curve = rng.uniform(0.75, 1.3)
    ramp = (np.arange(256) / 255) ** curve
    changed = []
    for image, shift in zip(images, drift, strict=True):
        table = np.clip(ramp[:, None] * np.clip(start + shift, 0.4, 1.7) * 255, 0, 255).astype(np.uint8)
        changed.append(np.asarray(cv2.LUT(image, table[None]), np.uint8))
    return changed


def defocus(images: Images, rng: np.random.Generator) -> Images:
    swing = np.sin(np.linspace(0, math.pi, len(images)) + rng.uniform(0, math.pi)) * rng.uniform(0.5, 2.0)
    return [
        np.asarray(cv2.GaussianBlur(image, (0, 0), float(sigma)), np.uint8) if sigma > 0.3 else image
        for image, sigma in zip(images, swing, strict=True)
    ]


def smear(images: Images, rng: np.random.Generator) -> Images:
    """Blur along a line, as of a shaken camera."""
    length = int(rng.integers(3, 10))
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1
    turn = cv2.getRotationMatrix2D(((length - 1) / 2, (length - 1) / 2), float(rng.uniform(0, 180)), 1.0)
    line = np.asarray(cv2.warpAffine(kernel, turn, (length, length)))
    line = line / line.sum()
    return [np.asarray(cv2.filter2D(image, -1, line), np.uint8) for image in images]


def add_grain(images: Images, rng: np.random.Generator) -> Images:
    """Noise of a dark scene, another in every frame."""
    strength = rng.uniform(2, 10)
    return [
        np.clip(image + rng.normal(0, strength, image.shape[:2])[..., None], 0, 255).astype(np.uint8)
        for image in images
    ]


def compress(images: Images, rng: np.random.Generator) -> Images:
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 70))]
    coded = (cv2.imencode(".jpg", image, quality)[1] for image in images)
    return [np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR), np.uint8) for content in coded]
