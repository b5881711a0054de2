"""What films and pictures keep of the file that they are made of: depth, colours, timecode, times; read by others."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import OpenEXR
import pytest
from numpy.typing import NDArray
from PIL import Image

from masklet.errors import FormatError
from masklet.footage import later, linear_light
from masklet.formats.base import PlainFrame, mask_only
from masklet.formats.cutouts import Cutter
from masklet.formats.film import FilmKind
from masklet.formats.registry import writer
from masklet.masks.finish import Finish
from masklet.media.source import facts_of, open_video
from tests.formats.conftest import SUFFIXES, box_mask
from tests.formats.sounding import shown

SIZE = (48, 64)
HLG = (9, 18, 9)
MASK = box_mask(SIZE, 8, 8, 40, 56)
RAMP = np.linspace(3000, 60000, 64).astype(np.uint16)


def source(
    path: Path, codes: tuple[int, int, int], times: Sequence[int] = range(4), tick: Fraction = Fraction(1, 25)
) -> Path:
    """A ProRes file of 10 bits, a grey ramp, with the timecode 09:59:59:24."""
    grey = np.broadcast_to(RAMP[None, :, None], (*SIZE, 3))
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("prores_ks", rate=25, options={"profile": "hq"})
        stream.width, stream.height, stream.pix_fmt = SIZE[1], SIZE[0], "yuv422p10le"
        stream.metadata["timecode"] = "09:59:59:24"
        context = stream.codec_context
        context.time_base = tick
        context.color_primaries, context.color_trc, context.colorspace = codes
        for time in times:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(grey), format="rgb48le")
            frame = frame.reformat(format=stream.pix_fmt, dst_colorspace=codes[2])
            frame.color_primaries, frame.color_trc, frame.colorspace = codes
            frame.pts, frame.time_base = time, tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def cut(name: str, path: Path, video: Path, finish: Finish | None = None, start: int = 0, **facts: Any) -> Path:
    """Write what MASK covers of a video, from a frame on."""
    with (
        open_video(video) as frames,
        writer(name, path, size=SIZE, rate=frames.rate, footage=frames.footage, finish=finish, **facts) as sink,
    ):
        for frame in frames.frames(start):
            sink.write(PlainFrame(frame.index, frame.time, SIZE, {1: mask_only(MASK)}, {1: 1}, frame.image))
    return path


def codes_of(path: Path) -> tuple[int, int, int]:
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        return context.color_primaries, context.color_trc, context.colorspace


def inside(path: Path) -> NDArray[np.uint16]:
    """A row of the object in a film's first frame, uint16 (W, 4), as FFmpeg reads it."""
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        return frame.reformat(format="rgba64le", src_colorspace=frame.colorspace).to_ndarray()[24, 16:48]


@pytest.mark.parametrize("name", ["prores", "cineform"])
@pytest.mark.parametrize("codes", [HLG, (9, 16, 9), (1, 1, 1), (6, 6, 6)])
def test_films_keep_depth_and_colours(name: str, codes: tuple[int, int, int], tmp_path: Path) -> None:
    path = cut(name, tmp_path / "a.mov", source(tmp_path / "s.mov", codes))
    assert codes_of(path)[:2] == codes[:2]
    assert {5: 6}.get(codes_of(path)[2], codes_of(path)[2]) == codes[2]
    row = inside(path)
    np.testing.assert_allclose(row[:, :3].mean(axis=1), RAMP[16:48], atol=100)
    assert len(np.unique(row[:, 1])) == 32, "steps of 8 bits would fall together"
    if name == "prores":
        header = path.read_bytes()
        at = header.index(b"icpf")
        assert tuple(header[at + 18 : at + 21]) == codes, "the frame's own header, which editors read first"
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.format.components[0].bits == 12


def test_high_range_becomes_ordinary_by_wish(tmp_path: Path) -> None:
    video = source(tmp_path / "s.mov", HLG)
    path = cut("prores", tmp_path / "a.mov", video, Finish(tone_map=True))
    assert codes_of(path) == (1, 1, 1)
    with open_video(video) as frames:
        seen = frames.read(0).image[24, 16:48].astype(int)
    np.testing.assert_allclose(inside(path)[:, :3] / 257, seen, atol=3)
    overlay = cut("webm", tmp_path / "a.webm", video)
    assert codes_of(overlay) == (1, 1, 1), "eight bits are for ordinary screens"


