"""Readers: what each kind of data set gives, and what is said of a damaged one."""

from __future__ import annotations

import dataclasses
import json
import shutil
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from masklet.checkpoints import Model
from masklet.datasets.base import Clip, IndexMasks, Labelled
from masklet.datasets.own import PackOptions, write_pack
from masklet.datasets.registry import DATASETS
from masklet.errors import FormatError, MaskletError
from masklet.masks.rle import encode_rle
from masklet.training.batch import Batch, PickOptions, Use, draws
from masklet.training.data import (
    Collection,
    Feed,
    FeedOptions,
    Mixture,
    ViewOptions,
    draw_frames,
    find_duplicates,
    read_data,
)
from masklet.training.prompts import PromptOptions, draw_plan
from masklet.video import VideoTracker
from tests.conftest import small_network
from tests.training.shapes import picture, write_shapes


def items(path: Path | str, **options: str) -> list[Clip]:
    return [clip for part in read_data([str(path)], **options) for clip in part.clips]  # type: ignore[arg-type]


def read(clip: Clip, *places: int) -> list[Labelled]:
    """Annotated frames by their place among them."""
    return clip.read([clip.annotated[place] for place in places])


def write_frames(
    root: Path, frames: tuple[int, ...] = (0, 5, 10), picture_size: tuple[int, int] = (96, 72), video: str = "bike"
) -> Path:
    """The folders of DAVIS and YouTube-VOS, one video, every fifth frame annotated."""
    rng = np.random.default_rng(0)
    for name in ("JPEGImages", "Annotations"):
        (root / name / video).mkdir(parents=True)
    for frame in range(max(frames) + 1):
        image, labels = picture(rng)
        Image.fromarray(image).resize(picture_size).save(root / f"JPEGImages/{video}/{frame:05d}.jpg")
        if frame in frames:
            Image.fromarray(labels).save(root / f"Annotations/{video}/{frame:05d}.png")
    return root


def test_an_index_and_its_licences(shapes: Path) -> None:
    assert len(items(shapes)) == 10
    assert len(items(shapes, licence="open")) == 4
    with pytest.raises(FormatError, match="no rows of the licence 'free'; it has open, research"):
        items(shapes, licence="free")
    video = next(item for item in items(shapes) if len(item.annotated) > 1)
    first, last = read(video, 0, 4)
    x0, x1 = (np.argwhere(frame.masks[1])[:, 1].mean() for frame in (first, last))
    assert x1 - x0 == pytest.approx(24, abs=0.5)
    assert first.image[first.masks[1]].mean() > 2 * first.image[~first.masks[1]].mean()


def test_frames_without_annotation_are_passed_over(tmp_path: Path) -> None:
    (video,) = items(write_frames(tmp_path))
    assert len(video.annotated) == 3
    assert set(read(video, 2)[0].masks) <= {1, 2}


def test_a_mask_whose_picture_is_missing(tmp_path: Path) -> None:
    root = write_frames(tmp_path)
    (root / "JPEGImages/bike/00005.jpg").unlink()
    with pytest.raises(FormatError, match=r"bike has masks of 00005, of which the frames are missing"):
        items(root)


def test_masks_of_another_size(tmp_path: Path) -> None:
    (video,) = items(write_frames(tmp_path, picture_size=(48, 36)))
    with pytest.raises(FormatError, match="frame 0, are 96 x 72 pixels, but the picture is 48 x 36"):
        read(video, 0)


def test_an_empty_folder_and_pictures_without_masks(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="is empty; give a folder with pictures and their masks"):
        items(tmp_path)
    Image.fromarray(picture(np.random.default_rng(0))[0]).save(tmp_path / "a.png")
    with pytest.raises(FormatError, match="holds pictures but no masks"):
        items(tmp_path)
    with pytest.raises(FormatError, match="there is nothing at"):
        items(tmp_path / "elsewhere")


@pytest.mark.parametrize("kind", [name for name, reader in DATASETS.items() if reader.holds])
def test_a_folder_that_holds_another_kind(tmp_path: Path, kind: str) -> None:
    with pytest.raises(FormatError, match=rf"is no data of the kind {kind} \("):
        items(f"{kind}:{tmp_path}")


