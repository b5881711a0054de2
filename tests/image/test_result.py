"""What is made of masks: pictures, cut-outs, polygons, files."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import masklet
from masklet.errors import FormatError
from masklet.formats.davis import read_index_png
from masklet.image import EncodedImage, ImagePredictor, Masks
from masklet.masks.rle import decode_rle, rle_from_json
from tests.masks.filling import fill_polygons


@pytest.fixture(scope="module")
def masks(predictor: ImagePredictor, picture: EncodedImage) -> Masks:
    """Three candidates of one object, one mask of another."""
    return predictor.predict(picture, points=[[(113, 75)], [(20, 20), (60, 50)]])


def drawn(*shapes: NDArray[np.bool_]) -> Masks:
    """Objects whose masks are these, at low resolution and at the picture's."""
    logits = np.where(np.stack(shapes), 5, -5).astype(np.float32)
    count, height, width = logits.shape
    scores = np.linspace(0.9, 0.5, count, dtype=np.float32)
    candidates = np.zeros(count, np.int64)
    picture = np.full((height, width, 3), 90, np.uint8)
    return Masks(logits, picture, iou=scores, presence=scores, objects=np.arange(count), candidates=candidates)


def rectangle(y0: int, x0: int, y1: int, x1: int) -> NDArray[np.bool_]:
    mask = np.zeros((20, 30), np.bool_)
    mask[y0:y1, x0:x1] = True
    return mask


def test_masks_come_from_logits(masks: Masks) -> None:
    assert masks.masks.shape == (4, 150, 226)
    assert masks.masks.dtype == np.bool_
    assert masks.logits.shape == (4, 48, 48)
    for i, mask in enumerate(masks):
        assert np.array_equal(mask, masks.masks[i])
        assert masks.areas[i] == mask.sum()
        x0, y0, x1, y1 = masks.boxes[i]
        assert mask[y0:y1, x0:x1].sum() == mask.sum()
        assert mask[y0].any()
        assert mask[:, x1 - 1].any()
    assert ((masks.presence >= 0) & (masks.presence <= 1)).all()


def test_boxes_and_areas_of_small_masks() -> None:
    masks = drawn(rectangle(3, 4, 4, 5), rectangle(0, 0, 20, 30), rectangle(0, 0, 0, 0))
    assert masks.boxes.tolist() == [[4, 3, 5, 4], [0, 0, 30, 20], [0, 0, 0, 0]]
    assert masks.areas.tolist() == [1, 600, 0]


def test_overlay_shows_the_best_of_each_object(masks: Masks, cat: NDArray[np.uint8]) -> None:
    overlay = masks.overlay()
    assert (overlay.mode, overlay.size) == ("RGB", (226, 150))
    alone = masks.of(0).best
    changed = (np.asarray(alone.overlay()) != cat).any(axis=2)
    assert changed[alone[0]].mean() > 0.95


def test_a_notebook_shows_it(masks: Masks) -> None:
    with Image.open(io.BytesIO(masks._repr_png_())) as shown:
        assert shown.size == (226, 150)
    large = drawn(np.ones((1, 3000), np.bool_))
    with Image.open(io.BytesIO(large._repr_png_())) as shown:
        assert shown.size == (1024, 1)


def test_where_masks_overlap_the_surer_one_is_kept() -> None:
    masks = drawn(rectangle(0, 0, 10, 20), rectangle(5, 10, 20, 30))
    masks.logits[1] *= 2
    numbers = masks.index_map()
    assert numbers.dtype == np.uint8
    assert (numbers[rectangle(5, 10, 20, 30)] == 2).all()
    assert (numbers[rectangle(0, 0, 10, 10)] == 1).all()
    assert drawn(*[rectangle(0, 0, 1, 1)] * 300).index_map().dtype == np.uint16


def test_cutout_hides_what_is_outside(masks: Masks, cat: NDArray[np.uint8]) -> None:
    cutout = masks.cutout(1)
    pixels, mask = np.asarray(cutout), masks[1]
    assert cutout.mode == "RGBA"
    assert np.array_equal(pixels[..., 3], mask * np.uint8(255))
    assert np.array_equal(pixels[mask][:, :3], cat[mask])
    assert not pixels[~mask].any()