@pytest.mark.parametrize("name", ["prores", "cineform", "overlay", "webm"])
def test_timecode_begins_with_the_first_frame(name: str, tmp_path: Path) -> None:
    path = cut(name, tmp_path / SUFFIXES[name], source(tmp_path / "s.mov", HLG), start=2)
    with av.open(str(path)) as container:
        held = {key.lower(): text for key, text in container.streams.video[0].metadata.items()}
    assert held["timecode"] == "10:00:00:01"


@pytest.mark.parametrize(
    ("begin", "frames", "rate", "then"),
    [
        ("01:00:00:00", 25, 25, "01:00:01:00"),
        ("00:00:59;29", 1, 30000 / 1001, "00:01:00;02"),  # 00:01:00;00 and ;01 are dropped
        ("00:09:59;29", 1, 30000 / 1001, "00:10:00;00"),
        ("00:00:59;59", 1, 60000 / 1001, "00:01:00;04"),
        ("00:00:00;00", 107892, 30000 / 1001, "01:00:00;00"),  # an hour, by SMPTE ST 12-1
        ("23:59:59:23", 1, 24, "00:00:00:00"),
        ("01:00:00:00", 2, 0.25, "01:00:02:00"),
    ],
)
def test_timecode_counts_as_editors_do(begin: str, frames: int, rate: float, then: str) -> None:
    assert later(begin, frames, rate) == then


def test_uneven_times_are_kept_to_the_tick(tmp_path: Path) -> None:
    ticks, tick = (0, 1001, 1777, 9000), Fraction(1, 24000)
    video = source(tmp_path / "s.mov", (1, 1, 1), ticks, tick)
    path = cut("prores", tmp_path / "a.mov", video, steady=False)
    with av.open(str(path)) as container:
        found = [frame.pts * frame.time_base for frame in container.decode(video=0)]
    assert found == [time * tick for time in ticks]
    assert shown(video) == pytest.approx(shown(path), abs=1e-9)


def test_pngs_are_as_deep_as_the_source_and_name_its_colours(tmp_path: Path) -> None:
    cut("rgba", tmp_path / "deep", source(tmp_path / "s.mov", HLG))
    path = tmp_path / "deep/00001.png"
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert (pixels.dtype, pixels.shape) == (np.uint16, (*SIZE, 4))
    np.testing.assert_allclose(pixels[24, 16:48, 1].astype(int), RAMP[16:48].astype(int), atol=150)
    data = path.read_bytes()
    assert data[data.index(b"cICP") + 4 :][:4] == bytes((9, 18, 0, 1))
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        assert (frame.color_primaries, frame.color_trc) == HLG[:2], "FFmpeg takes the chunk"
    with Image.open(path) as picture:
        picture.verify()


