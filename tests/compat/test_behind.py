"""What clients reach for behind the calls: the network as a module, the state as a mapping, helpers, cameras."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import masklet
from masklet.checkpoints import build_model
from masklet.compat.sam2.build_sam import build_sam2_camera_predictor
from masklet.compat.sam2.modeling.sam2_base import SAM2Base
from masklet.compat.sam2.modeling.sam2_utils import get_1d_sine_pe, select_closest_cond_frames
from masklet.compat.sam2.sam2_camera_predictor import SAM2CameraPredictor
from masklet.compat.sam2.sam2_image_predictor import SAM2ImagePredictor
from masklet.compat.sam2.sam2_video_predictor import SAM2VideoPredictor
from masklet.compat.sam2.utils.misc import concat_points, fill_holes_in_mask_scores, load_video_frames, mask_to_box
from masklet.engines.torch import Model
from masklet.image.predictor import no_memories
from masklet.media.source import open_video
from masklet.nn import PromptTokens
from masklet.video import TrackingOptions
from tests.conftest import GOLDEN, SMALL

FRAMES = GOLDEN / "video/frames"
PICTURE = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)


def fresh() -> Model:
    return build_model(SMALL, seed=3)


@pytest.fixture
def base() -> SAM2Base:
    return SAM2Base(fresh())


def test_weights_have_the_published_names(base: SAM2Base) -> None:
    network = base.engine.network
    assert base.state_dict().keys() == network.state_dict().keys()
    assert {name for name, _ in base.named_parameters()} == {name for name, _ in network.named_parameters()}
    assert "conv_s0.weight" in base.sam_mask_decoder.state_dict()


def test_other_weights_change_the_answers(base: SAM2Base) -> None:
    predictor, other = SAM2ImagePredictor(base), build_model(SMALL, seed=4)
    predictor.set_image(PICTURE)
    before = predictor.predict([[30, 30]], [1])[2]
    base.load_state_dict(other.network.state_dict())
    predictor.set_image(PICTURE)
    after = predictor.predict([[30, 30]], [1])[2]
    expected = SAM2ImagePredictor(SAM2Base(other))
    expected.set_image(PICTURE)
    assert not np.allclose(before, after)
    np.testing.assert_allclose(after, expected.predict([[30, 30]], [1])[2], atol=1e-5)


def test_the_parts_answer_as_the_network(base: SAM2Base) -> None:
    engine, picture = base.engine, torch.randn(1, 3, SMALL.image_size, SMALL.image_size, generator=torch.manual_seed(0))
    with torch.no_grad():
        levels = engine.encode_image(picture)
        found = base.forward_image(picture)
        for ours, level in zip(found["backbone_fpn"], levels, strict=True):
            torch.testing.assert_close(ours, level)
        _, features, codes, sizes = base._prepare_backbone_features(found)
        assert [len(each) for each in features] == [height * width for height, width in sizes]
        assert codes[-1].shape[0] == sizes[-1][0] ** 2
        embedded = engine.attend_memory(levels.stride16, no_memories(engine))
        points, labels = torch.tensor([[[30.0, 40.0]], [[90.0, 20.0]]]), torch.tensor([[1], [1]])
        sparse, dense = base.sam_prompt_encoder(points=(points, labels), boxes=None, masks=None)
        for several in (True, False):
            masks, iou, tokens, presence = base.sam_mask_decoder(
                image_embeddings=embedded,
                image_pe=base.sam_prompt_encoder.get_dense_pe(),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                multimask_output=several,
                repeat_image=True,
                high_res_features=found["backbone_fpn"][:2],
            )
            padded = PromptTokens(F.pad(points, (0, 0, 0, 1)), F.pad(labels, (0, 1), value=-1))
            decoded = engine.decode_masks(embedded, levels, padded)
            count = 3 if several else 1
            assert (masks.shape[1], iou.shape, tokens.shape[0]) == (count, (2, count), 2)
            torch.testing.assert_close(presence[:, 0], decoded.presence, rtol=1e-4, atol=1e-4)
            if several:
                torch.testing.assert_close(masks, decoded.logits[:, 1:], rtol=1e-4, atol=1e-4)
                torch.testing.assert_close(iou, decoded.iou[:, 1:], rtol=1e-4, atol=1e-4)
    boxes = torch.tensor([[1.0, 2.0, 30.0, 40.0]])
    assert base.sam_prompt_encoder(points=None, boxes=boxes, masks=None)[0].shape[1] == 2


def test_a_decoder_learns_and_the_predictor_answers_by_it(base: SAM2Base) -> None:
    """The loop of a fine-tuning script: prompts and decoder are trained on one picture."""
    predictor = SAM2ImagePredictor(base)
    before = base.sam_mask_decoder.iou_token.weight.detach().clone()
    base.sam_mask_decoder.train(True)
    base.sam_prompt_encoder.train(True)
    optimizer = torch.optim.SGD([p for p in base.parameters() if p.requires_grad], lr=1e-2)
    target = torch.zeros(1, 60, 80)
    target[:, 20:40, 20:40] = 1
    predictor.set_image(PICTURE)
    plain = predictor.predict([[30, 30]], [1])[2]
    losses = []
    for _ in range(3):
        logits, points, labels, box = predictor._prep_prompts([[30, 30]], [1], None, None, True)
        assert (logits, box) == (None, None)
        sparse, dense = base.sam_prompt_encoder(points=(points, labels), boxes=None, masks=None)
        features = predictor._features
        masks, _, _, _ = base.sam_mask_decoder(
            image_embeddings=features["image_embed"][-1].unsqueeze(0),
            image_pe=base.sam_prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=True,
            repeat_image=False,
            high_res_features=[level[-1].unsqueeze(0) for level in features["high_res_feats"]],
        )
        shown = predictor._transforms.postprocess_masks(masks, predictor._orig_hw[-1])
        loss = F.binary_cross_entropy_with_logits(shown[:, 0], target)
        base.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    assert not torch.equal(base.sam_mask_decoder.iou_token.weight, before)
    base.eval()
    assert not np.allclose(predictor.predict([[30, 30]], [1])[2], plain)


def test_what_was_frozen_stays_so_from_one_round_of_training_to_the_next(base: SAM2Base) -> None:
    assert all(weight.requires_grad for weight in base.parameters())
    base.image_encoder.requires_grad_(False)
    base.sam_mask_decoder.iou_token.requires_grad_(False)
    for mode in (True, False, True):
        base.train(mode)
        base.sam_mask_decoder.train(mode)
    frozen = {name for name, weight in base.named_parameters() if not weight.requires_grad}
    expected = {name for name, _ in base.named_parameters() if name.startswith("image_encoder.")}
    assert frozen == {*expected, "sam_mask_decoder.iou_token.weight"}


@pytest.mark.parametrize("return_logits", [False, True])
def test_prompts_on_the_square_are_answered_as_those_on_the_picture(base: SAM2Base, return_logits: bool) -> None:
    predictor = SAM2ImagePredictor(base)
    predictor.set_image_batch([PICTURE[:, ::-1].copy(), PICTURE])
    points, labels, boxes = [[[30, 40]], [[60, 10]]], [[1], [0]], [[10, 5, 70, 50], [20, 20, 60, 40]]
    given = predictor._prep_prompts(points, labels, boxes, None, True)
    found = predictor._predict(given[1], given[2], given[3], given[0], return_logits=return_logits)
    alone = predictor._predict(given[1][:1], given[2][:1], given[3][:1], multimask_output=False, img_idx=1)
    predictor.set_image(PICTURE)
    expected = predictor.predict(points, labels, boxes, return_logits=return_logits)
    for part, other in zip(found, expected, strict=True):
        assert part.shape == other.shape
        np.testing.assert_allclose(part.numpy(), other, atol=1e-4)
    assert found[0].dtype == (torch.float32 if return_logits else torch.bool)
    assert [tuple(part.shape[:2]) for part in alone] == [(1, 1)] * 3


def test_parts_can_be_taken_away(base: SAM2Base) -> None:
    trunk = base.image_encoder.trunk
    del base.sam_mask_decoder, base.memory_encoder, base.image_encoder.neck
    assert not any(name.startswith("sam_mask_decoder") for name in base.state_dict())
    assert len(trunk(torch.zeros(1, 3, SMALL.image_size, SMALL.image_size))) == 4


def test_what_is_not_there_names_what_is(base: SAM2Base) -> None:
    with pytest.raises(AttributeError, match=r"has no track_step; it has masklet\.VideoTracker"):
        base.track_step  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'colour'"):
        base.colour  # noqa: B018


def test_the_state_is_a_mapping_that_clients_may_change() -> None:
    predictor = SAM2VideoPredictor(fresh())
    state = predictor.init_state(FRAMES)
    predictor.add_new_points_or_box(state, 0, "a", points=[[135, 27]], labels=[1])
    predictor.add_new_mask(state, 1, "b", np.eye(120, 160) > 0)
    list(predictor.propagate_in_video(state, max_frame_num_to_track=2))
    outputs = state["output_dict_per_obj"]
    assert list(outputs[0]["cond_frame_outputs"]) == [0]
    assert list(outputs[0]["non_cond_frame_outputs"]) == [1, 2]
    known = outputs[0]["non_cond_frame_outputs"][2]
    assert known["pred_masks"].shape == (1, 1, SMALL.mask_size, SMALL.mask_size)
    assert known["obj_ptr"].shape == (1, SMALL.width)
    click = state["point_inputs_per_obj"][0][0]
    side = SMALL.image_size
    torch.testing.assert_close(click["point_coords"], torch.tensor([[[135 / 160 * side, 27 / 120 * side]]]))
    assert state["mask_inputs_per_obj"][1][1].shape == (1, 1, 120, 160)
    assert state["cached_features"] == {}
    assert sum(image.shape == (3, side, side) for image in state["images"]) == len(state["images"]) == 20
    state["mine"], state["num_frames"] = "note", 7
    assert (state["mine"], state["num_frames"], state.pop("mine"), "mine" in state) == ("note", 7, "note", False)
    with pytest.raises(KeyError, match="the state has images"):
        state["colours"]
    state.clear()
    assert (len(state), list(state)) == (0, [])


def test_helpers() -> None:
    joined = concat_points(None, torch.zeros(1, 1, 2), torch.ones(1, 1))
    joined = concat_points(joined, torch.ones(1, 2, 2), torch.zeros(1, 2))
    assert joined["point_labels"].tolist() == [[1, 0, 0]]
    mask = torch.zeros(2, 1, 8, 9, dtype=torch.bool)
    mask[0, 0, 2:5, 3:7] = True
    assert mask_to_box(mask)[:, 0].tolist() == [[3, 2, 6, 4], [0, 0, 0, 0]]
    logits = torch.where(mask[:1], 5.0, -5.0)
    logits[0, 0, 3, 4] = -1
    assert (fill_holes_in_mask_scores(logits, 2) > 0).equal(mask[:1])
    assert fill_holes_in_mask_scores(logits[:0], 2).shape == logits[:0].shape
    frames, height, width = load_video_frames(FRAMES, 64)
    assert (tuple(frames.shape), height, width) == ((20, 3, 64, 64), 120, 160)
    assert get_1d_sine_pe(torch.tensor([0.0, 1.0]), 8).shape == (2, 8)
    chosen, others = select_closest_cond_frames(5, {0: "a", 4: "b", 9: "c", 30: "d"}, 2)
    assert (chosen, others) == ({4: "b", 9: "c"}, {0: "a", 30: "d"})


def test_a_camera_gives_what_the_stream_tracker_gives() -> None:
    model = fresh()
    frames = [frame.image for frame in open_video(FRAMES).frames(0, 4)]
    assert isinstance(build_sam2_camera_predictor("nano"), SAM2CameraPredictor)
    camera = SAM2CameraPredictor(model)
    with pytest.raises(RuntimeError, match="no frame came yet"):
        camera.track(frames[0])
    camera.load_first_frame(frames[0])
    number, names, first = camera.add_new_prompt(0, 7, bbox=[[100, 10], [150, 60]])
    stream = masklet.StreamTracker(model, options=TrackingOptions(fill_holes=0, binarise_prompted=False))
    stream.step(frames[0])
    stream.add_box(object=7, box=(100, 10, 150, 60))
    assert (number, names, tuple(first.shape)) == (0, [7], (1, 1, 120, 160))
    for frame in frames[1:]:
        names, logits = camera.track(frame)
        mask = stream.step(frame).objects[7].mask
        assert names == [7]
        assert ((logits[0, 0].numpy() > 0) == mask).mean() > 0.99
