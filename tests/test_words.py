"""Words: texts become phrases, detectors give boxes, boxes become masks with labels, in pictures and in videos."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import masklet
from masklet import CheckpointError, DiscoveryOptions, PromptError, VideoTracker
from masklet.cli.choices import GROUNDER_HELP
from masklet.engines.fake import FakeEngine
from masklet.words import (
    GROUNDERS,
    FoundBox,
    Sam3Grounder,
    TransformersCaptioner,
    TransformersGrounder,
    TransformersNamer,
    find_boxes,
    load_captioner,
    load_grounder,
    load_namer,
    phrases_of,
)
from tests.image.detectors import (
    Recorded,
    write_clip,
    write_florence,
    write_grounding_dino,
    write_owl,
    write_sam3,
    write_siglip,
)

SIZE = (64, 96)
RED, GREEN = (8, 10, 34, 40), (50, 20, 90, 60)
BOXES = Recorded(
    {
        "red car": [((7.0, 9.0, 35.0, 41.0), 0.9), ((8.0, 9.0, 36.0, 41.0), 0.6)],
        "dog": [((49.0, 19.0, 91.0, 61.0), 0.8), ((200.0, 0.0, 220.0, 9.0), 0.7)],
        "cat": [((0.0, 0.0, 9.0, 9.0), 0.1)],
    }
)


def picture(step: int = 0) -> NDArray[np.uint8]:
    image = np.full((*SIZE, 3), 90, np.uint8)
    for (x0, y0, x1, y1), colour in ((RED, (220, 30, 30)), (GREEN, (30, 200, 40))):
        image[y0:y1, x0 + step : x1 + step] = colour
    return image


@pytest.fixture(scope="module")
def detectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("transformers", reason="words need transformers: pip install 'masklet[text]'")
    folder = tmp_path_factory.mktemp("detectors")
    write_grounding_dino(folder / "dino")
    write_owl(folder / "owl")
    write_owl(folder / "owlvit", "OwlViT")
    write_sam3(folder / "sam3")
    write_clip(folder / "clip")
    write_siglip(folder / "siglip")
    write_florence(folder / "florence")
    return folder


def test_a_text_is_phrases_in_small_letters() -> None:
    assert phrases_of("Red  Car . dog.\nDOG; a cat") == ("red car", "dog", "a cat")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the text is empty; give words, such as 'red car"),
        (" . . ", "the text is empty"),
        (7, "text is 7; give words"),
        ("word " * 10_000, "has 50000 letters in 1 phrases, the longest of 49999; give at most 700"),
        ("a" * 101, "the longest of 101"),
        (" . ".join(f"thing {n}" for n in range(60)), "in 60 phrases"),
    ],
)
def test_texts_that_are_none(text: Any, said: str) -> None:
    with pytest.raises(PromptError, match=said):
        phrases_of(text)


def test_boxes_that_cover_each_other_are_one_and_stay_in_the_picture() -> None:
    found = find_boxes(picture(), "red car . dog . cat", BOXES)
    assert [(one.phrase, one.score) for one in found] == [("red car", 0.9), ("dog", 0.8)]
    assert BOXES.asked[-1] == ("red car", "dog", "cat")
    assert find_boxes(picture(), "dog", BOXES, least=0.85) == []
    with pytest.raises(PromptError, match="least is 2; give a score from 0 to 1"):
        find_boxes(picture(), "dog", BOXES, least=2)


def test_a_text_becomes_masks_with_labels(tmp_path: Path) -> None:
    masks = masklet.segment(picture(), text="dog . red car", model=FakeEngine(), grounder=BOXES)
    assert masks.labels == ("red car", "dog")
    for mask, (x0, y0, x1, y1) in zip(masks, (RED, GREEN), strict=True):
        true = np.zeros(SIZE, bool)
        true[y0:y1, x0:x1] = True
        assert (mask & true).sum() / (mask | true).sum() > 0.8
    assert masks.rows(np.array([1])).labels == ("dog",)
    masks.save(tmp_path / "a.json")
    content = json.loads((tmp_path / "a.json").read_text())
    names = {one["id"]: one["name"] for one in content["categories"]}
    assert [names[one["category_id"]] for one in content["annotations"]] == ["red car", "dog"]
    same = masks.to_coco()
    assert [one["name"] for one in same["categories"]] == ["red car", "dog"]
    assert [one["category_id"] for one in same["annotations"]] == [1, 2]


def test_a_text_that_finds_nothing_gives_no_masks() -> None:
    nothing = masklet.segment(picture(), text="cat", model=FakeEngine(), grounder=BOXES)
    assert len(nothing) == 0
    with pytest.raises(PromptError, match="a text comes with points or a box; give one or the other"):
        masklet.segment(picture(), text="cat", box=RED, model=FakeEngine(), grounder=BOXES)


def test_things_of_a_text_are_followed_and_new_ones_start() -> None:
    late = Recorded({"red car": BOXES.boxes["red car"]})

    class Later(Recorded):
        def find(self, image: NDArray[np.uint8], phrases: Any, least: float) -> list[FoundBox]:
            return (BOXES if len(late.asked) else late).find(image, phrases, least)

    options = DiscoveryOptions(every=3, text="red car . dog", grounder=Later({}))
    frames = np.stack([picture() for _ in range(7)])
    with VideoTracker(frames, FakeEngine()) as tracker:
        results = list(masklet.track_everything(tracker, options=options))
        said = {name: description.category for name, description in tracker.objects.items()}
    assert said == {1: "red car", 2: "dog"}
    assert [set(result.objects) for result in results] == [{1}] * 3 + [{1, 2}] * 4
    with pytest.raises(PromptError, match="in 1 phrases, the longest of 101"):
        DiscoveryOptions(text="a" * 101)


def test_a_text_adds_what_is_new_to_a_session_and_names_what_is_known() -> None:
    frames = np.stack([picture() for _ in range(3)])
    with VideoTracker(frames, FakeEngine()) as tracker:
        tracker.add_box(frame=0, object="mine", box=RED)
        list(tracker.propagate())
        found = tracker.add_text(frame=1, text="red car . dog", grounder=BOXES)
        assert {name: one.phrase for name, one in found.items()} == {"mine": "red car", 1: "dog"}
        assert {name: said.category for name, said in tracker.objects.items()} == {"mine": "", 1: "dog"}
        assert tracker.result(1).objects[1].mask[40, 70]
        again = tracker.add_text(frame=1, text="dog", grounder=BOXES)
        assert set(again) == {1} == {*tracker.objects} - {"mine"}
        before = list(tracker.events)
        with pytest.raises(
            PromptError, match="nothing is found for 'cat' in frame 2; give other words, or a lower score"
        ):
            tracker.add_text(frame=2, text="cat", grounder=BOXES)
        assert tracker.events == before


@pytest.mark.parametrize("name", ["dino", "owl", "owlvit"])
def test_boxes_are_those_of_transformers(detectors: Path, name: str) -> None:
    """The real classes with random weights: places by its own post-processing, of every box there is."""
    grounder = load_grounder(detectors / name)
    assert isinstance(grounder, TransformersGrounder)
    assert load_grounder(detectors / name) is grounder
    image, phrases = np.random.default_rng(0).integers(0, 255, (48, 80, 3), np.uint8), ["red car", "dog"]
    found = grounder.find(image, phrases, 0.0)
    model, processor = grounder.model, grounder.processor
    text = "red car. dog." if name == "dino" else [phrases]
    with torch.inference_mode():
        outputs = model(**processor(text=text, images=image, return_tensors="pt"))
    expected = processor.post_process_grounded_object_detection(outputs, threshold=-1, target_sizes=[(48, 80)])[0]
    assert len(found) == len(expected["boxes"]) > 8
    np.testing.assert_allclose([one.box for one in found], expected["boxes"].numpy(), atol=1e-3)
    theirs = expected["scores"].numpy()  # those of Grounding DINO count dots and marks of the text too
    scores = np.array([one.score for one in found])
    assert (scores <= theirs + 1e-5).all()
    assert (np.abs(scores - theirs) < 1e-5).sum() > (6 if name == "dino" else 15)
    assert {one.phrase for one in found} <= {*phrases}


def test_scores_belong_to_the_tokens_of_their_phrase(detectors: Path) -> None:
    grounder = load_grounder(detectors / "dino")
    assert isinstance(grounder, TransformersGrounder)
    tokens = grounder.processor.tokenizer("red car. dog.", return_tensors="pt").input_ids[0]  # CLS red car . dog . SEP
    scores = np.array([[0.9, 0.1, 0.2, 0.9, 0.3, 0.9, 0.9], [0.0, 0.7, 0.2, 0.0, 0.1, 0.0, 0.0]], np.float32)
    found = grounder._of_phrases(scores, tokens.numpy(), 2)
    np.testing.assert_allclose(found, [[0.2, 0.3], [0.7, 0.1]], atol=1e-6)


def test_help_and_documents_name_every_detector() -> None:
    page = (Path(__file__).parent.parent / "docs/words.md").read_text()
    assert [name for name in GROUNDERS if name not in GROUNDER_HELP or f"`{name}`" not in page] == []


def test_grounders_that_cannot_be_loaded(detectors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CheckpointError, match=r"no grounder is called 'owl'; nearest: owlv2; there are"):
        load_grounder("owl")
    write_grounding_dino(tmp_path / "cut")
    (tmp_path / "cut/model.safetensors").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match=r"cut cannot be loaded: .*give a folder with its config\.json"):
        load_grounder(tmp_path / "cut")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(CheckpointError, match="other is a bert; give a model of the kinds grounding-dino"):
        load_grounder(tmp_path / "other")
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(CheckpointError, match=r"a text needs the package transformers: pip install 'masklet\[text\]'"):
        load_grounder(tmp_path / "any")


def test_boxes_of_sam3_are_those_of_its_class(detectors: Path) -> None:
    """Random weights; each phrase for itself, its boxes on the picture, a score of the box and of the phrase."""
    grounder = load_grounder(detectors / "sam3")
    assert isinstance(grounder, Sam3Grounder)
    image = np.random.default_rng(0).integers(0, 255, (56, 56, 3), np.uint8)
    found = grounder.find(image, ["red car", "dog"], 0.0)
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
    for phrase in ("red car", "dog"):
        text = grounder.processor(phrase, padding="max_length", max_length=32, return_tensors="pt")
        with torch.inference_mode():
            answer = grounder.model(pixel_values=(pixels - 0.5) / 0.5, **text)
        ours = [one for one in found if one.phrase == phrase]
        np.testing.assert_allclose([one.box for one in ours], answer.pred_boxes[0].numpy() * 56, atol=1e-3)
        expected = answer.pred_logits.sigmoid() * answer.presence_logits.sigmoid()
        np.testing.assert_allclose([one.score for one in ours], expected[0].numpy(), atol=1e-5)
    highest = max(one.score for one in found)
    assert len(grounder.find(image, ["red car", "dog"], highest)) == 1


@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_names_by_the_real_classes(detectors: Path, name: str) -> None:
    namer = load_namer(detectors / name)
    assert isinstance(namer, TransformersNamer)
    crops = list(np.random.default_rng(1).integers(0, 255, (3, 40, 30, 3), np.uint8))
    table = namer.compare(crops, ["cat", "dog", "red car"])
    assert table.shape == (3, 3)
    assert table.dtype == np.float32
    assert ((table > 0) & (table < 1)).all()
    assert len(np.unique(table.round(6))) == 9
    np.testing.assert_allclose(namer.compare(crops[1:], ["red car", "cat", "dog"]), table[1:][:, [2, 0, 1]], atol=1e-5)
    if name == "clip":
        np.testing.assert_allclose(table.sum(axis=1), 1, atol=1e-5)


def test_captions_by_the_real_class(detectors: Path) -> None:
    """Random weights: a text for each picture, those that transformers' own way of asking gives."""
    captioner = load_captioner(detectors / "florence")
    assert isinstance(captioner, TransformersCaptioner)
    crops = [*np.random.default_rng(1).integers(0, 255, (2, 40, 30, 3), np.uint8), np.zeros((50, 90, 3), np.uint8)]
    texts = captioner.caption(crops)
    assert len({*texts}) == 3
    model, processor = captioner.model, captioner.processor
    inputs = processor(text="<CAPTION>", images=crops[0], return_tensors="pt")
    tokens = model.generate(**inputs, max_new_tokens=64, num_beams=3, do_sample=False)
    told = processor.batch_decode(tokens)[0]
    for mark in processor.tokenizer.all_special_tokens:
        told = told.replace(mark, "")
    assert texts[0] == told.strip()
    with pytest.raises(CheckpointError, match="no captioner is called 'florence'; nearest: florence2; there are flor"):
        load_captioner("florence")
    with pytest.raises(CheckpointError, match="clip is a clip; give a model of the kinds florence2"):
        load_captioner(detectors / "clip")


