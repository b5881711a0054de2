"""A picture with its masks: tinted, outlined, and named, in the 256 colours of DAVIS and Pascal VOC, which every tool
of the field shows alike."""

import contextlib
from collections.abc import Iterable, Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from masklet.errors import PromptError
from masklet.masks.shape import Box, mask_box

SYSTEM_FONTS = ("NotoSansCJK-Regular.ttc", "msyh.ttc", "Arial Unicode.ttf", "DejaVuSans.ttf", "arial.ttf")
"""Looked for in the system's own folders, those with the most scripts first."""

REGION_ALPHA = 0.5
"""Strength of the tint of `draw_regions`."""


def _palette() -> NDArray[np.uint8]:
    """Deal the bits of each index to red, green, blue in turn, the lowest to each colour's highest bit.

    The rule is that of `VOClabelcolormap` in the Pascal VOC development kit. Returns uint8 (256, 3).
    """
    indices = np.arange(256)
    colors = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        channel, significance = bit % 3, 7 - bit // 3
        colors[:, channel] |= ((indices >> bit & 1) << significance).astype(np.uint8)
    colors.flags.writeable = False
    return colors


PALETTE = _palette()
"""uint8 (256, 3), RGB, read-only; index 0 is the background's black."""


def color(object_index: int) -> tuple[int, int, int]:
    """The colour (red, green, blue) of an object, each in 0..255. After 255 the colours come again, without black."""
    assert object_index >= 0, f"object_index is {object_index}; indices count from 0, the background"
    entry = object_index if object_index < 256 else (object_index - 1) % 255 + 1
    red, green, blue = (int(channel) for channel in PALETTE[entry])
    return red, green, blue


def draw_overlay(
    image: NDArray[np.uint8],
    masks: Mapping[int, NDArray[np.bool_]] | Sequence[tuple[int, NDArray[np.bool_]]],
    *,
    alpha: float = 0.5,
    labels: Mapping[int, str] | None = None,
    colours: Mapping[int, tuple[int, int, int]] | None = None,
) -> NDArray[np.uint8]:
    """Tint each mask with its object's colour, draw its contour, and put its name beside it.

    image   uint8 (H, W, 3), RGB; left as it is
    masks   object index to bool (H, W), or such pairs; where masks overlap, the later lies on top
    alpha   strength of the tint in 0..1
    labels  object index to the name on its tag; objects without one, and empty masks, have no tag
    colours object index to (red, green, blue), 0..255; the others have that of their index

    Returns uint8 (H, W, 3), RGB. Raises PromptError if a mask is not of the picture's size.
    """
    pairs = list(masks.items() if isinstance(masks, Mapping) else masks)
    for index, mask in pairs:
        if mask.shape != image.shape[:2]:
            raise PromptError(
                f"the mask of object {index} has the shape {mask.shape}; "
                f"give one of the picture's size, (height, width) = {image.shape[:2]}"
            )
    canvas = image.copy()
    fills = {index: (colours or {}).get(index, bright_color(index)) for index, _ in pairs}
    for index, mask in pairs:
        _tint(canvas, mask, fills[index], alpha)
    for index, mask in pairs:
        _outline(canvas, mask, fills[index])
    names = labels or {}
    tags = [(names[index], mask, fills[index]) for index, mask in pairs if names.get(index) and mask.any()]
    return _with_tags(canvas, tags, np.any([mask for _, mask in pairs], axis=0)) if tags else canvas


def draw_regions(image: NDArray[np.uint8], numbers: NDArray[np.unsignedinteger]) -> NDArray[np.uint8]:
    """Tint every numbered region with a colour of its own and draw a pale line where one ends.

    image    uint8 (H, W, 3), RGB; left as it is
    numbers  (H, W): a region's number, 0 where there is none

    Returns uint8 (H, W, 3), RGB.
    """
    highest = int(numbers.max(initial=0))
    colors = np.array([(0, 0, 0), *(bright_color(number) for number in range(1, highest + 1))], np.uint8)
    mixed = np.asarray(
        cv2.addWeighted(image, 1 - REGION_ALPHA, colors[numbers], REGION_ALPHA, 0.5 - REGION_ALPHA), np.uint8
    )
    canvas = np.where(numbers[..., None] > 0, mixed, image)
    line = np.zeros(numbers.shape, np.bool_)
    line[:, :-1] |= numbers[:, :-1] != numbers[:, 1:]
    line[:-1] |= numbers[:-1] != numbers[1:]
    canvas[line] = (canvas[line].astype(np.uint16) + 3 * 255) // 4
    return canvas


def bright_color(object_index: int) -> tuple[int, int, int]:
    """The object's colour, lifted: half of the palette is too dark to be seen on footage. Hue stays."""
    red, green, blue = (round(40 + 215 * (channel / 255) ** 0.4) for channel in color(object_index))
    return red, green, blue


