"""Every reader of files with whole files to begin from: what is damaged is read, or refused in one sentence."""

from __future__ import annotations

import json
import resource
import shutil
import signal
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random
from types import FrameType

import cv2
import numpy as np
import OpenEXR
import torch
from PIL import Image

from masklet.checkpoints import build_model, load_model, save_model
from masklet.datasets.build import AnnotatedFrames, build_dataset
from masklet.datasets.own import PackOptions, open_folder, unpacked, write_pack
from masklet.engines.fake import FakeEngine
from masklet.errors import MaskletError
from masklet.formats.base import Facts, PlainFrame, mask_only
from masklet.formats.description import Description
from masklet.formats.registry import formats, read_masks, writer
from masklet.jobs.prompts import read_prompts
from masklet.media.source import open_video
from masklet.video import VideoTracker
from tests.formats.test_dataset_folders import bitmap, polygon, supervisely
from tests.fuzz.mutations import Mutation, mutate_bytes, mutate_json, mutate_safetensors, mutate_text, mutate_zip
from tests.media.clips import Clip, write_clip
from tests.media.test_volume import write_dicom

SIZE = (48, 64)

MAX_MEMORY = 2 << 30
"""Bytes that one file may take."""

MAX_SECONDS = 20
"""Seconds that one file may take."""

MAX_SENTENCE_LENGTH = 700
"""Letters of an error."""


class Bad(Exception):
    """A file that met no sentence, or took too long; the message says which."""


@dataclass(frozen=True)
class Target:
    """A reader.

    make    writes whole files into a folder and gives their paths
    mutate  damages one
    read    reads one through
    """

    make: Callable[[Path], list[Path]]
    mutate: Mutation
    read: Callable[[Path], object]


