"""Find what a text names in pictures, and write a COCO file: for those who would rather type than click.

python examples/words.py "red car . dog" found.json photos/a.jpg photos/b.jpg

`RedThings` shows what a detector of your own looks like: give it as `grounder`, and nothing is downloaded.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

import masklet
from masklet.words import FoundBox


class RedThings:
    """Boxes around what is red, for the phrases that say so."""

    def find(self, image: NDArray[np.uint8], phrases: Sequence[str], least: float) -> list[FoundBox]:
        red = (image[..., 0] > 150) & (image[..., 1:].max(axis=2) < 100)
        _, _, stats, _ = cv2.connectedComponentsWithStats(red.astype(np.uint8))
        boxes = [(float(x), float(y), float(x + width), float(y + height)) for x, y, width, height, _ in stats[1:]]
        return [FoundBox(box, 1.0, phrase) for phrase in phrases if "red" in phrase.split() for box in boxes]


def main(text: str, out: str, *pictures: str, model: Any = "nano", grounder: Any = "grounding-dino-tiny") -> None:
    found = {}
    for picture in pictures:
        masks = masklet.segment(picture, text=text, model=model, grounder=grounder)
        found[picture] = masks.to_coco()
        print(f"{picture}: {', '.join(masks.labels) or 'nothing'}")
    Path(out).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
