"""What a network answers while it learns: pictures, truths and answers side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from masklet.atomic import atomic_write, make_folder
from masklet.masks.draw import draw_overlay
from masklet.nn import Network
from masklet.training.batch import Batch
from masklet.training.prompts import Plan
from masklet.training.unroll import Unroll, enlarge

MOST_CLIPS, MOST_FRAMES = 4, 8


@torch.no_grad()
def save_pictures(network: Network, batch: Batch, plan: Plan, path: Path) -> None:
    """Write a picture: for each clip a row of frames with the true masks, and one with the network's last answers.

    Raises FormatError if it cannot be written.
    """
    answers = {p.frame: p.decoded for p in Unroll(network, batch, plan).predictions()}
    rows = []
    for clip in range(min(len(batch.seeds), MOST_CLIPS)):
        owned = (batch.owners == clip).nonzero()[:, 0]
        frames = range(min(batch.frames, MOST_FRAMES))
        found = batch.masks.clone()
        for frame, decoded in answers.items():
            best = decoded.logits[torch.arange(len(found)), decoded.iou.argmax(dim=1)][:, None]
            found[:, frame] = enlarge(best, found.shape[-1])[:, 0] > 0
        for masks in (batch.masks, found):
            rows.append(np.hstack([_drawn(batch.images[clip, frame], masks[owned, frame]) for frame in frames]))
    make_folder(path.parent)
    with atomic_write(path) as temporary:
        Image.fromarray(np.vstack(rows)).save(temporary, format="JPEG", quality=85)


def _drawn(image: Tensor, masks: Tensor) -> NDArray[np.uint8]:
    pixels = np.ascontiguousarray(image.permute(1, 2, 0).cpu().numpy())
    return draw_overlay(pixels, dict(enumerate(masks.cpu().numpy(), start=1)))
