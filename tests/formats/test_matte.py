"""Cut-outs and changed backgrounds, as other programs see them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from masklet.errors import FormatError
from masklet.formats.base import Facts, PlainFrame, picture_of
from masklet.formats.cutouts import Cutter, cut_out_objects
from masklet.formats.registry import writer
from tests.formats.conftest import RATE, SUFFIXES, box_mask, frame_of, write_all

SIZE = (96, 128)
RED, BLUE = (220, 40, 30), (30, 60, 200)


def red_before_blue(frame: int = 0) -> PlainFrame:
    """Two red boxes that touch, before blue, with a mixed column at the left edge as a camera sees it."""
    left, right = box_mask(SIZE, 20, 30, 76, 60), box_mask(SIZE, 20, 60, 76, 90)
    image = np.where((left | right)[..., None], RED, BLUE).astype(np.uint8)
    image[20:76, 29] = (np.array(RED) + BLUE) // 2
    plain = frame_of(frame, {1: left, "b": right}, SIZE)
    return PlainFrame(frame, plain.time, SIZE, plain.objects, plain.indices, image)


def frame_alpha(frame: PlainFrame) -> NDArray[np.float32]:
    return Cutter(Facts(frame.size)).alpha(frame, picture_of(frame))


def before(background: str | Path, frame: PlainFrame, folder: Path) -> NDArray[np.uint8]:
    """The frame before a background, as a PNG shows it."""
    with writer("background", folder / "before.png", size=frame.size, background=background) as sink:
        sink.write(frame)
    return np.array(Image.open(folder / "before.png"))


def decoded(path: Path, codec: str | None = None) -> list[NDArray[np.uint8]]:
    """The frames of a film as RGBA; VP9's alpha is seen by libvpx alone."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        if codec is None:
            return [frame.to_ndarray(format="rgba") for frame in container.decode(stream)]
        decoder: Any = av.CodecContext.create(codec, "r")
        return [frame.to_ndarray(format="rgba") for packet in container.demux(stream) for frame in decoder.decode(packet if packet.size else None)]  # fmt: skip  # noqa: E501


@pytest.mark.parametrize(("name", "codec", "tolerance"), [("prores", None, 4), ("webm", "libvpx-vp9", 12)])
def test_films_keep_alpha_and_colours(name: str, codec: str | None, tolerance: int, tmp_path: Path) -> None:
    path = tmp_path / SUFFIXES[name]
    frames = [red_before_blue(k) for k in range(3)]
    write_all(name, path, frames)
    expected = cut_out_objects(frames[0])
    found = decoded(path, codec)
    assert len(found) == 3
    alpha = expected[..., 3].astype(int)
    np.testing.assert_allclose(found[0][..., 3].astype(int)[alpha == 255], 255, atol=tolerance)
    np.testing.assert_allclose(found[0][..., 3].astype(int)[alpha == 0], 0, atol=tolerance)
    np.testing.assert_allclose(found[0][40:60, 40:80, :3].astype(int), np.broadcast_to(RED, (20, 40, 3)), atol=8)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == RATE
        if name == "prores":
            assert stream.codec_context.codec_tag == "ap4h"
        else:
            assert stream.metadata["ALPHA_MODE"] == "1"


def test_pictures_keep_alpha_and_hide_the_background(tmp_path: Path) -> None:
    write_all("rgba", tmp_path / "a", [red_before_blue(7)])
    with Image.open(tmp_path / "a" / "00007.png") as picture:
        assert picture.mode == "RGBA"
        pixels = np.array(picture)
    np.testing.assert_array_equal(pixels, cut_out_objects(red_before_blue()))
    assert (pixels[pixels[..., 3] == 0] == 0).all()


def test_objects_that_touch_have_no_seam_and_edges_are_soft() -> None:
    alpha = frame_alpha(red_before_blue())
    assert (alpha[25:70, 40:80] == 1).all()
    row = alpha[48, 26:34]
    assert (np.diff(row) >= 0).all()
    assert 0 < row[3] < 0.5 < row[4] < 1
    assert row[0] == 0
    assert row[-1] == 1


def test_the_background_does_not_shine_through_at_the_edge(tmp_path: Path) -> None:
    frame = red_before_blue()
    green = before("#00ff00", frame, tmp_path)
    assert (green[:10, :10] == (0, 255, 0)).all()
    assert (green[40, 60] == RED).all()
    assert frame.image is not None
    assert green[48, 29, 2] < frame.image[48, 29, 2] * 0.6, "blue in the mixed column"


def test_a_blurred_background_has_no_glow_of_the_object(tmp_path: Path) -> None:
    frame = red_before_blue()
    blurred = before("blur", frame, tmp_path)
    np.testing.assert_allclose(blurred[48, :25].astype(int), np.broadcast_to(BLUE, (25, 3)), atol=3)
    assert (blurred[40, 60] == RED).all()


def test_a_picture_fills_the_frame(tmp_path: Path) -> None:
    wide = np.zeros((50, 500, 3), np.uint8)
    wide[:, 200:300] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    changed = before(tmp_path / "wide.png", red_before_blue(), tmp_path)
    assert changed.shape == (*SIZE, 3)
    assert (changed[5, 20:100] > 250).all(), "the middle of the picture"


def test_a_background_of_16_bits(tmp_path: Path) -> None:
    levels = np.tile(np.linspace(0, 65535, SIZE[1]).astype(np.uint16), (SIZE[0], 1))
    Image.fromarray(levels).save(tmp_path / "deep.png")
    changed = before(tmp_path / "deep.png", red_before_blue(), tmp_path)
    assert abs(changed[0, :, 1].astype(int) - (levels[0] >> 8)).max() <= 1


@pytest.mark.parametrize("background", ["nonesuch", "text.png", "#12"])
def test_what_is_no_background_is_named(background: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.png").write_text("hello")
    with (
        pytest.raises(
            FormatError, match=r"is no background; give blur, a colour|text\.png cannot be read as a picture"
        ),
        writer("background", "a.mp4", size=SIZE, background=background),
    ):
        pass
    assert not Path("a.mp4").exists()


@pytest.mark.parametrize("mask", [np.ones(SIZE, np.bool_), np.zeros(SIZE, np.bool_)])
def test_all_and_nothing(mask: NDArray[np.bool_], tmp_path: Path) -> None:
    frame = frame_of(0, {1: mask}, SIZE)
    pixels = cut_out_objects(frame)
    assert (pixels[..., 3] == (255 if mask.all() else 0)).all()
    assert frame.image is not None
    changed = before("blur", frame, tmp_path)
    assert ((changed == frame.image).all()) == bool(mask.all())


def test_a_matte_is_the_alpha_in_sixteen_bits(tmp_path: Path) -> None:
    frame = red_before_blue()
    write_all("matte", tmp_path / "matte", [frame])
    read = cv2.imread(str(tmp_path / "matte/00000.png"), cv2.IMREAD_UNCHANGED)
    assert (read.dtype, read.shape) == (np.uint16, SIZE)
    np.testing.assert_allclose(read / 65_535, frame_alpha(frame), atol=1e-5)
    assert ((read > 0) & (read < 65_535) & (read % 257 > 0)).any()  # finer than eight bits
