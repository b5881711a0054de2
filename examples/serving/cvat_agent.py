"""An interactor of CVAT's agents (CVAT Online, and servers that have functions): clicks and boxes become masks.

    pip install cvat-cli pillow
    masklet serve &
    cvat-cli function create-native masklet --function-file examples/serving/cvat_agent.py
    cvat-cli function run-agent ID --function-file examples/serving/cvat_agent.py

MASKLET_SERVER and MASKLET_TOKEN say where `masklet serve` is asked; PYTHONPATH has this folder.
"""

import io

import cvat_sdk.auto_annotation as cvataa
import numpy as np
import PIL.Image
from cvat import asked_for
from cvat_sdk.masks import encode_mask
from cvat_sdk.models import AttributeValRequest

spec = cvataa.InteractionFunctionSpec(min_pos_points=1, min_neg_points=0, min_bounding_boxes=0)


def preprocess_image(context: cvataa.InteractionFunctionContext, image: PIL.Image.Image) -> bytes:
    """The picture as it is sent; CVAT keeps it for further clicks."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


def detect(
    context: cvataa.InteractionFunctionContext, picture: bytes, prompts: cvataa.InteractionPrompts
) -> list[cvataa.InteractionResultShape]:
    """The mask of what was clicked, with the IoU that is predicted."""
    mask, found = asked_for(picture, prompts.pos_points, prompts.neg_points, prompts.bounding_box)
    sure = AttributeValRequest(cvataa.InteractionResultAttributes.CONFIDENCE, str(found["iou"]))
    return [cvataa.InteractionResultShape(type="mask", points=encode_mask(mask.astype(np.bool_)), attributes=[sure])]
