"""A script for the first Segment Anything."""

import sys

import numpy as np
from PIL import Image
from segment_anything import SamPredictor, sam_model_registry

sam = sam_model_registry["nano"]()
sam.to(device="cpu")
predictor = SamPredictor(sam)
image = np.array(Image.open(sys.argv[1]).convert("RGB"))
predictor.set_image(image)
masks, scores, logits = predictor.predict(
    point_coords=np.array([[image.shape[1] // 2, image.shape[0] // 2]]),
    point_labels=np.array([1]),
    multimask_output=True,
)
assert masks.dtype == bool
assert masks.shape == (3, *image.shape[:2])
print("done")
