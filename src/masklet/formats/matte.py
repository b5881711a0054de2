"""Cut-outs with alpha for editors and for the web: films, and PNGs of 8 or 16 bits.

Colours are straight, not multiplied by alpha, as PNG has them and as editors expect them of ProRes and WebM.
All objects of a frame are cut out together.
"""

from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from masklet.formats.base import Facts, Format, FrameLike, Opener, Sink
from masklet.formats.cutter import CutOut, Cutter, save_png
from masklet.formats.film import FilmKind, write_film
from masklet.formats.numbered import frame_files
from masklet.formats.sound import MOV_SOUND, WEBM_SOUND
from masklet.masks.guided import Edges

PRORES_KIND = FilmKind(
    "mov",
    {"prores_ks": {"profile": "4444", "vendor": "apl0", "alpha_bits": "16"}},
    ("yuva444p12le", "yuva444p10le"),
    MOV_SOUND,
    steps=(1, 1),
    full=False,
)
CINEFORM_KIND = FilmKind("mov", {"cfhd": {"quality": "film1"}}, ("gbrap12le",), MOV_SOUND, (2, 16), least=32)
WEBM_KIND = FilmKind(
    "webm",
    {"libvpx-vp9": {"crf": "20", "b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1", "auto-alt-ref": "0"}},
    ("yuva420p",),
    WEBM_SOUND,
    metadata={"alpha_mode": "1"},
)


def film_writer(kind: FilmKind, deep: bool) -> Opener:
    """A film of the source's rate, with its sound. Frames come in their order."""

    def write(path: Path, facts: Facts) -> AbstractContextManager[Sink]:
        cutter = Cutter(facts, deep=deep)
        return write_film(path, facts, kind, cutter.picture, cutter.colours)

    return write


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


def cut_out_objects(result: FrameLike) -> NDArray[Any]:
    """uint8 (H, W, 4), RGBA: all objects of the frame with soft edges; what is not theirs is transparent black."""
    return Cutter(Facts(result.size)).picture(result)


PRORES, CINEFORM, WEBM = (
    CutOut(name, f"cut-out with alpha, {text}", film_writer(kind, deep=name != "webm"), video=f".{kind.container}")
    for name, text, kind in (
        ("prores", "ProRes 4444 MOV, for editing", PRORES_KIND),
        ("cineform", "CineForm MOV, 12 bits, for editing", CINEFORM_KIND),
        ("webm", "VP9 WebM, for web pages", WEBM_KIND),
    )
)
MATTE = Format(
    "matte",
    "alpha alone, grey PNGs of 16 bits, edges as soft as the model doubts them",
    write_matte,
    video="",
    picture=".png",
    finishes=True,
)
RGBA, CUTOUT, SOFT_CUTOUT = (
    CutOut(name, f"cut-out with alpha, RGBA PNGs, {text}", write, video="", picture=".png")
    for name, text, write in (
        ("rgba", "edges as soft as the model doubts them", write_pngs),
        ("cutout", "hard edges", partial(write_pngs, edges="hard")),
        ("soft-cutout", "edges that follow hair and fur", partial(write_pngs, edges="soft")),
    )
)