def test_pictures_of_sixteen_bits_stay_so(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    grey = np.ascontiguousarray(np.broadcast_to(RAMP[None, :, None], (*SIZE, 3)))
    for frame in range(2):
        cv2.imwrite(str(tmp_path / f"frames/{frame}.png"), grey)
    cut("rgba", tmp_path / "out", tmp_path / "frames", names=("0.png", "1.png"))
    pixels = cv2.imread(str(tmp_path / "out/1.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(pixels[24, 16:48, 0], RAMP[16:48])


@pytest.mark.parametrize(("name", "kind"), [("exr", np.float16), ("exr-float", np.float32)])
def test_exr_holds_linear_light(name: str, kind: type, tmp_path: Path) -> None:
    cut(name, tmp_path / "a", source(tmp_path / "s.mov", HLG))
    with OpenEXR.File(str(tmp_path / "a/00002.exr")) as file:
        header, pixels = dict(file.header()), file.channels()["RGBA"].pixels
    assert pixels.dtype == kind
    np.testing.assert_allclose(pixels[24, 16:48, 0], linear_light(18)[RAMP[16:48]], rtol=0.02)
    np.testing.assert_array_equal(pixels[24, 16:48, 3], 1)
    np.testing.assert_array_equal(pixels[0], 0)
    edge = pixels[8, 30]
    assert 0.5 < edge[3] < 1
    assert edge[0] == pytest.approx(edge[3] * pixels[9, 30, 0], rel=0.05), "multiplied by alpha"
    assert header["chromaticities"][:2] == pytest.approx((0.708, 0.292))
    assert str(header["timeCode"]) == str(OpenEXR.TimeCode(10, 0, 0, 1, 0, *[0] * 13))
    assert header["framesPerSecond"] == 25


def test_a_deep_film_is_read_through_once(tmp_path: Path) -> None:
    """Not found anew for each frame, which takes decoding from the last key on."""
    with open_video(source(tmp_path / "s.mov", HLG)) as video:
        frames, facts, begun = list(video), facts_of(video, tmp_path / "s.mov"), []
    pictures = facts["footage"].pictures
    counted = replace(facts["footage"], pictures=lambda start: begun.append(start) or pictures(start))
    with writer("exr", tmp_path / "a", size=SIZE, rate=25, footage=counted) as sink:
        for frame in frames:
            sink.write(PlainFrame(frame.index, frame.time, SIZE, {1: mask_only(MASK)}, {1: 1}, frame.image))
    assert begun == [0]


def test_light_by_the_figures_of_the_recommendations() -> None:
    # 75 % of HLG and 58 % of PQ are the white of graphics (ITU-R BT.2408); 0.5 of sRGB is 0.214 (IEC 61966-2-1).
    for transfer, signal, light in ((18, 0.75, 1), (16, 0.58, 1), (1, 1.0, 1), (13, 0.5, 0.214), (8, 0.25, 0.25)):
        assert linear_light(transfer)[round(signal * 65535)] == pytest.approx(light, rel=0.02)


def test_exr_without_its_library_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    with (
        pytest.raises(FormatError, match=r"exr needs the package OpenEXR: pip install 'masklet\[exr\]'"),
        writer("exr", tmp_path / "a", size=SIZE),
    ):
        pass
    assert not (tmp_path / "a").exists()


def test_an_encoder_that_this_build_lacks_is_one_sentence() -> None:
    kind = FilmKind("mov", {"nonesuch": {}}, ("yuv420p",), None)  # type: ignore[arg-type]
    with pytest.raises(FormatError, match="this build of FFmpeg has none of the encoders nonesuch; install PyAV"):
        kind.encoder()


def two(frame: int = 0) -> PlainFrame:
    """A dog on the left and a cat on the right."""
    masks = {"dog": box_mask(SIZE, 8, 4, 40, 28), "cat": box_mask(SIZE, 8, 36, 40, 60)}
    objects = {name: mask_only(mask) for name, mask in masks.items()}
    image = np.where(masks["dog"][..., None], (200, 60, 40), (40, 90, 60)).astype(np.uint8)
    return PlainFrame(frame, frame / 25, SIZE, objects, {"dog": 1, "cat": 2}, image)


def middles(pixels: NDArray[Any]) -> list[list[int]]:
    """The values in the dog, between, and in the cat."""
    return [pixels[24, x].tolist() for x in (16, 32, 48)]


def drawn(finish: Finish, folder: Path, frames: Sequence[PlainFrame] = (two(),)) -> NDArray[Any]:
    """The last PNG of frames, RGB or RGBA."""
    with writer("rgba", folder / "pngs", size=SIZE, finish=finish) as sink:
        for frame in frames:
            sink.write(frame)
    return np.array(Image.open(folder / f"pngs/{frames[-1].frame:05d}.png"))


def test_what_is_shown(tmp_path: Path) -> None:
    def seen(**wishes: Any) -> list[list[int]]:
        return middles(drawn(Finish(**wishes), tmp_path))

    dog, cat, nothing = [200, 60, 40, 255], [40, 90, 60, 255], [0, 0, 0, 0]
    assert seen() == [dog, nothing, cat]
    assert seen(only=("dog",)) == [dog, nothing, nothing]
    assert seen(show="inverse") == [nothing, [40, 90, 60, 255], nothing]
    assert seen(show="matte", only=("cat",)) == [[0] * 3, [0] * 3, [255] * 3]
    assert seen(show="mattes") == [[255, 0, 0], [0, 0, 0], [0, 255, 0]]
    assert seen(show="mattes", only=("cat", "dog")) == [[0, 255, 0], [0, 0, 0], [255, 0, 0]]
    np.testing.assert_allclose(seen(show="removed")[0], (40, 90, 60), atol=2)


def test_mattes_of_each_object_in_an_exr(tmp_path: Path) -> None:
    frame = two()
    names = {"dog": 1, "cat": "1"}  # another object is called by the text "1"
    with writer("exr", tmp_path / "b.exr", size=SIZE, finish=Finish(show="mattes")) as sink:
        sink.write(replace(frame, objects={names[k]: v for k, v in frame.objects.items()}, indices={1: 1, "1": 2}))
    with OpenEXR.File(str(tmp_path / "b.exr"), separate_channels=True) as file:
        assert {*file.channels()} == {"1.A", "%31.A"}
    with writer("exr", tmp_path / "a.exr", size=SIZE, finish=Finish(show="mattes")) as sink:
        sink.write(frame)
    with OpenEXR.File(str(tmp_path / "a.exr"), separate_channels=True) as file:
        found = {name: channel.pixels[24, [16, 48]].tolist() for name, channel in file.channels().items()}
    assert found == {"dog.A": [1, 0], "cat.A": [0, 1]}


def test_more_mattes_than_colours(tmp_path: Path) -> None:
    frame = two()
    many = replace(frame, objects={k: mask_only(MASK) for k in range(1, 5)}, indices={k: k for k in range(1, 5)})
    with pytest.raises(FormatError, match="hold the mattes of 3 objects, and there are 1, 2, 3, 4; name those"):
        drawn(Finish(show="mattes"), tmp_path, [many])


def widths(pixels: NDArray[Any]) -> tuple[int, int]:
    """Of the dog: pixels that are its own, and those that are partly."""
    alpha = pixels[24, :32, 3]
    return int((alpha == 255).sum()), int(((alpha > 0) & (alpha < 255)).sum())


def test_edges_grow_shrink_and_fade(tmp_path: Path) -> None:
    def seen(**wishes: Any) -> tuple[int, int]:
        return widths(drawn(Finish(edges="hard", only=("dog",), **wishes), tmp_path))

    assert seen() == (24, 0)
    assert seen(grow=3) == (30, 0)
    assert seen(grow=-3) == (18, 0)
    own, partly = seen(feather=4.0)
    assert 8 <= own <= 18
    assert partly >= 10


def test_a_screen_leaves_no_shine(tmp_path: Path) -> None:
    green = replace(two(), image=np.full((*SIZE, 3), (100, 220, 60), np.uint8))
    assert middles(drawn(Finish(spill="green"), tmp_path, [green]))[0] == [100, 80, 60, 255]
    assert middles(drawn(Finish(spill="blue"), tmp_path, [green]))[0] == [100, 220, 60, 255]


def flickering() -> Iterator[PlainFrame]:
    """A patterned object that moves two pixels a frame, its mask two pixels too wide or too narrow by turns."""
    land = np.random.default_rng(0).integers(0, 255, (24, 60, 3), np.uint8).repeat(4, 0).repeat(4, 1)
    for frame in range(6):
        wide = 2 if frame % 2 else -2
        mask = box_mask((96, 128), 30 - wide, 30 + 2 * frame - wide, 66 + wide, 66 + 2 * frame + wide)
        image = np.ascontiguousarray(land[:, 2 * (6 - frame) : 2 * (6 - frame) + 128])
        yield PlainFrame(frame, frame / 25, (96, 128), {1: mask_only(mask)}, {1: 1}, image)


def test_edges_flicker_less_over_time() -> None:
    def flicker(steady: float) -> float:
        facts = writer("rgba", "a", size=(96, 128), finish=Finish(edges="hard", steady=steady)).facts
        cutter = Cutter(facts)
        alphas = [cutter.picture(frame)[..., 3] / 255 for frame in flickering()]
        moved = [np.roll(alpha, -2 * frame, axis=1) for frame, alpha in enumerate(alphas)]
        return float(np.abs(np.diff(moved[2:], axis=0)).sum())

    assert flicker(0.6) < 0.6 * flicker(0.0)


@pytest.mark.parametrize("size", [(3, 2500), (1, 79), (2500, 3)])
def test_a_narrow_strip_is_steadied_too(size: tuple[int, int], tmp_path: Path) -> None:
    mask = np.ones(size, bool)
    frames = [PlainFrame(n, n / 25, size, {1: mask_only(mask)}, {1: 1}, np.zeros((*size, 3), np.uint8)) for n in (0, 1)]
    with writer("rgba", tmp_path, size=size, finish=Finish(steady=0.5)) as sink:
        for frame in frames:
            sink.write(frame)
    assert cv2.imread(str(tmp_path / "00001.png"), cv2.IMREAD_UNCHANGED)[..., 3].min() == 255


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        ({"show": "nothing"}, "show is 'nothing'; give one of cutout, inverse"),
        ({"spill": "red"}, "spill is 'red'; give one of green, blue, None"),
        ({"grow": 501}, "grow is 501"),
        ({"feather": -1.0}, "none below 0 for feather"),
        ({"steady": 1.0}, "steady is 1.0; give a number from 0 to 0.95"),
    ],
)
def test_wishes_that_cannot_be(wishes: dict[str, Any], said: str) -> None:
    with pytest.raises(Exception, match=said):
        Finish(**wishes)


def test_a_format_without_cut_outs_takes_no_wishes(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="grow: coco has no cut-outs; take one of background, cineform"):
        writer("coco", tmp_path / "a.json", size=SIZE, finish=Finish(grow=2))
