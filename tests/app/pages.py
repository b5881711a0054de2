"""The page as a person meets it: places of the picture on the screen, and pixels of the masks."""

from __future__ import annotations

import base64
from collections.abc import Callable
from time import monotonic, sleep
from typing import Any

import numpy as np
from numpy.typing import NDArray

READ = """(name) => {
  const canvas = document.querySelector(name), pen = canvas.getContext("2d");
  const data = pen.getImageData(0, 0, canvas.width, canvas.height).data;
  let text = "";
  for (let at = 0; at < data.length; at += 32768) text += String.fromCharCode(...data.subarray(at, at + 32768));
  return [canvas.width, canvas.height, btoa(text)];
}"""


class Viewer:
    """A page that shows a video."""

    def __init__(self, page: Any) -> None:
        self.page = page
        page.wait_for_selector("#stage[data-frame]")

    def pixels(self, canvas: str = "#masks") -> NDArray[np.uint8]:
        """uint8 (H, W, 4) of a canvas."""
        width, height, text = self.page.evaluate(READ, canvas)
        return np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)

    def mask(self) -> NDArray[np.bool_]:
        """bool (H, W): where any mask is painted."""
        return self.pixels()[..., 3] > 0

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a pixel of the picture is on the screen."""
        area = self.page.locator("#picture").bounding_box()
        scale = area["width"] / self.page.evaluate("document.querySelector('#picture').width")
        return area["x"] + (x + 0.5) * scale, area["y"] + (y + 0.5) * scale

    def click(self, x: float, y: float, **how: Any) -> None:
        self.page.mouse.click(*self.at(x, y), **how)

    def drag(self, *places: tuple[float, float]) -> None:
        self.page.mouse.move(*self.at(*places[0]))
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*self.at(*place), steps=4)
        self.page.mouse.up()

    @property
    def frame(self) -> int:
        """The frame that is on the screen."""
        return int(self.page.get_attribute("#stage", "data-frame"))

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)


def until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Wait until something holds, and give it."""
    end = monotonic() + seconds
    while not (found := condition()):
        assert monotonic() < end, "it did not come"
        sleep(0.02)
    return found
