"""The builders of the reference: names of configurations and files of weights in, models out."""

from typing import Any

from masklet.compat.sam2.modeling import SAM2Base
from masklet.compat.sam2.sam2_camera_predictor import SAM2CameraPredictor
from masklet.compat.sam2.sam2_video_predictor import SAM2VideoPredictor
from masklet.compat.sam2.settings import HF_MODEL_ID_TO_FILENAMES as HF_MODEL_ID_TO_FILENAMES
from masklet.compat.sam2.settings import IMAGE_POSTPROCESSING, from_hub, model_and_settings


def build_sam2(*arguments: Any, **named: Any) -> SAM2Base:
    """A model for pictures. Takes the arguments of `model_and_settings`; `apply_postprocessing` means here whether an
    unstable single mask gives way to the best of three."""
    return SAM2Base(*model_and_settings(*arguments, **named, postprocessing=IMAGE_POSTPROCESSING))


def build_sam2_video_predictor(*arguments: Any, **named: Any) -> SAM2VideoPredictor:
    """A predictor for videos. Takes the arguments of `model_and_settings`."""
    return SAM2VideoPredictor(*model_and_settings(*arguments, **named))


def build_sam2_camera_predictor(*arguments: Any, **named: Any) -> SAM2CameraPredictor:
    """A predictor for frames that come one by one. As `build_sam2_video_predictor`."""
    return SAM2CameraPredictor(*model_and_settings(*arguments, **named))


def build_sam2_hf(model_id: str, **arguments: Any) -> SAM2Base:
    """A model for pictures from the hub, such as "facebook/sam2.1-hiera-tiny"; downloaded if it is not here. Takes the
    arguments of `build_sam2`."""
    return build_sam2(*from_hub(model_id), **arguments)


def build_sam2_video_predictor_hf(model_id: str, **arguments: Any) -> SAM2VideoPredictor:
    """A predictor for videos from the hub. Takes the arguments of `build_sam2_video_predictor`."""
    return SAM2VideoPredictor.from_pretrained(model_id, **arguments)


def instantiated(config_file: str, **changes: Any) -> SAM2Base:
    """What Hydra makes of a file in `configs`: the model with random weights, at the values without post-processing but
    for changes, `compose`'s overrides `++model.NAME=value`."""
    extra = changes.pop("sam_mask_decoder_extra_args", {})
    overrides = [f"{name}={value}" for name, value in {**changes, **extra}.items()]
    return SAM2Base(*model_and_settings(config_file, hydra_overrides_extra=overrides, apply_postprocessing=False))