def blobs(image: NDArray[np.uint8]) -> Masks:
    """Two discs in a picture."""
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    discs = [(rows - y) ** 2 + (columns - x) ** 2 < 35**2 for x, y in ((60, 60), (150, 90))]
    return replace(drawn(*discs), image=image)


def test_soft_edges_follow_the_picture(cat: NDArray[np.uint8]) -> None:
    masks = blobs(cat)
    alpha, mask = masks.alpha(1), masks[1]
    assert alpha.shape == mask.shape
    assert ((alpha > 0) & (alpha < 1)).any()
    assert alpha[mask].mean() > 0.8
    assert alpha[~mask].mean() < 0.2
    pixels = np.asarray(masks.cutout(1, edges="soft"))
    assert np.array_equal(pixels[..., 3], np.rint(alpha * 255))
    assert not pixels[alpha == 0].any()
    assert np.array_equal(pixels[alpha == 1][:, :3], cat[alpha == 1])
    wider = masks.alpha(1, masklet.SoftEdges(radius=20, epsilon=1e-2))
    assert np.count_nonzero((wider > 0) & (wider < 1)) > np.count_nonzero((alpha > 0) & (alpha < 1))
    assert np.array_equal(masks.alpha(1, "hard"), mask)


def test_yolo_has_a_polygon_for_each_part(tmp_path: Path) -> None:
    ring = rectangle(2, 3, 12, 18)
    ring[5:8, 6:9] = False  # a hole
    ring[15:17, 20:25] = True  # and a further part
    shapes = [ring, rectangle(0, 0, 0, 0), rectangle(10, 20, 20, 30)]
    drawn(*shapes).save(tmp_path / "a.txt")
    lines = (tmp_path / "a.txt").read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["0"] * 3
    corners = [np.array(line.split()[1:], float).reshape(-1, 2) for line in lines]
    assert all(0 <= ring.min() <= ring.max() <= 1 for ring in corners)
    assert {(int(x), int(y)) for x, y in corners[1] * (30, 20)} == {(20, 10), (29, 10), (29, 19), (20, 19)}
    assert {(int(x), int(y)) for x, y in corners[2] * (30, 20)} == {(20, 15), (24, 15), (24, 16), (20, 16)}


def test_labelme_has_the_picture_and_polygons_with_few_corners(cat: NDArray[np.uint8], tmp_path: Path) -> None:
    masks = blobs(cat)
    masks.save(tmp_path / "a.json", format="labelme")
    content = json.loads((tmp_path / "a.json").read_text())
    with Image.open(io.BytesIO(base64.b64decode(content["imageData"]))) as picture:
        assert np.array_equal(np.asarray(picture), cat)
    assert (content["imageWidth"], content["imageHeight"]) == (226, 150)
    assert {shape["group_id"] for shape in content["shapes"]} == {1, 2}
    for number in (1, 2):
        corners = sum(len(shape["points"]) for shape in content["shapes"] if shape["group_id"] == number)
        assert corners < sum(len(part.outer) for part in masks.polygons(number - 1)) / 2


def test_polygons_lose_nothing(masks: Masks) -> None:
    exact, rough = masks.polygons(2), masks.polygons(2, tolerance=1.0)
    assert np.array_equal(fill_polygons(exact, masks.size), masks[2])
    assert sum(len(part.outer) for part in rough) < sum(len(part.outer) for part in exact)


def test_coco_has_every_mask(masks: Masks) -> None:
    content = masks.to_coco("cat.png")
    assert content["images"] == [{"id": 1, "file_name": "cat.png", "height": 150, "width": 226, "frame_index": 0}]
    assert [annotation["track_id"] for annotation in content["annotations"]] == [1, 1, 1, 2]
    for i, annotation in enumerate(content["annotations"]):
        assert np.array_equal(decode_rle(rle_from_json(annotation["segmentation"], (150, 226))), masks[i])
        assert annotation["area"] == masks.areas[i]
        x, y, width, height = annotation["bbox"]
        assert [x, y, x + width, y + height] == masks.boxes[i].tolist()
    assert drawn(rectangle(0, 0, 0, 0)).to_coco()["annotations"] == []