def empty_folder(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def table(content: str) -> Callable[[Path], object]:
    return lambda root: (root / "index.csv").write_text(content, encoding="latin-1")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda root: (root / "images/0.png").unlink(), r"1 files of .* are missing: .*images/0\.png; complete them"),
        (lambda root: shutil.rmtree(root / "videos/0"), r"1 files of .* are missing: .*videos/0; complete them"),
        (
            lambda root: empty_folder(root / "videos/0"),
            r"videos/0 holds no masks; expected index PNGs such as 00000\.png",
        ),
        (
            lambda root: (root / "videos/0/00004.png").rename(root / "videos/0/00009.png"),
            r"0\.mp4 has masks for frame 9, but no such frame; is it cut short\?",
        ),
        (
            lambda root: Image.new("L", (10, 8)).save(root / "images/0.png"),
            r"images/0\.webp, frame 0, are 10 x 8 pixels, but the picture is 96 x 72; give masks of the",
        ),
        (
            table("kind,path,masks,split\nimage,.,masks/0.png,train\n"),
            r"row 1 of .*index\.csv has the path '\.', which names no file",
        ),
        (
            table("kind,path\nimage,images/0.webp\n"),
            r"index\.csv lacks the column 'masks'; give a CSV with the columns kind, path, masks",
        ),
        (
            table("kind,path,masks,split,group,source\nimage,images/0.webp\n"),
            r"row 1 of .*index\.csv lacks 'masks'; give a CSV with the columns kind, path, masks",
        ),
        (table("\xff\xfe\0kind"), r"index\.csv cannot be read: .*; give a CSV with the columns kind, path, masks"),
    ],
)
def test_a_damaged_index_is_neither_read_nor_packed(tmp_path: Path, harm: Callable[[Path], object], said: str) -> None:
    root = write_shapes(tmp_path / "shapes", pictures=1, videos=1)
    harm(root)
    with pytest.raises(MaskletError, match=said):
        [clip.read(clip.annotated) for clip in items(root)]
    with pytest.raises(MaskletError, match=said):
        write_pack(root, tmp_path / "shapes.pack", PackOptions())
    assert [file.name for file in tmp_path.iterdir()] == ["shapes"]


def test_a_video_folder_with_gaps(tmp_path: Path) -> None:
    """Frame 2 is neither there nor labelled: the others keep their own masks. Then a labelled one goes."""
    root = tmp_path / "gaps"
    for folder in ("clip", "masks"):
        (root / folder).mkdir(parents=True)
    for frame in (0, 1, 3):
        image, labels = picture(np.random.default_rng(frame))
        Image.fromarray(image).save(root / f"clip/{frame:05d}.png")
        Image.fromarray(labels).save(root / f"masks/{frame:05d}.png")
    (root / "index.csv").write_text("kind,path,masks,split,group,source\nvideo,clip,masks,train,open,mine\n")
    (video,) = items(root)
    image, labels = picture(np.random.default_rng(3))
    (last,) = read(video, 2)
    np.testing.assert_array_equal(last.image, image)
    np.testing.assert_array_equal(last.masks[1], labels == 1)
    (root / "clip/00001.png").unlink()
    with pytest.raises(FormatError, match=r"masks of 00001, of which the frames are missing in .*clip"):
        items(root)


def test_nothing_to_pack(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"there is no index\.csv in .*; give a CSV with the columns"):
        write_pack(tmp_path, tmp_path / "a.pack", PackOptions())
    root = write_shapes(tmp_path / "held-out", pictures=1, videos=0, split="val")
    with pytest.raises(FormatError, match="has no rows of the split 'train'; there is nothing to pack"):
        write_pack(root, tmp_path / "a.pack", PackOptions())


def test_a_pack_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.pack").write_bytes(b"no zip")
    with pytest.raises(FormatError, match=r"a\.pack cannot be unpacked: .*; give another copy"):
        items(tmp_path / "a.pack")


def test_a_damaged_pack_is_not_quoted_at_length(tmp_path: Path) -> None:
    """A name that is said to be long takes the rest of the file with it."""
    with zipfile.ZipFile(tmp_path / "a.pack", "w") as members:
        members.writestr("index.csv", 3000 * "kind,path\n")
    data = bytearray((tmp_path / "a.pack").read_bytes())
    data[26:28] = (20_000).to_bytes(2, "little")  # the length of the name of the first file
    (tmp_path / "a.pack").write_bytes(data)
    with pytest.raises(FormatError, match=r"a\.pack cannot be unpacked: .{1,200}; give another copy"):
        items(tmp_path / "a.pack")


