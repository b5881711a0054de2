"""Made-up video from stills: a picture under a moving camera, things cut out of other pictures moving over it, with
exact masks. A clip follows from its random numbers alone.

Letters: S side of the square in pixels.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from masklet.datasets.base import IndexMasks, Labelled
from masklet.masks.shape import mask_box
from masklet.metrics.sequence import VOID
from masklet.training.batch import PickOptions, draw_objects

FIRST_THING = 240
"""Numbers from here on are things that were pasted; the ground keeps its own, if they are lower."""

MAX_THINGS = (VOID - FIRST_THING - 1) // 2
"""So many have numbers, as each may come with another, and something passes by."""

MIN_THING = PickOptions(least=0.005, most=0.6, size_power=0.5)
"""Which objects are cut out."""

MARGIN = 2
"""Transparent pixels around a cut-out."""

BEND_KNOTS = 4
"""A bend is given by BEND_KNOTS x BEND_KNOTS points of the square."""

MAX_BEND = 0.08
"""Knots wander at most so far, as a share of the side: beyond that pictures would fold over."""

BEND_GRID = 17
"""A bend is computed on BEND_GRID x BEND_GRID points, and enlarged."""

FLOOD_SEEDS = 12
"""To find regions, the picture is flooded from about FLOOD_SEEDS x FLOOD_SEEDS places."""

SMOOTHING_PIXELS = 7
"""Pixels over which colours are smoothed first."""

REGION_SIDE = 256
"""Regions are found at this size, and enlarged."""

MAX_REGIONS = 24


@dataclass(frozen=True)
class MotionOptions:
    """How much things move from frame to frame, in units of the square's side, radians and logarithms."""

    shift: float = 0.05  # drift
    turn: float = 0.06  # rotation
    zoom: float = 0.05  # growth
    shear: float = 0.03  # slant
    tilt: float = 0.03  # perspective: how much nearer one side comes than the other
    bend: float = 0.012  # how far the knots of a thin-plate spline wander
    shake: float = 0.15  # share of all these that changes without rule at every frame

    def scaled(self, strength: float) -> "MotionOptions":
        """So many times as much of everything but shake."""
        moving = {name: value * strength for name, value in vars(self).items() if name != "shake"}
        return replace(self, **moving)


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

    things: int = 3  # at most so many things are pasted, up to MAX_THINGS; with none, only the camera moves
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


Pixels = NDArray[np.uint8]
"""(h, w, 3), RGB."""

CutOut = NDArray[np.uint8]
"""A thing without its surroundings: (h, w, 4), RGB and 255 inside, 0 outside."""

Matrix = NDArray[np.float64]
"""(3, 3), from homogeneous pixels to homogeneous pixels."""

Bend = NDArray[np.float32]
"""(S, S, 2): where each pixel of the square is moved, in pixels."""

Window = tuple[slice, slice]
"""Rows and columns of the square."""

Draw = Callable[[], Labelled]
"""Gives another picture at every call."""


@dataclass(frozen=True, eq=False)
class Journey:
    """Where something is in every frame: a transform from its pixels to the square's, and a bend, if there is any."""

    matrices: list[Matrix]
    bends: list[Bend | None]


