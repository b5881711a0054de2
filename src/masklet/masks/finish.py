"""How objects are cut out for films and pictures: what is shown, the edge, the colours, and steadiness over time.

Edges are as soft as a model doubts them, or follow what is seen, down to hair and fur, by a guided filter.

Sources: He, Sun and Tang, "Guided Image Filtering", TPAMI 2013: sections 3.1 and 3.4 (colour guides), 4.4 (feathering);
He and Sun, "Fast Guided Filter", 2015: what a window says is found on a smaller picture, and used at full resolution.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from masklet.errors import PromptError, is_within
from masklet.masks.shape import mask_box, signed_distance

Floats = NDArray[np.float32]

Show = Literal["cutout", "inverse", "matte", "mattes", "removed"]
Spill = Literal["green", "blue"]

FLOW_SIDE = 960
"""Longer side of the pictures between which optical flow is found."""

CHANGED_GREY = 8.0
"""Levels of grey, of 255, by which a carried picture is another than the one that is seen."""

FILL_SIDE = 480
"""Longer side of the picture that is filled."""

MAX_GROWN = 500
"""Most pixels by which an edge is moved or faded."""

RADIUS, REACH = 1 / 20, 1 / 64
"""Radius of the filter where none is given, as a share of the longer side of the mask's box; at most this share of the
picture's longer side, as farther from the edge masks of networks are right."""

ALPHA_TOLERANCE = 0.1
"""An alpha within this of 0 or 1 is taken for 0 or 1: where thing and surroundings share a colour, the filter spreads a
faint veil."""

SECOND_RADIUS = 3
"""The matte is filtered a second time, with a radius so many times smaller."""

RADIUS_CELLS = 9
"""Cells of the smaller picture in a radius."""

EDGE_BAND = 1 / 120
"""Width of the soft band on each side of the edge, as a share of the picture's shorter side."""

SOLID_ALPHA = 0.98
"""From this alpha on, a pixel's colour is the object's own."""


@dataclass(frozen=True)
class SoftEdges:
    """How soft an edge is made.

    Attributes:
        radius: How far from the mask's edge the matte may follow the picture, in pixels: the length of hair. If not
            given, a twentieth of the longer side of the mask's box, at most a sixty-fourth of the picture's, and at
            least 2.
        epsilon: Differences of colour whose square (colours in 0..1) is far below this are smoothed over; over 0.
            Smaller values keep finer hair, and more noise.
    """

    radius: int | None = None
    epsilon: float = 1e-4

    def __post_init__(self) -> None:
        if self.radius is not None and not (is_within(self.radius, 1, 1 << 31) and type(self.radius) is not float):
            raise PromptError(f"radius is {self.radius!r}; give at least 1 pixel, a whole number, or None")
        if not is_within(self.epsilon, 0, sys.float_info.max) or not self.epsilon:
            raise PromptError(f"epsilon is {self.epsilon!r}; give a number over 0, such as 1e-4")


Edges = Literal["hard", "soft"] | SoftEdges
"""How a mask ends: at once, or softly with the usual options or with others."""


@dataclass(frozen=True)
class Finish:
    """What films and cut-outs show of the objects, and how their edges are made.

    Attributes:
        show: "cutout": the objects, transparent around them; "inverse": all but them; "matte": alpha alone; "mattes":
            alpha of up to three objects in red, green and blue; "removed": the picture with the objects' places filled
            from around them.
        only: Names of the objects that count; all if empty. Their order is that of "mattes".
        edges: "model": as soft as the model doubts them; "hard"; "soft", or SoftEdges: they follow hair and fur.
        grow: Pixels by which the edge moves outward, or inward if below 0.
        feather: Pixels over which the edge fades.
        steady: Share, from 0 to 0.95, of an edge's alpha that is the last frame's, carried along by optical flow.
        spill: A screen's colour, whose shine on the objects is taken away.
        background: Of the format background: "blur", a colour such as "#00ff00" or "white", or a picture's path.
        tone_map: Whether films of high dynamic range become ordinary ones, of 8 bits.

    Raises PromptError for a value that there is not.
    """

    show: Show = "cutout"
    only: tuple[str, ...] = ()
    edges: Edges | Literal["model"] = "model"
    grow: int = 0
    feather: float = 0.0
    steady: float = 0.0
    spill: Spill | None = None
    background: str | Path = "blur"
    tone_map: bool = False

    def __post_init__(self) -> None:
        for name, value, known in (
            ("show", self.show, get_args(Show)),
            ("spill", self.spill, (*get_args(Spill), None)),
        ):
            if value not in known:
                raise PromptError(f"{name} is {value!r}; give one of {', '.join(map(str, known))}")
        if not is_within(self.grow, -MAX_GROWN, MAX_GROWN) or not is_within(self.feather, 0, MAX_GROWN):
            raise PromptError(
                f"grow is {self.grow!r} and feather {self.feather!r}; give pixels, at most {MAX_GROWN}, and none "
                "below 0 for feather"
            )
        if not is_within(self.steady, 0, 0.95):
            raise PromptError(f"steady is {self.steady!r}; give a number from 0 to 0.95")


