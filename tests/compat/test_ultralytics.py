"""Ultralytics' calls on our models, and their results as users read them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from masklet.checkpoints import build_model
from masklet.compat.border import SettingRefused
from masklet.compat.ultralytics import SAM, Results
from masklet.engines.fake import FakeEngine
from masklet.errors import CheckpointError, EngineError, PromptError
from masklet.image import EverythingOptions
from tests.conftest import SMALL

SIZE = (64, 96)
RED, GREEN = (8, 10, 34, 40), (50, 20, 90, 60)


@pytest.fixture
def picture() -> NDArray[np.uint8]:
    """RGB"""
    image = np.full((*SIZE, 3), 90, np.uint8)
    for (x0, y0, x1, y1), colour in ((RED, (220, 30, 30)), (GREEN, (30, 200, 40))):
        image[y0:y1, x0:x1] = colour
    return image


@pytest.fixture
def model() -> SAM:
    return SAM(FakeEngine())


def test_results_read_as_there(model: SAM, picture: NDArray[np.uint8], tmp_path: Path) -> None:
    bgr = np.ascontiguousarray(picture[..., ::-1])
    (result,) = model(bgr, points=[[20, 25], [70, 40]], labels=[1, 1], verbose=False)
    assert (len(result), result.orig_shape, result.path) == (2, SIZE, "image0.jpg")
    assert np.array_equal(result.orig_img, bgr)
    assert result.names == {0: "0", 1: "1"}
    boxes, masks = result.boxes, result.masks
    assert masks is not None
    assert (masks.data.shape, masks.data.dtype) == ((2, *SIZE), torch.bool)
    assert {one.dtype for one in (boxes.xyxy, boxes.conf, boxes.cls, boxes.data)} == {torch.float32}
    assert [tuple(one.shape) for one in (boxes.data, boxes.xyxy, boxes.conf, boxes.cls)] == [(2, 6), (2, 4), (2,), (2,)]
    for mask, box, middle, outline, (x0, y0, x1, y1) in zip(
        masks.data, boxes.xyxy, boxes.xywh, masks.xy, (RED, GREEN), strict=True
    ):
        np.testing.assert_allclose(box, (x0, y0, x1 - 1, y1 - 1), atol=3)
        np.testing.assert_allclose(middle, ((x0 + x1 - 1) / 2, (y0 + y1 - 1) / 2, x1 - x0, y1 - y0), atol=4)
        ys, xs = torch.where(mask)
        assert box.tolist() == [xs.min(), ys.min(), xs.max(), ys.max()]
        assert outline.min(axis=0).tolist() == [xs.min(), ys.min()]
    np.testing.assert_allclose(boxes.xyxyn * torch.tensor([96, 64, 96, 64]), boxes.xyxy, atol=1e-3)
    np.testing.assert_allclose(masks.xyn[0] * (96, 64), masks.xy[0], atol=1e-3)
    arrays = result.cpu().numpy()
    assert isinstance(arrays.boxes.xywhn, np.ndarray)
    for number in (1, np.int64(1), torch.tensor(1), result.boxes.cls.argmax()):
        assert result[number].boxes.cls.tolist() == boxes[number].cls.tolist() == [1.0]
        assert torch.equal(masks[number].data, masks.data[1:])
    assert arrays[1].boxes.cls.tolist() == [1.0]
    assert result.plot().shape == picture.shape
    with Image.open(result.save(tmp_path / "shown.png")) as shown:
        assert shown.size == (96, 64)


def test_points_and_boxes_in_their_shapes(model: SAM, picture: NDArray[np.uint8], tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(picture).save(path)

    def found(**prompts: object) -> Results:
        (result,) = model.predict(path, **prompts)
        return result

    assert found(points=[20, 25]).path == str(path)
    assert len(found(points=[20, 25], labels=[1])) == len(found(points=[[[20, 25], [70, 40]]], labels=[[1, 0]])) == 1
    assert len(found(bboxes=RED)) == 1
    detected = torch.tensor([RED], dtype=torch.bfloat16, requires_grad=True)
    assert torch.equal(found(bboxes=detected).boxes.data, found(bboxes=RED).boxes.data)
    assert len(found(points=detected[:, :2] + 12, labels=torch.ones(1))) == 1
    two = found(bboxes=[RED, GREEN])
    assert len(two) == 2
    assert len(found(bboxes=RED, conf=0.999)) == 0
    assert found(bboxes=RED, conf=0.999).masks is None
    bgra = np.dstack((picture[..., ::-1], np.full(SIZE, 255, np.uint8)))
    assert np.array_equal(model(bgra, points=[20, 25])[0].orig_img, picture[..., ::-1])
    assert len(model([path, Image.fromarray(picture)], points=[20, 25])) == 2


def test_everything(model: SAM, picture: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> None:
    fewer = partial(EverythingOptions, points_per_side=4, least_stability=0)
    monkeypatch.setattr("masklet.compat.ultralytics.EverythingOptions", fewer)
    (result,) = model(Image.fromarray(picture), conf=0.1, device="cpu")
    assert len(result) == len(result.boxes) == len(result.found) > 1


def test_what_is_not_understood(model: SAM, picture: NDArray[np.uint8]) -> None:
    with pytest.raises(SettingRefused, match="classes is not understood"):
        model(picture, classes=[0])
    with pytest.raises(PromptError, match="there are 1 labels for 2 points"):
        model(picture, points=[[1, 2], [3, 4]], labels=[1])
    for wrong in ({"bboxes": [1, 2, 3]}, {"points": [1, 2], "labels": ["a"]}):
        with pytest.raises(PromptError, match="cannot be taken as numbers"):
            model(picture, **wrong)
    with pytest.raises(PromptError, match=r"points have the shape \(3,\)"):
        model(picture, points=[1, 2, 3])
    with pytest.raises(CheckpointError, match=r"sam2.1_q.pt"):
        SAM("sam2.1_q.pt")


@pytest.mark.parametrize("device", [99, "99"])
def test_a_number_is_a_device_of_cuda(picture: NDArray[np.uint8], device: int | str) -> None:
    with pytest.raises(EngineError, match="device 'cuda:99' is not here"):
        SAM(build_model(SMALL, seed=0))(picture, points=[20, 25], device=device)


def test_their_names_are_models_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr("masklet.compat.ultralytics.ImagePredictor", asked.append)
    for name in ("sam2.1_t.pt", "sam_b.pt", "mobile_sam.pt", "nano"):
        SAM(name)
    assert asked == ["sam2.1-tiny", "sam1-vit-b", "mobile-sam", "nano"]