def _tint(canvas: NDArray[np.uint8], mask: NDArray[np.bool_], tint: tuple[int, int, int], alpha: float) -> None:
    levels = np.arange(256, dtype=np.float32)[:, None]  # what each level of each channel becomes, once for all pixels
    mixed = np.rint(levels + alpha * (np.array(tint, np.float32) - levels)).astype(np.uint8)
    cv2.copyTo(cv2.LUT(canvas, mixed[None]), mask.astype(np.uint8), canvas)


def _outline(canvas: NDArray[np.uint8], mask: NDArray[np.bool_], line: tuple[int, int, int]) -> None:
    """A smooth pale line along the mask's border pixels: 1 px on a small picture, 3 px from some 800 lines on."""
    thickness = _scaled(canvas, 1 / 540, least=1, most=2)  # OpenCV's smooth line of thickness 2 is 3 px wide
    # The mask is continued beyond the picture: no line along its edge, where the object merely leaves the view.
    beyond = thickness + 1
    continued = cv2.copyMakeBorder(mask.astype(np.uint8), beyond, beyond, beyond, beyond, cv2.BORDER_REPLICATE)
    contours, _ = cv2.findContours(continued, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    pale = tuple(round(channel + 0.45 * (255 - channel)) for channel in line)
    cv2.drawContours(canvas, contours, -1, pale, thickness, cv2.LINE_AA, offset=(-beyond, -beyond))


def _with_tags(
    canvas: NDArray[np.uint8],
    tags: Iterable[tuple[str, NDArray[np.bool_], tuple[int, int, int]]],
    used: NDArray[np.bool_],
) -> NDArray[np.uint8]:
    """The picture with a tag for each mask. `used`, bool (H, W), is where one would hide an object; tags are added."""
    picture = Image.fromarray(canvas)
    size = _scaled(canvas, 1 / 28, least=11, most=44)
    for text, mask, fill in tags:
        tile = _tag(text, _font(text, size), fill)
        x0, y0, x1, y1 = _free_place(mask, tile.size, used)
        picture.paste(tile, (x0, y0), tile)
        used[y0:y1, x0:x1] = True
    return np.array(picture)


def _tag(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, fill: tuple[int, int, int]) -> Image.Image:
    """A rounded label in the object's colour, RGBA, its letters black or white by the colour's lightness."""
    left, _, right, bottom = (round(edge) for edge in font.getbbox(text))
    line = round(font.getbbox("Ag")[3])  # equal height for all names, with or without descenders
    margin = max(3, line // 4)
    size = (right - left + 2 * margin, max(line, bottom) + margin)
    finer = 4  # drawn larger and reduced: Pillow's rounded corners are not smooth
    shape = Image.new("L", (size[0] * finer, size[1] * finer))
    corner = finer * margin
    ImageDraw.Draw(shape).rounded_rectangle((0, 0, shape.width - 1, shape.height - 1), radius=corner, fill=255)
    tile = Image.new("RGB", size, fill)
    ink = "black" if np.dot(fill, (0.299, 0.587, 0.114)) > 128 else "white"
    ImageDraw.Draw(tile).text((margin - left, margin // 2), text, font=font, fill=ink)
    tile.putalpha(shape.resize(size, Image.Resampling.BOX))
    return tile


def _font(text: str, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font, the same everywhere; for letters beyond ASCII, which it lacks, the first of the system's."""
    for name in () if text.isascii() else SYSTEM_FONTS:
        with contextlib.suppress(OSError):  # not on this system: the next one
            return ImageFont.truetype(name, size)
    return ImageFont.load_default(size)


def _free_place(mask: NDArray[np.bool_], size: tuple[int, int], used: NDArray[np.bool_]) -> Box:
    """Beside the mask: right of it, left, above, below, or farther down on either side; the first place that hides
    nothing, else the one that hides least."""
    width, height = size
    left, top, right, bottom = mask_box(mask).tolist()
    middle, gap = (left + right - width) // 2, 3
    down = range(top, max(bottom, top + 1), height)
    wanted = [
        *((right + gap, top), (left - gap - width, top), (middle, top - gap - height), (middle, bottom + gap)),
        *((x, y) for y in down for x in (right + gap, left - gap - width)),
    ]
    places = []
    for x, y in wanted:
        x0 = max(0, min(x, mask.shape[1] - width))
        y0 = max(0, min(y, mask.shape[0] - height))
        places.append((x0, y0, x0 + width, y0 + height))
    return min(places, key=lambda place: np.count_nonzero(used[place[1] : place[3], place[0] : place[2]]))


def _scaled(canvas: NDArray[np.uint8], share: float, *, least: int, most: int) -> int:
    """A length in pixels, as a share of the picture's shorter side."""
    shorter: int = min(canvas.shape[:2])
    return min(most, max(least, round(share * shorter)))
