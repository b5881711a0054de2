"""Two small clips, in the published layout of every data set."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

from masklet.datasets.base import Clip, ClipKind
from masklet.datasets.registry import open_dataset
from masklet.evaluation.methods import Predict
from masklet.evaluation.run import Submission
from masklet.formats.base import ObjectLike, PlainFrame, mask_only
from masklet.masks.draw import PALETTE
from masklet.masks.rle import encode_rle
from masklet.media.source import FrameSource
from masklet.prompts import Prompt, merge_prompts

Make = Callable[[str], Path]

FRAMES = 5
SIZE = (48, 64)
CLIPS = ("first", "second")


def index_map(frame: int) -> np.ndarray:
    """Object 1 moves to the right, object 2 enters in frame 2."""
    indices = np.zeros(SIZE, np.uint8)
    indices[8:24, 4 + 6 * frame : 20 + 6 * frame] = 1
    if frame >= 2:
        indices[30:44, 10:26] = 2
    return indices


def picture(frame: int) -> np.ndarray:
    """Red and green on a blue noise, so that colours tell objects."""
    noise = np.random.default_rng(frame).integers(0, 40, (*SIZE, 3), np.uint8)
    noise[..., 2] += 120
    noise[index_map(frame) == 1] = (220, 40, 30)
    noise[index_map(frame) == 2] = (40, 200, 30)
    return noise


def save_picture(path: Path, frame: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(frame)).save(path, quality=95, subsampling=0)


def save_mask(path: Path, indices: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(indices)
    image.putpalette(PALETTE.tobytes())
    image.save(path)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def make_davis(root: Path) -> None:
    for clip in CLIPS:
        for frame in range(FRAMES):
            save_picture(root / f"JPEGImages/480p/{clip}/{frame:05d}.jpg", frame)
            save_mask(root / f"Annotations/480p/{clip}/{frame:05d}.png", index_map(frame))
    write(root / "ImageSets/2017/val.txt", "first\nsecond\n")
    write(root / "ImageSets/2016/val.txt", "first\nsecond\n")


def make_split(root: Path, folder: str, *, every: int = 1, first: int = 0) -> None:
    """JPEGImages and Annotations of MOSE, LVOS and YouTube-VOS; every so manieth frame is annotated."""
    for clip in CLIPS:
        for frame in range(FRAMES):
            save_picture(root / folder / f"JPEGImages/{clip}/{frame + first:05d}.jpg", frame)
            if frame % every == 0:
                save_mask(root / folder / f"Annotations/{clip}/{frame + first:05d}.png", index_map(frame))


def make_ytvos(root: Path) -> None:
    make_split(root, "valid")
    objects = {"1": {"category": "dog", "frames": ["00000", "00001"]}, "2": {"category": "eel", "frames": ["00002"]}}
    videos = {clip: {"objects": objects} for clip in CLIPS}
    write(root / "valid/meta.json", json.dumps({"videos": videos}))
    known = {"videos": {"other": {"objects": {"1": {"category": "dog", "frames": []}}}}}
    write(root / "train/meta.json", json.dumps(known))


def make_sav(root: Path) -> None:
    for clip in CLIPS:
        for frame in range(FRAMES):
            save_picture(root / f"sav_val/JPEGImages_24fps/{clip}/{frame:05d}.jpg", frame)
        for frame in (0, 4):
            for number in (1, 2):
                mask = ((index_map(frame) == number) * 255).astype(np.uint8)
                save_mask(root / f"sav_val/Annotations_6fps/{clip}/{number - 1:03d}/{frame:05d}.png", mask)
    write(root / "sav_val/sav_val.txt", "first\nsecond\n")


def make_coco(root: Path, file: str = "annotations/instances_val2017.json") -> None:
    annotations = []
    for image in (1, 2):
        save_picture(root / f"val2017/{image:012d}.jpg", 3)
        for number in (1, 2):
            box = [0, 0, 1, 1]
            rle = encode_rle(index_map(3) == number).to_json()
            annotations.append({"id": 10 * image + number, "image_id": image, "bbox": box, "segmentation": rle})
        crowd = np.zeros(SIZE, np.bool_)
        crowd[:4] = True
        rle = {"size": list(SIZE), "counts": encode_rle(crowd).to_json()["counts"]}
        annotations.append({"id": 10 * image, "image_id": image, "iscrowd": 1, "segmentation": rle})
    images = [{"id": n, "height": SIZE[0], "width": SIZE[1]} for n in (1, 2, 3)]
    for image in images:
        image["coco_url"] = f"http://images.cocodataset.org/val2017/{image['id']:012d}.jpg"
    if "instances" in file:
        images = [image | {"file_name": f"{image['id']:012d}.jpg"} for image in images]
    write(root / file, json.dumps({"images": images, "annotations": annotations}))


def make_folder(root: Path) -> None:
    """The layout of index.csv: two videos (of which the frames are a folder, which any video may be), two pictures."""
    rows = []
    for clip in CLIPS:
        for frame in range(FRAMES):
            save_picture(root / f"videos/own/{clip}.frames/{frame:05d}.png", frame)
            save_mask(root / f"videos/own/{clip}/{frame:05d}.png", index_map(frame))
        rows.append(("video", f"videos/own/{clip}.frames", f"videos/own/{clip}", "val"))
        save_picture(root / f"images/own/{clip}.jpg", 3)
        save_mask(root / f"images/own/{clip}.png", index_map(3))
        rows.append(("image", f"images/own/{clip}.jpg", f"images/own/{clip}.png", "val"))
    rows.append(("image", "images/own/nowhere.jpg", "images/own/nowhere.png", "train"))
    with (root / "index.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("kind", "path", "masks", "split"), *rows])


MAKERS: dict[str, Callable[[Path], None]] = {
    "davis2016": make_davis,
    "davis2017": make_davis,
    "ytvos": make_ytvos,
    "sav": make_sav,
    "mose": lambda root: make_split(root, "valid"),
    "lvos": lambda root: make_split(root, "valid", every=2, first=1),
    "coco": make_coco,
    "lvis": lambda root: make_coco(root, "annotations/lvis_v1_val.json"),
    "folder": make_folder,
    "index": make_folder,
    "frames": make_davis,
}


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes the two clips of a data set and returns its root."""

    def call(name: str) -> Path:
        root = tmp_path / name
        root.mkdir()
        MAKERS[name](root)
        return root

    return call


