"""Edges of masks against known alpha: made-up hair and fur that move before a textured background, at 3840 x 2160.

    python benchmarks/soft_edges.py --crops docs/images/soft_edges_4k.jpg --json soft_edges.json

The mask is what a network with masks of 256 x 256 might see: the true alpha on that grid, a little blurred, and cut
near one half, not at the same level in each frame. Scores of each way to make an edge, over the unsure pixels (within
40 of one that is neither 0 nor 1):

- SAD, the sum of absolute differences, in thousands a frame; MSE, the mean square, times 1,000; gradient, the sum of
  squared differences of Gaussian gradients (sigma 1.4), in thousands. Rhemann et al., "A Perceptually Motivated Online
  Benchmark for Image Matting", CVPR 2009, section 3.
- dtSSD, the root of the mean squared difference of the changes from frame to frame, times 100. Erofeev et al.,
  "Perceptually Motivated Benchmark for Video Matting", BMVC 2015, section 4.

A sheet of cats with `--data`: python benchmarks/soft_edges.py --data ../shared/data --sheet docs/images/soft_edges.jpg
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_gradient_magnitude

from masklet.formats.base import distance_logits
from masklet.formats.davis import read_index_png
from masklet.masks.finish import Finish, Steadied, blend, finished_alpha, mask_alpha, own_colors
from masklet.masks.shape import mask_box
from masklet.media.image_file import read_image

SIZE = (2160, 3840)
GRID = 256
SPEED = (14, 5)
UNSURE = 40
WAYS = {
    "hard": Finish(edges="hard"),
    "model": Finish(edges="model"),
    "soft": Finish(edges="soft"),
    "soft, steady 0.5": Finish(edges="soft", steady=0.5),
}
COATS = {"fur": (2500, 80, 3), "hair": (900, 300, 3)}
"""Strands, their length and thickness in pixels."""

Floats = NDArray[np.float32]


def texture(size: tuple[int, int], rng: np.random.Generator, cells: int, colour: tuple[int, int, int]) -> Floats:
    """A picture, float32 (H, W, 3) in 0..255, of blots around a colour."""
    coarse = rng.normal(0, 1, (size[0] // cells, size[1] // cells, 3)).astype(np.float32)
    fine = rng.normal(0, 1, (size[0] // 8, size[1] // 8, 1)).astype(np.float32)
    blots = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC) * 28
    return np.clip(blots + cv2.resize(fine, size[::-1], interpolation=cv2.INTER_CUBIC)[..., None] * 10 + colour, 0, 255)


def coat(kind: str, seed: int, side: int = 1500) -> Floats:
    """The alpha of a body with strands, float32 (side, side), drawn twice as large and reduced."""
    rng = np.random.default_rng(seed)
    count, length, thickness = COATS[kind]
    alpha = np.zeros((2 * side, 2 * side), np.uint8)
    centre, radius = side, int(side * 0.55)
    cv2.circle(alpha, (centre, centre), radius, 255, -1, cv2.LINE_AA)
    for _ in range(count):
        angle = rng.uniform(0, 2 * np.pi)
        steps = np.linspace(0, 1, 12)
        bend = rng.normal(0, 0.35) * steps**2 + rng.normal(0, 0.03, 12).cumsum()
        out = radius * 0.97 + 2 * length * rng.uniform(0.15, 1) * steps
        points = np.stack((centre + out * np.cos(angle + bend * 0.6), centre + out * np.sin(angle + bend * 0.6)), 1)
        cv2.polylines(alpha, [np.rint(points * 8).astype(np.int32)], False, 255, thickness, cv2.LINE_AA, 3)
    return cv2.resize(alpha, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def clip(kind: str, seed: int, count: int) -> Iterator[tuple[NDArray[np.uint8], Floats]]:
    """Frames, uint8 (H, W, 3), and their true alpha."""
    rng = np.random.default_rng(seed)
    back = texture((SIZE[0] + 200, SIZE[1] + 200), rng, 90, (110, 125, 120))
    shape = coat(kind, seed)
    side = len(shape)
    front = texture((side, side), rng, 60, (150, 100, 60))
    for frame in range(count):
        x, y = 900 + SPEED[0] * frame, 280 + SPEED[1] * frame
        alpha = np.zeros(SIZE, np.float32)
        alpha[y : y + side, x : x + side] = shape
        image = back[3 * frame : 3 * frame + SIZE[0], 5 * frame : 5 * frame + SIZE[1]].copy()
        part = image[y : y + side, x : x + side]
        part += shape[..., None] * (front - part)
        noisy = image + rng.normal(0, 2.5, (*SIZE, 1)).astype(np.float32)
        yield np.rint(noisy).clip(0, 255).astype(np.uint8), alpha


def seen_mask(alpha: Floats, rng: np.random.Generator) -> NDArray[np.bool_]:
    """The mask of a network with GRID x GRID masks, bool (H, W)."""
    small = cv2.GaussianBlur(cv2.resize(alpha, (GRID, GRID), interpolation=cv2.INTER_AREA), (0, 0), 1.0)
    return np.asarray(cv2.resize(small, alpha.shape[::-1]) > 0.5 + rng.uniform(-0.12, 0.12))


def unsure(alpha: Floats) -> NDArray[np.bool_]:
    """Pixels near one that is neither in nor out."""
    mixed = ((alpha > 0) & (alpha < 1)).astype(np.uint8)
    return np.asarray(cv2.dilate(mixed, np.ones((2 * UNSURE + 1,) * 2, np.uint8)) > 0)


def scores(found: list[Floats], true: list[Floats]) -> dict[str, float]:
    """SAD, MSE, gradient error and dtSSD of a clip, each a mean over its frames."""
    sums: dict[str, list[float]] = {"SAD": [], "MSE": [], "gradient": [], "dtSSD": []}
    for frame, (ours, theirs) in enumerate(zip(found, true, strict=True)):
        near = unsure(theirs)
        y0, y1 = np.flatnonzero(near.any(1))[[0, -1]]
        x0, x1 = np.flatnonzero(near.any(0))[[0, -1]]
        box = slice(y0, y1 + 1), slice(x0, x1 + 1)
        off = (ours - theirs)[near]
        sums["SAD"].append(float(np.abs(off).sum()) / 1000)
        sums["MSE"].append(float((off**2).mean()) * 1000)
        slopes = [gaussian_gradient_magnitude(alpha[box], 1.4) for alpha in (ours, theirs)]
        sums["gradient"].append(float(((slopes[0] - slopes[1])[near[box]] ** 2).sum()) / 1000)
        if frame:
            change = (ours - found[frame - 1]) - (theirs - true[frame - 1])
            sums["dtSSD"].append(float(np.sqrt((change[near] ** 2).mean())) * 100)
    return {name: float(np.mean(values)) for name, values in sums.items()}


def alphas(frames: list[NDArray[np.uint8]], masks: list[NDArray[np.bool_]], finish: Finish) -> list[Floats]:
    """What a film writer makes of a clip."""
    steadied = Steadied(finish.steady)
    found = []
    for frame, (image, mask) in enumerate(zip(frames, masks, strict=True)):
        found += steadied.mix(frame, image, [finished_alpha(image, distance_logits(mask), finish)])
    return found


def measure(count: int, seeds: int) -> tuple[dict[str, Any], NDArray[np.uint8]]:
    """Scores by coat and way; and crops of one frame on a plain background, each way beside the truth."""
    table: dict[str, Any] = {}
    rows = []
    for kind in COATS:
        runs: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
        for seed in range(seeds):
            frames, true = (list(part) for part in zip(*clip(kind, seed, count), strict=True))
            rng = np.random.default_rng(seed)
            masks = [seen_mask(alpha, rng) for alpha in true]
            crops = []
            for way, finish in WAYS.items():
                found = alphas(frames, masks, finish)
                runs[way].append(scores(found, true))
                crops.append(crop(frames[-1], found[-1]))
            if seed == 0:
                rows.append(
                    np.hstack([crop(frames[-1], np.ones(SIZE, np.float32)), *crops, crop(frames[-1], true[-1])])
                )
        table[kind] = {way: {k: float(np.mean([r[k] for r in rs])) for k in rs[0]} for way, rs in runs.items()}
    return table, np.vstack(rows)


def crop(image: NDArray[np.uint8], alpha: Floats) -> NDArray[np.uint8]:
    """A part of the frame at its own size, on a plain background."""
    part = slice(300, 700), slice(1560, 1960)
    return blend(own_colors(image[part], alpha[part]), alpha[part], BACKGROUND)


SOURCE = "outdoor_cats"
SHOWN = (4, 17)
BACKGROUND = (60, 160, 90)
SIDE = 280


def largest_object(path: Path) -> NDArray[np.bool_]:
    """bool (H, W)"""
    index = read_index_png(path)
    numbers, areas = np.unique(index[index > 0], return_counts=True)
    return index == numbers[areas.argmax()]


def row_of(image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The top of the object: the picture, cut out hard, and cut out softly."""
    hard, soft = mask_alpha(image, mask, "hard"), mask_alpha(image, mask, "soft")
    shown = [image, *(blend(own_colors(image, alpha), alpha, BACKGROUND) for alpha in (hard, soft))]
    x0, y0, x1, y1 = mask_box(mask).tolist()
    side = min(150, *image.shape[:2])
    x = int(np.clip((x0 + x1 - side) / 2, 0, image.shape[1] - side))
    y = int(np.clip(y0 - 10, 0, image.shape[0] - side))
    crops = [Image.fromarray(picture[y : y + side, x : x + side]) for picture in shown]
    return np.hstack([np.asarray(crop.resize((SIDE, SIDE), Image.Resampling.LANCZOS)) for crop in crops])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--crops", type=Path, help="a picture: the frame, each way, and the truth")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--data", type=Path, help="folder with index.csv and images, for --sheet")
    parser.add_argument("--sheet", type=Path)
    args = parser.parse_args()
    if args.sheet:
        rows = [row for row in csv.DictReader((args.data / "index.csv").open()) if row["source"] == SOURCE]
        sheet = [
            row_of(read_image(args.data / rows[n]["path"]), largest_object(args.data / rows[n]["masks"])) for n in SHOWN
        ]
        Image.fromarray(np.vstack(sheet)).save(args.sheet, quality=82)
        return
    table, crops = measure(args.frames, args.seeds)
    for kind, ways in table.items():
        for way, found in ways.items():
            print(f"{kind:5} {way:18}", "  ".join(f"{name} {value:8.2f}" for name, value in found.items()))
    if args.crops:
        Image.fromarray(crops).resize((1500, 500), Image.Resampling.LANCZOS).save(args.crops, quality=80)
    if args.json:
        args.json.write_text(json.dumps({"size": SIZE, "grid": GRID, **vars(args), "found": table}, default=str))


if __name__ == "__main__":
    main()