class BySize:
    """Tells the number of pixels that are not grey."""

    def caption(self, crops: Sequence[NDArray[np.uint8]]) -> list[str]:
        return [f"a thing of {int((crop != 128).any(axis=2).sum())} pixels" for crop in crops]


def test_masks_get_captions() -> None:
    predictor = masklet.ImagePredictor(FakeEngine())
    masks = predictor.predict(predictor.encode(picture()), boxes=[RED, GREEN], multimask=False)
    assert masks.captions(BySize()) == [f"a thing of {area} pixels" for area in masks.areas]
    assert masks.rows(np.array([], np.intp)).captions(BySize()) == []


class ByColour:
    """Names fit as far as their colour is in the middle of the picture; what lies around must be grey."""

    def compare(self, crops: Sequence[NDArray[np.uint8]], names: Sequence[str]) -> NDArray[np.float32]:
        channels = {"red": 0, "green": 1, "blue": 2}
        assert all((crop[0, 0] == 128).all() for crop in crops)
        middles = [crop[crop.shape[0] // 2, crop.shape[1] // 2] / 255 for crop in crops]
        return np.array([[middle[channels[name]] for name in names] for middle in middles], np.float32)


def test_masks_get_the_names_that_fit_best() -> None:
    masks = masklet.ImagePredictor(FakeEngine()).predict(
        masklet.ImagePredictor(FakeEngine()).encode(picture()), boxes=[RED, GREEN], multimask=False
    )
    named = masks.named(["red", "green", "blue"], namer=ByColour())
    assert named.labels == ("red", "green")
    assert masks.labels == ()
    assert masks.named(["blue"], namer=ByColour(), least=0.5).labels == ("", "")
    assert masks.rows(np.array([], np.intp)).named(["red"], namer=ByColour()).labels == ()
    for names in ([], ["red", " "], "red"):
        with pytest.raises(PromptError, match="give a list of words"):
            masks.named(names, namer=ByColour())
    with pytest.raises(PromptError, match="least is 2; give a number from 0 to 1"):
        masks.named(["red"], namer=ByColour(), least=2)
    with pytest.raises(CheckpointError, match="no namer is called 'clap'; nearest: clip; there are siglip2, clip, or"):
        masks.named(["red"], namer="clap")
