"""`masklet dataset build`: what other programs read of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_type_hints

import cv2
import numpy as np
import pytest
import supervision
from PIL import Image
from pycocotools.coco import COCO

from masklet.cli import masks
from masklet.datasets.build import LAYOUTS
from masklet.datasets.registry import find_dataset
from masklet.engines.fake import FakeEngine
from masklet.errors import FormatError
from masklet.formats.base import Facts, PlainFrame, mask_only
from masklet.formats.description import label_of
from masklet.formats.registry import find_format, read_masks, recognise_format, under_names
from masklet.formats.writer import Writer
from masklet.video import VideoTracker
from tests.cli.conftest import Read, Run
from tests.conftest import GOLDEN

SIZE = (120, 160)


def mask_of(frame: int, name: str) -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    if name == "cup":
        mask[20 + frame : 60, 30:70] = True
    elif frame < 3:
        mask[70:100, 90 + frame : 140] = True
    return mask


@pytest.fixture
def sessions(tmp_path: Path, video: Path) -> list[Path]:
    """A folder of four pictures and a film, each with two objects whose masks were given in every frame."""
    pictures = tmp_path / "walk"
    pictures.mkdir()
    for number in range(4):
        frame = Image.open(GOLDEN / f"video/frames/{number:05d}.png").convert("RGB")
        frame.save(pictures / f"shot-{number + 7}.jpg", quality=90)
    found = []
    for source in (pictures, video):
        with VideoTracker(source, FakeEngine()) as tracker:
            for frame in range(4):
                for name in ("cup", "ball"):
                    tracker.add_mask(frame=frame, object=name, mask=mask_of(frame, name))
            tracker.describe("ball", category="toy", attributes={"round": True})
            tracker.save(tmp_path / f"{source.stem}.masklet")
        found.append(tmp_path / f"{source.stem}.masklet")
    return found


Build = Callable[..., Path]


@pytest.fixture
def build(run: Run, tmp_path: Path, sessions: list[Path]) -> Build:
    def call(format: str, *options: str | Path) -> Path:
        out = tmp_path / f"out-{format}"
        assert run("dataset", "build", *sessions, "--out", out, "--format", format, *options) == 0
        assert [file for file in tmp_path.iterdir() if file.name.startswith(".")] == []
        return out

    return call


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools with NumPy 2
def test_coco_is_read_by_pycocotools_and_supervision(build: Build, tmp_path: Path) -> None:
    out = build("coco")
    coco = COCO(out / "annotations/instances_train.json")
    assert [one["name"] for one in coco.dataset["categories"]] == ["cup", "toy"]
    assert [one["name"] for one in coco.dataset["videos"]] == ["walk", "clip"]
    assert len(coco.getImgIds()) == 8
    tracks = set()
    for number in coco.getImgIds():
        (image,) = coco.loadImgs(number)
        with Image.open(out / "images" / image["file_name"]) as picture:
            assert picture.size == (160, 120)
        for found in coco.loadAnns(coco.getAnnIds(imgIds=number)):
            name = "cup" if found["category_id"] == 1 else "ball"
            np.testing.assert_array_equal(coco.annToMask(found) > 0, mask_of(image["frame_index"], name))
            tracks.add((found["track_id"], image["file_name"].split("/")[0], name))
            assert found["attributes"] == {"track_id": found["track_id"], **({"round": True} if name == "ball" else {})}
    assert len(tracks) == 4
    names = sorted(file.name for file in (out / "images/walk").iterdir())
    assert names == [f"shot-{n}.jpg" for n in (10, 7, 8, 9)]
    assert (out / "images/walk/shot-7.jpg").read_bytes() == (tmp_path / "walk/shot-7.jpg").read_bytes()
    read = supervision.DetectionDataset.from_coco(
        str(out / "images"), str(out / "annotations/instances_train.json"), force_masks=True
    )
    assert read.classes == ["cup", "toy"]
    assert len(read) == 8


def test_yolo_is_refilled_to_the_masks(build: Build) -> None:
    out = build("yolo", "--val", "0.5")
    text = (out / "data.yaml").read_text()
    assert text == 'path: .\ntrain: images/train\nval: images/val\nnames:\n  0: "cup"\n  1: "toy"\n'
    for split in ("train", "val"):
        labels = sorted((out / "labels" / split).iterdir())
        assert [file.stem for file in labels] == sorted(f.stem for f in (out / "images" / split).iterdir())
        assert len(labels) == 4
        for file in labels:
            for line in file.read_text().splitlines():
                kind, *numbers = line.split()
                filled = np.zeros(SIZE, np.uint8)
                cv2.fillPoly(filled, [(np.reshape(numbers, (-1, 2)).astype(float) * (160, 120)).astype(np.int32)], 1)
                masks = [mask_of(frame, ("cup", "ball")[int(kind)]) for frame in range(4)]
                assert max((filled & mask).sum() / (filled | mask).sum() for mask in masks if mask.any()) > 0.99


def test_help_and_documents_name_every_layout() -> None:
    page = (Path(__file__).parents[2] / "docs/formats.md").read_text()
    told = get_type_hints(masks.build, include_extras=True)["format"].__metadata__[0].help
    assert [name for name in LAYOUTS if name not in told or f"\n| `{name}` |" not in page] == []


@pytest.mark.parametrize(("format", "kind", "root"), [("davis", "davis2017", ""), ("ytvis", None, "train")])
def test_videos_come_back_whole(build: Build, format: str, kind: str | None, root: str) -> None:
    out = build(format)
    if kind is None:
        content = json.loads((out / root / "instances.json").read_text())
        assert [one["name"] for one in content["videos"]] == ["walk", "clip"]
        for one in content["videos"]:
            assert all((out / root / "JPEGImages" / name).is_file() for name in one["file_names"])
        assert [one["category_id"] for one in content["annotations"]] == [1, 2, 1, 2]
        assert [mask is None for mask in content["annotations"][1]["segmentations"]] == [False, False, False, True]
        return
    clips = find_dataset(kind).read(out, "train").clips
    assert [clip.name for clip in clips] == ["walk", "clip"]
    for clip in clips:
        for frame in clip.annotated:
            masks = clip.masks(frame)
            np.testing.assert_array_equal(masks[1], mask_of(frame, "cup"))


def test_voc_has_classes_and_objects(build: Build) -> None:
    out = build("voc")
    stems = (out / "ImageSets/Segmentation/train.txt").read_text().split()
    assert stems[0] == "walk_shot-7"
    kinds, objects = (np.array(Image.open(out / folder / f"{stems[0]}.png")) for folder in
                      ("SegmentationClass", "SegmentationObject"))  # fmt: skip
    np.testing.assert_array_equal(kinds == 2, mask_of(0, "ball"))
    np.testing.assert_array_equal(objects == 1, mask_of(0, "cup"))
    assert (out / "labelmap.txt").read_text().splitlines()[1:3] == ["background:0,0,0::", "cup:128,0,0::"]


@pytest.mark.parametrize(
    ("format", "place", "names"),
    [
        ("coco", "annotations/instances_train.json", {"cup": "walk/cup", "ball": "walk/ball"}),
        ("yolo", "labels/train", None),
        ("ytvis", "train/instances.json", {"cup": 1, "ball": 2}),
        ("davis", "Annotations/480p/walk", {"cup": 1, "ball": 2}),
        ("voc", "", None),
        ("cvat", "walk.xml", {"cup": "cup", "ball": "ball"}),
        ("mots", "walk.txt", {"cup": 1, "ball": 2}),
        ("sav", "walk.json", {"cup": "cup", "ball": "ball"}),
        ("project", "walk.masklet", {"cup": "cup", "ball": "ball"}),
        ("objects", "annotations/walk", {"cup": "cup", "ball": "ball"}),
        ("labelme", "annotations/walk", {"cup": 1, "ball": 2}),
    ],
)
def test_what_is_built_is_read_again(
    run: Run, tmp_path: Path, sessions: list[Path], format: str, place: str, names: dict[str, int | str] | None
) -> None:
    """Masks come back to the pixel, but those of polygons, under the names that the format holds; None: new ones in
    each picture. Of classes, what the format holds."""
    out = tmp_path / "out"
    assert run("dataset", "build", sessions[0], "--out", out, "--format", format) == 0
    found = list(read_masks(recognise_format(out / place).name, out / place))
    assert len(found) == 4
    for number, frame in enumerate(found):
        masks = {name: mask for name, mask in frame.masks.items() if mask.any()}
        shown = [name for name in ("cup", "ball") if mask_of(number, name).any()]
        assert len(masks) == len(shown)
        in_order = list(masks.values()) if names is None else [masks[names[name]] for name in shown]
        for name, mask in zip(shown, in_order, strict=True):
            truth = mask_of(number, name)
            if format in ("yolo", "labelme"):
                assert (mask & truth).sum() / (mask | truth).sum() > 0.99
            else:
                np.testing.assert_array_equal(mask, truth)
        if format not in ("davis", "mots", "sav", "objects"):
            kinds = sorted(label_of(name, frame.descriptions.get(name)) for name in masks)
            assert kinds == [{"cup": "cup", "ball": "toy"}[name] for name in shown]


def test_formats_of_one_video_lie_beside_its_frames(build: Build) -> None:
    out = build("cvat")
    assert sorted(file.name for file in out.iterdir()) == ["clip.xml", "images", "walk.xml"]
    frames = list(read_masks("cvat", out / "walk.xml"))
    np.testing.assert_array_equal(frames[2].masks["ball"], mask_of(2, "ball"))
    assert sorted(file.name for file in (out / "images/clip").iterdir()) == [f"{n:05d}.jpg" for n in range(4)]


def test_masks_with_their_video(run: Run, tmp_path: Path, sessions: list[Path]) -> None:
    assert run("convert", sessions[0], "--out", tmp_path / "walk.xml") == 0
    source = f"{tmp_path / 'walk.xml'}@{tmp_path / 'walk'}"
    assert run("dataset", "build", source, "--out", tmp_path / "set", "--format", "davis") == 0
    names = sorted(file.name for file in (tmp_path / "set/Annotations/480p/walk").iterdir())
    assert names == [f"shot-{n}.png" for n in (10, 7, 8, 9)]


@pytest.mark.parametrize(("format", "at", "cup"), [("davis", "shot-{}.png", 1), ("objects", "cup/shot-{}.png", 2)])
def test_masks_of_some_pictures_meet_those_of_their_names(
    run: Run, tmp_path: Path, sessions: list[Path], capsys: Read, format: str, at: str, cup: int
) -> None:
    masks, source = tmp_path / "some", f"{tmp_path / 'some'}@{tmp_path / 'walk'}"
    assert run("convert", sessions[0], "--out", masks, "--format", format) == 0
    for file in masks.rglob("shot-8.png"):
        file.unlink()
    assert run("dataset", "build", source, "--out", tmp_path / "set", "--format", "davis") == 0
    written = tmp_path / "set/Annotations/480p/some"
    assert sorted(file.name for file in written.iterdir()) == [f"shot-{number}.png" for number in (10, 7, 9)]
    assert ((np.asarray(Image.open(written / "shot-9.png")) == cup) == mask_of(2, "cup")).all()
    (masks / at.format(9)).rename(masks / at.format("none"))
    assert run("dataset", "build", source, "--out", tmp_path / "other", "--format", "davis") == 1
    assert "some has shot-none.png, and walk no picture of that name" in capsys.readouterr().err


def test_images_of_coco_meet_the_pictures_of_their_names(
    run: Run, tmp_path: Path, sessions: list[Path], capsys: Read
) -> None:
    file, source = tmp_path / "some.json", f"{tmp_path / 'some.json'}@{tmp_path / 'walk'}"
    assert run("convert", sessions[0], "--out", file, "--format", "coco") == 0
    content = json.loads(file.read_text())
    third, first = content["images"][2], content["images"][0]
    content["images"] = [{**third, "frame_index": 0}, {**first, "frame_index": 1}]
    content["annotations"] = [
        found for found in content["annotations"] if found["image_id"] in (third["id"], first["id"])
    ]
    file.write_text(json.dumps(content))
    assert run("dataset", "build", source, "--out", tmp_path / "set", "--format", "davis") == 0
    written = tmp_path / "set/Annotations/480p/some"
    assert sorted(found.name for found in written.iterdir()) == ["shot-7.png", "shot-9.png"]
    assert ((np.asarray(Image.open(written / "shot-9.png")) == 1) == mask_of(2, "cup")).all()
    content["images"][0]["file_name"] = "gone.jpg"
    file.write_text(json.dumps(content))
    assert run("dataset", "build", source, "--out", tmp_path / "other") == 1
    assert "some.json has gone.jpg, and walk no picture of that name" in capsys.readouterr().err
    content["categories"] = [{"id": 1, "name": "cup"}, {"id": 1, "name": "toy"}]
    file.write_text(json.dumps(content))
    assert run("dataset", "build", source, "--out", tmp_path / "other") == 1
    assert "two classes of the number 1, cup and toy" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert run("dataset", "build", f"{tmp_path / 'empty'}@{tmp_path / 'walk'}", "--out", tmp_path / "other") == 1
    assert "is an empty folder; give one with masks" in capsys.readouterr().err


def test_a_format_that_names_some_of_the_pictures_is_told_so(tmp_path: Path) -> None:
    theirs = replace(find_format("coco"), name="theirs", names=lambda path: ["a.jpg"])
    frames = (PlainFrame(frame, 0.0, SIZE, {}, {}) for frame in range(2))
    facts = Facts(SIZE, video="walk", names=("a.jpg", "b.jpg"))
    with pytest.raises(FormatError, match=r"some\.json names pictures of other frames, and none for frame 1"):
        list(under_names(frames, tmp_path / "some.json", theirs, facts))


def test_wrong_calls(run: Run, tmp_path: Path, sessions: list[Path], capsys: Read) -> None:
    (tmp_path / "classes.txt").write_text("cup\ncar\n")
    (tmp_path / "double.txt").write_text("cup\ncup\n")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/a").write_text("")
    run("convert", sessions[0], "--out", tmp_path / "walk.xml")
    for arguments, said in (
        ((sessions[0], sessions[0]), "two videos are called walk; rename one"),
        ((sessions[0], "--classes", tmp_path / "classes.txt"), "object 'ball' is of the class 'toy'"),
        ((sessions[0], "--classes", tmp_path / "double.txt"), "holds the class cup twice"),
        ((sessions[0], "--format", "coca"), "unknown format 'coca'; nearest: coco"),
        ((sessions[0], "--val", "0.5"), "leaves none to train on"),
        ((tmp_path / "walk.xml",), "holds masks alone; give them with their video"),
        (
            (f"{tmp_path / 'walk.xml'}@{GOLDEN / 'image'}",),
            "walk.xml has masks of (height, width) = (120, 160), and image has (150",
        ),
        ((sessions[0], "--out", tmp_path / "full"), "holds something already"),
    ):
        out = () if "--out" in arguments else ("--out", tmp_path / "new")
        assert run("dataset", "build", *arguments, *out) == 1
        assert said in capsys.readouterr().err
        assert not (tmp_path / "new").exists()
    for file in (tmp_path / "walk").iterdir():
        Image.new("RGB", (80, 60)).save(file)
    assert run("dataset", "build", sessions[0], "--out", tmp_path / "new") == 1
    assert "another video" in capsys.readouterr().err


@pytest.mark.parametrize(("format", "at"), [("voc", "."), ("yolo", "labels/train")])
def test_what_is_built_is_read_again_and_converted(
    build: Build, run: Run, tmp_path: Path, format: str, at: str
) -> None:
    out = build(format)
    assert run("convert", out / at, "--out", tmp_path / "all.json", "--format", "coco") == 0
    written = json.loads((tmp_path / "all.json").read_text())
    classes = {found["id"]: found["name"] for found in written["categories"]}
    assert sorted(classes.values()) == ["cup", "toy"]
    images = {image["id"]: image["file_name"] for image in written["images"]}
    assert len(images) == 8
    assert "walk_shot-7.jpg" in images.values()
    for found in read_masks(format, out / at):
        video, number = re.fullmatch(r"(\w+?)_\D*(\d+)\.jpg", images[found.frame + 1]).groups()
        frame = int(number) - (7 if video == "walk" else 0)
        true = {"cup": mask_of(frame, "cup"), "toy": mask_of(frame, "ball")}
        assert len(found.masks) == sum(mask.any() for mask in true.values())
        for name, mask in found.masks.items():
            wanted = true[found.descriptions[name].category]
            assert (mask & wanted).sum() / (mask | wanted).sum() > 0.99


@pytest.mark.parametrize("turn", [3, 6])
def test_pictures_that_are_shown_turned_are_written_upright(turn: int, run: Run, tmp_path: Path) -> None:
    """Upside down, a picture has the size of its masks, and trainers may pass over the note."""
    pictures, exif = tmp_path / "walk", Image.Exif()
    pictures.mkdir()
    exif[274] = turn
    stored = Image.open(GOLDEN / "video/frames/00000.png").convert("RGB")
    for name in ("a.png", "b.jpg"):
        stored.save(pictures / name, exif=exif)
    with VideoTracker(pictures, FakeEngine()) as tracker:
        for frame in range(2):
            shown = tracker.add_mask(frame=frame, object="cup", mask=np.ones(tracker.size, bool)).image
        tracker.save(tmp_path / "a.masklet")
    assert run("dataset", "build", tmp_path / "a.masklet", "--out", tmp_path / "set") == 0
    for name, kind in (("a.png", "PNG"), ("b.jpg", "JPEG")):
        with Image.open(tmp_path / "set/images/walk" / name) as built:
            assert (built.format, built.getexif().get(274)) == (kind, None)
            assert built.size == shown.shape[1::-1]
            assert np.abs(np.asarray(built).astype(int) - shown).mean() < 10


def test_a_list_of_classes_may_begin_with_a_byte_order_mark(build: Build, tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("cup\ntoy\n", "utf-8-sig")
    out = build("yolo", "--classes", tmp_path / "classes.txt")
    assert '0: "cup"\n' in (out / "data.yaml").read_text()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of three pictures of different sizes and one that cannot be read; all.json beside it has their masks."""
    folder, sizes = tmp_path / "photos", {"a.jpg": (40, 60), "c.png": (64, 32), "d.jpg": (40, 60), "e.jpg": (50, 70)}
    folder.mkdir()
    for name, (height, width) in sizes.items():
        Image.new("RGB", (width, height), (90, 120, 60)).save(folder / name)
    (folder / "b.jpg").write_bytes(b"no picture")
    facts = Facts((0, 0), frame_count=4, names=tuple(sizes), own_sizes=True)
    with Writer(find_format("coco").open, tmp_path / "all.json", facts) as sink:
        for frame, size in enumerate(sizes.values()):
            mask = np.zeros(size, bool)
            mask[8:20, 10 : 20 + frame] = True
            sink.write(PlainFrame(frame, 0.0, size, {frame + 1: mask_only(mask)}, {frame + 1: frame + 1}))
    return folder


