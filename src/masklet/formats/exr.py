"""OpenEXR: a picture of floats for each frame, in linear light, as compositors take it.

Colours are multiplied by alpha, as OpenEXR defines them; 1 is the white of an ordinary picture. The headers have
primaries, timecode and rate.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from masklet.errors import FormatError, needing
from masklet.footage import PRIMARIES, later, linear_light
from masklet.formats.base import Facts, FrameLike, Sink
from masklet.formats.cutter import CutOut, Cutter
from masklet.formats.davis import folder_name
from masklet.formats.numbered import frame_files


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
            OpenEXR.File(said, dict(channels)).write(str(target))
        except RuntimeError as error:
            raise OSError("OpenEXR cannot write it") from error

    return frame_files(path, facts, ".exr", write)


def channels_of(cutter: Cutter, result: FrameLike, kind: type[np.floating[Any]]) -> Mapping[str, NDArray[Any]]:
    """What an EXR holds of a frame, by the names of its channels: RGB, RGBA, Y for a matte, and NAME.A for the matte of
    each object."""
    image, show = cutter.image(result), cutter.finish.show
    if show == "mattes":
        return {f"{folder_name(name)}.A": alpha.astype(kind) for name, alpha in cutter.mattes(result, image).items()}
    if show == "matte":
        return {"Y": cutter.alpha(result, image).astype(kind)}
    shown = cutter.picture(result)
    light = linear_light(cutter.colours.transfer)[shown[..., :3]]
    if shown.shape[2] == 3:
        return {"RGB": light.astype(kind)}
    alpha = np.asarray(shown[..., 3:] / np.float32(65535), np.float32)
    return {"RGBA": np.concatenate((light * alpha, alpha), axis=2).astype(kind)}


EXR, EXR_FLOAT = (
    CutOut(
        name,
        f"cut-out with alpha, OpenEXR of {bits} bits in linear light; needs the extra exr",
        partial(write_exr, kind=kind),
        video="",
        picture=".exr",
    )
    for name, bits, kind in (("exr", 16, np.float16), ("exr-float", 32, np.float32))
)
