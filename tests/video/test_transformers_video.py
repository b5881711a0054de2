"""Twenty frames and two objects: the masks of transformers' video model, with its weights moved over."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import Sam2VideoModel
from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

from masklet.checkpoints import Model
from masklet.checkpoints.load import blank_network, load_weights
from masklet.checkpoints.names import from_transformers
from masklet.media.source import open_video
from masklet.video import TrackingOptions, VideoTracker
from masklet.video.reader import frame_tensor
from tests.checkpoints.test_transformers_parity import CONFIG, SIZE, randomise, their_config
from tests.conftest import GOLDEN

CLIP = GOLDEN / "video/frames"
CLICKS = {1: (135, 27), 2: (34, 52)}
PRESENT = 6.0
"""Added to both models' presence, so that random weights don't lose the objects."""


@torch.no_grad()
def their_masks(theirs: Sam2VideoModel, ours: Model) -> list[np.ndarray]:
    """bool (objects, 120, 160) for each frame."""
    frames = torch.cat([frame_tensor(frame.image, ours) for frame in open_video(CLIP)])
    session = Sam2VideoInferenceSession(video=frames, video_height=120, video_width=160, dtype=torch.float32)
    for name, (x, y) in CLICKS.items():
        point = {
            "point_coords": torch.tensor([[[[x / 160 * SIZE, y / 120 * SIZE]]]]),
            "point_labels": torch.tensor([[[1]]], dtype=torch.int32),
        }
        session.add_point_inputs(session.obj_id_to_idx(name), 0, point)
    session.obj_with_new_inputs = list(CLICKS)
    masks = []
    for frame in range(len(frames)):
        logits = theirs(session, frame_idx=frame).pred_masks
        full = torch.nn.functional.interpolate(logits.float(), size=(120, 160), mode="bilinear", align_corners=False)
        masks.append(full[:, 0].numpy() > 0)
    return masks


def test_the_same_masks_along_a_clip() -> None:
    config = their_config("2.1")
    config.mask_decoder_config.dynamic_multimask_via_stability = True
    theirs = Sam2VideoModel(config).eval()
    with torch.no_grad():
        randomise(theirs, seed=8)  # objects of a sixth to a half of the picture, to the end of the clip
        theirs.mask_decoder.pred_obj_score_head.proj_out.bias += PRESENT
    network = load_weights(blank_network(CONFIG), from_transformers(theirs.state_dict()))
    ours = Model("parity", network)
    assert_followed_alike(ours, np.stack(their_masks(theirs, ours)))


def assert_followed_alike(ours: Model, expected: NDArray[np.bool_]) -> None:
    """Our masks of the clicks along the clip are the expected ones (20, 2, H, W), but for a pixel here and there."""
    with VideoTracker(CLIP, ours, options=TrackingOptions(fill_holes=0)) as tracker:
        for name, click in CLICKS.items():
            tracker.add_points(frame=0, object=name, points=[click])
        seen = np.stack([result.masks for result in tracker.propagate()])
    assert seen.shape == (20, 2, 120, 160)
    both, either = (seen & expected).sum(axis=(2, 3)), (seen | expected).sum(axis=(2, 3))
    assert (either > 1000).all()
    assert both.sum() / either.sum() >= 0.9999
    assert (either - both <= 5).all()
