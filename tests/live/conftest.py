"""A live session over made-up pictures, with the small network."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from masklet.checkpoints import Model
from masklet.live import LiveSession
from masklet.media.camera import Camera, Finished
from tests.conftest import small_network

SIZE = (60, 80)


def picture(number: int) -> NDArray[np.uint8]:
    """A bright square on dark ground, which moves."""
    image = np.full((*SIZE, 3), 30, np.uint8)
    image[20:40, 10 + number : 30 + number] = (220, 180, 60)
    return image


class Device:
    """Pictures that come when the test lets them."""

    def __init__(self, count: int, draw: Callable[[int], NDArray[np.uint8]] = picture) -> None:
        self.draw = draw
        self.go = threading.Semaphore(1)
        self.left = iter(range(count))

    def __next__(self) -> NDArray[np.uint8]:
        self.go.acquire()
        number = next(self.left, None)
        if number is None:
            raise Finished
        return self.draw(number)

    def close(self) -> None:
        self.go.release()


@dataclass
class Scene:
    """A session, and its camera's device."""

    session: LiveSession
    device: Device

    def step(self) -> None:
        """Follow into the next picture."""
        if self.session.status().frame is not None:
            self.device.go.release()
        self.session.step(next(self.frames))

    def __post_init__(self) -> None:
        self.frames = self.session.camera.frames()


Open = Callable[..., Scene]


@pytest.fixture(scope="session")
def model() -> Model:
    return Model("golden-small", small_network())


@pytest.fixture
def open_scene(model: Model) -> Iterator[Open]:
    """Opens a scene of so many pictures."""
    scenes: list[Scene] = []

    def call(count: int = 5) -> Scene:
        device = Device(count)
        scenes.append(Scene(LiveSession(Camera(0, opener=lambda _: device), model), device))
        return scenes[-1]

    yield call
    for scene in scenes:
        scene.session.end()
        scene.device.go.release()
        scene.session.camera.close()