def make_clip(draw: Draw, frames: int, size: int, rng: np.random.Generator, options: MadeUpOptions) -> list[Labelled]:
    """A clip of so many frames, each S x S, whose objects are those of the ground and the things."""
    ground = draw()
    start = _fit(ground, size, rng)
    path = [step @ start for step in draw_path(frames, size, rng, options.camera)]
    journey = Journey(path, draw_bends(frames, size, rng, options.camera.bend / 2))
    layers = draw_layers(draw, frames, size, rng, options)
    painted = [_paint(ground, journey, layers, frame, size) for frame in range(frames)]
    images, labels = [image for image, _ in painted], [map_ for _, map_ in painted]
    if frames > 2 and rng.random() < options.cut:  # another scene for a frame or two; nothing of the clip is in it
        scene, first = draw().image, int(rng.integers(1, frames - 1))
        still = np.asarray(cv2.resize(scene, (size, size), interpolation=cv2.INTER_AREA), np.uint8)
        for frame in range(first, min(first + int(rng.integers(1, 3)), frames - 1)):
            images[frame], labels[frame] = still, np.zeros((size, size), np.uint8)
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
            journey = stay(place_thing(twin, size, rng, options.extent), frames, size, rng, motion)
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
) -> tuple[Pixels, NDArray[np.uint8]]:
    """One frame, S x S, and its index map. What is nearer hides what is farther; beyond its border the ground is
    mirrored, and nobody knows what is there."""
    places = look_up(journey.matrices[frame], journey.bends[frame], size, (slice(size), slice(size)))
    mirrored, unknown = {"borderMode": cv2.BORDER_REFLECT_101}, {"borderMode": cv2.BORDER_CONSTANT, "borderValue": VOID}
    image = np.asarray(cv2.remap(ground.image, places, None, cv2.INTER_LINEAR, **mirrored), np.uint8)  # type: ignore[call-overload]
    labels = np.asarray(cv2.remap(labels_of(ground), places, None, cv2.INTER_NEAREST, **unknown), np.uint8)  # type: ignore[call-overload]
    for number, (thing, path) in enumerate(layers, start=FIRST_THING):
        if (found := visible_part(thing, path, frame, size)) is not None:
            window, pixels = found
            alpha = pixels[..., 3:].astype(np.uint16)
            image[window] = (pixels[..., :3] * alpha + image[window] * (255 - alpha) + 127) // 255
            labels[window][alpha[..., 0] > 127] = number
    return image, labels


def labels_of(picture: Labelled) -> NDArray[np.uint8]:
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


def cut_out(picture: Labelled, rng: np.random.Generator) -> CutOut | None:
    """One of a picture's objects; None if it has none of a fitting size."""
    for name in draw_objects(picture, rng, MIN_THING):
        mask = picture.masks[name]
        x0, y0, x1, y1 = mask_box(mask)
        alpha = np.where(mask[y0:y1, x0:x1], 255, 0).astype(np.uint8)
        pixels = np.dstack((picture.image[y0:y1, x0:x1], alpha))
        framed = cv2.copyMakeBorder(pixels, MARGIN, MARGIN, MARGIN, MARGIN, cv2.BORDER_REPLICATE)
        framed[..., 3] = cv2.copyMakeBorder(alpha, MARGIN, MARGIN, MARGIN, MARGIN, cv2.BORDER_CONSTANT)
        return np.asarray(framed, np.uint8)
    return None


def look_alike(thing: CutOut, rng: np.random.Generator) -> CutOut:
    """The same thing in slightly other colours, mirrored half of the time."""
    gain = rng.uniform(0.75, 1.25, 3)
    pixels = thing.copy()
    pixels[..., :3] = np.clip(pixels[..., :3] * gain, 0, 255)
    return np.ascontiguousarray(pixels[:, ::-1]) if rng.random() < 0.5 else pixels


def place_thing(thing: CutOut, size: int, rng: np.random.Generator, extent: tuple[float, float]) -> Matrix:
    """From a cut-out's pixels to somewhere in the square; its longest side becomes that share of the square's."""
    height, width = thing.shape[:2]
    scale = rng.uniform(*extent) * size / max(height, width)
    x, y = rng.uniform(0.15, 0.85, 2) * size
    return np.array([[scale, 0, x - scale * width / 2], [0, scale, y - scale * height / 2], [0, 0, 1.0]])


def stay(start: Matrix, frames: int, size: int, rng: np.random.Generator, motion: MotionOptions) -> Journey:
    """A journey that begins at a place and wanders about."""
    centre = start @ np.array([0, 0, 1.0])
    path = draw_path(frames, size, rng, motion)
    middle = _shift(size / 2 - centre[:2] / centre[2])
    back = np.linalg.inv(middle)
    return Journey([back @ step @ middle @ start for step in path], draw_bends(frames, size, rng, motion.bend))


