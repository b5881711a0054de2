"""Going on from a checkpoint on one's own data. Source of the rates, of learning and of dropping: the released
fine-tuning on MOSE.

The defaults are meant for one card of 24 GB: one clip a step, bfloat16, activations computed again on the way back.
"""

from __future__ import annotations

from masklet.training.data.feed import FeedOptions
from masklet.training.optimizer import OptimizerOptions
from masklet.training.recipe import Precision, Recipe, Stage


def finetune(
    model: str, *, steps: int, image_size: int, freeze: tuple[str, ...] = (), precision: Precision = "bfloat16"
) -> Recipe:
    """One stage of clips; pictures that the data holds are learned too, one step in five. Batch normalisations keep
    their statistics: a single picture is too little for them.
    """
    return Recipe(
        model=model,
        stages=(
            Stage(
                "finetune",
                steps=steps,
                image_size=image_size,
                feed=FeedOptions(pictures=1, picture_objects=8, clips=1, clip_objects=3, frames=8, clip_share=0.8),
                optimizer=OptimizerOptions(
                    rate=5e-6,
                    parts={"image_encoder": 0.6},
                    layer_decay=0.9,
                    warm_up=0.05,
                    end=0.1,
                    average=0.99,
                ),
                freeze=freeze,
                still_norms=True,
                drop_path=0.1,
                dropout=0.1,
            ),
        ),
        precision=precision,
        recompute=True,
    )
