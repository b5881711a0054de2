"""`masklet convert`: what was tracked once is written in any format later."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from masklet.checkpoints import Model
from masklet.engines.fake import FakeEngine
from masklet.formats.registry import read_masks
from masklet.video import VideoTracker
from tests.cli.conftest import Patch, Read, Run
from tests.conftest import GOLDEN, small_network


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("session") / "clip.masklet"
    with VideoTracker(GOLDEN / "video/frames", Model("golden-small", small_network())) as tracker:
        tracker.add_box(frame=0, object="cup", box=(28, 4, 74, 50))
        list(tracker.propagate(stop=4))
        tracker.save(path)
    return path


def test_masks_in_another_format(run: Run, tmp_path: Path, session: Path) -> None:
    assert run("convert", session, "--out", tmp_path / "clip.json", "--format", "coco") == 0
    written = list(read_masks("coco", tmp_path / "clip.json"))
    kept = list(read_masks("project", session))
    assert [found.frame for found in written] == [0, 1, 2, 3]
    for ours, theirs in zip(written, kept, strict=True):
        np.testing.assert_array_equal(ours.masks["cup"], theirs.masks["cup"])


def test_a_film_takes_its_pictures_from_the_video(run: Run, tmp_path: Path, session: Path) -> None:
    assert run("convert", session, "--out", tmp_path / "clip.mp4", "--format", "overlay") == 0
    with av.open(str(tmp_path / "clip.mp4")) as film:
        assert len(list(film.decode(video=0))) == 4


def test_a_part_of_the_frames_and_one_object_alone(run: Run, tmp_path: Path, session: Path, capsys: Read) -> None:
    with VideoTracker(GOLDEN / "video/frames", FakeEngine()) as tracker:
        for frame in range(4):
            for name in ("cup", 2):
                tracker.add_mask(frame=frame, object=name, mask=np.ones(tracker.size, bool))
        tracker.save(tmp_path / "two.masklet")
    options = ("--only", "cup", "--start", 1, "--stop", 3)
    assert run("convert", tmp_path / "two.masklet", "--out", tmp_path / "cup.json", *options) == 0
    assert [(found.frame, list(found.masks)) for found in read_masks("coco", tmp_path / "cup.json")] == [
        (1, ["cup"]),
        (2, ["cup"]),
    ]
    assert run("convert", session, "--out", tmp_path / "part.mp4", "--start", 2) == 0
    with av.open(str(tmp_path / "part.mp4")) as film:
        assert len(list(film.decode(video=0))) == 2
    for wish, told in ((("--only", "cap"), "no object 'cap'"), (("--start", 9), "no frame from 9 on")):
        assert run("convert", session, "--out", tmp_path / "none.json", *wish) == 1
        assert told in capsys.readouterr().err
        assert not (tmp_path / "none.json").exists()


def test_a_project_is_not_written_over(run: Run, tmp_path: Path, session: Path, capsys: Read) -> None:
    copy = tmp_path / "clip.masklet"
    copy.write_bytes(session.read_bytes())
    assert run("convert", copy, "--out", copy, "--format", "coco") == 1
    assert "is what is read" in capsys.readouterr().err
    assert copy.read_bytes() == session.read_bytes()


def test_another_video_gives_no_pictures(run: Run, tmp_path: Path, session: Path, capsys: Read) -> None:
    shutil.copytree(GOLDEN / "video/frames", tmp_path / "other")
    (tmp_path / "other/00019.png").unlink()
    command = ("convert", session, "--out", tmp_path / "x.mp4", "--format", "overlay")
    assert run(*command, "--video", tmp_path / "other") == 1
    assert "made from another video" in capsys.readouterr().err
    assert not (tmp_path / "x.mp4").exists()


@pytest.mark.parametrize("format", ["davis", "cutout", "labelme", "yolo"])
def test_the_file_of_one_picture_takes_one_frame(
    run: Run, tmp_path: Path, session: Path, capsys: Read, format: str
) -> None:
    out = tmp_path / {"labelme": "a.json", "yolo": "a.txt"}.get(format, "a.png")
    assert run("convert", session, "--out", out, "--format", format) == 1
    assert f"{out.name} is the file of one picture, and frame 1 is another; give a folder" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    assert run("convert", session, "--out", out, "--format", format, "--start", 2, "--stop", 3) == 0
    assert out.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("missing.masklet", "--out", "x.json", "--format", "coco"), "missing.masklet"),
        (("SESSION", "--out", "x.json", "--format", "cocco"), "nearest: coco"),
        (("SESSION", "--out", "x.tar"), "x.tar"),
        (("SESSION", "--out", "x.mov", "--background", "white"), "prores changes none; take background"),
    ],
)
def test_wrong_calls(
    run: Run, tmp_path: Path, session: Path, monkeypatch: Patch, capsys: Read, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("convert", *(session if argument == "SESSION" else argument for argument in arguments)) == 1
    error = capsys.readouterr().err
    assert error.startswith("masklet: ")
    assert said in error
    assert not list(tmp_path.iterdir())


def test_masks_of_other_tools(run: Run, tmp_path: Path, session: Path, capsys: Read) -> None:
    """Through CVAT, COCO and palette PNGs, each found out by itself; and with pictures from the video."""
    steps = [tmp_path / "a.xml", tmp_path / "a.json", tmp_path / "masks", tmp_path / "b.xml"]
    for source, out in zip([session, *steps], steps, strict=False):
        assert run("convert", source, "--out", out) == 0
    kept = list(read_masks("project", session))
    for ours, theirs in zip(read_masks("cvat", steps[-1]), kept, strict=True):
        np.testing.assert_array_equal(ours.masks[1], theirs.masks["cup"])
    film = ("convert", tmp_path / "a.json", "--out", tmp_path / "film.mp4")
    assert run(*film) == 1
    assert "overlay shows pictures, and a.json holds masks alone; give --video" in capsys.readouterr().err
    assert run(*film, "--video", GOLDEN / "video/frames") == 0
    with av.open(str(tmp_path / "film.mp4")) as shown:
        assert len(list(shown.decode(video=0))) == 4
    (tmp_path / "small").mkdir()
    Image.new("RGB", (8, 6)).save(tmp_path / "small/00000.png")
    assert run(*film, "--video", tmp_path / "small") == 1
    assert "has masks of (height, width) = (120, 160), and small has (6, 8)" in capsys.readouterr().err


def test_a_file_of_no_format(run: Run, tmp_path: Path, capsys: Read) -> None:
    (tmp_path / "a.json").write_text('{"some": "thing"}')
    assert run("convert", tmp_path / "a.json", "--out", tmp_path / "b.xml") == 1
    told = capsys.readouterr().err
    assert "a.json is of no format that is read: coco: a.json lacks 'images'" in told
    assert run("convert", tmp_path / "gone", "--out", tmp_path / "b.json") == 1
    assert "there is nothing at" in capsys.readouterr().err  # not what six readers of folders miss in it
    assert run("convert", tmp_path / "a.txt", "--from", "cvat", "--out", tmp_path / "b.json") == 1
    assert "a.txt cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(("frame", "name"), [(3, "cat.png"), (10**12, "")])
def test_coco_keeps_names_of_pictures_unless_their_numbers_are_wide_apart(
    run: Run, tmp_path: Path, frame: int, name: str
) -> None:
    listed = {"id": 1, "file_name": "cat.png", "height": 4, "width": 5, "frame_index": frame}
    mask = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[0, 0, 4, 0, 4, 3]], "track_id": 1}
    (tmp_path / "a.json").write_text(json.dumps({"images": [listed], "annotations": [mask]}))
    assert run("convert", tmp_path / "a.json", "--out", tmp_path / "b.json") == 0
    (written,) = json.loads((tmp_path / "b.json").read_text())["images"]
    assert written["file_name"] == (name or f"{frame}.jpg")


@pytest.mark.parametrize(
    ("names", "written"),
    [
        (["x/a.jpg", "y/b.jpg"], ["a.png", "b.png"]),
        (["x/a.jpg", "y/a.jpg"], ["x%2Fa.jpg.png", "y%2Fa.jpg.png"]),
        (["../out/a.jpg", "b/a.jpg"], ["..%2Fout%2Fa.jpg.png", "b%2Fa.jpg.png"]),
        (["/tmp/a.jpg", "b/a.jpg"], ["%2Ftmp%2Fa.jpg.png", "b%2Fa.jpg.png"]),
        (["a.jpg", "a.jpg"], ["00000.png", "00001.png"]),
        (["a\0.jpg", "b.jpg"], ["a%00.png", "b.png"]),
    ],
)
def test_pictures_of_any_names_are_written_into_the_folder(
    run: Run, tmp_path: Path, names: list[str], written: list[str]
) -> None:
    images = [{"id": n, "height": 8, "width": 9, "file_name": name} for n, name in enumerate(names)]
    (tmp_path / "a.json").write_text(json.dumps({"images": images, "annotations": []}))
    assert run("convert", tmp_path / "a.json", "--out", tmp_path / "masks", "--format", "davis") == 0
    assert sorted(path.name for path in (tmp_path / "masks").iterdir()) == written
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "masks"]


def test_a_project_names_its_video_wherever_it_is_written(
    run: Run, weights: Path, video: Path, tmp_path: Path, monkeypatch: Patch
) -> None:
    (tmp_path / "clip.mp4").write_bytes(video.read_bytes())
    monkeypatch.chdir(tmp_path)
    command = ("track", "clip.mp4", "--box", "0:cup:28,4,74,50", "--model", weights, "--no-overlay", "--out", "out")
    assert run(*command, "--format", "project") == 0
    assert run("convert", "out/session.masklet", "--out", tmp_path / "out/formats/later.masklet") == 0
    for name in ("project.masklet", "later.masklet"):
        with VideoTracker.open(tmp_path / "out/formats" / name, model=weights) as tracker:
            assert Path(tracker.path).samefile(tmp_path / "clip.mp4")
            assert list(tracker.tracks["cup"].prompts) == [0]
            assert tracker.known_frames() == [0, 1, 2, 3, 4]
