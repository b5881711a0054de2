"""Generated training data: bright discs and squares on dark grounds, as index PNGs; and a very small network."""

from __future__ import annotations

import csv
from pathlib import Path

import av
import numpy as np
import torch
from PIL import Image

from masklet.nn import HieraConfig, ModelConfig, Network
from masklet.training.batch import FLIP_ONLY
from masklet.training.data import FeedOptions
from masklet.training.losses import LossOptions
from masklet.training.parts import OptimizerOptions
from masklet.training.prompts import PromptOptions
from masklet.training.recipes import Recipe, Stage

SIZE = 64

TINY = ModelConfig(
    name="tiny-test",
    encoder=HieraConfig(width=16, heads=1, depths=(1, 1, 1, 1), global_blocks=(), windows=(8, 4, 4, 2)),
    image_size=SIZE,
    width=32,
    memory_width=16,
    attention_layers=1,
    attention_mlp=32,
    fusion_layers=1,
    decoder_mlp=32,
    decoder_heads=2,
    head_width=32,
    head="refining",
)


def tiny_network(seed: int = 0) -> Network:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Network(TINY)


def recipe(steps: int = 4, **changes: object) -> Recipe:
    """One stage, clips and pictures, a click or box and one correction."""
    feed = FeedOptions(
        pictures=2, picture_objects=2, clips=2, clip_objects=2, frames=3, clip_share=0.5, made_up=0.5, stride=1
    )
    stage = Stage(
        "shapes",
        steps=steps,
        image_size=SIZE,
        feed=feed,
        prompts=PromptOptions(corrections=1),
        losses=LossOptions(candidates="all", pixels="cells"),
        optimizer=OptimizerOptions(rate=2e-3, parts={}, layer_decay=1.0, warm_up=0.05, clip=1.0, average=0.9),
        clip_augment=FLIP_ONLY,
        picture_augment=FLIP_ONLY,
    )
    return Recipe("tiny-test", (stage,), precision="float32", **changes)  # type: ignore[arg-type]


def picture(rng: np.random.Generator, at: tuple[float, float] | None = None) -> tuple[np.ndarray, np.ndarray]:
    """A ground with a bright disc (1) and sometimes a square (2): uint8 (72, 96, 3), index map."""
    image = rng.integers(0, 60, (72, 96, 3)).astype(np.uint8)
    labels = np.zeros((72, 96), np.uint8)
    y, x = np.mgrid[:72, :96]
    cx, cy = at or (rng.uniform(24, 72), rng.uniform(20, 52))
    labels[(x - cx) ** 2 + (y - cy) ** 2 < 15**2] = 1
    if at is None and rng.random() < 0.5:
        labels[4:20, 4:20] = 2
    image[labels == 1] = (220, 200, 40)
    image[labels == 2] = (60, 90, 230)
    return image, labels


def write_shapes(root: Path, pictures: int = 8, videos: int = 2, frames: int = 5, split: str = "train") -> Path:
    """An index of pictures, half of them `open`, and of videos with one moving disc."""
    rng = np.random.default_rng(0)
    rows = []
    (root / "images").mkdir(parents=True)
    for number in range(pictures):
        image, labels = picture(rng)
        Image.fromarray(image).save(root / f"images/{number}.webp", quality=90)
        Image.fromarray(labels).save(root / f"images/{number}.png")
        group = ("open", "research")[number % 2]
        rows.append(("image", f"images/{number}.webp", f"images/{number}.png", split, group, "stills"))
    for number in range(videos):
        folder = root / f"videos/{number}"
        folder.mkdir(parents=True)
        with av.open(str(folder.with_suffix(".mp4")), "w") as film:
            stream = film.add_stream("libx264", rate=24, options={"crf": "18"})
            stream.height, stream.width, stream.pix_fmt = 72, 96, "yuv420p"
            for frame in range(frames):
                image, labels = picture(rng, at=(30 + 6 * frame, 36))
                film.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
                Image.fromarray(labels).save(folder / f"{frame:05d}.png")
            film.mux(stream.encode())
        rows.append(("video", f"videos/{number}.mp4", f"videos/{number}", split, "research", "films"))
    with (root / "index.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("kind", "path", "masks", "split", "group", "source"), *rows])
    return root
