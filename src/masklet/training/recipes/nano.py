"""`nano`: our own small model, from random weights, on a laptop's CPU or one GPU.

What differs from the published recipe was measured on two cores (docs/lab-log.md): low resolution first, small batches,
random parts of pictures, losses on the cells of the logits with every candidate learning, strong changes of colour,
most clips made up from pictures, an image encoder that learns from pictures only once clips come in.
"""

from __future__ import annotations

from dataclasses import replace

from masklet.training.data.augment import AugmentOptions, ColorJitter
from masklet.training.data.feed import FeedOptions
from masklet.training.data.samples import PickOptions, ViewOptions
from masklet.training.losses import LossOptions
from masklet.training.optimizer import OptimizerOptions
from masklet.training.prompts import PromptOptions
from masklet.training.recipe import Recipe, Stage

COLORS = AugmentOptions(
    turn=0.0, shear=0.0, clip_jitter=ColorJitter(0.4, 0.3, 0.4), grey=0.08, frame_jitter=ColorJitter(0.05, 0.05, 0.05)
)
PARTS = ViewOptions(whole=0.25, least_area=0.25, aspect=0.4)
LARGE_FIRST = PickOptions(least=0.003, most=0.9, size_power=0.5)

PICTURES = FeedOptions(pictures=12, picture_objects=6, clip_share=0.0, balance=0.7, view=PARTS, pick=LARGE_FIRST)
CLIPS = replace(PICTURES, pictures=10, clips=3, clip_objects=3, frames=5, clip_share=2 / 3, made_up=0.6, stride=4)


def nano(model: str) -> Recipe:
    """Pictures at 128 and 192 pixels, then pictures and clips at 192 and 256."""
    pictures = Stage(
        "pictures-128",
        steps=12_000,
        image_size=128,
        feed=PICTURES,
        prompts=PromptOptions(corrections=1, first_frames=1, corrected_frames=1),
        losses=LossOptions(candidates="all", pixels="cells"),
        optimizer=OptimizerOptions(
            rate=1e-3, parts={}, layer_decay=1.0, weight_decay=0.03, warm_up=0.02, end=0.02, clip=1.0, average=0.998
        ),
        clip_augment=COLORS,
        picture_augment=COLORS,
    )
    clips = replace(
        pictures,
        name="clips-192",
        steps=6_000,
        image_size=192,
        feed=CLIPS,
        prompts=PromptOptions(corrections=1, first_frames=1, corrected_frames=1),
        optimizer=replace(pictures.optimizer, rate=8e-4, parts={"image_encoder": 0.4}),
        still_clips=True,
    )
    return Recipe(
        model=model,
        stages=(
            pictures,
            replace(
                pictures,
                name="pictures-192",
                steps=8_000,
                image_size=192,
                optimizer=replace(pictures.optimizer, rate=8e-4),
            ),
            clips,
            replace(
                clips,
                name="clips-256",
                steps=6_000,
                image_size=256,
                optimizer=replace(clips.optimizer, rate=4e-4),
            ),
        ),
        precision="float32",
    )
