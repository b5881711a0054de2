"""Recipes: functions that return the whole description of a training."""

from collections.abc import Callable
from dataclasses import replace

from masklet.training.batch import PickOptions
from masklet.training.data.augment import AugmentOptions, ColorJitter
from masklet.training.data.feed import FeedOptions
from masklet.training.data.samples import ViewOptions
from masklet.training.losses import LossOptions
from masklet.training.optimizer import OptimizerOptions
from masklet.training.prompts import PromptOptions
from masklet.training.recipe import Precision, Recipe, Stage
from masklet.training.synthesis.clip import MadeUpOptions


def published(model: str) -> Recipe:
    """The recipe of the SAM 2 paper: pictures, then pictures and clips, then long clips with a frozen image encoder.
    Layer decay is 0.9 for `large`, 0.8 for the others; drop path 0.2 and 0.1.

    Batches are those of the paper (256), for many large GPUs; `stages.*.feed.clips=8` and the like make them smaller.
    What is not said here is the published value by default.

    Source: SAM 2 (Ravi et al., 2024, appendix D) and the released configuration.
    """
    large = model.endswith("large")
    decay, drop_path, dropout = (0.9, 0.2, 0.1) if large else (0.8, 0.1, 0.1)
    return Recipe(
        model=model,
        stages=(
            Stage(
                "pictures",
                steps=90_000,
                feed=FeedOptions(pictures=256, clip_share=0.0),
                optimizer=OptimizerOptions(
                    rate=4e-4, parts={}, layer_decay=decay, schedule="reciprocal", warm_up=1 / 90
                ),
                drop_path=drop_path,
            ),
            Stage(
                "clips",
                steps=150_000,
                feed=FeedOptions(pictures=256, clips=256),
                optimizer=OptimizerOptions(layer_decay=decay),
                drop_path=drop_path,
                dropout=dropout,
            ),
            Stage(
                "long-clips",
                steps=50_000,
                feed=FeedOptions(clips=256, frames=16, clip_share=1.0),
                optimizer=OptimizerOptions(parts={}, layer_decay=decay),
                freeze=("image_encoder",),
                dropout=dropout,
            ),
        ),
        precision="bfloat16",
        recompute=True,
        parallel="shards" if large else "copies",
    )


def finetune(
    model: str,
    *,
    steps: int,
    image_size: int,
    freeze: tuple[str, ...] = (),
    low_rank: int = 0,
    precision: Precision = "bfloat16",
) -> Recipe:
    """Going on from a checkpoint on one's own data: one stage of clips; pictures that the data holds are learned too,
    one step in five. Batch normalisations keep their statistics: a single picture is too little for them.

    Rates, of learning and of dropping, are those of the released fine-tuning on MOSE. The defaults are meant for one
    card of 24 GB: one clip a step, bfloat16, activations computed again on the way back.
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
                    rate=5e-6, parts={"image_encoder": 0.6}, layer_decay=0.9, warm_up=0.05, end=0.1, average=0.99
                ),
                freeze=freeze,
                still_norms=True,
                drop_path=0.1,
                dropout=0.1,
            ),
        ),
        precision=precision,
        recompute=True,
        low_rank=low_rank,
    )


def finetune_small(model: str, *, steps: int, image_size: int, freeze: tuple[str, ...] = ()) -> Recipe:
    """`finetune` for small models of our own and what two cores can do: higher rates, short clips, losses on the cells
    of the logits, nothing left out."""
    recipe = finetune(model, steps=steps, image_size=image_size, freeze=freeze, precision="float32")
    (stage,) = recipe.stages
    stage = replace(
        stage,
        feed=replace(stage.feed, clips=2, clip_objects=1, frames=4, clip_share=1.0),
        prompts=replace(stage.prompts, corrections=1),
        losses=replace(stage.losses, pixels="cells"),
        optimizer=replace(stage.optimizer, rate=1e-4, layer_decay=1.0),
        drop_path=0.0,
        dropout=0.0,
    )
    return replace(recipe, stages=(stage,), recompute=False)


COLORS = AugmentOptions(
    turn=0.0, shear=0.0, clip_jitter=ColorJitter(0.4, 0.3, 0.4), grey=0.08, frame_jitter=ColorJitter(0.05, 0.05, 0.05)
)
PARTS = ViewOptions(whole=0.5, least_area=0.25, aspect=0.4)
OF_ALL_SIZES = PickOptions(least=0.001, most=0.9, size_power=0.3)
EVENTFUL = MadeUpOptions(leave=0.35, look_alike=0.35, pass_by=0.4, pace=0.6)

PICTURES = FeedOptions(
    pictures=64,
    picture_objects=6,
    picture_total=224,
    clips=32,
    clip_objects=3,
    clip_total=80,
    frames=6,
    clip_share=0.0,
    stride=3,
    balance=0.7,
    view=PARTS,
    pick=OF_ALL_SIZES,
    scene=EVENTFUL,
)


def nano(model: str) -> Recipe:
    """Our own small model, from a trunk that was trained on ImageNet: pictures at 256 pixels, then pictures and clips
    at 320. Eight minutes of one large GPU (docs/nano.md); a day or more of a laptop's CPU.

    What differs from the published recipe was measured (docs/lab-log.md): random parts of pictures, losses on the cells
    of the logits with every candidate learning, strong changes of colour, most clips made up from pictures, an image
    encoder that learns from pictures only once clips come in. The trunk learns slowly, as it can see already. In some
    followed frames the mask of the frame before is left out or wrong, so that memories are learned too. `masklet train
    calibrate` comes after.
    """
    pictures = Stage(
        "pictures-256",
        steps=980,
        image_size=256,
        feed=PICTURES,
        prompts=PromptOptions(corrections=2, first_frames=1, corrected_frames=2),
        losses=LossOptions(candidates="all", pixels="cells"),
        optimizer=OptimizerOptions(
            rate=1.6e-3,
            parts={"image_encoder.trunk": 0.3},
            layer_decay=1.0,
            weight_decay=0.03,
            warm_up=0.05,
            end=0.2,
            clip=1.0,
            average=0.99,
        ),
        clip_augment=COLORS,
        picture_augment=COLORS,
    )
    clips = replace(
        pictures,
        name="clips-320",
        steps=500,
        image_size=320,
        feed=replace(PICTURES, clip_share=0.6, made_up=0.6),
        prompts=replace(pictures.prompts, previous_missing=0.25, previous_wrong=0.08),
        optimizer=replace(
            pictures.optimizer,
            rate=8e-4,
            parts={"image_encoder": 0.4, "image_encoder.trunk": 0.25},
            warm_up=0.04,
            end=0.03,
        ),
        still_clips=True,
        still_norms=True,
    )
    return Recipe(model=model, stages=(pictures, clips), precision="float32")


RECIPES: dict[str, Callable[[str], Recipe]] = {
    "nano": nano,
    **{f"sam2.1-{size}": published for size in ("tiny", "small", "base-plus", "large")},
}
"""Name of a model -> the recipe that trains it, a function of the name."""
