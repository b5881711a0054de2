"""Thresholds of automatic masks: what is found of the annotated objects, and how many masks are of none.

    python benchmarks/thresholds.py --data ../shared/data [--pictures 30] [--model nano]

Every picture is clicked at once, keeping all masks; then each pair of thresholds keeps its own. Recall is the share
of the annotated objects of at least a thousandth of the picture that a mask covers with IoU over 0.5; precision the
share of masks that cover one so. Where not everything is annotated the true precision is higher. The pictures are of
sources in which all, or nearly all, is annotated.
"""

from __future__ import annotations

import argparse
import csv
from itertools import product
from pathlib import Path

import numpy as np
import torch

import masklet
from masklet.formats.davis import read_index_png
from masklet.masks.rle import cut_patch
from masklet.masks.shape import suppress
from masklet.metrics.recall import iou_table

SOURCES = ("coco", "bsds500", "camvid", "facade", "road_peru")
MIN_AREA = 0.001
IOUS, STABILITIES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8), (0.0, 0.6, 0.7, 0.8, 0.9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with index.csv and images")
    parser.add_argument("--pictures", type=int, default=30)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--points-per-side", type=int, default=16)
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = masklet.load_model(args.model)
    with (args.data / "index.csv").open() as file:
        rows = [r for r in csv.DictReader(file) if (r["kind"], r["split"]) == ("image", "val")]
    each = -(-args.pictures // len(SOURCES))
    rows = [row for source in SOURCES for row in [r for r in rows if r["source"] == source][:each]]
    options = masklet.EverythingOptions(
        points_per_side=args.points_per_side, least_iou=0.0, least_stability=0.0, most_overlap=1.0
    )
    found = {pair: np.zeros(3, int) for pair in product(IOUS, STABILITIES)}  # objects found, masks that fit, masks
    objects = 0
    for row in rows:
        masks = masklet.segment_everything(args.data / row["path"], model, options)
        numbers = read_index_png(args.data / row["masks"])
        true = [cut_patch(numbers == n) for n in np.unique(numbers) if 0 < n < 255]
        truth = [patch for patch in true if patch is not None and patch.area >= MIN_AREA * numbers.size]
        ious = iou_table(masks.patches, truth)
        objects += len(truth)
        for (least_iou, least_stability), counts in found.items():
            sure = np.flatnonzero((masks.iou > least_iou) & (masks.stability >= least_stability))
            kept = sure[suppress(masks.boxes[sure], masks.iou[sure], 0.7)] if len(sure) else sure
            fits = ious[kept] > 0.5
            counts += (fits.any(axis=0).sum(), fits.any(axis=1).sum(), len(kept))
    print(f"{args.model}, {len(rows)} pictures, {objects} objects, {args.points_per_side} clicks a side; in percent")
    print("| least IoU | least stability | recall | precision | F | masks a picture |\n|--:|--:|--:|--:|--:|--:|")
    for (least_iou, least_stability), (hit, fit, masks_kept) in found.items():
        recall, precision = hit / objects, fit / max(masks_kept, 1)
        mean = 2 * recall * precision / max(recall + precision, 1e-9)
        print(
            f"| {least_iou} | {least_stability} | {recall:.1%} | {precision:.1%} | {mean:.1%} | "
            f"{masks_kept / len(rows):.1f} |"
        )


if __name__ == "__main__":
    main()
