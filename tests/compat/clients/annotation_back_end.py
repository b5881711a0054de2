"""An annotation back end: one predictor, a state for each user, answers as run lengths."""

import sys
import threading

import numpy as np
import torch
from sam2.build_sam import build_sam2_video_predictor


class Server:
    def __init__(self):
        torch.manual_seed(0)
        self.predictor = build_sam2_video_predictor(
            "configs/sam2.1/sam2.1_hiera_t.yaml", device="cpu", hydra_overrides_extra=["++model.image_size=128"]
        )
        self.sessions = {}
        self.lock = threading.Lock()

    def start(self, user, path):
        with self.lock:
            self.sessions[user] = self.predictor.init_state(path)

    def click(self, user, frame, object_id, points, labels, clear_old_points=True):
        with self.lock:
            state = self.sessions[user]
            frame, ids, masks = self.predictor.add_new_points_or_box(
                state,
                frame,
                object_id,
                points=points,
                labels=labels,
                clear_old_points=clear_old_points,
                normalize_coords=False,
            )
            return {i: np.count_nonzero((mask[0] > 0).numpy()) for i, mask in zip(ids, masks, strict=True)}

    def clear(self, user, frame, object_id):
        with self.lock:
            return self.predictor.clear_all_prompts_in_frame(self.sessions[user], frame, object_id)

    def follow(self, user, start, reverse=False):
        with self.lock:
            return [f for f, _, _ in self.predictor.propagate_in_video(self.sessions[user], start, 2, reverse)]


server = Server()
for name in ("ann", "ben"):
    server.start(name, sys.argv[1])
server.click("ann", 2, "cup", [[0.25, 0.25]], [1])
server.click("ann", 2, "cup", [[0.75, 0.75]], [0], clear_old_points=False)
both = server.click("ann", 2, "dish", [[0.5, 0.5]], [1])
assert list(both) == ["cup", "dish"]
assert server.sessions["ben"]["obj_ids"] == []
assert server.follow("ann", 2) == [2, 3, 4]
assert server.follow("ann", 2, reverse=True) == [2, 1, 0]
frame, ids, masks = server.clear("ann", 2, "dish")
assert (frame, ids) == (2, ["cup", "dish"])
assert (masks[1] == -1024).all()
try:
    server.follow("ben", 0)
except RuntimeError as error:
    print("refused:", error)
else:
    raise AssertionError("nothing was prompted")
print("done")