def leave(journey: Journey, size: int, rng: np.random.Generator) -> Journey:
    """The same, but away from the picture for some frames in the middle, and back again."""
    frames = len(journey.matrices)
    if frames < 4:
        return journey
    gone = int(rng.integers(1, max(2, frames // 2)))
    first = int(rng.integers(2, frames - gone + 1))  # the frames before it are those in which it goes
    angle = rng.uniform(0, 2 * np.pi)
    direction = 1.6 * size * np.array([np.cos(angle), np.sin(angle)])
    time = np.arange(frames)
    away = np.clip(np.minimum((time - first + 2) / 2, (first + gone + 1 - time) / 2), 0, 1)
    path = [_shift(share * direction) @ matrix for matrix, share in zip(journey.matrices, away, strict=True)]
    return Journey(path, journey.bends)


def pass_by(thing: CutOut, frames: int, size: int, rng: np.random.Generator, extent: tuple[float, float]) -> Journey:
    """A journey straight through the picture, from one side to the other."""
    start = place_thing(thing, size, rng, extent)
    angle, moment = rng.uniform(0, 2 * np.pi), rng.uniform(0, frames - 1)
    speed = rng.uniform(0.12, 0.35) * size * np.array([np.cos(angle), np.sin(angle)])
    return Journey([_shift((frame - moment) * speed) @ start for frame in range(frames)], [None] * frames)


def _shift(by: NDArray[np.float64]) -> Matrix:
    matrix = np.eye(3)
    matrix[:2, 2] = by
    return matrix


def wander(frames: int, count: int, rng: np.random.Generator, shake: float) -> NDArray[np.float64]:
    """(frames, count): numbers that begin at 0 and wander by about 1 a frame: a drift, a slow swing, and a shake."""
    time = np.arange(frames)[:, None]
    drift = rng.normal(0, 0.7, count) * time
    period, phase = rng.uniform(4, 16, count), rng.uniform(0, 2 * math.pi, count)
    swing = rng.normal(0, 1.0, count) * period / 4 * (np.sin(2 * math.pi * time / period + phase) - np.sin(phase))
    jitter = rng.normal(0, shake, (frames, count))
    jitter[0] = 0
    return np.asarray(drift + swing + jitter)


def draw_path(frames: int, size: int, rng: np.random.Generator, options: MotionOptions) -> list[Matrix]:
    """One transform a frame, about the middle of a square of so many pixels; the first changes nothing."""
    scales = (options.shift, options.shift, options.turn, options.zoom, options.shear, options.tilt, options.tilt)
    return [pose(*row, size=size) for row in wander(frames, len(scales), rng, options.shake) * scales]


def pose(
    dx: float, dy: float, turn: float, zoom: float, shear: float, tilt_x: float, tilt_y: float, *, size: int
) -> Matrix:
    """The transform about the middle of a square of `size` pixels, with shifts as shares of its side."""
    scale, cos, sin = math.exp(float(np.clip(zoom, -1.5, 1.5))), math.cos(turn), math.sin(turn)
    slant = np.array([[1, math.tan(float(np.clip(shear, -1, 1)))], [0, 1]])
    inner = np.eye(3)
    inner[:2, :2], inner[:2, 2] = scale * np.array([[cos, -sin], [sin, cos]]) @ slant, (dx * size, dy * size)
    inner[2, :2] = np.clip((tilt_x, tilt_y), -0.3, 0.3) / size
    half = np.full(2, size / 2)
    return np.asarray(_shift(half) @ inner @ _shift(-half))


def draw_bends(frames: int, size: int, rng: np.random.Generator, bend: float) -> list[Bend | None]:
    """The bend of each frame; None where nothing bends."""
    if bend <= 0:
        return [None] * frames
    knots = wander(frames, BEND_KNOTS * BEND_KNOTS * 2, rng, 0.05).reshape(frames, BEND_KNOTS * BEND_KNOTS, 2) * bend
    knots = MAX_BEND * np.tanh(knots / MAX_BEND) * size
    fields = (_thin_plate() @ knots).reshape(frames, BEND_GRID, BEND_GRID, 2).astype(np.float32)
    return [np.asarray(cv2.resize(field, (size, size)), np.float32) for field in fields]


@lru_cache(maxsize=1)
def _thin_plate() -> NDArray[np.float64]:
    """(BEND_GRID ** 2, BEND_KNOTS ** 2): the thin-plate spline through values at the knots (Bookstein, 1989)."""
    knots, points = _lattice(BEND_KNOTS), _lattice(BEND_GRID)
    count = len(knots)
    system = np.zeros((count + 3, count + 3))
    affine = np.hstack((np.ones((count, 1)), knots))
    system[:count, :count], system[:count, count:], system[count:, :count] = _kernel(knots, knots), affine, affine.T
    weights = np.linalg.solve(system, np.vstack((np.eye(count), np.zeros((3, count)))))
    basis = np.hstack((_kernel(points, knots), np.ones((len(points), 1)), points))
    return np.asarray(basis @ weights)


def _lattice(side: int) -> NDArray[np.float64]:
    """(side * side, 2): x, y in 0..1."""
    steps = np.linspace(0, 1, side)
    return np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)


def _kernel(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    squared = ((a[:, None] - b[None]) ** 2).sum(axis=2)
    return np.asarray(np.where(squared > 0, squared * np.log(np.maximum(squared, 1e-12)), 0.0))


def look_up(matrix: Matrix, bend: Bend | None, size: int, window: Window) -> NDArray[np.float32]:
    """(h, w, 2): where in the source each pixel of a window of the square comes from, for `cv2.remap`."""
    x, y = (steps[window] for steps in _pixels(size))
    if bend is not None:
        x, y = x + bend[window][..., 0], y + bend[window][..., 1]
    back = np.linalg.inv(matrix).astype(np.float32)
    places = np.empty((*x.shape, 2), np.float32)
    depth = 1 / (back[2, 0] * x + back[2, 1] * y + back[2, 2])
    places[..., 0] = (back[0, 0] * x + back[0, 1] * y + back[0, 2]) * depth
    places[..., 1] = (back[1, 0] * x + back[1, 1] * y + back[1, 2]) * depth
    return places


@lru_cache(maxsize=8)
def _pixels(size: int) -> Sequence[NDArray[np.float32]]:
    """x and y of every pixel of the square."""
    return np.meshgrid(np.arange(size, dtype=np.float32), np.arange(size, dtype=np.float32))


def visible_part(thing: CutOut, journey: Journey, frame: int, size: int) -> tuple[Window, CutOut] | None:
    """The part of the square where a thing may be seen in a frame, and the thing there; None if it is nowhere in it."""
    matrix, bend = journey.matrices[frame], journey.bends[frame]
    height, width = thing.shape[:2]
    corners = matrix @ np.array([[0, width, width, 0], [0, 0, height, height], [1.0] * 4])
    window = slice(size), slice(size)
    if (corners[2] > 0.05).all():  # else it is partly behind the camera
        slack = 2.0 if bend is None else 2.0 + float(np.abs(bend).max())
        x, y = corners[:2] / corners[2]
        bounds = (np.clip((edge.min() - slack, edge.max() + slack + 1), 0, size).astype(int) for edge in (y, x))
        rows, columns = (slice(*map(int, pair)) for pair in bounds)
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return None
        window = rows, columns
    places = look_up(matrix, bend, size, window)
    found = cv2.remap(thing, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)  # type: ignore[call-overload]
    return window, np.asarray(found, np.uint8)


def spoil(images: list[Pixels], rng: np.random.Generator, options: LookOptions) -> list[Pixels]:
    """What the camera does to some clips."""
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


def change_light(images: list[Pixels], rng: np.random.Generator) -> list[Pixels]:
    """Brightness, tint and contrast curve, which drift along the clip."""
    start, drift = rng.uniform(0.8, 1.2, 3), wander(len(images), 3, rng, 0.3) * 0.02
    ramp = (np.arange(256) / 255) ** rng.uniform(0.75, 1.3)
    tables = [np.clip(ramp[:, None] * np.clip(start + shift, 0.4, 1.7) * 255, 0, 255) for shift in drift]
    return [
        np.asarray(cv2.LUT(image, table.astype(np.uint8)[None]), np.uint8)
        for image, table in zip(images, tables, strict=True)
    ]


def defocus(images: list[Pixels], rng: np.random.Generator) -> list[Pixels]:
    swing = np.sin(np.linspace(0, math.pi, len(images)) + rng.uniform(0, math.pi)) * rng.uniform(0.5, 2.0)
    return [
        np.asarray(cv2.GaussianBlur(image, (0, 0), float(sigma)), np.uint8) if sigma > 0.3 else image
        for image, sigma in zip(images, swing, strict=True)
    ]


def smear(images: list[Pixels], rng: np.random.Generator) -> list[Pixels]:
    """Blur along a line, as of a shaken camera."""
    length = int(rng.integers(3, 10))
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1
    turn = cv2.getRotationMatrix2D(((length - 1) / 2, (length - 1) / 2), float(rng.uniform(0, 180)), 1.0)
    line = np.asarray(cv2.warpAffine(kernel, turn, (length, length)))
    line = line / line.sum()
    return [np.asarray(cv2.filter2D(image, -1, line), np.uint8) for image in images]


def add_grain(images: list[Pixels], rng: np.random.Generator) -> list[Pixels]:
    """Noise of a dark scene, another in every frame."""
    strength = rng.uniform(2, 10)
    return [
        np.clip(image + rng.normal(0, strength, image.shape[:2])[..., None], 0, 255).astype(np.uint8)
        for image in images
    ]


def compress(images: list[Pixels], rng: np.random.Generator) -> list[Pixels]:
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 70))]
    coded = (cv2.imencode(".jpg", image, quality)[1] for image in images)
    return [np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR), np.uint8) for content in coded]


