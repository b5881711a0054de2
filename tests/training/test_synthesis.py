"""Made-up clips: exact masks, repeatable, smooth, with things that leave and come back."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from masklet.datasets.base import IndexMasks, Labelled
from masklet.datasets.registry import open_dataset
from masklet.errors import FormatError
from masklet.training.data import Feed, FeedOptions, Mixture, read_data
from masklet.training.synthesis import (
    FIRST_THING,
    LookOptions,
    MadeUpOptions,
    MotionOptions,
    draw_bends,
    draw_path,
    find_regions,
    leave,
    make_clip,
    place_thing,
    stay,
    visible_part,
)
from masklet.training.written import write_clips, write_preview
from tests.training.shapes import picture

CLEAN = LookOptions(light=0, out_of_focus=0, motion_blur=0, jpeg=0, sensor=0)


def clip(seed: int, **options: object) -> list[Labelled]:
    rng = np.random.default_rng(seed)

    def draw() -> Labelled:
        image, labels = picture(rng)
        return Labelled(image, IndexMasks(labels))

    return make_clip(draw, 6, 64, rng, MadeUpOptions(**options))  # type: ignore[arg-type]


def test_the_same_seed_makes_the_same_clip() -> None:
    one, other, another = clip(3), clip(3), clip(4)
    assert all((a.image == b.image).all() for a, b in zip(one, other, strict=True))
    assert any((a.image != b.image).any() for a, b in zip(one, another, strict=True))


def test_masks_are_exact() -> None:
    """A disc of the ground is bright where its mask is, and nowhere else, in every frame."""
    for seed in range(6):
        for frame in clip(seed, things=0, pass_by=0, cut=0, look=CLEAN):
            masks = frame.masks
            if 1 in masks and masks[1].sum() > 30:
                bright = frame.image[..., 0] > 120
                known = ~masks.void if masks.void is not None else np.ones_like(bright)
                wrong = (bright != masks[1]) & known
                assert wrong.sum() <= 0.25 * masks[1].sum()  # pixels of the rim


def test_motion_begins_at_rest_and_is_smooth() -> None:
    rng = np.random.default_rng(0)
    path = draw_path(8, 64, rng, MotionOptions())
    np.testing.assert_allclose(path[0], np.eye(3), atol=1e-9)
    middles = np.array([(m @ [32, 32, 1])[:2] / (m @ [32, 32, 1])[2] for m in path])
    assert np.abs(np.diff(middles, axis=0)).max() < 16
    bend = draw_bends(8, 64, rng, 0.02)[7]
    assert bend is not None
    assert np.abs(np.diff(bend, axis=0)).max() < 1.0


def test_a_thing_leaves_and_comes_back() -> None:
    rng = np.random.default_rng(1)
    thing = np.full((20, 20, 4), 255, np.uint8)
    here = stay(place_thing(thing, 64, rng, (0.2, 0.3)), 8, 64, rng, MotionOptions().scaled(0.1))
    away = leave(here, 64, rng)
    visible = [
        (found := visible_part(thing, away, frame, 64)) is not None and found[1][..., 3].any() for frame in range(8)
    ]
    assert visible[0]
    assert not all(visible)


def test_what_is_nearer_hides_what_is_farther() -> None:
    numbers = {number for seed in range(8) for frame in clip(seed) for number in frame.masks}
    assert {1, FIRST_THING} <= numbers
    for frame in clip(2):
        masks = [frame.masks[number] for number in frame.masks]
        assert not masks or np.sum(masks, axis=0).max() <= 1


def test_regions_are_found_in_a_picture_without_labels() -> None:
    image = np.zeros((80, 100, 3), np.uint8)
    image[20:60, 30:70] = (200, 40, 40)
    regions = find_regions(image, np.random.default_rng(0))
    truth = np.zeros((80, 100), bool)
    truth[20:60, 30:70] = True
    overlaps = [(regions[n] & truth).sum() / (regions[n] | truth).sum() for n in regions]
    assert max(overlaps) > 0.8


def test_a_preview_is_a_film(tmp_path: Path, shapes: Path) -> None:
    feed = Feed(Mixture(read_data([str(shapes)])), FeedOptions(frames=3, clip_share=1.0, made_up=1.0), 64, 0)
    write_preview(feed, tmp_path / "clips.mp4", rows=1, columns=2, pages=2)
    with av.open(str(tmp_path / "clips.mp4")) as film:
        assert len(list(film.decode(video=0))) == 6


def test_clips_are_a_data_set_that_evaluation_reads(tmp_path: Path, shapes: Path) -> None:
    options = FeedOptions(frames=3, clip_share=1.0, made_up=1.0)
    feed = Feed(Mixture(read_data([str(shapes)])), options, 64, 0)
    write_clips(feed, tmp_path / "clips", 2)
    dataset = open_dataset("davis2017", tmp_path / "clips", "val")
    assert [clip.name for clip in dataset.clips] == ["clip-0000", "clip-0001"]
    for number, clip in enumerate(dataset.clips):
        truth = feed.sample(number, 0).masks
        assert clip.annotated == (0, 1, 2)
        for object_number in clip.entering:
            np.testing.assert_array_equal(clip.masks(1)[object_number], truth[object_number - 1, 1])
    with pytest.raises(FormatError, match="clips is not empty; give a new folder"):
        write_clips(feed, tmp_path / "clips", 2)
