"""docs/moving.md: what stands beside each other in the tables of transformers and Ultralytics is so."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import masklet
from masklet.checkpoints.registry import find
from masklet.compat.transformers import Sam2Model, Sam2Processor, pipeline
from masklet.compat.ultralytics import MODELS, SAM
from masklet.engines.fake import FakeEngine

PAGE = (Path(__file__).parents[2] / "docs/moving.md").read_text(encoding="utf-8")
CLICKS = [(20, 25), (70, 40)]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    image = np.full((64, 96, 3), 90, np.uint8)
    for (x0, y0, x1, y1), colour in (((8, 10, 34, 40), (220, 30, 30)), ((50, 20, 90, 60), (30, 200, 40))):
        image[y0:y1, x0:x1] = colour
    Image.fromarray(image).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_answers_of_transformers_and_of_masklet(picture: Path) -> None:
    engine = FakeEngine()
    processor, predictor = Sam2Processor(engine.config.image_size), masklet.ImagePredictor(engine)
    inputs = processor(images=Image.open(picture), input_points=[[[xy] for xy in CLICKS]], input_labels=[[[1], [1]]])
    theirs, seen = Sam2Model(engine)(**inputs), predictor.encode(picture)
    ours = predictor.predict(seen, points=[[xy] for xy in CLICKS], multimask=True)
    assert (theirs.iou_scores.shape, ours.iou.shape) == ((1, 2, 3), (6,))
    assert ours.objects.tolist() == [0, 0, 0, 1, 1, 1]
    np.testing.assert_allclose(ours.iou.reshape(2, 3), np.sort(theirs.iou_scores[0].numpy())[:, ::-1], atol=1e-5)
    assert ours.logits.shape == (6, *theirs.pred_masks.shape[-2:])
    (full,) = processor.post_process_masks(theirs.pred_masks, inputs["original_sizes"])
    assert (full.shape, ours.masks.shape) == ((2, 3, 64, 96), (6, 64, 96))
    assert (len(ours.best), [*ours.best.objects]) == (2, [0, 1])
    assert predictor.predict(seen, masks=ours.logits[0], points=CLICKS[:1]).iou.shape == (1,)
    for level, embedding in zip(seen.levels, theirs.image_embeddings, strict=True):
        assert tuple(level.shape) == tuple(embedding.shape)
    loose = {"pred_iou_thresh": 0.1, "stability_score_thresh": 0.1, "stability_score_offset": 0.1}
    found = pipeline(model=engine)(picture, points_per_crop=4, **loose)
    options = masklet.EverythingOptions(points_per_side=4, least_iou=0.1, least_stability=0.1, stability_offset=0.1)
    everything = masklet.segment_everything(picture, engine, options)
    assert len(everything) > 1
    np.testing.assert_array_equal(np.stack(found["masks"]), [everything[i] for i in range(len(everything))])
    np.testing.assert_array_equal(found["scores"], everything.iou)
    assert everything.rle(0).to_json()["size"] == [64, 96]


def test_answers_of_ultralytics_and_of_masklet(picture: Path, tmp_path: Path) -> None:
    engine = FakeEngine()
    (theirs,), predictor = SAM(engine)(picture, points=CLICKS), masklet.ImagePredictor(engine)
    ours = predictor.predict(predictor.encode(picture), points=[[xy] for xy in CLICKS], multimask=False)
    assert theirs.masks is not None
    np.testing.assert_array_equal(theirs.masks.data, ours.masks)
    np.testing.assert_array_equal(theirs.boxes.xyxy, ours.boxes - (0, 0, 1, 1))
    np.testing.assert_array_equal(theirs.boxes.conf, ours.iou)
    np.testing.assert_array_equal(theirs.masks.xy[0], ours.polygons(0)[0].outer)
    assert len(masklet.segment(picture, points=CLICKS[:1], model=engine)) == 3
    assert len(masklet.segment(picture, box=(8, 10, 34, 40), model=engine)) == 1
    theirs.save(tmp_path / "theirs.png")
    ours.save(tmp_path / "ours.png", "overlay")
    assert Image.open(tmp_path / "theirs.png").tobytes() == Image.open(tmp_path / "ours.png").tobytes()


def test_names_of_models_on_both_sides() -> None:
    assert find("facebook/sam2.1-hiera-tiny").name == MODELS["sam2.1_t"] == "sam2.1-tiny"
    for name in re.findall(r'load_model\("([^"]+)"\)', PAGE):
        assert find(name).name, name
    assert [MODELS[stem] for stem in ("sam_b", "mobile_sam")] == ["sam1-vit-b", "mobile-sam"]


def test_calls_of_videos_are_there(picture: Path) -> None:
    frames = [np.asarray(Image.open(picture))] * 3
    with masklet.VideoTracker(frames, FakeEngine()) as tracker:
        tracker.add_points(frame=0, object=1, points=CLICKS[:1])
        tracker.add_box(frame=0, object=2, box=(50, 20, 90, 60))
        tracker.add_mask(frame=1, object=3, mask=np.ones((64, 96), bool))
        assert [result.frame for result in tracker.propagate()] == [0, 1, 2]
    stream = masklet.StreamTracker(FakeEngine())
    assert [stream.step(image).frame for image in frames] == [0, 1, 2]