DEFAULT_FINISH = Finish()
"""How objects are cut out where nothing is wished."""


def finished_alpha(image: NDArray[Any], logits: Floats, finish: Finish) -> Floats:
    """float32 (H, W) in 0..1 of one frame: the alpha of what has positive logits (H, W), its edge as `finish` says."""
    alpha = soft_alpha(logits) if finish.edges == "model" else mask_alpha(image, logits > 0, finish.edges)
    if finish.grow:
        alpha = _grown(alpha, finish.grow)
    if finish.feather:
        alpha = np.asarray(cv2.GaussianBlur(alpha, (0, 0), finish.feather / 2), np.float32)
    return alpha


def _grown(alpha: Floats, pixels: int) -> Floats:
    """Alpha whose edge is moved outward, or inward if below 0. Only around what is not transparent: a disc of a hundred
    pixels takes seconds over a whole picture."""
    side = 2 * abs(pixels) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    x0, y0, x1, y1 = (int(edge) for edge in mask_box(alpha > 0))
    part = np.s_[max(0, y0 - side) : y1 + side, max(0, x0 - side) : x1 + side]
    result = np.zeros_like(alpha)
    result[part] = (cv2.dilate if pixels > 0 else cv2.erode)(alpha[part], disc)
    return result


class Steadied:
    """Alpha that flickers less: mixed, frame by frame, with that of the last frame, which optical flow carries along.

    share  of the last frame's alpha, where the two pictures agree

    Flow is OpenCV's DIS. Where the carried picture differs from what is seen, as where something was hidden, the last
    frame counts less.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._last: tuple[int, NDArray[np.uint8], list[Floats]] | None = None

    def mix(self, frame: int, image: NDArray[Any], alphas: list[Floats]) -> list[Floats]:
        """The alphas, each float32 (H, W), of the next frame. After a gap they stay as they are."""
        if not self._share:
            return alphas
        height, width = image.shape[:2]
        levels = np.asarray(image if image.dtype == np.uint8 else image >> 8, np.uint8)
        grey = np.asarray(cv2.cvtColor(levels, cv2.COLOR_RGB2GRAY), np.uint8)
        last = self._last
        if last is not None and last[0] == frame - 1 and [a.shape for a in last[2]] == [a.shape for a in alphas]:
            scale = min(1.0, FLOW_SIDE / max(height, width))
            across = max(16, round(width * scale))
            small = (across, max(32 if across >= 80 else 16, round(height * scale)))  # OpenCV fails on lower ones
            pair = [cv2.resize(picture, small, interpolation=cv2.INTER_AREA) for picture in (grey, last[1])]
            still = np.zeros((small[1], small[0], 2), np.float32)
            flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST).calc(pair[0], pair[1], still)
            flow = cv2.resize(flow, (width, height)) * np.array((width / small[0], height / small[1]), np.float32)
            x = np.arange(width, dtype=np.float32) + flow[..., 0]
            y = np.arange(height, dtype=np.float32)[:, None] + flow[..., 1]
            carried = cv2.remap(last[1], x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            off = cv2.blur(cv2.absdiff(carried, grey).astype(np.float32), (5, 5))
            share = self._share * np.exp(-((off / CHANGED_GREY) ** 2))
            before = (cv2.remap(alpha, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for alpha in last[2])
            alphas = [
                np.asarray(now + share * (old - now), np.float32) for now, old in zip(alphas, before, strict=True)
            ]
        self._last = frame, grey, alphas
        return alphas


def without_spill(image: NDArray[Any], spill: Spill) -> NDArray[Any]:
    """The picture, (H, W, 3), with the screen's colour at most the mean of the other two, as keyers limit it."""
    which = 1 if spill == "green" else 2
    others = [image[..., k].astype(np.uint32) for k in range(3) if k != which]
    result = image.copy()
    result[..., which] = np.minimum(image[..., which], (others[0] + others[1] + 1) // 2)
    return result


def inpainted(image: NDArray[Any], alpha: Floats) -> NDArray[Any]:
    """The picture, (H, W, 3), with what alpha covers filled from around it: OpenCV's inpainting (Telea, 2004), on at
    most 480 pixels, as what is made up has no detail."""
    if not alpha.any():
        return image
    height, width = alpha.shape
    reach = 2 + max(height, width) // 200
    hole = cv2.dilate((alpha > 0).astype(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    scale = min(1.0, FILL_SIDE / max(height, width))
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    seen = cv2.resize(image * (1 - hole)[..., None].astype(np.float32), small, interpolation=cv2.INTER_AREA)
    weight = cv2.resize((1 - hole).astype(np.float32), small, interpolation=cv2.INTER_AREA)
    most = np.iinfo(image.dtype).max
    levels = np.rint(seen / np.maximum(weight, 1e-3)[..., None] * (65535 / most)).clip(0, 65535).astype(np.uint16)
    unseen = (weight < 0.5).astype(np.uint8)
    channels = [cv2.inpaint(np.ascontiguousarray(levels[..., k]), unseen, 4, cv2.INPAINT_TELEA) for k in range(3)]
    made = cv2.resize(np.dstack(channels), (width, height), interpolation=cv2.INTER_CUBIC) * np.float32(most / 65535)
    share = cv2.blur(hole.astype(np.float32), (reach, reach))[..., None]
    return np.rint(image + share * (made - image)).clip(0, most).astype(image.dtype)


def mask_alpha(image: NDArray[Any], mask: NDArray[np.bool_], edges: Edges = "soft") -> Floats:
    """float32 (H, W) in 0..1: how much of each pixel of a picture, uint8 or uint16 (H, W, 3), is the thing.

    Raises PromptError for edges that there are not.
    """
    if edges == "hard":
        return mask.astype(np.float32)
    if edges == "soft":
        edges = SoftEdges()
    if not isinstance(edges, SoftEdges):
        raise PromptError(f"edges is {edges!r}; give 'hard', 'soft' or SoftEdges(radius=..., epsilon=...)")
    x0, y0, x1, y1 = mask_box(mask).tolist()
    radius = edges.radius or max(2, round(min(RADIUS * max(x1 - x0, y1 - y0), REACH * max(mask.shape))))
    # Windows at the edge reach two radii beyond the mask, and those of the second pass a little more.
    margin = 3 * radius + 1
    part = slice(max(0, y0 - margin), y1 + margin), slice(max(0, x0 - margin), x1 + margin)
    alpha = np.zeros(mask.shape, np.float32)
    if x0 < x1:
        guide: Floats = np.divide(image[part], np.iinfo(image.dtype).max, dtype=np.float32)
        matte = guided(guide, mask[part].astype(np.float32), radius, edges.epsilon)
        matte = guided(guide, np.clip(matte, 0, 1), max(1, radius // SECOND_RADIUS), edges.epsilon)
        alpha[part] = np.clip((matte - ALPHA_TOLERANCE) / (1 - 2 * ALPHA_TOLERANCE), 0, 1)
    return alpha


def guided(guide: Floats, values: Floats, radius: int, epsilon: float) -> Floats:
    """Values (H, W) that are, in every window, the linear function of the guide's colours (H, W, 3) nearest to those
    given."""
    height, width = values.shape
    step = max(1, radius // RADIUS_CELLS)
    small = (max(1, width // step), max(1, height // step))
    side = 2 * (radius // step) + 1

    def shrunk(array: Floats) -> Floats:
        return np.asarray(cv2.resize(array, small, interpolation=cv2.INTER_AREA), np.float32) if step > 1 else array

    def mean(array: Floats) -> Floats:
        return np.asarray(cv2.blur(array, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)

    colours, given = shrunk(guide), shrunk(values)
    means, level = mean(colours), mean(given)
    products = mean((colours[..., :, None] * colours[..., None, :]).reshape(*given.shape, 9))
    spread = products.reshape(*given.shape, 3, 3) - means[..., :, None] * means[..., None, :]
    shared = mean(colours * given[..., None]) - means * level[..., None]
    slopes = np.linalg.solve(spread + np.float32(epsilon) * np.eye(3, dtype=np.float32), shared[..., None])[..., 0]
    offset = level - (slopes * means).sum(axis=2)
    line = np.dstack((mean(slopes), mean(offset)))
    if step > 1:
        line = np.asarray(cv2.resize(line, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    return np.asarray((line[..., :3] * guide).sum(axis=2) + line[..., 3], np.float32)


def soft_alpha(logits: Floats) -> Floats:
    """float32 (H, W) in 0..1: the logits' probability along the mask's edge, 0 and 1 away from it.

    Probability alone would leave holes that shimmer where a model is only fairly sure; so it counts the less the
    farther a pixel is from the edge, and nothing beyond the band.
    """
    mask = logits > 0
    if mask.all() or not mask.any():
        return mask.astype(np.float32)
    band = max(1.5, EDGE_BAND * min(logits.shape))
    weight = np.clip(1 - (np.abs(signed_distance(mask)) - 0.5) / band, 0, 1)
    probability = 1 / (1 + np.exp(-np.clip(logits, -32, 32)))
    return (weight * probability + (1 - weight) * mask).astype(np.float32)


def own_colors(image: NDArray[Any], alpha: Floats) -> NDArray[Any]:
    """(H, W, 3), uint8 or uint16 as the picture: the object's colours without what shines through at its edge; black
    where alpha is 0.

    A pixel of the edge is a mixture. The less of it is the object, the more of its colour is taken from the solid
    pixels nearby. Where there are none, as in hair or in a mask of few pixels, the picture's colour stays.
    """
    solid = (alpha >= SOLID_ALPHA).astype(np.float32)
    edge = (alpha > 0) & (alpha < SOLID_ALPHA)
    result = np.where(alpha[..., None] > 0, image, 0).astype(image.dtype)
    if not edge.any():
        return result
    radius = max(2, round(2.5 * EDGE_BAND * min(alpha.shape)))
    window = (2 * radius + 1, 2 * radius + 1)
    near = cv2.blur(solid, window)
    colors = cv2.blur(image.astype(np.float32) * solid[..., None], window)[edge]
    weight = near[edge][:, None]
    own = image[edge].astype(np.float32)
    nearby = np.where(weight > 1e-4, colors / np.maximum(weight, 1e-4), own)
    share = alpha[edge][:, None]
    result[edge] = np.rint(share * own + (1 - share) * nearby).clip(0, np.iinfo(image.dtype).max)
    return result


def blurred_around(image: NDArray[np.uint8], alpha: Floats) -> NDArray[np.uint8]:
    """uint8 (H, W, 3): the picture out of focus, without the object: its colours don't bleed into what is behind."""
    height, width = alpha.shape
    scale = max(1, round(min(height, width) / 180))  # a blur of this width loses nothing at a lower resolution
    small = (max(1, width // scale), max(1, height // scale))
    grown = cv2.dilate(alpha, np.ones((5, 5), np.uint8))  # edges of the object that the mask just misses count as it
    behind = np.asarray(1.001 - grown, np.float32)  # a trace, for pictures that are all object
    seen: Floats = image.astype(np.float32) * behind[..., None]
    weighted = cv2.resize(seen, small, interpolation=cv2.INTER_AREA)
    weight = cv2.resize(behind, small, interpolation=cv2.INTER_AREA)
    sigma = min(small) / 30
    colors = cv2.GaussianBlur(weighted, (0, 0), sigma) / cv2.GaussianBlur(weight, (0, 0), sigma)[..., None]
    full = cv2.resize(np.asarray(colors, np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    return np.rint(full).clip(0, 255).astype(np.uint8)


def blend(front: NDArray[np.uint8], alpha: Floats, back: NDArray[np.uint8] | tuple[int, int, int]) -> NDArray[np.uint8]:
    """uint8 (H, W, 3): the front over the back, a picture of the same size or one colour."""
    share = alpha[..., None]
    return np.rint(share * front + (1 - share) * np.asarray(back, np.float32)).astype(np.uint8)


def cut_out(image: NDArray[Any], alpha: Floats) -> NDArray[Any]:
    """The picture, uint8 or uint16 (H, W, 3), as RGBA (H, W, 4): transparent where alpha (H, W) is 0, and black there,
    so that nothing hides; where alpha is between 0 and 1 the colours are the thing's own."""
    levels = np.rint(alpha * np.iinfo(image.dtype).max).astype(image.dtype)
    return np.dstack((own_colors(image, alpha), levels))
