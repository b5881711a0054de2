"""Cut-outs: the objects with soft edges, the rest transparent, for editors and for the web.

Colours are straight, not multiplied by alpha, as PNG has them and as editors expect them of ProRes and WebM.
All objects of a frame are cut out together.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from masklet.formats.base import Facts, Format, FrameLike, Sink, picture_of
from masklet.formats.film import FilmKind, save_png, write_film
from masklet.formats.numbered import frame_files
from masklet.formats.sound import MOV_SOUND, WEBM_SOUND
from masklet.masks.guided import Edges, mask_alpha
from masklet.masks.refine import cut_out, soft_alpha

PRORES_KIND = FilmKind(
    "mov",
    {"prores_ks": {"profile": "4444", "vendor": "apl0", "alpha_bits": "16"}},
    "yuva444p10le",
    MOV_SOUND,
    even=False,
)
WEBM_KIND = FilmKind(
    "webm",
    {"libvpx-vp9": {"crf": "20", "b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1", "auto-alt-ref": "0"}},
    "yuva420p",
    WEBM_SOUND,
    metadata={"alpha_mode": "1"},
)


def write_prores(path: Path, facts: Facts) -> AbstractContextManager[Sink]:
    """A film of the source's rate, with its sound. Frames come in their order."""
    return write_film(path, facts, PRORES_KIND, cut_out_objects)


def write_webm(path: Path, facts: Facts) -> AbstractContextManager[Sink]:
    """A film of the source's rate, with its sound. Frames come in their order."""
    return write_film(path, facts, WEBM_KIND, cut_out_objects)


def write_rgba(path: Path, facts: Facts) -> AbstractContextManager[Sink]:
    """PATH/00000.png ..., or one PNG: the edge is soft as far as the model doubts it."""
    return _pngs(path, facts, cut_out_objects)


def write_cutout(path: Path, facts: Facts) -> AbstractContextManager[Sink]:
    """PATH/00000.png ..., or one PNG: a pixel is the objects' or not."""
    return _pngs(path, facts, partial(cut_out_masks, edges="hard"))


def write_soft_cutout(path: Path, facts: Facts) -> AbstractContextManager[Sink]:
    """PATH/00000.png ..., or one PNG: the edge follows the picture, into hair and fur."""
    return _pngs(path, facts, partial(cut_out_masks, edges="soft"))


def write_matte(path: Path, facts: Facts) -> AbstractContextManager[Sink]:
    """PATH/00000.png ..., or one PNG: the alpha of all objects together, of 16 bits, without colours."""
    return frame_files(path, facts, ".png", lambda target, result: save_matte(target, frame_alpha(result)))


def save_matte(path: Path, alpha: NDArray[np.float32]) -> None:
    """Write alpha, (H, W) in 0..1, as a grey PNG of 16 bits."""
    Image.fromarray(np.rint(alpha * 65_535).astype(np.uint16)).save(path, format="PNG", compress_level=4)


def cut_out_objects(result: FrameLike) -> NDArray[np.uint8]:
    """uint8 (H, W, 4), RGBA: all objects of the frame with soft edges; what is not theirs is transparent black."""
    return cut_out(picture_of(result), frame_alpha(result))


def frame_alpha(result: FrameLike) -> NDArray[np.float32]:
    """float32 (H, W) in 0..1: the alpha of all objects of the frame together; between two there is no seam."""
    logits = np.full(result.size, -32, np.float32)
    for item in result.objects.values():
        np.maximum(logits, item.full_logits(), out=logits)
    return soft_alpha(logits)


def cut_out_masks(result: FrameLike, edges: Edges) -> NDArray[np.uint8]:
    """uint8 (H, W, 4), RGBA: the same by the masks alone, and by what is seen in the picture at their edges."""
    image = picture_of(result)
    return cut_out(image, mask_alpha(image, result.index_map() > 0, edges))


def _pngs(path: Path, facts: Facts, draw: Callable[[FrameLike], NDArray[np.uint8]]) -> AbstractContextManager[Sink]:
    return frame_files(path, facts, ".png", lambda target, result: save_png(target, draw(result)))


PRORES = Format(
    "prores",
    "cut-out with alpha, ProRes 4444 MOV, for editing; any number of objects",
    write_prores,
    video=".mov",
    shows_pictures=True,
)
WEBM = Format(
    "webm",
    "cut-out with alpha, VP9 WebM, for web pages; any number of objects",
    write_webm,
    video=".webm",
    shows_pictures=True,
)
MATTE = Format(
    "matte",
    "alpha alone, grey PNGs of 16 bits, edges as soft as the model doubts them",
    write_matte,
    video="",
    picture=".png",
)
RGBA, CUTOUT, SOFT_CUTOUT = (
    Format(name, f"cut-out with alpha, RGBA PNGs, {edges}", write, video="", picture=".png", shows_pictures=True)
    for name, edges, write in (
        ("rgba", "edges as soft as the model doubts them", write_rgba),
        ("cutout", "hard edges", write_cutout),
        ("soft-cutout", "edges that follow hair and fur", write_soft_cutout),
    )
)