@pytest.fixture
def clip(make: Make) -> Clip:
    """Of DAVIS 2017, the first."""
    return first_clip("davis2017", make("davis2017"))


@pytest.fixture
def submission(tmp_path: Path) -> Submission:
    return Submission(tmp_path / "masks", "index")


def first_clip(dataset: str, root: Path, kind: ClipKind = "video") -> Clip:
    return open_dataset(dataset, root, kind=kind).clips[0]


class Truthful:
    """A method that knows the truth: its first answers to clicks are the left half, from the second on all of it."""

    name = "truthful"
    facts: ClassVar[dict[str, Any]] = {"model": "truthful"}
    estimates = True

    def __init__(self, lose_after: int | None = None) -> None:
        self.lose_after = lose_after

    @contextmanager
    def track(self, source: FrameSource) -> Iterator[TruthfulSession]:
        with source:
            yield TruthfulSession(source, self.lose_after)

    def look(self, image: np.ndarray) -> Predict:
        return lambda prompts: [answer_in(image, prompt) for prompt in prompts]


class TruthfulSession:
    def __init__(self, source: FrameSource, lose_after: int | None) -> None:
        self.source = source
        self.lose_after = lose_after
        self.said: dict[tuple[int, int], Prompt] = {}

    def prompt(self, frame: int, object: int, prompt: Prompt) -> np.ndarray:
        said = self.said[frame, object] = merge_prompts(self.said.get((frame, object)), prompt)
        return answer_of(self.source.read(frame).image, said, object)

    def follow(self, start: int) -> Iterator[PlainFrame]:
        for frame in self.source.frames(start):
            objects = {}
            for (said_in, number), _ in sorted(self.said.items(), key=lambda item: item[0]):
                if said_in <= frame.index:
                    mask = known_mask(frame.image, number)
                    if self.lose_after is not None and frame.index > said_in + self.lose_after:
                        mask = np.zeros_like(mask)
                    objects[number] = mask_only(mask)
            yield PlainFrame(frame.index, frame.time, self.source.size, objects, {n: n for n in objects}, frame.image)


def answer_in(image: np.ndarray, prompt: Prompt) -> ObjectLike:
    x, y = prompt.points[0] if prompt.points else (prompt.box[0] + 1, prompt.box[1] + 1)
    return mask_only(answer_of(image, prompt, 1 if known_mask(image, 1)[int(y), int(x)] else 2))


def known_mask(image: np.ndarray, number: int) -> np.ndarray:
    """Red is object 1, green object 2."""
    red, green, _ = np.moveaxis(image.astype(int), -1, 0)
    return (red > 130) if number == 1 else (green > 120)


def answer_of(image: np.ndarray, prompt: Prompt, number: int) -> np.ndarray:
    mask = known_mask(image, number)
    if prompt.mask is None and prompt.box is None and len(prompt.points) < 2:
        mask[:, int(np.flatnonzero(mask.any(axis=0)).mean()) :] = False
    return mask
