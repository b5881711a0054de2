"""The steps of an image notebook: a click, a better click, a box, several boxes."""

import sys

import numpy as np
import torch
from PIL import Image
from sam2.build_sam import build_sam2
from sam2.sam2_image_predictor import SAM2ImagePredictor

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
image = np.array(Image.open(sys.argv[1]).convert("RGB"))
height, width = image.shape[:2]

torch.manual_seed(3)
sam2_model = build_sam2(
    "configs/sam2.1/sam2.1_hiera_t.yaml", None, device=device, hydra_overrides_extra=["++model.image_size=128"]
)
predictor = SAM2ImagePredictor(sam2_model)
predictor.set_image(image)

input_point, input_label = np.array([[width // 2, height // 2]]), np.array([1])
masks, scores, logits = predictor.predict(point_coords=input_point, point_labels=input_label, multimask_output=True)
sorted_ind = np.argsort(scores)[::-1]
masks, scores, logits = masks[sorted_ind], scores[sorted_ind], logits[sorted_ind]
assert masks.shape == (3, height, width), masks.shape
assert scores.shape == (3,)
assert logits.shape == (3, 32, 32)

mask_input = logits[np.argmax(scores), :, :]
masks, scores, _ = predictor.predict(
    point_coords=np.array([[width // 2, height // 2], [3, 3]]),
    point_labels=np.array([1, 0]),
    mask_input=mask_input[None, :, :],
    multimask_output=False,
)
assert masks.shape == (1, height, width)

masks, scores, _ = predictor.predict(box=np.array([5, 5, width - 5, height - 5])[None, :], multimask_output=False)
assert masks.shape == (1, height, width)

input_boxes = np.array([[5, 5, 60, 60], [20, 20, 90, 80], [-4, 0, width + 9, height]])  # a detector's
masks, scores, _ = predictor.predict(point_coords=None, point_labels=None, box=input_boxes, multimask_output=False)
assert masks.shape == (3, 1, height, width)
assert set(np.unique(masks)) <= {0.0, 1.0}

predictor.set_image_batch([image, image[:, ::-1].copy()])
masks_batch, scores_batch, _ = predictor.predict_batch(
    None, None, box_batch=[input_boxes, input_boxes[:2]], multimask_output=False
)
assert [masks.shape[0] for masks in masks_batch] == [3, 2]
assert predictor.get_image_embedding is not None
print("done")
