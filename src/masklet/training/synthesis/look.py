"""What cameras do to pictures: blur, changes of light, JPEG noise. Masks stay as they are."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from masklet.training.synthesis.motion import wander


@dataclass(frozen=True)
class LookOptions:
    """How often clips look so.

    Attributes:
        light: Share of clips whose light changes.
        out_of_focus: Share of clips with some frames out of focus.
        motion_blur: Share of clips that are blurred along a direction.
        jpeg: Share of clips with JPEG noise.
        sensor: Share of clips with grain.
    """

    light: float = 0.6
    out_of_focus: float = 0.2
    motion_blur: float = 0.25
    jpeg: float = 0.4
    sensor: float = 0.2


Images = list[NDArray[np.uint8]]


def spoil(images: Images, rng: np.random.Generator, options: LookOptions) -> Images:
    """The same clip, seen by a worse camera; each image uint8 (S, S, 3)."""
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
    """Frames get blurred and sharp again."""
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
    """Through JPEG of low quality and back."""
    quality = int(rng.integers(15, 70))
    return [_through_jpeg(image, quality) for image in images]


def _through_jpeg(image: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    _, content = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR), np.uint8)
