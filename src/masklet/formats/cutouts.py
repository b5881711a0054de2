"""Formats that show the pictures: the masks drawn in, the objects cut out with alpha, or before another background.

Colours are straight, not multiplied by alpha, as PNG has them and as editors expect them of ProRes and WebM. Those of
OpenEXR are floats in linear light, as compositors take them: multiplied by alpha, 1 the white of an ordinary picture;
its headers have primaries, timecode and rate. All objects of a frame are cut out together.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import dropwhile
from pathlib import Path
from typing import Any
from zlib import crc32

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageOps

from masklet.errors import FormatError, needing
from masklet.footage import BT709, PRIMARIES, Colours, later, linear_light, upright
from masklet.formats.base import Facts, Format, FrameLike, ObjectId, Sink, picture_of
from masklet.formats.davis import folder_name, undamaged
from masklet.formats.film import CINEFORM_KIND, PRORES_KIND, WEBM_KIND, FilmKind, mp4, write_film
from masklet.formats.writer import frame_files
from masklet.masks.finish import (
    Edges,
    Floats,
    Steadied,
    blend,
    blurred_around,
    cut_out,
    finished_alpha,
    inpainted,
    own_colors,
    without_spill,
)

OPENEXR = "OpenEXR of {} bits in linear light; needs the extra exr"

MAX_MATTES = 3
"""Most mattes in the colours of one picture."""


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
            if len(mattes) > MAX_MATTES:
                named = ", ".join(map(str, mattes))
                raise FormatError(
                    f"red, green and blue hold the mattes of {MAX_MATTES} objects, and there are {named}; name those "
                    "that are wanted, or write exr, which holds any number"
                )
            empty = [np.zeros(result.size, np.float32)] * (MAX_MATTES - len(mattes))
            return np.rint(np.dstack([*mattes.values(), *empty]) * most).astype(image.dtype)
        alpha = self.alpha(result, image)
        if show == "matte":
            return np.dstack([np.rint(alpha * most).astype(image.dtype)] * 3)
        if show == "removed":
            return inpainted(image, alpha)
        return cut_out(image, 1 - alpha if show == "inverse" else alpha)

    def _names(self, result: FrameLike) -> list[ObjectId]:
        only = self.finish.only
        wanted = [name for name in result.objects if not only or str(name) in only]
        return sorted(wanted, key=lambda name: only.index(str(name)) if only else result.indices[name])


def cut_out_objects(result: FrameLike) -> NDArray[Any]:
    """uint8 (H, W, 4), RGBA: all objects of the frame with soft edges; what is not theirs is transparent black."""
    return Cutter(Facts(result.size)).picture(result)


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
    path.write_bytes(data[:33] + chunk + data[33:])  # after the signature and the first chunk


def write_cut_outs(path: Path, facts: Facts, kind: FilmKind, deep: bool = True) -> AbstractContextManager[Sink]:
    """A film of the source's rate, with its sound, of more than 8 bits if it is `deep`. Frames come in their order."""
    cutter = Cutter(facts, deep=deep)
    return write_film(path, facts, kind, cutter.picture, cutter.colours)


def write_pngs(path: Path, facts: Facts, edges: Edges | None = None) -> AbstractContextManager[Sink]:
    """PATH/00000.png ..., or one PNG: of 16 bits where the source has more than 8."""
    if edges is not None:
        facts = replace(facts, finish=replace(facts.finish, edges=edges))
    cutter = Cutter(facts, deep=facts.footage is not None and facts.footage.bits > 8)
    colours = cutter.colours if facts.footage and facts.finish.show not in ("matte", "mattes") else None
    return frame_files(path, facts, ".png", lambda target, result: save_png(target, cutter.picture(result), colours))


def write_matte(path: Path, facts: Facts) -> AbstractContextManager[Sink]:
    """PATH/00000.png ..., or one PNG: the alpha of all objects together, of 16 bits, without colours."""
    cutter = Cutter(facts)

    def write(target: Path, result: FrameLike) -> None:
        image = cutter.image(result) if result.image is not None else np.zeros((*result.size, 3), np.uint8)
        save_png(target, np.rint(cutter.alpha(result, image) * 65_535).astype(np.uint16))

    return frame_files(path, facts, ".png", write)


