"""`nano`: our own small model, from a trunk that was trained on ImageNet, on a laptop's CPU or one GPU.

What differs from the published recipe was measured on two cores (docs/lab-log.md): low resolution first, small batches,
random parts of pictures, losses on the cells of the logits with every candidate learning, strong changes of colour,
most clips made up from pictures, an image encoder that learns from pictures only once clips come in. The trunk learns
slowly, as it can see already. The steps are those of the weights in the package; more make it better.
"""

from __future__ import annotations

from dataclasses import replace

from masklet.training.batch import PickOptions
from masklet.training.data.augment import AugmentOptions, ColorJitter
from masklet.training.data.feed import FeedOptions
from masklet.training.data.samples import ViewOptions
from masklet.training.losses import LossOptions
from masklet.training.optimizer import OptimizerOptions
from masklet.training.prompts import PromptOptions
from masklet.training.recipe import Recipe, Stage
from masklet.training.synthesis.clip import MadeUpOptions

COLORS = AugmentOptions(
    turn=0.0, shear=0.0, clip_jitter=ColorJitter(0.4, 0.3, 0.4), grey=0.08, frame_jitter=ColorJitter(0.05, 0.05, 0.05)
)
PARTS = ViewOptions(whole=0.5, least_area=0.25, aspect=0.4)
OF_ALL_SIZES = PickOptions(least=0.001, most=0.9, size_power=0.3)
EVENTFUL = MadeUpOptions(leave=0.35, look_alike=0.35, pass_by=0.4, pace=0.6)

PICTURES = FeedOptions(pictures=12, picture_objects=6, clip_share=0.0, balance=0.7, view=PARTS, pick=OF_ALL_SIZES)
CLIPS = replace(
    PICTURES, pictures=9, clips=3, clip_objects=3, frames=6, clip_share=0.65, made_up=0.6, stride=3, scene=EVENTFUL
)


def nano(model: str) -> Recipe:
    """Pictures at 128, 192 and 256 pixels, then pictures and clips at 256 and 320."""
    pictures = Stage(
        "pictures-128",
        steps=600,
        image_size=128,
        feed=PICTURES,
        prompts=PromptOptions(corrections=1, first_frames=1, corrected_frames=2),
        losses=LossOptions(candidates="all", pixels="cells"),
        optimizer=OptimizerOptions(
            rate=1e-3,
            parts={"image_encoder.trunk": 0.3},
            layer_decay=1.0,
            weight_decay=0.03,
            warm_up=0.02,
            end=0.15,
            clip=1.0,
            average=0.995,
        ),
        clip_augment=COLORS,
        picture_augment=COLORS,
    )
    larger = replace(pictures.optimizer, rate=8e-4)
    corrected = replace(pictures.prompts, corrections=2)
    clips = replace(
        pictures,
        name="clips-256",
        steps=700,
        image_size=256,
        feed=CLIPS,
        prompts=corrected,
        optimizer=replace(larger, parts={"image_encoder": 0.4, "image_encoder.trunk": 0.25}),
        still_clips=True,
        still_norms=True,
    )
    last = replace(clips.optimizer, rate=6e-4, end=0.03)
    return Recipe(
        model=model,
        stages=(
            pictures,
            replace(pictures, name="pictures-192", image_size=192, optimizer=larger),
            replace(pictures, name="pictures-256", steps=800, image_size=256, prompts=corrected, optimizer=larger),
            clips,
            replace(clips, name="clips-320", steps=900, image_size=320, optimizer=last),
        ),
        precision="float32",
    )
