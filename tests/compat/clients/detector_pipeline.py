"""A detector's boxes, in each picture of a list; scores and areas are written down."""

import sys

import numpy as np
import torch
from PIL import Image
from sam2.build_sam import build_sam2
from sam2.sam2_image_predictor import SAM2ImagePredictor


def detector(image):
    height, width = image.shape[:2]
    return torch.tensor([[1.5, 2.5, width / 2, height / 2], [width / 4, height / 4, width + 3.0, height + 2.0]])


torch.manual_seed(0)
config, overrides = "sam2_hiera_s.yaml", ["++model.image_size=128"]
model = build_sam2(config, device="cpu", hydra_overrides_extra=overrides).to("cpu").eval()
predictor = SAM2ImagePredictor(model)
found = []
for path in sys.argv[1:]:
    image = np.array(Image.open(path).convert("RGB"))
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        predictor.set_image(image)
        masks, scores, logits = predictor.predict(box=detector(image), multimask_output=False)
    if masks.ndim == 4:
        masks = masks.squeeze(1)
    assert masks.shape == (2, *image.shape[:2])
    assert np.isfinite(logits).all()
    found += [
        {"picture": path, "area": int(mask.sum()), "score": float(s)}
        for mask, s in zip(masks, scores[:, 0], strict=True)
    ]
assert len(found) == 2 * len(sys.argv[1:])
print("done")
