"""What cut-outs show of a frame, in films and in pictures, by the wishes in `Facts.finish`."""

from collections.abc import Iterator
from functools import partial
from itertools import dropwhile
from pathlib import Path
from typing import Any
from zlib import crc32

import cv2
import numpy as np
from numpy.typing import NDArray

from masklet.errors import FormatError
from masklet.footage import BT709, Colours
from masklet.formats.base import Facts, Format, FrameLike, ObjectId, picture_of
from masklet.masks.finish import Steadied, filled, finished_alpha, without_spill
from masklet.masks.guided import Floats
from masklet.masks.refine import cut_out

CutOut = partial(Format, shows_pictures=True, finishes=True)
"""A format that shows pictures, and takes all wishes of a `Finish`."""

CHANNELS = 3
"""Most mattes in the colours of one picture."""

AFTER_HEADER = 33
"""Bytes of a PNG's signature and first chunk."""


class Cutter:
    """Cuts objects out of frames, which come in their order.

    deep  whether the file that is written holds more than 8 bits: values are of 16 bits then, and the source's own

    Attributes:
        colours: What the values mean.
    """

    def __init__(self, facts: Facts, *, deep: bool = False) -> None:
        footage = facts.footage
        self.finish = facts.finish
        self._deep = deep
        self._source = footage.pictures if footage and deep and not facts.finish.tone_map else None
        of_source = footage and (footage.colours if self._source else footage.usual)
        self.colours: Colours = of_source or BT709
        self._pictures: Iterator[tuple[int, NDArray[np.uint16]]] = iter(())
        self._next = -1
        self._steadied = Steadied(facts.finish.steady)
        self._channels: list[ObjectId] = []

    def image(self, result: FrameLike) -> NDArray[Any]:
        """The frame's picture, uint8 or uint16 (H, W, 3) RGB, without the spill. Raises FormatError if it is not at
        hand."""
        image: NDArray[Any] = picture_of(result)
        if self._source is not None:
            if self._next < 0 or result.frame < self._next:
                self._pictures = self._source(result.frame)
            _, image = next(dropwhile(lambda found: found[0] < result.frame, self._pictures), (0, image))
            self._next = result.frame + 1
        if self._deep and image.dtype == np.uint8:
            image = image.astype(np.uint16) * 257
        return without_spill(image, self.finish.spill) if self.finish.spill else image

    def alpha(self, result: FrameLike, image: NDArray[Any]) -> Floats:
        """float32 (H, W) in 0..1 of all objects of the frame together; between two there is no seam."""
        logits = np.full(result.size, -32, np.float32)
        for name in self._names(result):
            np.maximum(logits, result.objects[name].full_logits(), out=logits)
        return self._steadied.mix(result.frame, image, [finished_alpha(image, logits, self.finish)])[0]

    def mattes(self, result: FrameLike, image: NDArray[Any]) -> dict[ObjectId, Floats]:
        """The same by object, each for itself. An object that a frame lacks has an empty one."""
        found = self._names(result)
        self._channels += [name for name in found if name not in self._channels]
        nothing = np.zeros(result.size, np.float32)
        alphas = [
            finished_alpha(image, result.objects[name].full_logits(), self.finish) if name in found else nothing
            for name in self._channels
        ]
        return dict(zip(self._channels, self._steadied.mix(result.frame, image, alphas), strict=True))

    def picture(self, result: FrameLike) -> NDArray[Any]:
        """What is shown: (H, W, 4) RGBA, colours not multiplied by alpha; (H, W, 3) where nothing is transparent."""
        image, show = self.image(result), self.finish.show
        most = np.iinfo(image.dtype).max
        if show == "mattes":
            mattes = self.mattes(result, image)
            if len(mattes) > CHANNELS:
                named = ", ".join(map(str, mattes))
                raise FormatError(
                    f"red, green and blue hold the mattes of {CHANNELS} objects, and there are {named}; name those "
                    "that are wanted, or write exr, which holds any number"
                )
            empty = [np.zeros(result.size, np.float32)] * (CHANNELS - len(mattes))
            return np.rint(np.dstack([*mattes.values(), *empty]) * most).astype(image.dtype)
        alpha = self.alpha(result, image)
        if show == "matte":
            return np.dstack([np.rint(alpha * most).astype(image.dtype)] * 3)
        if show == "removed":
            return filled(image, alpha)
        return cut_out(image, 1 - alpha if show == "inverse" else alpha)

    def _names(self, result: FrameLike) -> list[ObjectId]:
        only = self.finish.only
        wanted = [name for name in result.objects if not only or str(name) in only]
        return sorted(wanted, key=lambda name: only.index(str(name)) if only else result.indices[name])


def save_png(path: Path, image: NDArray[Any], colours: Colours | None = None) -> None:
    """Write a picture, uint8 or uint16, grey, RGB or RGBA, quickly rather than small; its colours are said in a chunk
    cICP (PNG, third edition), where they are given."""
    order = {4: cv2.COLOR_RGBA2BGRA, 3: cv2.COLOR_RGB2BGR}
    pixels = cv2.cvtColor(image, order[image.shape[2]]) if image.ndim == 3 else image
    _, coded = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    data, chunk = coded.tobytes(), b""
    if colours is not None:
        body = b"cICP" + bytes((colours.primaries, colours.transfer, 0, 1))
        chunk = (4).to_bytes(4, "big") + body + crc32(body).to_bytes(4, "big")
    path.write_bytes(data[:AFTER_HEADER] + chunk + data[AFTER_HEADER:])
