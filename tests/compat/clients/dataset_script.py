"""Inference over a data set: the mask of each object in its first frame in, palette PNGs out."""

import argparse
import os

import numpy as np
import torch
from PIL import Image
from sam2.build_sam import build_sam2_video_predictor

parser = argparse.ArgumentParser()
parser.add_argument("--base_video_dir", required=True)
parser.add_argument("--input_mask_dir", required=True)
parser.add_argument("--output_mask_dir", required=True)
args = parser.parse_args()

torch.manual_seed(0)
predictor = build_sam2_video_predictor(
    config_file="configs/sam2.1/sam2.1_hiera_t.yaml",
    ckpt_path=None,
    apply_postprocessing=True,
    hydra_overrides_extra=["++model.non_overlap_masks=true", "++model.image_size=128"],
    device="cpu",
)
for video in sorted(os.listdir(args.base_video_dir)):
    state = predictor.init_state(video_path=os.path.join(args.base_video_dir, video), async_loading_frames=False)
    given = Image.open(os.path.join(args.input_mask_dir, video, "00000.png"))
    palette, mask = given.getpalette(), np.array(given)
    for object_id in np.unique(mask[mask > 0]).tolist():
        predictor.add_new_mask(inference_state=state, frame_idx=0, obj_id=object_id, mask=mask == object_id)
    os.makedirs(os.path.join(args.output_mask_dir, video), exist_ok=True)
    for frame, object_ids, logits in predictor.propagate_in_video(state):
        output = np.zeros((state["video_height"], state["video_width"]), dtype=np.uint8)
        for i in reversed(range(len(object_ids))):
            output[(logits[i, 0] > 0.0).cpu().numpy()] = object_ids[i]
        picture = Image.fromarray(output)
        picture.putpalette(palette)
        picture.save(os.path.join(args.output_mask_dir, video, f"{frame:05d}.png"))
print("done")
