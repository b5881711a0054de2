"""Every data set, from a folder of two clips: names, frames, masks, and when objects enter."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from masklet.cli.eval import vos
from masklet.datasets.base import Clip, Dataset, PlainMasks
from masklet.datasets.registry import DATASETS, open_dataset
from masklet.errors import ConfigError, FormatError
from masklet.masks.rle import encode_rle
from masklet.training.data import read_data
from tests.evaluation.conftest import FRAMES, MAKERS, SIZE, index_map, make_folder, picture, save_mask, save_picture

Make = Callable[[str], Path]

PICTURES_ALONE, PICTURES_TOO = ("coco", "lvis"), ("folder", "index")
VIDEOS = [name for name in MAKERS if name not in PICTURES_ALONE]
IMAGES = [*PICTURES_ALONE, *PICTURES_TOO]
MADE_ELSEWHERE = {"project", "sa1b", "volumes", "pictures"}
"""Of these the tests of training and of volumes make files, with which this module's questions make no sense."""

PAGES = Path(__file__).parents[2] / "docs"


def test_every_data_set_is_made_here_and_named_in_the_documents() -> None:
    assert {*DATASETS} == {*MAKERS} | MADE_ELSEWHERE
    told = "".join((PAGES / page).read_text() for page in ("evaluation.md", "training.md"))
    assert [name for name in DATASETS if not re.search(rf"^\|[^|]*`{name}`", told, re.MULTILINE)] == []


def test_help_names_the_data_sets_of_videos() -> None:
    (told,) = (line for line in (vos.__doc__ or "").splitlines() if "Data sets: " in line)
    assert re.findall(r"\w+", told.partition(", your own")[0].partition(": ")[2]) == VIDEOS


@pytest.mark.parametrize("name", VIDEOS)
def test_every_video_data_set_gives_its_two_clips(make: Make, name: str) -> None:
    dataset = open_dataset(name, make(name))
    assert [Path(clip.name).name for clip in dataset.clips] == ["first", "second"]
    for clip in dataset.clips:
        with clip.open() as source:
            frames = list(source.frames())
        assert len(frames) == FRAMES
        assert np.abs(frames[3].image.astype(int) - picture(3)).mean() < 20  # JPEG
        assert clip.annotated[0] == 0
        late = 4 if name == "sav" else 2  # SA-V has masks of every fourth frame
        assert clip.entering == ({1: 0} if name == "davis2016" else NUMBERS[name](late))
        masks = clip.masks(clip.annotated[-1])
        assert {n: mask.tolist() for n, mask in masks.items()} == {
            n: ((index_map(4) == value) if value else index_map(4) > 0).tolist() for n, value in VALUES[name].items()
        }


VALUES = {name: {1: 1, 2: 2} for name in VIDEOS} | {"davis2016": {1: 0}, "sav": {0: 1, 1: 2}}
"""Object -> its value in the index map; 0 is everything."""
NUMBERS = {name: (lambda late: {1: 0, 2: late}) for name in VIDEOS} | {"sav": lambda late: {0: 0, 1: late}}


@pytest.mark.parametrize("name", IMAGES)
def test_every_image_data_set_gives_its_two_pictures(make: Make, name: str) -> None:
    clips = open_dataset(name, make(name), kind="image").clips
    assert len(clips) == 2
    for clip in clips:
        with clip.open() as source:
            assert source.read(0).image.shape == picture(3).shape
        truth = clip.masks(0)
        assert {n: mask.tolist() for n, mask in truth.items()} == {n: (index_map(3) == n).tolist() for n in (1, 2)}
        if name in ("coco", "lvis"):
            assert truth.void is not None
            assert truth.void[:4].all()
            assert not truth.void[4:].any()


@pytest.mark.parametrize("name", VIDEOS)
def test_clips_travel_to_other_processes(make: Make, name: str) -> None:
    clip = open_dataset(name, make(name)).clips[0]
    again = pickle.loads(pickle.dumps(clip))
    assert again.entering == clip.entering


def test_limit_keeps_the_first(make: Make) -> None:
    assert [clip.name for clip in open_dataset("davis2017", make("davis2017"), limit=1).clips] == ["first"]


def test_davis2016_reads_the_original_list_of_paths(make: Make) -> None:
    root = make("davis2016")
    (root / "ImageSets/2016/val.txt").unlink()
    (root / "ImageSets/480p").mkdir()
    lines = [f"/JPEGImages/480p/second/{n:05d}.jpg /Annotations/480p/second/{n:05d}.png" for n in range(FRAMES)]
    (root / "ImageSets/480p/val.txt").write_text("\n".join(lines))
    assert [clip.name for clip in open_dataset("davis2016", root).clips] == ["second"]