def test_masks_are_taken_one_by_one(masks: Masks) -> None:
    """Several at once would be read as the channels of one."""
    assert np.array_equal(masks[-1], masks[3])
    for several in (slice(2), np.array([0, 1])):
        with pytest.raises(TypeError):
            masks[several]  # type: ignore[index]


def test_a_mask_without_a_name_is_an_object_in_coco(masks: Masks, tmp_path: Path) -> None:
    named = replace(masks, labels=("cat", "cat", "cat", ""))
    named.save(tmp_path / "a.json")
    told = [
        [one["name"] for one in content["categories"]]
        for content in (named.to_coco(), json.loads((tmp_path / "a.json").read_text()))
    ]
    assert told == [["cat", "object"]] * 2


def test_files(masks: Masks, tmp_path: Path) -> None:
    best = masks.best
    masks.save(tmp_path / "a.png")
    assert np.array_equal(read_index_png(tmp_path / "a.png"), masks.index_map())
    masks.save(str(tmp_path / "a.json"))
    written = json.loads((tmp_path / "a.json").read_text())
    assert [annotation["area"] for annotation in written["annotations"]] == best.areas.tolist()
    masks.save(tmp_path / "b.png", format="cutout")
    with Image.open(tmp_path / "b.png") as cutout:
        assert np.array_equal(np.asarray(cutout)[..., 3] > 0, best.masks.any(axis=0))
    masks.save(tmp_path / "b.png", format="soft-cutout")
    with Image.open(tmp_path / "b.png") as cutout:
        assert len(np.unique(np.asarray(cutout)[..., 3])) > 10
    masks.save(tmp_path / "a.png", format="overlay")
    with Image.open(tmp_path / "a.png") as overlay:
        assert np.array_equal(np.asarray(overlay), np.asarray(masks.overlay()))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "a.png", "b.png"]


@pytest.mark.parametrize(
    ("name", "format", "sentence"),
    [
        ("a.bmp", None, r"a\.bmp does not show its format; give an ending that does, \.exr, \.geojson, \.gpkg"),
        ("a.png", "cutot", "unknown format 'cutot'; nearest: cutout"),
        ("no/folder/a.png", None, "cannot be written"),
        ("a.mp4", "prores", r"a\.mp4 came, and prores is not for pictures"),
        ("a.dat", "coco", r"a\.dat came, and coco is a file that ends in \.json"),
    ],
)
def test_files_that_cannot_be(masks: Masks, tmp_path: Path, name: str, format: str | None, sentence: str) -> None:
    with pytest.raises(FormatError, match=sentence):
        masks.save(tmp_path / name, format)
    assert list(tmp_path.iterdir()) == []


def test_earlier_names_work_for_one_more_version(masks: Masks) -> None:
    with pytest.warns(DeprecationWarning, match=r"masks\.mask\(i\) is masks\[i\] now"):
        assert np.array_equal(masks.mask(2), masks[2])
    with pytest.warns(DeprecationWarning, match=r"Masks\.scores is called Masks\.iou now"):
        assert masks.scores is masks.iou


def test_the_picture_s_name_goes_into_files(predictor: ImagePredictor, cat: NDArray[np.uint8], tmp_path: Path) -> None:
    Image.fromarray(cat).save(tmp_path / "my cat.png")
    masks = predictor.predict(predictor.encode(tmp_path / "my cat.png"), points=[[(113, 75)]])
    masks.save(tmp_path / "a.json")
    masks.save(tmp_path / "b.json", "labelme")
    assert json.loads((tmp_path / "a.json").read_text())["images"][0]["file_name"] == "my cat.png"
    assert json.loads((tmp_path / "b.json").read_text())["imagePath"] == "my cat.png"
    assert masks.to_coco()["images"][0]["file_name"] == "my cat.png"