@pytest.fixture
def bare(tmp_path: Path) -> str:
    """Pictures without masks, as training data names them."""
    (tmp_path / "bare").mkdir()
    for number in range(3):
        Image.fromarray(picture(np.random.default_rng(number))[0]).save(tmp_path / f"bare/{number}.png")
    return f"pictures:{tmp_path / 'bare'}"


@pytest.mark.parametrize(("clip_share", "frames"), [(1.0, 3), (0.0, 1)])
def test_pictures_without_masks_are_enough(bare: str, clip_share: float, frames: int) -> None:
    mixture = Mixture(read_data([bare]))
    sample = Feed(mixture, FeedOptions(frames=3, clip_share=clip_share), 64, 0).sample(0, 0)
    assert sample.images.shape == (frames, 64, 64, 3)
    assert sample.masks[:, 0].any(axis=(1, 2)).all()


def test_picture_steps_prefer_true_masks(bare: str, shapes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside pictures with masks, or videos, no step guesses what is in the others; clips are made up of them too."""
    monkeypatch.setattr("masklet.training.data.find_regions", lambda image, rng: pytest.fail("a region was guessed"))
    films = [part for part in read_data([str(shapes)]) if part.name == "films"]
    for labelled in (read_data([f"{shapes}@0.01"]), films):
        mixture = Mixture([*read_data([bare]), *labelled])
        Feed(mixture, FeedOptions(clip_share=0.0, pictures=10), 64, 0).batch(0)
        with pytest.raises(pytest.fail.Exception, match="a region was guessed"):
            Feed(mixture, FeedOptions(clip_share=1.0, clips=10, frames=2, made_up=1.0), 64, 0).batch(0)


def test_sa1b(tmp_path: Path) -> None:
    image, labels = picture(np.random.default_rng(0))
    Image.fromarray(image).save(tmp_path / "sa_1.jpg")
    annotations = [{"segmentation": encode_rle(labels == 1).to_json()}]
    (tmp_path / "sa_1.json").write_text(
        json.dumps({"image": {"height": 72, "width": 96, "image_id": 1}, "annotations": annotations})
    )
    (item,) = items(tmp_path)
    np.testing.assert_array_equal(read(item, 0)[0].masks[1], labels == 1)


def test_coco_with_a_crowd(tmp_path: Path) -> None:
    image, labels = picture(np.random.default_rng(0))
    crowd = np.zeros_like(labels, bool)
    crowd[:5] = True
    (tmp_path / "train2017").mkdir()
    (tmp_path / "annotations").mkdir()
    Image.fromarray(image).save(tmp_path / "train2017/7.jpg")
    records = [
        {"image_id": 7, "segmentation": encode_rle(labels == 1).to_json(), "iscrowd": 0},
        {"image_id": 7, "segmentation": encode_rle(crowd).to_json(), "iscrowd": 1},
    ]
    content = {"images": [{"id": 7, "file_name": "7.jpg", "height": 72, "width": 96}], "annotations": records}
    (tmp_path / "annotations/instances_train2017.json").write_text(json.dumps(content))
    (item,) = items(tmp_path)
    masks = read(item, 0)[0].masks
    np.testing.assert_array_equal(masks[1], labels == 1)
    np.testing.assert_array_equal(masks.void, crowd)
    (tmp_path / "train2017/7.jpg").unlink()
    with pytest.raises(FormatError, match=r"1 of 1 pictures are missing: 7\.jpg"):
        items(tmp_path)


def names(path: Path, split: str) -> list[str]:
    return [item.name for item in items(path, split=split)]


def test_splits_of_davis(tmp_path: Path) -> None:
    for video in ("bike", "bear"):
        write_frames(tmp_path, video=video)
    assert names(tmp_path, "val") == ["bear", "bike"]  # without lists a folder is taken whole
    (tmp_path / "ImageSets/2017").mkdir(parents=True)
    (tmp_path / "ImageSets/2017/train.txt").write_text("bike\n")
    with pytest.raises(FormatError, match=r"lists no split 'val', but .*train\.txt; give another folder"):
        names(tmp_path, "val")
    (tmp_path / "ImageSets/2017/val.txt").write_text("bear\n")
    assert names(tmp_path, "train") == ["bike"]
    assert names(tmp_path, "val") == ["bear"]


def test_splits_of_youtube_vos(tmp_path: Path) -> None:
    write_frames(tmp_path / "train", video="bike")
    with pytest.raises(FormatError, match=r"and Annotations of the split 'val'; make .*valid, or give"):
        names(tmp_path, "val")
    write_frames(tmp_path / "valid", video="bear")
    assert names(tmp_path, "train") == ["bike"]
    assert names(tmp_path, "val") == ["bear"]
    shutil.rmtree(tmp_path / "train")
    assert names(tmp_path, "val") == ["bear"]


def test_splits_of_coco(tmp_path: Path) -> None:
    image, labels = picture(np.random.default_rng(0))
    (tmp_path / "annotations").mkdir()

    def write(name: str, stem: str) -> Path:
        Image.fromarray(image).save(tmp_path / f"{stem}.jpg")
        records = [{"image_id": 1, "segmentation": encode_rle(labels == 1).to_json()}]
        pictures = [{"id": 1, "file_name": f"{stem}.jpg", "height": 72, "width": 96}]
        path = tmp_path / "annotations" / name
        path.write_text(json.dumps({"images": pictures, "annotations": records}))
        return path

    train = write("instances_train2017.json", "bike")
    with pytest.raises(FormatError, match=r"no file of the split 'val', but instances_train2017\.json; give the file"):
        names(tmp_path, "val")
    assert names(train, "val") == ["bike"]
    write("instances_val2017.json", "bear")
    assert names(tmp_path, "train") == ["bike"]
    assert names(tmp_path, "val") == ["bear"]


@pytest.mark.parametrize("weight", ["0", "-1", "nan", "inf"])
def test_weights_that_weigh_nothing(weight: str) -> None:
    with pytest.raises(FormatError, match=f"the weight of films is {weight}; give a finite number over 0"):
        read_data([f"films@{weight}"])


@pytest.mark.parametrize("text", ["", "pictures:"])
def test_data_without_a_path_are_not_those_of_the_present_folder(text: str) -> None:
    with pytest.raises(FormatError, match="names no data; give"):
        read_data([text])


def test_a_path_that_is_given_twice(shapes: Path) -> None:
    again = shapes / ".." / shapes.name
    with pytest.raises(FormatError, match="is given twice; give it once, with a weight"):
        read_data([str(shapes), f"{again}@2"])


def test_pictures_that_are_learned_from_and_judged_by(tmp_path: Path) -> None:
    """The same picture smaller, in other colours and compressed again is found; other pictures are not."""
    names = ["a.jpg", "b.jpg", "c.jpg", "flat.png"]
    rng = np.random.default_rng(1)
    scenes = [np.kron(rng.integers(0, 256, (12, 16, 3)), np.ones((20, 20, 1))).astype(np.uint8) for _ in range(4)]
    flat = np.full_like(scenes[0], 90)

    def collection(images: list[NDArray[np.uint8]], names: list[str]) -> list[Collection]:
        clips = []
        for name, image in zip(names, images, strict=True):
            Image.fromarray(image).save(tmp_path / name, quality=40)
            labels = partial(IndexMasks, np.ones(image.shape[:2], np.uint8))
            clips.append(Clip(name, (tmp_path / name,), {0: labels}, kind="image"))
        return [Collection("some", clips, 1.0)]

    learned = collection([*scenes[:3], flat], names)
    small = np.asarray(Image.fromarray(scenes[1]).resize((160, 120)).convert("L").convert("RGB"))
    judged = collection([scenes[3], small, flat], ["x.jpg", "y.jpg", "other-flat.png"])
    assert find_duplicates(learned, judged) == [("b.jpg", "y.jpg")]
    assert find_duplicates(learned, []) == []


def test_sav(tmp_path: Path, shapes: Path) -> None:
    shutil.copy(shapes / "videos/0.mp4", tmp_path / "sav_1.mp4")
    mask = np.zeros((72, 96), bool)
    mask[20:40, 20:40] = True
    row = [encode_rle(mask).to_json()]
    content = {"video_height": 72.0, "video_width": 96.0, "masklet": [row, row], "masklet_id": [0]}
    (tmp_path / "sav_1_manual.json").write_text(json.dumps(content))
    (video,) = items(tmp_path)
    assert len(video.annotated) == 2  # frames 0 and 4 of the film
    np.testing.assert_array_equal(read(video, 1)[0].masks[1], mask)


def test_what_a_person_annotated_is_training_data(tmp_path: Path, shapes: Path) -> None:
    shutil.copy(shapes / "videos/0.mp4", tmp_path / "0.mp4")
    with VideoTracker(tmp_path / "0.mp4", Model("small", small_network())) as tracker:
        mask = np.zeros((72, 96), bool)
        mask[20:50, 15:45] = True
        tracker.add_mask(frame=0, object="ball", mask=mask)
        list(tracker.propagate(stop=3))
        tracker.save(tmp_path / "ball.masklet")
    (video,) = items(tmp_path)
    assert len(video.annotated) == 3
    found = read(video, 0)[0].masks[1]
    assert (found & mask).sum() / (found | mask).sum() > 0.9


def test_a_pack_holds_the_same(tmp_path: Path, shapes: Path) -> None:
    pack = tmp_path / "shapes.pack"
    size = write_pack(shapes, pack, PackOptions(longest=64))
    assert size == pack.stat().st_size
    packed = items(pack)
    assert len(packed) == 10
    assert max(read(packed[0], 0)[0].image.shape) == 64
    video = next(item for item in packed if len(item.annotated) > 1)
    assert read(video, 3)[0].masks[1].any()
    assert not list(tmp_path.glob(".*"))
    write_pack(shapes, pack, PackOptions(longest=32))
    assert max(read(items(pack)[0], 0)[0].image.shape) == 32


def test_weights_mix_whole_data_sets(tmp_path: Path, shapes: Path) -> None:
    wanted = [f"{shapes}@1", f"frames:{write_frames(tmp_path)}@3"]
    collections = read_data(wanted)
    assert sum(part.weight for part in collections) == pytest.approx(4)
    mixture, rng = Mixture(collections), np.random.default_rng(0)
    drawn = [mixture.video(rng).name for _ in range(300)]
    assert drawn.count("bike") / 300 == pytest.approx(3 / 3.2, abs=0.06)


def test_frames_are_consecutive_and_reversed_half_of_the_time() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_frames(20, 8, rng) for _ in range(400)]
    assert sum(frames[0] > frames[-1] for frames in drawn) / 400 == pytest.approx(0.5, abs=0.1)
    assert all(sorted(frames) == list(range(min(frames), min(frames) + 8)) for frames in drawn)
    assert draw_frames(2, 4, rng, reverse=0.0)[-1] == 1


def assert_same(one: Batch, other: Batch) -> None:
    for mine, theirs in zip(one, other, strict=True):
        assert mine is theirs if mine is None else torch.equal(mine, theirs)


@pytest.mark.parametrize("total", [3, 12])
def test_a_step_has_as_many_objects_as_its_recipe_says(shapes: Path, total: int) -> None:
    """Some are left out, or come twice; each with its own mask and clip."""
    mixture = Mixture(read_data([str(shapes)]))
    options = FeedOptions(pictures=4, clip_share=0.0)
    whole = Feed(mixture, options, 64, seed=5).batch(0)
    assert 3 < len(whole.owners) < 12
    batch = Feed(mixture, dataclasses.replace(options, picture_total=total), 64, seed=5).batch(0)
    assert len(batch.owners) == len(batch.masks) == total
    assert (batch.owners.diff() >= 0).all()
    known = {(int(owner), mask.numpy().tobytes()) for owner, mask in zip(whole.owners, whole.masks, strict=True)}
    found = {(int(owner), mask.numpy().tobytes()) for owner, mask in zip(batch.owners, batch.masks, strict=True)}
    assert found <= known
    assert len(found) == min(total, len(known))


def test_batches_follow_from_seed_and_step_alone(shapes: Path) -> None:
    mixture = Mixture(read_data([str(shapes)]))
    options = FeedOptions(pictures=4, clips=4, frames=3, clip_share=0.5, made_up=0.5)
    feed = Feed(mixture, options, 64, seed=5, flow_cells=16)
    by_threads = list(feed.ahead(0, 4, workers=2))
    by_processes = list(feed.ahead(0, 4, workers=2, processes=True))
    for step, (batch, other) in enumerate(zip(by_threads, by_processes, strict=True)):
        assert_same(batch, feed.batch(step))
        assert_same(batch, other)
        halves = [Feed(mixture, options, 64, 5, rank=rank, world=2).batch(step) for rank in (0, 1)]
        assert (halves[0].images == batch.images[::2]).all()
        assert (halves[1].images == batch.images[1::2]).all()


def test_data_that_cannot_be_pickled_is_read_by_threads() -> None:
    """Such as that of a reader of one's own, with functions in its clips."""
    image, labels = picture(np.random.default_rng(0))
    clip = Clip("own", (image,), {0: lambda: IndexMasks(labels)})
    feed = Feed(Mixture([Collection("own", [clip], 1.0)]), FeedOptions(pictures=2, clip_share=0.0), 32, seed=5)
    (batch,) = feed.ahead(0, 1, workers=2, processes=True)
    assert_same(batch, feed.batch(0))


def test_what_is_drawn_depends_on_nothing_else(shapes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which items a place in the batch gets is the same for both kinds of step, and for every kind of prompt."""
    for draw in ("_picture", "_clip"):
        monkeypatch.setattr(Feed, draw, lambda feed, rng: rng.random())
    options = FeedOptions(pictures=4, clips=4, clip_share=0.5)
    feed = Feed(Mixture(read_data([str(shapes)])), options, 64, seed=5)
    steps = range(600)
    first = np.array([[feed.sample(step, index) for index in range(4)] for step in steps])
    of_clips = np.array([feed.is_clips(step) for step in steps])
    plans = [draw_plan(1, PromptOptions(), draws(Use.PLAN, 5, step)) for step in steps]
    by_box = np.array([plan.kind == "box" for plan in plans])
    for some in (of_clips, ~of_clips, by_box, ~by_box):
        assert 200 < some.sum() < 400
        assert np.abs(first[some].mean(axis=0) - 0.5).max() < 0.08  # over four times what chance gives
        assert first[some].min(axis=0).max() < 0.05
        assert first[some].max(axis=0).min() > 0.95
    assert len({feed.sample_seed(step, index) for step in steps for index in range(4)}) == 2400


def test_no_object_is_large_enough(shapes: Path) -> None:
    mixture = Mixture(read_data([str(shapes)]))
    feed = Feed(mixture, FeedOptions(clip_share=0.0, pick=PickOptions(least=0.8)), 64, seed=5)
    with pytest.raises(FormatError, match="clips in a row had no object of"):
        feed.batch(0)


DRAWN = [
    ([313, 35, 534, 317], [0, 0, 1, 2]),
    ([185, 20, 130, 40, 103, 35, 28, 142], [0, 0, 1, 1, 2, 2, 3, 3]),
    ([104, 35, 103, 35, 104, 35, 103, 35], [0, 0, 1, 1, 2, 2, 3, 3]),
]
"""Pixels of each object's masks, and the clip of each, in the first three batches."""


def test_what_is_drawn_stays_the_same_from_version_to_version() -> None:
    """A run that was cut off goes on with the batches that it would have had: their masks, owners and seeds."""
    clips = []
    for number, frames in enumerate((1, 1, 5, 3)):
        found = [picture(np.random.default_rng((number, frame))) for frame in range(frames)]
        annotations = {frame: partial(IndexMasks, labels) for frame, (_, labels) in enumerate(found)}
        clips.append(Clip(str(number), tuple(image for image, _ in found), annotations))
    options = FeedOptions(pictures=4, clips=3, frames=3, clip_share=0.5, stride=2, view=ViewOptions(whole=0.5))
    feed = Feed(Mixture([Collection("one", clips[:3], 3.0), Collection("two", clips[3:], 1.0)], 0.5), options, 32, 7)
    drawn = [(batch.masks.sum(dim=(1, 2, 3)).tolist(), batch.owners.tolist()) for batch in map(feed.batch, range(3))]
    assert drawn == DRAWN