def test_youtube_vos_tells_seen_from_unseen(make: Make) -> None:
    root = make("ytvos")
    assert open_dataset("ytvos", root).clips[0].groups == {1: "seen", 2: "unseen"}
    (root / "train/meta.json").unlink()
    assert open_dataset("ytvos", root).clips[0].groups == {}


def test_a_folder_needs_no_index(tmp_path: Path) -> None:
    save_picture(tmp_path / "dogs/a.jpg", 3)
    save_mask(tmp_path / "dogs/a.png", index_map(3))
    save_picture(tmp_path / "dogs/without.jpg", 3)
    assert [clip.name for clip in open_dataset("folder", tmp_path, kind="image").clips] == ["dogs/a"]


def test_unknown_pixels_are_void(tmp_path: Path) -> None:
    indices = index_map(3)
    indices[:3] = 255
    save_picture(tmp_path / "a.jpg", 3)
    save_mask(tmp_path / "a.png", indices)
    truth = open_dataset("folder", tmp_path, kind="image").clips[0].masks(0)
    assert set(truth) == {1, 2}
    assert truth.void is not None
    assert (truth.void == (indices == 255)).all()


def test_an_index_of_a_spreadsheet_begins_with_a_byte_order_mark(tmp_path: Path) -> None:
    make_folder(tmp_path)
    (tmp_path / "index.csv").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "index.csv").read_bytes())
    assert len(open_dataset("folder", tmp_path).clips) == 2


def test_an_unknown_name_is_told_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="there is no 'davis2071' among the datasets; nearest: davis2017"):
        open_dataset("davis2071", Path("anywhere"))


@pytest.mark.parametrize("kind", ["video", "image"])
@pytest.mark.parametrize("root", ["absent", "empty"])
def test_absent_and_empty_roots_are_told(tmp_path: Path, kind: str, root: str) -> None:
    (tmp_path / "empty").mkdir()
    for name in VIDEOS if kind == "video" else IMAGES:
        with pytest.raises(FormatError, match=r"there is no|holds no|is empty"):
            open_dataset(name, tmp_path / root, kind=kind)  # type: ignore[arg-type]


def test_missing_frames_are_listed(make: Make) -> None:
    root = make("davis2017")
    for frame in (1, 3):
        (root / f"JPEGImages/480p/second/{frame:05d}.jpg").unlink()
    with pytest.raises(FormatError, match="second has masks of 00001, 00003, of which the frames are missing"):
        open_dataset("davis2017", root)


def test_a_missing_sequence_is_told(make: Make) -> None:
    root = make("davis2017")
    (root / "ImageSets/2017/val.txt").write_text("first\nthird\n")
    with pytest.raises(FormatError, match=r"there is no folder .*JPEGImages/480p/third"):
        open_dataset("davis2017", root)


def test_a_truncated_mask_is_told_when_it_is_read(make: Make) -> None:
    root = make("davis2017")
    path = root / "Annotations/480p/first/00002.png"
    path.write_bytes(path.read_bytes()[:90])
    clip = open_dataset("davis2017", root).clips[0]
    with pytest.raises(FormatError, match=r"00002.png cannot be read as a PNG"):
        clip.masks(2)


def test_missing_files_of_an_index_are_listed(tmp_path: Path) -> None:
    make_folder(tmp_path)
    (tmp_path / "images/own/first.png").unlink()
    with pytest.raises(FormatError, match=r"1 files of .* are missing: .*first.png"):
        open_dataset("folder", tmp_path, kind="image")


@pytest.mark.parametrize("content", ["kind,path\nvideo,a.mp4\n", "\xff\xfe"])
def test_an_index_of_another_form_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "index.csv").write_bytes(content.encode("latin-1"))
    with pytest.raises(FormatError, match="give a CSV with the columns kind, path, masks, split"):
        open_dataset("folder", tmp_path)


def test_missing_pictures_of_coco_are_listed(make: Make) -> None:
    root = make("coco")
    (root / "val2017/000000000002.jpg").unlink()
    with pytest.raises(FormatError, match=r"1 of 2 pictures are missing: .*000000000002.jpg"):
        open_dataset("coco", root, kind="image")


