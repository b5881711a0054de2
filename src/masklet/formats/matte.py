"""Cut-outs: the objects with soft edges, the rest transparent, for editors and for the web.

Colours are straight, not multiplied by alpha, as PNG has them and as editors expect them of ProRes and WebM.
All objects of a frame are cut out together.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from masklet.formats.atomic import make_folder, replacing
from masklet.formats.base import Facts, FrameLike
from masklet.formats.film import FilmClock, FilmKind, open_film, picture_of
from masklet.formats.registry import Sink, writes
from masklet.formats.sound import MOV_SOUND, WEBM_SOUND
from masklet.masks.cutout import cut_out
from masklet.masks.refine import soft_alpha

PRORES = FilmKind(
    "mov",
    {"prores_ks": {"profile": "4444", "vendor": "apl0", "alpha_bits": "16"}},
    "yuva444p10le",
    MOV_SOUND,
    even=False,
)
WEBM = FilmKind(
    "webm",
    {"libvpx-vp9": {"crf": "20", "b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1", "auto-alt-ref": "0"}},
    "yuva420p",
    WEBM_SOUND,
    metadata={"alpha_mode": "1"},
)


@writes("prores", suffixes=(".mov",), help="cut-out with alpha, ProRes 4444 MOV, for editing; any number of objects")
@contextmanager
def write_prores(path: Path, facts: Facts) -> Iterator[Sink]:
    """A film of the source's rate, with its sound. Frames come in their order."""
    with _film(path, facts, PRORES) as sink:
        yield sink


@writes("webm", suffixes=(".webm",), help="cut-out with alpha, VP9 WebM, for web pages; any number of objects")
@contextmanager
def write_webm(path: Path, facts: Facts) -> Iterator[Sink]:
    """A film of the source's rate, with its sound. Frames come in their order."""
    with _film(path, facts, WEBM) as sink:
        yield sink


@writes("rgba", suffixes=(), help="cut-out with alpha, an RGBA PNG per frame; any number of objects")
@contextmanager
def write_rgba(path: Path, facts: Facts) -> Iterator[Sink]:
    """PATH/00000.png ...; each file is whole as soon as it is there."""
    make_folder(path)

    def write(result: FrameLike) -> None:
        with replacing(path / f"{result.frame:05d}.png") as temporary:
            Image.fromarray(cut_out_objects(result)).save(temporary, format="PNG", compress_level=4)

    yield write


def cut_out_objects(result: FrameLike) -> NDArray[np.uint8]:
    """uint8 (H, W, 4), RGBA: all objects of the frame with soft edges; what is not theirs is transparent black."""
    return cut_out(picture_of(result), frame_alpha(result))


def frame_alpha(result: FrameLike) -> NDArray[np.float32]:
    """float32 (H, W) in 0..1: the alpha of all objects of the frame together; between two there is no seam."""
    logits = np.full(result.size, -32, np.float32)
    for item in result.objects.values():
        np.maximum(logits, item.full_logits(), out=logits)
    return soft_alpha(logits)


@contextmanager
def _film(path: Path, facts: Facts, kind: FilmKind) -> Iterator[Sink]:
    clock = FilmClock(facts)
    with open_film(path, facts.size, facts.film_rate, kind, facts.audio_from) as film:

        def write(result: FrameLike) -> None:
            film.write(cut_out_objects(result), clock.seconds(result), clock.source_time())

        yield write
