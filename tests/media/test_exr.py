"""OpenEXR sequences in: what tracking sees, what films keep, and files that cannot be read."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import OpenEXR
import pytest
from numpy.typing import NDArray

from masklet.errors import MediaError
from masklet.footage import PQ, PRIMARIES, linear_light
from masklet.media.image_file import read_image
from masklet.media.source import open_video
from masklet.video import VideoTracker
from tests.cli.conftest import Run, run, weights

__all__ = ["run", "weights"]

HEADER: dict[str, Any] = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}


def write_exr(path: Path, channels: dict[str, NDArray[Any]], **header: Any) -> Path:
    OpenEXR.File({**HEADER, **header}, channels).write(str(path))
    return path


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_light_is_seen_by_the_curve_of_srgb(tmp_path: Path, kind: type[np.floating[Any]]) -> None:
    values = np.array([[0, 0.0031308, 0.2140, 1, 40, -1, np.inf, np.nan]], kind)
    path = write_exr(tmp_path / "a.exr", {"RGBA": np.dstack([values, values, values, np.ones_like(values)])})
    assert read_image(path)[0, :, 1].tolist() == [0, 10, 127, 255, 255, 0, 255, 0]
    grey = write_exr(tmp_path / "b.exr", {"Y": values, "depth.Z": values})
    np.testing.assert_array_equal(read_image(grey), read_image(path))


def test_the_display_window_is_what_is_shown(tmp_path: Path) -> None:
    """Data that begin outside of it, as renderers make them, and do not fill it."""
    data = np.arange(1, 13, dtype=np.float32).reshape(3, 4) / 12
    windows = {
        "dataWindow": (np.array([-1, 1], np.int32), np.array([2, 3], np.int32)),
        "displayWindow": (np.array([0, 0], np.int32), np.array([4, 3], np.int32)),
    }
    found = read_image(write_exr(tmp_path / "a.exr", {"RGB": np.dstack([data] * 3)}, **windows))
    assert found.shape == (4, 5, 3)
    assert not found[0].any()
    assert not found[:, 3:].any()
    plain = read_image(write_exr(tmp_path / "b.exr", {"RGB": np.dstack([data] * 3)}))
    np.testing.assert_array_equal(found[1:, :3], plain[:, 1:])


@pytest.fixture
def sequence(tmp_path: Path) -> Path:
    """Six frames of linear light up to 20 times white, in BT.2020, with timecode and rate."""
    folder = tmp_path / "shot"
    folder.mkdir()
    ramp = np.tile(np.linspace(0, 20, 64, dtype=np.float16), (48, 1))
    for frame in range(6):
        header = {
            "framesPerSecond": Fraction(25),
            "timeCode": OpenEXR.TimeCode(10, 0, 0, 20 + frame, 0, *[0] * 13),
            "chromaticities": PRIMARIES[9],
        }
        write_exr(folder / f"shot.{frame + 998}.exr", {"RGB": np.dstack([ramp] * 3)}, **header)
    return folder


def test_films_keep_the_light_primaries_and_timecode(run: Run, sequence: Path, tmp_path: Path, weights: Path) -> None:
    with open_video(sequence) as source:
        assert (source.rate, source.frame_count, source.size) == (25.0, 6, (48, 64))
        assert source.footage is not None
        assert (source.footage.timecode, source.footage.bits) == ("10:00:00:20", 16)
        assert (source.footage.colours.primaries, source.footage.colours.transfer) == (9, PQ)
        assert source.footage.pictures is not None
        number, picture = next(source.footage.pictures(2))
        np.testing.assert_allclose(linear_light(PQ)[picture[0, :, 0]], np.linspace(0, 20, 64), rtol=2e-3, atol=1e-5)
        assert number == 2
    out = tmp_path / "out"
    command = ("track", sequence, "--box", "2:dog:6,6,60,42", "--model", weights, "--out", out, "--edges", "hard")
    assert run(*command, "--format", "exr", "--format", "prores") == 0
    files = sorted((out / "formats/shot-exr").iterdir())
    assert [file.name for file in files] == [f"shot.{number}.exr" for number in range(1000, 1004)]
    with OpenEXR.File(str(files[0])) as file:
        assert file.header()["timeCode"].frame == 22
        np.testing.assert_allclose(file.header()["chromaticities"], PRIMARIES[9], atol=1e-6)
        pixels = file.channels()["RGBA"].pixels.astype(np.float64)
    inside = pixels[..., 3] == 1
    truth = np.broadcast_to(np.linspace(0, 20, 64), inside.shape)
    np.testing.assert_allclose(pixels[inside][:, 0], truth[inside], rtol=4e-3, atol=1e-4)
    with av.open(str(out / "formats/shot-prores.mov")) as film:
        assert film.streams.video[0].metadata["timecode"] == "10:00:00:22"
        assert film.streams.video[0].codec_context.color_trc == PQ
    with VideoTracker.open(out / "session.masklet", sequence, weights) as tracker:
        assert tracker.known_frames() == [2, 3, 4, 5]


@pytest.mark.parametrize(
    ("channels", "said"),
    [
        ({"depth.Z": np.zeros((2, 3), np.float32)}, "a.exr has the channels DEPTH.Z; give a picture with R, G and B"),
        ({"Y": np.zeros((2, 3), np.uint32)}, "a.exr has colours of whole numbers or of several sizes"),
    ],
)
def test_pictures_without_colours(tmp_path: Path, channels: dict[str, NDArray[Any]], said: str) -> None:
    write_exr(tmp_path / "a.exr", channels)
    with pytest.raises(MediaError, match=said):
        read_image(tmp_path / "a.exr")


def test_what_cannot_be_read_has_its_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = write_exr(tmp_path / "a.exr", {"RGB": np.ones((40, 30, 3), np.float32)}).read_bytes()
    for cut in (0, 10, 100, 400):
        (tmp_path / "b.exr").write_bytes(whole[:cut])
        with pytest.raises(MediaError, match=r"b\.exr cannot be read as OpenEXR: .*; give another copy"):
            open_video(tmp_path / "b.exr")
    with pytest.raises(MediaError, match="there is no file at"):
        read_image(tmp_path / "gone.exr")
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    with pytest.raises(MediaError, match=r"OpenEXR pictures needs the package OpenEXR: pip install 'masklet\[exr\]'"):
        read_image(tmp_path / "a.exr")