def test_pictures_of_one_name_in_folders_of_coco_keep_their_folders(tmp_path: Path) -> None:
    """As `masklet dataset build --layout coco` writes frames of several videos."""
    rle = encode_rle(index_map(3) == 1).to_json()
    images = [{"id": n, "height": SIZE[0], "width": SIZE[1], "file_name": f"run{n}/00000.jpg"} for n in (1, 2)]
    for image in images:
        save_picture(tmp_path / "images" / str(image["file_name"]), 3)
    content = {"images": images, "annotations": [{"id": n, "image_id": n, "segmentation": rle} for n in (1, 2)]}
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations/instances_val.json").write_text(json.dumps(content))
    clips = open_dataset("coco", tmp_path, kind="image").clips
    assert [clip.name for clip in clips] == ["run1/00000", "run2/00000"]
    images[0]["id"] = [1]
    (tmp_path / "annotations/instances_val.json").write_text(json.dumps(content))
    with pytest.raises(FormatError, match=r"'id' in instances_val.json is a list"):
        open_dataset("coco", tmp_path, kind="image")


def test_an_object_that_enters_nowhere_is_told(make: Make) -> None:
    root = make("ytvos")
    meta = json.loads((root / "valid/meta.json").read_text())
    meta["videos"]["first"]["objects"]["2"]["frames"] = ["00099"]
    (root / "valid/meta.json").write_text(json.dumps(meta))
    with pytest.raises(FormatError, match="lets object 2 of first enter in 00099"):
        open_dataset("ytvos", root)


def test_two_clips_of_one_name_are_told(tmp_path: Path) -> None:
    for suffix in ("jpg", "webp"):
        save_picture(tmp_path / f"a.{suffix}", 3)
    save_mask(tmp_path / "a.png", index_map(3))
    with pytest.raises(FormatError, match="two images are called a"):
        open_dataset("folder", tmp_path, kind="image")


def test_names_that_lead_elsewhere_are_refused(make: Make) -> None:
    root = make("davis2017")
    (root / "ImageSets/2017/val.txt").write_text("../480p/first\n")
    with pytest.raises(FormatError, match="no name of a sequence"):
        open_dataset("davis2017", root)


def test_a_folder_of_frames_is_paired_with_its_masks_by_name(tmp_path: Path) -> None:
    """A video of an index whose frames begin at 1, with one mask: it is that of the frame of its name."""
    for frame in range(3):
        save_picture(tmp_path / f"run/{frame + 1:05d}.jpg", frame)
    save_mask(tmp_path / "masks/00002.png", index_map(1))
    (tmp_path / "index.csv").write_text("kind,path,masks,split\nvideo,run,masks,val\n")
    (clip,) = open_dataset("folder", tmp_path).clips
    assert clip.annotated == (1,)
    assert clip.stem(1) == "00002"
    (frame,) = clip.read([1])
    assert np.abs(frame.image.astype(int) - picture(1)).mean() < 20
    assert (frame.masks[1] == (index_map(1) == 1)).all()


def mine(root: Path, split: str) -> Dataset:
    """A data set of somebody's own: one picture, all of it object 1."""
    masks = PlainMasks({1: np.ones((4, 6), bool)})
    return Dataset("mine", split, (Clip(root.name, (np.zeros((4, 6, 3), np.uint8),), {0: lambda: masks}, "image"),))


def test_a_data_set_of_ones_own(tmp_path: Path) -> None:
    """`module:Name` is read by evaluation and by training, without a line in masklet."""
    name = f"{__name__}:mine"
    (clip,) = open_dataset(name, tmp_path, kind="image").clips
    assert clip.masks(0)[1].all()
    (collection,) = read_data([f"{name}:{tmp_path}@2"])
    assert collection.weight == 2
    assert collection.clips[0].name == tmp_path.name
    with pytest.raises(FormatError, match=f"holds no videos with masks of the split 'val', as {name} has them"):
        open_dataset(name, tmp_path)


@pytest.mark.parametrize("name", [name for name in (*VIDEOS, *IMAGES) if name not in ("ytvos", "lvos")])
def test_training_reads_what_evaluation_reads(make: Make, name: str) -> None:
    """The same clips, with the same masks in the same frames."""
    root = make(name)
    read = [clip for part in read_data([f"{name}:{root}"], split="val") for clip in part.clips]
    for kind in ("video", "image") if name in ("folder", "index") else (("image",) if name in IMAGES else ("video",)):
        measured = open_dataset(name, root, kind=kind).clips  # type: ignore[arg-type]
        learned = [clip for clip in read if clip.kind == kind]
        assert [clip.name for clip in learned] == [clip.name for clip in measured]
        for ours, theirs in zip(learned, measured, strict=True):
            assert ours.annotated == theirs.annotated
            assert all(ours.masks(frame).areas() == theirs.masks(frame).areas() for frame in ours.annotated)
