"""The recipe of the SAM 2 paper: pictures, then pictures and clips, then long clips with a frozen image encoder.

Source: SAM 2 (Ravi et al., 2024, appendix D) and the released configuration. Batches are those of the paper (256),
for many large GPUs; `stages.*.feed.clips=8` and the like make them smaller.
"""

from __future__ import annotations

from masklet.training.data.augment import AugmentOptions, ColorJitter
from masklet.training.data.feed import FeedOptions
from masklet.training.optimizer import OptimizerOptions
from masklet.training.recipe import Recipe, Stage

CLIPS = AugmentOptions(clip_jitter=ColorJitter(0.1, 0.03, 0.03), frame_jitter=ColorJitter(0.1, 0.05, 0.05))


def published(model: str) -> Recipe:
    """All three stages. Layer decay is 0.9 for `large`, 0.8 for the others; drop path 0.2 and 0.1."""
    large = model.endswith("large")
    decay, drop_path, dropout = (0.9, 0.2, 0.1) if large else (0.8, 0.1, 0.1)
    pictures = FeedOptions(pictures=256, picture_objects=64, clip_share=0.0)
    mixed = FeedOptions(pictures=256, picture_objects=64, clips=256, clip_objects=3, frames=8, clip_share=0.85)
    return Recipe(
        model=model,
        stages=(
            Stage(
                "pictures",
                steps=90_000,
                feed=pictures,
                optimizer=OptimizerOptions(
                    rate=4e-4, parts={}, layer_decay=decay, schedule="reciprocal", warm_up=1 / 90
                ),
                drop_path=drop_path,
            ),
            Stage(
                "clips",
                steps=150_000,
                feed=mixed,
                optimizer=OptimizerOptions(rate=3e-4, parts={"image_encoder": 0.2}, layer_decay=decay, warm_up=0.1),
                clip_augment=CLIPS,
                drop_path=drop_path,
                dropout=dropout,
            ),
            Stage(
                "long-clips",
                steps=50_000,
                feed=FeedOptions(clips=256, frames=16, clip_share=1.0),
                optimizer=OptimizerOptions(rate=3e-4, parts={}, layer_decay=decay, warm_up=0.1),
                clip_augment=CLIPS,
                freeze=("image_encoder",),
                dropout=dropout,
            ),
        ),
        precision="bfloat16",
        recompute=True,
        parallel="shards" if large else "copies",
    )