def write_exr(path: Path, facts: Facts, kind: type[np.floating[Any]]) -> AbstractContextManager[Sink]:
    """PATH/00000.exr ..., or one EXR. Raises FormatError if the library is missing."""
    with needing("exr", "exr", FormatError):
        import OpenEXR
    cutter = Cutter(facts, deep=True)
    header: dict[str, Any] = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    if cutter.colours.primaries in PRIMARIES:
        header["chromaticities"] = PRIMARIES[cutter.colours.primaries]
    rate = Fraction(facts.rate).limit_denominator(1001) if facts.rate else None
    if rate:
        header["framesPerSecond"] = rate

    def write(target: Path, result: FrameLike) -> None:
        channels = channels_of(cutter, result, kind)
        said = dict(header)
        if facts.footage and facts.footage.timecode and rate:
            begin = later(facts.footage.timecode, round(result.time * rate), float(rate))
            hours, minutes, seconds, frame = (int(begin[k : k + 2]) for k in (0, 3, 6, 9))
            frames = -(-round(rate) // 30)  # an EXR counts to 29: of 60 frames a second those of a pair have one number
            said["timeCode"] = OpenEXR.TimeCode(hours, minutes, seconds, frame // frames, int(";" in begin), *[0] * 13)
        try:
            OpenEXR.File(said, channels).write(str(target))
        except RuntimeError as error:
            raise OSError("OpenEXR cannot write it") from error

    return frame_files(path, facts, ".exr", write)


def channels_of(cutter: Cutter, result: FrameLike, kind: type[np.floating[Any]]) -> dict[str, NDArray[Any]]:
    """What an EXR holds of a frame, by channel: RGB, RGBA, Y for a matte, and NAME.A for the matte of each object."""
    if cutter.finish.show == "mattes":
        mattes = cutter.mattes(result, cutter.image(result))
        return {f"{folder_name(name)}.A": alpha.astype(kind) for name, alpha in mattes.items()}
    if cutter.finish.show == "matte":
        return {"Y": cutter.alpha(result, cutter.image(result)).astype(kind)}
    shown = cutter.picture(result)
    light = linear_light(cutter.colours.transfer)[shown[..., :3]]
    if shown.shape[2] == 3:
        return {"RGB": light.astype(kind)}
    alpha = np.asarray(shown[..., 3:] / np.float32(65535), np.float32)
    return {"RGBA": np.concatenate((light * alpha, alpha), axis=2).astype(kind)}


def mp4_or_png(
    path: Path, facts: Facts, draw: Callable[[FrameLike], NDArray[np.uint8]]
) -> AbstractContextManager[Sink]:
    """An MP4 of the source's rate, with its sound, frames in their order; or by its ending the PNG of one picture."""
    if path.suffix.lower() == ".png":
        return frame_files(path, facts, ".png", lambda target, result: save_png(target, draw(result)))
    return write_film(path, facts, mp4(), draw)


def write_background(path: Path, facts: Facts) -> AbstractContextManager[Sink]:
    """A film or a PNG. Raises FormatError if `facts.finish` shows something else than the objects."""
    if facts.finish.show != "cutout":
        raise FormatError(f"background shows the objects, and {facts.finish.show} is asked for; take another format")
    back, cutter = find_background(facts.finish.background, facts.size), Cutter(facts)

    def draw(result: FrameLike) -> NDArray[np.uint8]:
        image = cutter.image(result)
        alpha = cutter.alpha(result, image)
        return blend(own_colors(image, alpha), alpha, blurred_around(image, alpha) if back is None else back)

    return mp4_or_png(path, facts, draw)


def find_background(background: str | Path, size: tuple[int, int]) -> NDArray[np.uint8] | tuple[int, int, int] | None:
    """What frames of (height, width) = `size` are put before: None for "blur", the frame's own, out of focus; a colour
    by its name or hexadecimal number; or a picture that fills the frame, its middle part where the shapes differ.

    Raises FormatError if it is something else, or the picture cannot be read.
    """
    if background == "blur":
        return None
    try:
        red, green, blue, *_ = ImageColor.getrgb(str(background))
        return red, green, blue
    except ValueError:  # no colour
        path = Path(background)
    if not os.path.isfile(path):
        raise FormatError(
            f"{str(path)!r} is no background; give blur, a colour such as white or #00ff00, or the path of a picture"
        )
    with undamaged(f"{path.name} cannot be read as a picture"), Image.open(path) as picture:
        shown = upright(picture)
    return np.array(ImageOps.fit(shown, size[::-1], Image.Resampling.LANCZOS))


OVERLAY = Format(
    "overlay",
    "the picture with the masks drawn in, PNG or MP4 with sound; any number of objects",
    partial(mp4_or_png, draw=lambda result: np.asarray(result.overlay())),
    video=".mp4",
    picture=".png",
    shows_pictures=True,
)
MATTE = Format(
    "matte",
    "alpha alone, grey PNGs of 16 bits, edges as soft as the model doubts them",
    write_matte,
    video="",
    picture=".png",
    finishes=True,
)
BACKGROUND = Format(
    "background",
    "the objects before a colour, a picture or a blur, PNG or MP4",
    write_background,
    video=".mp4",
    picture=".png",
    shows_pictures=True,
    finishes=True,
)
PRORES, CINEFORM, WEBM, RGBA, CUTOUT, SOFT_CUTOUT, EXR, EXR_FLOAT = (
    Format(name, f"cut-out with alpha, {line}", write, video=video, picture=picture, shows_pictures=True, finishes=True)
    for name, video, picture, write, line in (
        ("prores", ".mov", None, partial(write_cut_outs, kind=PRORES_KIND), "ProRes 4444 MOV, for editing"),
        ("cineform", ".mov", None, partial(write_cut_outs, kind=CINEFORM_KIND), "CineForm MOV, 12 bits, for editing"),
        ("webm", ".webm", None, partial(write_cut_outs, kind=WEBM_KIND, deep=False), "VP9 WebM, for web pages"),
        ("rgba", "", ".png", write_pngs, "RGBA PNGs, edges as soft as the model doubts them"),
        ("cutout", "", ".png", partial(write_pngs, edges="hard"), "RGBA PNGs, hard edges"),
        ("soft-cutout", "", ".png", partial(write_pngs, edges="soft"), "RGBA PNGs, edges that follow hair and fur"),
        ("exr", "", ".exr", partial(write_exr, kind=np.float16), OPENEXR.format(16)),
        ("exr-float", "", ".exr", partial(write_exr, kind=np.float32), OPENEXR.format(32)),
    )
)
