"""The steps of a video notebook: click, refine, follow, a second object, start again."""

import sys

import numpy as np
import torch
from sam2.build_sam import build_sam2_video_predictor

torch.manual_seed(3)
predictor = build_sam2_video_predictor(
    "configs/sam2.1/sam2.1_hiera_t.yaml", None, device="cpu", hydra_overrides_extra=["++model.image_size=128"]
)
inference_state = predictor.init_state(video_path=sys.argv[1], offload_video_to_cpu=True, async_loading_frames=True)
predictor.reset_state(inference_state)
height, width = inference_state["video_height"], inference_state["video_width"]

ann_frame_idx, ann_obj_id = 0, 1
points, labels = np.array([[40, 30]], dtype=np.float32), np.array([1], np.int32)
_, out_obj_ids, out_mask_logits = predictor.add_new_points_or_box(
    inference_state=inference_state, frame_idx=ann_frame_idx, obj_id=ann_obj_id, points=points, labels=labels
)
assert out_obj_ids == [1]
assert (out_mask_logits[0] > 0.0).cpu().numpy().shape == (1, height, width)

points, labels = np.array([[40, 30], [70, 60]], dtype=np.float32), np.array([1, 0], np.int32)
predictor.add_new_points_or_box(
    inference_state=inference_state, frame_idx=ann_frame_idx, obj_id=ann_obj_id, points=points, labels=labels
)
predictor.add_new_points_or_box(
    inference_state=inference_state, frame_idx=0, obj_id=4, box=np.array([10, 10, 90, 80], dtype=np.float32)
)
video_segments = {}
for out_frame_idx, out_obj_ids, out_mask_logits in predictor.propagate_in_video(
    inference_state, max_frame_num_to_track=3
):
    video_segments[out_frame_idx] = {
        out_obj_id: (out_mask_logits[i] > 0.0).cpu().numpy() for i, out_obj_id in enumerate(out_obj_ids)
    }
assert sorted(video_segments) == [0, 1, 2, 3]
assert all(list(objects) == [1, 4] for objects in video_segments.values())
assert inference_state["obj_ids"] == [1, 4]
assert inference_state["obj_id_to_idx"] == {1: 0, 4: 1}
assert inference_state["num_frames"] == len(inference_state["images"])
assert inference_state["images"][0].shape == (3, 128, 128)

obj_ids, updated = predictor.remove_object(inference_state, 1)
assert obj_ids == [4]
assert [frame for frame, _ in updated] == [0]
assert updated[0][1].shape == (1, 1, height, width)
predictor.reset_state(inference_state)
assert inference_state["obj_ids"] == []
print("done")
