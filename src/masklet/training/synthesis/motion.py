"""Smooth motion: a perspective transform and a thin-plate bend for every frame."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
"""(3, 3), from homogeneous pixels to homogeneous pixels."""

KNOTS = 4
"""A bend is given by KNOTS x KNOTS points of the square."""

MOST_BEND = 0.08
"""Knots wander at most so far, as a share of the side: beyond that pictures would fold over."""

COARSE = 17
"""A bend is computed on COARSE x COARSE points, and enlarged."""


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

    def scaled(self, strength: float) -> MotionOptions:
        """So many times as much of everything but shake."""
        moving = ("shift", "turn", "zoom", "shear", "tilt", "bend")
        return replace(self, **{name: getattr(self, name) * strength for name in moving})


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
    linear = (
        scale * np.array([[cos, -sin], [sin, cos]]) @ np.array([[1, math.tan(float(np.clip(shear, -1, 1)))], [0, 1]])
    )
    inner = np.eye(3)
    inner[:2, :2], inner[:2, 2] = linear, (dx * size, dy * size)
    inner[2, :2] = np.clip((tilt_x, tilt_y), -0.3, 0.3) / size
    to_middle, back = np.eye(3), np.eye(3)
    to_middle[:2, 2], back[:2, 2] = -size / 2, size / 2
    return np.asarray(back @ inner @ to_middle)


def draw_bends(frames: int, size: int, rng: np.random.Generator, bend: float) -> list[NDArray[np.float32] | None]:
    """One displacement field (size, size, 2) in pixels for each frame; None where nothing bends."""
    if bend <= 0:
        return [None] * frames
    knots = wander(frames, KNOTS * KNOTS * 2, rng, 0.05).reshape(frames, KNOTS * KNOTS, 2) * bend
    knots = MOST_BEND * np.tanh(knots / MOST_BEND) * size
    fields = (_thin_plate() @ knots).reshape(frames, COARSE, COARSE, 2).astype(np.float32)
    return [np.asarray(cv2.resize(field, (size, size)), np.float32) for field in fields]


@lru_cache(maxsize=1)
def _thin_plate() -> NDArray[np.float64]:
    """(COARSE * COARSE, KNOTS * KNOTS): the thin-plate spline through values at the knots (Bookstein, 1989)."""
    knots, points = _lattice(KNOTS), _lattice(COARSE)
    count = len(knots)
    system = np.zeros((count + 3, count + 3))
    affine = np.hstack((np.ones((count, 1)), knots))
    system[:count, :count], system[:count, count:], system[count:, :count] = _kernel(knots, knots), affine, affine.T
    weights = np.linalg.solve(system, np.vstack((np.eye(count), np.zeros((3, count)))))
    basis = np.hstack((_kernel(points, knots), np.ones((len(points), 1)), points))
    return np.asarray(basis @ weights)


def _lattice(side: int) -> NDArray[np.float64]:
    steps = np.linspace(0, 1, side)
    x, y = np.meshgrid(steps, steps)
    return np.stack((x.ravel(), y.ravel()), axis=1)


def _kernel(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    squared = ((a[:, None] - b[None]) ** 2).sum(axis=2)
    return np.asarray(np.where(squared > 0, squared * np.log(np.maximum(squared, 1e-12)), 0.0))


@lru_cache(maxsize=8)
def _pixels(size: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    x, y = np.meshgrid(np.arange(size, dtype=np.float32), np.arange(size, dtype=np.float32))
    return x, y


class Window(NamedTuple):
    """A part of the square: x0 and y0 the first column and row, x1 and y1 one past the last."""

    x0: int
    y0: int
    x1: int
    y1: int


def look_up(matrix: Matrix, bend: NDArray[np.float32] | None, size: int, window: Window) -> NDArray[np.float32]:
    """(h, w, 2): where in the source each pixel of a window of the square comes from, for `cv2.remap`."""
    part = (slice(window.y0, window.y1), slice(window.x0, window.x1))
    x, y = (steps[part] for steps in _pixels(size))
    if bend is not None:
        x, y = x + bend[part][..., 0], y + bend[part][..., 1]
    back = np.linalg.inv(matrix).astype(np.float32)
    places = np.empty((*x.shape, 2), np.float32)
    depth = 1 / (back[2, 0] * x + back[2, 1] * y + back[2, 2])
    places[..., 0] = (back[0, 0] * x + back[0, 1] * y + back[0, 2]) * depth
    places[..., 1] = (back[1, 0] * x + back[1, 1] * y + back[1, 2]) * depth
    return places


def covered(matrix: Matrix, bend: NDArray[np.float32] | None, source: tuple[int, int], size: int) -> Window:
    """The part of the square where a source of (height, width) may be seen; empty if it is nowhere in it."""
    height, width = source
    corners = matrix @ np.array([[0, width, width, 0], [0, 0, height, height], [1.0] * 4])
    if (corners[2] <= 0.05).any():  # partly behind the camera
        return Window(0, 0, size, size)
    slack = 2.0 if bend is None else 2.0 + float(np.abs(bend).max())
    x, y = corners[:2] / corners[2]
    (x0, x1), (y0, y1) = (
        np.clip((edge.min() - slack, edge.max() + slack + 1), 0, size).astype(int).tolist() for edge in (x, y)
    )
    return Window(x0, y0, x1, y1)