def sizes_in(folder: Path) -> dict[str, tuple[int, int]]:
    """Width and height of its pictures and masks, by the last letter of their names."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.suffix in (".jpg", ".png")):
        with Image.open(path) as picture:
            assert found.setdefault(path.stem[-1], picture.size) == picture.size
    return found


PHOTOS = {"a": (60, 40), "c": (32, 64), "d": (60, 40), "e": (70, 50)}


@pytest.mark.parametrize("format", ["coco", "yolo", "davis", "voc", "labelme"])
def test_annotated_pictures_of_many_sizes_become_a_data_set(
    format: str, photos: Path, run: Run, tmp_path: Path
) -> None:
    source = f"{tmp_path / 'all.json'}@{photos}"
    assert run("dataset", "build", source, "--out", tmp_path / "set", "--format", format) == 0
    assert sizes_in(tmp_path / "set") == PHOTOS
    if format == "coco":
        images = json.loads((tmp_path / "set/annotations/instances_train.json").read_text())["images"]
        assert [(one["width"], one["height"]) for one in images] == [*PHOTOS.values()]


@pytest.mark.parametrize("format", ["davis", "labelme", "yolo", "coco"])
def test_masks_of_pictures_of_many_sizes_are_converted(format: str, photos: Path, run: Run, tmp_path: Path) -> None:
    out = tmp_path / ("out.json" if format == "coco" else "out")
    assert run("convert", tmp_path / "all.json", "--video", photos, "--out", out, "--format", format) == 0
    if format == "davis":
        assert sizes_in(out) == PHOTOS
    elif format == "yolo":
        assert sorted(file.stem for file in out.glob("?.txt")) == [*PHOTOS]


def test_what_does_not_fit_pictures_of_many_sizes_is_told(
    photos: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, new = f"{tmp_path / 'all.json'}@{photos}", tmp_path / "new.json"
    assert run("dataset", "build", source, "--out", tmp_path / "set", "--format", "ytvis") == 1
    assert "ytvis holds videos of one size; take coco" in capsys.readouterr().err
    assert run("convert", tmp_path / "all.json", "--video", photos, "--out", new, "--format", "sav") == 1
    assert "was opened for" in capsys.readouterr().err
    Image.new("RGB", (30, 30)).save(photos / "c.png")
    assert run("dataset", "build", source, "--out", tmp_path / "set", "--format", "coco") == 1
    said = "all.json has masks of (height, width) = (64, 32), and photos has (30, 30) in frame 2"
    assert said in capsys.readouterr().err