def attempt(target: Target, seed: Path, number: int, path: Path) -> None:
    """Damage a file by the number of the case, write it to a path and read it. Raises Bad; leaves the file there."""
    rng = Random(f"{seed.name} {number}")
    path.write_bytes(target.mutate(rng, seed.read_bytes()))
    try:
        with bounded(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            target.read(path)
    except MaskletError as error:
        sentence = str(error)
        if "\n" in sentence.strip() or not sentence or len(sentence) > MAX_SENTENCE_LENGTH:
            raise Bad(f"case {number} of {seed.name}: not one sentence: {sentence[:200]!r}") from error
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        raise Bad(f"case {number} of {seed.name}: {type(error).__name__}: {str(error)[:200]}") from error


def where(bad: Bad) -> str:
    """The last line of ours that a bad case came through."""
    cause = bad.__cause__
    frames = traceback.extract_tb(cause.__traceback__) if cause else []
    own = [frame for frame in frames if "masklet" in Path(frame.filename).parts]
    return f"{type(cause).__name__} at {Path(own[-1].filename).name}:{own[-1].lineno}" if own else type(cause).__name__


@contextmanager
def bounded() -> Iterator[None]:
    """Memory and time end here, with MemoryError and TimeoutError."""

    def late(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"it took over {MAX_SECONDS} s")

    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    handler = signal.signal(signal.SIGALRM, late)
    resource.setrlimit(resource.RLIMIT_AS, (used + MAX_MEMORY, before[1]))
    signal.alarm(MAX_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        resource.setrlimit(resource.RLIMIT_AS, before)
        signal.signal(signal.SIGALRM, handler)


def pictures(count: int = 6) -> list[np.ndarray]:
    """A red square that moves."""
    frames = []
    for number in range(count):
        image = np.full((*SIZE, 3), 40, np.uint8)
        image[8:24, 4 + 4 * number : 20 + 4 * number] = (220, 30, 30)
        frames.append(image)
    return frames


def make_projects(folder: Path) -> list[Path]:
    path = folder / "session.masklet"
    with VideoTracker(pictures(), FakeEngine()) as tracker:
        tracker.add_box(frame=0, object="cup", box=(4, 8, 20, 24))
        mask = np.zeros(SIZE, bool)
        mask[8:24, 12:28] = True
        tracker.add_mask(frame=2, object=7, mask=mask)
        list(tracker.propagate(direction="both"))
        tracker.lock(3)
        tracker.accept("cup", 4, 5)
        tracker.mark_absent(7, 5)
        tracker.split(4, "cup", "jug")
        tracker.swap(5, "cup", 7)
        tracker.merge("jug", "cup")
        tracker.describe("cup", category="cup", colour="#00ff00", attributes={"full": True, "height": 9.5})
        tracker.add_points(frame=1, object=7, points=[(14, 14), (2, 2)], labels=[1, 0])
        tracker.save(path, notes={"what": [1, {"a": None}]})
    return [path]


def open_project(path: Path) -> None:
    """As a person goes on with it: looks, follows, corrects, takes back, saves."""
    with VideoTracker.open(path, pictures(), FakeEngine()) as tracker:
        for frame in tracker.known_frames()[:20]:
            tracker.result(frame).index_map()
        list(islice(tracker.propagate(direction="both", resume=True), 40))
        for name in list(tracker.tracks)[:3]:
            tracker.add_points(frame=1, object=name, points=[(14, 14)])
        tracker.undo()
        tracker.save(path.with_suffix(".again"))


def masked_frames() -> Iterator[PlainFrame]:
    """Three frames with two things."""
    for frame, image in enumerate(pictures(3)):
        masks = {}
        for number, key in enumerate(("cup", 2)):
            mask = np.zeros(SIZE, bool)
            mask[4 + number * 20 : 20 + number * 20, 4 + frame : 30] = True
            masks[key] = mask_only(mask)
        told = {2: Description("two", "number", "#ff0000", {"even": True})}
        yield PlainFrame(frame, frame / 24, SIZE, masks, {"cup": 1, 2: 2}, image, descriptions=told)


def make_masks(folder: Path, name: str, suffix: str) -> list[Path]:
    path = folder / f"masks{suffix}"
    with writer(name, path, size=SIZE, rate=24, frame_count=3) as sink:
        for frame in masked_frames():
            sink.write(frame)
    return [path] if path.is_file() else sorted(f for f in path.rglob("*") if f.is_file())[:1]


def make_set(folder: Path, name: str, damaged: str) -> list[Path]:
    """A data set of pictures, and the file of it that is damaged."""
    if name == "supervisely":
        triangle, hole = [[0, 0], [30, 0], [0, 20]], [[2, 2], [9, 2], [2, 7]]
        supervisely(folder / "masks", bitmap(np.ones((7, 9), bool), 3, 2), polygon(triangle, hole))
    else:
        build_dataset([AnnotatedFrames("a", masked_frames, Facts(SIZE, 24, 3, "a"))], folder / "masks", name)
    return [folder / "masks" / damaged]


def mutate_masks(rng: Random, data: bytes) -> bytes:
    """By what the file holds: JSON, other text, or anything."""
    if data[:1] in (b"{", b"["):
        return mutate_json(rng, data)
    return mutate_text(rng, data) if data.isascii() else mutate_bytes(rng, data)


def masks_of(name: str, suffix: str) -> Target:
    return Target(lambda folder: make_masks(folder, name, suffix), mutate_masks, whole_reader(name, f"masks{suffix}"))


def set_of(name: str, damaged: str, read: str = "masks") -> Target:
    return Target(lambda folder: make_set(folder, name, damaged), mutate_masks, whole_reader(name, read))


def whole_reader(name: str, place: str) -> Callable[[Path], object]:
    """Reads all masks of the file or folder of a name that the damaged file is, or lies in."""
    return lambda path: list(read_masks(name, next(above for above in (path, *path.parents) if above.name == place)))


def make_videos(folder: Path) -> list[Path]:
    clips = {
        "a.mp4": Clip(".mp4", count=12),
        "a.mkv": Clip(".mkv", count=12),
        "a.ts": Clip(".ts", count=12),
        "a.avi": Clip(".avi", "mpeg4", {"g": "6"}, count=12),
    }
    return [write_clip(folder / name, clip) for name, clip in clips.items()]


def make_pictures(folder: Path) -> list[Path]:
    pages = [Image.fromarray(image) for image in pictures(3)]
    paths = []
    for suffix in ("gif", "png", "tif", "webp", "avif", "bmp", "jpg"):
        path = folder / f"a.{suffix}"
        several = {} if suffix in ("bmp", "jpg") else {"save_all": True, "append_images": pages[1:]}
        pages[0].save(path, **several)
        paths.append(path)
    paths.append(folder / "a.exr")
    with OpenEXR.File({"type": OpenEXR.scanlineimage}, {"RGB": np.float16(pictures(1)[0] / 255)}) as file:
        file.write(str(paths[-1]))
    return paths


def look_at(path: Path) -> None:
    """A pass, and jumps."""
    with open_video(path) as source:
        count = sum(1 for _ in islice(source.frames(), 50))
        for frame in {0, count - 1, count // 2} - {-1}:
            source.read(frame)
        _ = source.timestamps


def make_packs(folder: Path) -> list[Path]:
    make_table(folder)
    write_pack(folder, folder / "a.pack", PackOptions(longest=32))
    return [folder / "a.pack"]


def make_volumes(folder: Path) -> list[Path]:
    """Not those that ITK reads: it ends the process for some headers."""
    import nibabel

    scan = np.arange(6 * 5 * 4, dtype=np.int16).reshape(6, 5, 4)
    for name in ("a.nii", "a.nii.gz"):
        nibabel.save(nibabel.Nifti1Image(scan, np.diag([1, 1, 2, 1])), folder / name)
    slices = write_dicom(folder / "series")
    whole = next(slices.iterdir()).rename(folder / "a.dcm")
    shutil.rmtree(slices)
    return [folder / "a.nii", folder / "a.nii.gz", whole]


def make_weights(folder: Path) -> list[Path]:
    model = build_model("nano", seed=0, image_size=64)
    save_model(model, folder / "a.safetensors")
    content = {"model": model.network.state_dict()}
    torch.save(content, folder / "new.pt")
    torch.save(content, folder / "old.pt", _use_new_zipfile_serialization=False)
    return [folder / "a.safetensors", folder / "new.pt", folder / "old.pt"]


def mutate_weights(rng: Random, data: bytes) -> bytes:
    return mutate_zip(rng, data) if data[:2] == b"PK" else mutate_safetensors(rng, data)


def make_prompts(folder: Path) -> list[Path]:
    listed = [
        {"frame": 0, "object": 1, "box": [1, 2, 30, 40]},
        {"frame": 3, "object": "cup", "points": [[1, 2], [3.5, 4]], "labels": [1, 0]},
        {"frame": 4, "object": 2, "mask": "a.png"},
    ]
    (folder / "list.json").write_text(json.dumps(listed))
    (folder / "videos.json").write_text(json.dumps({"a.mp4": listed[:2], "b": listed}))
    return [folder / "list.json", folder / "videos.json"]


def make_table(folder: Path) -> list[Path]:
    for name in ("a.jpg", "a.png"):
        cv2.imwrite(str(folder / name), np.ones(SIZE, np.uint8))
    (folder / "index.csv").write_text(
        "kind,path,masks,split,group,source\nimage,a.jpg,a.png,train,open,here\nimage,a.jpg,a.png,val,open,here\n"
    )
    return [folder / "index.csv"]


TARGETS: dict[str, Target] = {
    "projects": Target(make_projects, mutate_zip, open_project),
    "weights": Target(make_weights, mutate_weights, load_model),
    "prompts": Target(make_prompts, mutate_json, read_prompts),
    **{
        name: masks_of(name, entry.video)
        for name, entry in formats().items()
        if entry.read and entry.only_read is None and name not in ("project", "yolo")  # which is read beside pictures
    },
    "yolo": set_of("yolo", "labels/train/a_00000.txt", "train"),
    "voc": set_of("voc", "SegmentationObject/a_00000.png"),
    "supervisely": set_of("supervisely", "street/ann/a.jpg.json"),
    "tables": Target(make_table, mutate_text, lambda path: open_folder(path.parent, "train")),
    "packs": Target(make_packs, mutate_zip, lambda path: unpacked.__wrapped__(path, 0)),
    "videos": Target(make_videos, mutate_bytes, look_at),
    "pictures": Target(make_pictures, mutate_bytes, look_at),
    "volumes": Target(make_volumes, mutate_bytes, look_at),
}
"""All that masklet reads and did not write in the same run."""