def find_regions(image: Pixels, rng: np.random.Generator) -> IndexMasks:
    """The largest regions of a picture, uint8 (H, W, 3): flooded from scattered seeds (Meyer's watershed, 1992), and
    neighbours of like colour joined. They cover the whole picture where they are few."""
    height, width = image.shape[:2]
    scale = min(1.0, REGION_SIDE / max(height, width))
    rows, columns = size = max(8, round(height * scale)), max(8, round(width * scale))
    small = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
    smooth = np.asarray(cv2.medianBlur(small, SMOOTHING_PIXELS), np.uint8)
    flooded = np.asarray(cv2.watershed(smooth, _seeds(size, rng)))
    lines_filled = cv2.dilate(np.maximum(flooded, 0).astype(np.uint8), np.ones((3, 3), np.uint8))
    joined = _join(np.asarray(lines_filled, np.uint8), smooth, rng.uniform(8, 30))
    labels = np.zeros(size, np.uint8)
    sizes = np.bincount(joined.ravel(), minlength=256)
    sizes[0] = 0
    for number, region in enumerate(np.argsort(sizes)[::-1][:MAX_REGIONS], start=1):
        if sizes[region]:
            labels[joined == region] = number
    return IndexMasks(np.asarray(cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8))


def _seeds(size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.int32]:
    """Markers (H, W), numbered from 1: one somewhere in each of FLOOD_SEEDS x FLOOD_SEEDS cells of the picture."""
    cells = np.moveaxis(np.indices((FLOOD_SEEDS, FLOOD_SEEDS)), 0, -1)
    places = ((cells + rng.random(cells.shape)) * size / FLOOD_SEEDS).astype(int).reshape(-1, 2)
    markers = np.zeros(size, np.int32)
    markers[tuple(np.minimum(places, np.array(size) - 1).T)] = np.arange(1, len(places) + 1)
    return markers


def _join(cells: NDArray[np.uint8], image: Pixels, distance: float) -> NDArray[np.uint8]:
    """Join neighbouring cells whose mean colours (Lab) are nearer than `distance`."""
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(np.float64)
    count = int(cells.max()) + 1
    sizes = np.maximum(np.bincount(cells.ravel(), minlength=count), 1)
    means = np.stack(
        [np.bincount(cells.ravel(), lab[..., c].ravel(), minlength=count) / sizes for c in range(3)], axis=1
    )
    sides = ((cells[:, :-1], cells[:, 1:]), (cells[:-1], cells[1:]))
    beside = np.vstack([np.stack((a[a != b], b[a != b]), axis=1) for a, b in sides])
    pairs = np.unique(np.sort(beside, axis=1), axis=0)
    gaps = np.linalg.norm(means[pairs[:, 0]] - means[pairs[:, 1]], axis=1)
    root = np.arange(count)
    for a, b in pairs[np.argsort(gaps)][: int((gaps < distance).sum())]:
        root[root == root[b]] = root[a]
    return np.asarray(root[cells], np.uint8)
