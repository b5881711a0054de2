"""How objects are cut out for films and pictures: what is shown, the edge, the colours, and steadiness over time."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from masklet.errors import PromptError
from masklet.masks.guided import Edges, Floats, mask_alpha
from masklet.masks.refine import soft_alpha

Show = Literal["cutout", "inverse", "matte", "mattes", "removed"]
Spill = Literal["green", "blue"]

FLOW_SIDE = 960
"""Longer side of the pictures between which optical flow is found."""

DIFFERENT = 8.0
"""Levels of grey, of 255, by which a carried picture is another than the one that is seen."""

FILL_SIDE = 480
"""Longer side of the picture that is filled."""

MOST_GROWN = 500
"""Most pixels by which an edge is moved or faded."""


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
        if not abs(self.grow) <= MOST_GROWN or not 0 <= self.feather <= MOST_GROWN:
            raise PromptError(
                f"grow is {self.grow!r} and feather {self.feather!r}; give pixels, at most {MOST_GROWN}, and none "
                "below 0 for feather"
            )
        if not 0 <= self.steady <= 0.95:
            raise PromptError(f"steady is {self.steady!r}; give a number from 0 to 0.95")


USUAL = Finish()
"""How objects are cut out where nothing is wished."""


def finished_alpha(image: NDArray[Any], logits: Floats, finish: Finish) -> Floats:
    """float32 (H, W) in 0..1 of one frame: the alpha of what has positive logits (H, W), its edge as `finish` says."""
    alpha = soft_alpha(logits) if finish.edges == "model" else mask_alpha(image, logits > 0, finish.edges)
    if finish.grow:
        side = 2 * abs(finish.grow) + 1
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
        alpha = np.asarray((cv2.dilate if finish.grow > 0 else cv2.erode)(alpha, disc), np.float32)
    if finish.feather:
        alpha = np.asarray(cv2.GaussianBlur(alpha, (0, 0), finish.feather / 2), np.float32)
    return alpha


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
            small = (max(16, round(width * scale)), max(16, round(height * scale)))
            pair = [cv2.resize(picture, small, interpolation=cv2.INTER_AREA) for picture in (grey, last[1])]
            still = np.zeros((small[1], small[0], 2), np.float32)
            flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST).calc(pair[0], pair[1], still)
            flow = cv2.resize(flow, (width, height)) * np.array((width / small[0], height / small[1]), np.float32)
            across = np.arange(width, dtype=np.float32) + flow[..., 0]
            down = np.arange(height, dtype=np.float32)[:, None] + flow[..., 1]
            carried = cv2.remap(last[1], across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            off = cv2.blur(cv2.absdiff(carried, grey).astype(np.float32), (5, 5))
            share = self._share * np.exp(-((off / DIFFERENT) ** 2))
            before = (
                cv2.remap(alpha, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for alpha in last[2]
            )
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


def filled(image: NDArray[Any], alpha: Floats) -> NDArray[Any]:
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
