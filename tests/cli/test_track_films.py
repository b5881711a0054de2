"""Films of `masklet track` and `masklet convert`: in step with the sound, before the background that was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from masklet.media.source import open_video
from tests.cli.conftest import Read, Run
from tests.formats.sounding import BLIP, begin_of_tone, shown, source_with_sound

EVEN = range(0, 48, 6)
UNEVEN = (0, 1, 2, 3, 24, 30, 40, 47)


@pytest.mark.parametrize("ticks", [EVEN, UNEVEN])
def test_a_film_that_begins_late_is_in_step_with_its_sound(
    run: Run, tmp_path: Path, weights: Path, ticks: Sequence[int]
) -> None:
    video = source_with_sound(tmp_path / "clip.mp4", "aac", ticks)
    command = ("track", video, "--box", "2:1:10,8,40,30", "--model", weights, "--out", tmp_path / "out")
    assert run(*command, "--format", "webm") == 0
    later = tmp_path / "later.mp4"
    assert run("convert", tmp_path / "out/session.masklet", "--out", later, "--format", "overlay") == 0
    begin = ticks[2] / 24
    for film in (tmp_path / "out/overlay.mp4", tmp_path / "out/formats/clip-webm.webm", later):
        assert shown(film) == pytest.approx([tick / 24 - begin for tick in ticks[2:]], abs=2e-3)
        assert begin_of_tone(film) == pytest.approx(BLIP - begin, abs=0.03)


def test_one_object_as_an_editor_wants_it(run: Run, tmp_path: Path, weights: Path) -> None:
    """From the command line to the values in the files, twice: while tracking, and from the session later."""
    video = source_with_sound(tmp_path / "beach.mp4", "aac")
    prompts = []
    for name, x in (("dog", 6), ("cat", 36)):
        mask = np.zeros((48, 64), np.uint8)
        mask[6:42, x : x + 20] = 255
        Image.fromarray(mask).save(tmp_path / f"{name}.png")
        prompts += ["--mask", f"10:{name}:{tmp_path / name}.png"]
    out, wishes = tmp_path / "out", ("--only", "dog", "--edges", "hard", "--show", "matte")
    command = ("track", video, *prompts, "--model", weights, "--out", out, "--format", "rgba", *wishes)
    assert run(*command, "--format", "prores", "--grow", "-1") == 0
    assert shown(out / "formats/beach-prores.mov") == pytest.approx([frame / 24 for frame in range(38)])
    later = tmp_path / "later"
    part = ("--start", "10", "--stop", "12")
    assert run("convert", out / "session.masklet", "--out", later, "--format", "rgba", *wishes, *part) == 0
    assert sorted(file.name for file in later.iterdir()) == ["00010.png", "00011.png"]
    dog = np.asarray(Image.open(tmp_path / "dog.png"), np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(later / "00010.png"))[..., 0], dog)
    smaller = np.asarray(Image.open(out / "formats/beach-rgba/00010.png"))[..., 0]
    np.testing.assert_array_equal(smaller[7:41, 7:25], 255)
    assert (smaller > 0).sum() == 34 * 18


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (("--format", "rgba", "--only", "dig"), "there is no object 'dig'; nearest: dog"),
        (("--format", "coco", "--spill", "green"), "--spill shows in cut-outs alone; add --format with one of"),
    ],
)
def test_wishes_that_nothing_shows(
    run: Run,
    tmp_path: Path,
    weights: Path,
    video: Path,
    capsys: pytest.CaptureFixture[str],
    wish: tuple[str, ...],
    said: str,
) -> None:
    assert run("track", video, "--box", "0:dog:6,6,26,42", "--model", weights, "--out", tmp_path / "out", *wish) == 1
    assert said in capsys.readouterr().err


def test_the_background_that_was_asked_for(run: Run, tmp_path: Path, weights: Path, video: Path) -> None:
    command = ("track", video, "--box", "3:1:28,4,74,50", "--model", weights, "--out", tmp_path)
    assert run(*command, "--format", "background", "--background", "#00ff00") == 0
    later = tmp_path / "later.mp4"
    told = ("--out", later, "--format", "background", "--background", "red")
    assert run("convert", tmp_path / "session.masklet", *told) == 0
    for film, colour in ((tmp_path / f"formats/{video.stem}-background.mp4", (0, 255, 0)), (later, (255, 0, 0))):
        with open_video(film) as source:
            usual = np.median(source.read(1).image.reshape(-1, 3), axis=0)
            np.testing.assert_allclose(usual, colour, atol=40)


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (["--background", "white"], "--background white shows in the format background alone; add --format background"),
        (["--format", "background", "--background", "nonesuch"], "'nonesuch' is no background; give blur, a colour"),
    ],
)
def test_a_background_that_cannot_be_is_told_before_anything_is_followed(
    run: Run, tmp_path: Path, weights: Path, video: Path, capsys: Read, wish: list[str], said: str
) -> None:
    command = ("track", video, "--box", "0:1:28,4,74,50", "--model", weights, "--out", tmp_path / "out")
    assert run(*command, *wish) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
