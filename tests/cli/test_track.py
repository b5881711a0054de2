"""`masklet track`: a video in, masks and an overlay out; wrong input has its sentence and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from masklet.checkpoints import Model, build_model, save_model
from masklet.cli.choices import parse_box, parse_mask, parse_point
from masklet.formats.davis import read_index_png
from masklet.formats.registry import read_masks
from masklet.jobs.prompts import TypedPrompt
from masklet.video import TrackingOptions, VideoTracker
from tests.cli.conftest import Read, Run, error_of
from tests.conftest import SMALL

QUALITY = "examples.policies.quality:QualityPolicy"


def test_masks_and_overlay_of_two_objects(run: Run, tmp_path: Path, weights: Path, video: Path) -> None:
    prompts = ["--box", "0:1:28,4,74,50", "--point", "1:2:135,27", "--point", "1:2:10,10,0"]
    assert run("track", video, *prompts, "--model", weights, "--out", tmp_path / "new/out") == 0
    masks = sorted((tmp_path / "new/out/masks").iterdir())
    assert [path.name for path in masks] == [f"{number:05d}.png" for number in range(5)]

    with VideoTracker(video, weights) as tracker:
        tracker.add_box(frame=0, object=1, box=(28, 4, 74, 50))
        tracker.add_points(frame=1, object=2, points=[(135, 27)])
        tracker.add_points(frame=1, object=2, points=[(10, 10)], labels=[0])
        for path, result in zip(masks, tracker.propagate(), strict=True):
            assert np.array_equal(read_index_png(path), result.index_map())
    with av.open(str(tmp_path / "new/out/overlay.mp4")) as film:
        stream = film.streams.video[0]
        assert (stream.width, stream.height, stream.average_rate) == (160, 120, 12)
        assert len(list(film.decode(stream))) == 5


def test_a_changed_box_corrects_and_overwriting_begins_again(
    run: Run, tmp_path: Path, weights: Path, video: Path, capsys: Read
) -> None:
    command = ("track", video, "--model", weights, "--out", tmp_path, "--box")
    assert run(*command, "0:1:28,4,74,50") == 0
    assert run(*command, "0:1:30,4,74,50") == 0
    assert "a new prompt for the run in" in capsys.readouterr().err
    with VideoTracker.open(tmp_path / "session.masklet", video, weights) as tracker:
        assert len(tracker.events) == 4
    assert run(*command, "0:1:30,4,74,50", "--overwrite") == 0
    with VideoTracker.open(tmp_path / "session.masklet", video, weights) as tracker:
        assert len(tracker.events) == 2


@pytest.mark.parametrize("second", [("--box", "0:cat:80,4,99,30"), ("--mask", "0:cat:mask.png")])
def test_two_outlines_of_an_object_in_a_frame_are_refused(
    run: Run, tmp_path: Path, weights: Path, video: Path, capsys: Read, second: tuple[str, str]
) -> None:
    """The first one was lost without a word."""
    command = ("track", video, "--model", weights, "--out", tmp_path / "out", "--box", "0:cat:28,4,74,50")
    assert run(*command, *second) == 1
    assert "'cat' has 2 boxes or masks in frame 0, and an object has one there" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert run(*command, "--box", "1:cat:80,4,99,30", "--point", "0:cat:40,20", "--no-overlay") == 0


def test_a_quicker_run_keeps_its_session_apart(
    run: Run, tmp_path: Path, weights: Path, video: Path, capsys: Read
) -> None:
    command = ("track", video, "--model", weights, "--out", tmp_path, "--box", "0:1:28,4,74,50", "--speed")
    assert run(*command, "fast") == 0
    assert run(*command, "fast") == 0
    assert len(list((tmp_path / "masks").iterdir())) == 5
    assert run(*command, "exact") == 1
    assert "was made with --speed fast, and --speed exact is asked for; give another --out" in capsys.readouterr().err


def test_a_run_with_another_policy_or_model_is_refused_and_changes_nothing(
    run: Run, tmp_path: Path, weights: Path, video: Path, capsys: Read
) -> None:
    out = tmp_path / "out"
    command = ("track", video, "--out", out, "--box", "0:1:28,4,74,50")
    assert run(*command, "--model", weights, "--policy", QUALITY) == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert run(*command, "--model", weights) == 1
    assert (
        f"masklet: {out / 'session.masklet'} was made with --policy {QUALITY}, and --policy published is asked for; "
        "give another --out, or --overwrite to begin again\n"
    ) in capsys.readouterr().err
    assert run(*command, "--policy", QUALITY) == 1
    assert "was made with --model golden-small, and --model nano is asked for" in capsys.readouterr().err
    save_model(Model("golden-small", build_model(SMALL, seed=1).network), tmp_path / "other.safetensors")
    assert run(*command, "--model", tmp_path / "other.safetensors", "--policy", QUALITY) == 1
    assert "was made with other weights of golden-small; give another --out" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert run(*command, "--model", weights, "--overwrite") == 0
    assert run(*command, "--model", weights) == 0


def test_a_session_that_was_saved_again_elsewhere_still_tells_its_policy(
    run: Run, tmp_path: Path, weights: Path, video: Path, capsys: Read
) -> None:
    command = ("track", video, "--out", tmp_path, "--box", "3:1:28,4,74,50", "--model", weights)
    assert run(*command, "--policy", QUALITY) == 0
    options = TrackingOptions(policy=QUALITY)
    with VideoTracker.open(tmp_path / "session.masklet", video, weights, options=options) as tracker:
        tracker.save(tmp_path / "session.masklet", notes={})
    assert run(*command) == 1
    assert f"was made with --policy {QUALITY}, and --policy published is asked for" in capsys.readouterr().err
    assert run(*command, "--policy", QUALITY) == 0


@pytest.mark.parametrize(
    ("names", "frames"),
    [
        (["--reverse"], [0, 1]),
        (["--both"], [0, 1, 2, 3, 4]),
        (["--reverse", "--direction", "backward"], [0, 1]),
        (["--direction", "forward"], [1, 2, 3, 4]),
    ],
)
def test_directions_have_short_names(
    run: Run, tmp_path: Path, weights: Path, video: Path, names: list[str], frames: list[int]
) -> None:
    command = ("track", video, "--box", "1:1:28,4,74,50", "--model", weights, "--out", tmp_path)
    assert run(*command, *names) == 0
    assert sorted(int(path.stem) for path in (tmp_path / "masks").iterdir()) == frames


def test_both_directions_and_further_formats(run: Run, tmp_path: Path, weights: Path, video: Path) -> None:
    prompts = tmp_path / "prompts.json"
    prompts.write_text('[{"frame": 2, "object": "cup", "box": [28, 4, 74, 50], "points": [[50, 30]], "labels": [1]}]')
    command = ("track", video, "--prompts", prompts, "--model", weights, "--out", tmp_path / "out")
    assert run(*command, "--direction", "both", "--format", "coco", "--format", "objects") == 0
    assert len(list((tmp_path / "out/masks").iterdir())) == 5
    assert [found.frame for found in read_masks("coco", tmp_path / "out/formats/coco.json")] == [0, 1, 2, 3, 4]
    assert (tmp_path / "out/formats/objects/cup").is_dir()


def test_a_mask_as_a_prompt(run: Run, tmp_path: Path, weights: Path, video: Path) -> None:
    mask = np.zeros((120, 160), np.uint8)
    mask[30:80, 40:120] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    assert run("track", video, "--mask", f"0:1:{tmp_path / 'mask.png'}", "--model", weights, "--out", tmp_path) == 0
    seen = read_index_png(tmp_path / "masks/00000.png") > 0
    assert (seen & (mask > 0)).sum() / (seen | (mask > 0)).sum() > 0.97


def test_the_video_is_never_written_over(run: Run, tmp_path: Path, weights: Path, video: Path, capsys: Read) -> None:
    copy = tmp_path / "clip.mp4"
    copy.write_bytes(video.read_bytes())
    command = ("track", copy, "--box", "0:1:28,4,74,50", "--model", weights, "--out", tmp_path / "out")
    assert run(*command, "--overlay", copy) == 1
    assert "clip.mp4 is what is read; give another place" in capsys.readouterr().err
    assert copy.read_bytes() == video.read_bytes()
    assert run(*command, "--overlay", tmp_path / "film.txt") == 1
    assert "give a file that ends in .mp4" in capsys.readouterr().err


def test_beginning_again_leaves_no_old_masks(run: Run, tmp_path: Path, weights: Path, video: Path) -> None:
    command = ("track", video, "--model", weights, "--out", tmp_path, "--overwrite", "--box")
    assert run(*command, "0:1:28,4,74,50") == 0
    assert run(*command, "3:1:28,4,74,50") == 0
    assert sorted(path.name for path in (tmp_path / "masks").iterdir()) == ["00003.png", "00004.png"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[{"frame": 0, "object": 1}]', "it says nothing of the object"),
        ('[{"frame": 0, "object": [1], "box": [1, 2, 3, 4]}]', "object is [1]; give a whole number or a text"),
        ('[{"frame": 1.7, "box": [1, 2, 3, 4]}]', "which is no prompt"),
        ("{", "cannot be read as JSON"),
        ('{"frame": 0}', "holds no list"),
        ('[{"frame": 0, "circle": [1, 2, 3]}]', "which is no prompt"),
        ('[{"frame": "zero", "box": [1, 2, 3, 4]}]', "which is no prompt"),
    ],
)
def test_prompts_that_cannot_be_read(run: Run, tmp_path: Path, video: Path, capsys: Read, text: str, said: str) -> None:
    (tmp_path / "prompts.json").write_text(text)
    assert run("track", video, "--prompts", tmp_path / "prompts.json", "--out", tmp_path) == 2
    assert said in error_of(capsys)


def test_a_place_that_cannot_be_written(run: Run, tmp_path: Path, weights: Path, video: Path, capsys: Read) -> None:
    (tmp_path / "out").write_text("a file where the folder should be")
    assert run("track", video, "--box", "0:1:28,4,74,50", "--model", weights, "--out", tmp_path / "out") == 1
    error = capsys.readouterr().err
    assert error.startswith("masklet: ")
    assert "cannot be written" in error
    assert "Traceback" not in error


BOX = ("--box", "0:1:28,4,74,50")


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--box", "0:1:280,4,740,50"), 1, "masklet: the box (280, 4, 740, 50) does not lie in the picture, 160 wide"),
        (("--box", "12:1:28,4,74,50"), 1, "masklet: there is no frame 12; the video has 5 frames, counted from 0"),
        ((*BOX, "--format", "coca"), 1, "nearest: coco"),
        ((*BOX, "--policy", "publishd"), 1, "there is no 'publishd' among the policies; nearest: published"),
        ((), 2, "nothing to follow"),
        ((*BOX, "--reverse", "--both"), 2, "--reverse and --both are two directions; give one"),
        ((*BOX, "--both", "--direction", "forward"), 2, "--both and --direction forward are two directions; give one"),
        *((("--point", f"0:a:20,30,{label}"), 2, "a label is 1 (include) or 0 (exclude)") for label in ("0.5", "2")),
        *(
            (("--box", text), 2, "FRAME:OBJECT:x0,y0,x1,y1")
            for text in ("", "0:1", "0:1:3,4,5", "a:1:1,2,3,4", "0::1,2,3,4", "-1:1:1,2,3,4", "0:1:a,b,c,d")
        ),
    ],
)
def test_wrong_usage(
    run: Run, tmp_path: Path, weights: Path, video: Path, capsys: Read, options: tuple[str, ...], code: int, said: str
) -> None:
    assert run("track", video, *options, "--model", weights, "--out", tmp_path / "out") == code
    error = error_of(capsys)
    assert said in error
    assert "Traceback" not in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "format"), [("scan.nii.gz", "nifti"), ("masks.json", "coco"), ("a.mp4", "overlay")])
def test_a_folder_is_not_named_as_a_file(
    run: Run, tmp_path: Path, video: Path, capsys: Read, name: str, format: str
) -> None:
    assert run("track", video, *BOX, "--out", tmp_path / name) == 2
    plain = error_of(capsys).replace(" ", "")  # a long path is broken over lines
    assert f"{tmp_path / name.partition('.')[0]}--format{format}" in plain
    assert not (tmp_path / name).exists()


def test_prompts_as_typed() -> None:
    assert parse_box("12:dog:1,2.5,3,4") == TypedPrompt(12, "dog", box=(1.0, 2.5, 3.0, 4.0))
    assert parse_point("0:7:5,6,0") == TypedPrompt(0, 7, points=((5.0, 6.0),), labels=(0,))
    assert parse_point("0:7:5,6") == TypedPrompt(0, 7, points=((5.0, 6.0),), labels=(1,))
    assert parse_mask("3:a:folder/x:y.png") == TypedPrompt(3, "a", mask=Path("folder/x:y.png"))
