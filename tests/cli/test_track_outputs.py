"""`masklet track` on odd videos: whatever decodes is followed to its end, and an output that fails stops no other."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from masklet.media.source import open_video
from tests.cli.conftest import Read, Run
from tests.media.clips import Clip, write_clip


def written(path: Path, size: tuple[int, int], rate: Fraction, count: int) -> Path:
    """A bright square on a dark ground, without loss."""
    height, width = size
    tick = min(Fraction(1, 1000), 1 / rate)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "rgb24"
        stream.codec_context.time_base = tick
        for number in range(count):
            image = np.full((height, width, 3), 30, np.uint8)
            image[height // 4 : height // 2 + 1, width // 4 : width // 2 + 1] = 220
            picture = av.VideoFrame.from_ndarray(image)
            picture.pts, picture.time_base = round(number / rate / tick), tick
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("size", "rate"),
    [((33, 1), Fraction(24)), ((1, 33), Fraction(24)), ((48, 64), Fraction(1, 500)), ((48, 64), Fraction(90_000))],
)
def test_odd_sizes_and_rates_are_followed_to_the_end(
    size: tuple[int, int], rate: Fraction, run: Run, weights: Path, tmp_path: Path
) -> None:
    clip = written(tmp_path / "clip.nut", size, rate, 4)
    box = f"0:1:0,0,{size[1]},{size[0]}"
    assert run("track", clip, "--box", box, "--model", weights, "--out", tmp_path / "out") == 0
    assert len(list((tmp_path / "out/masks").glob("*.png"))) == 4
    with open_video(tmp_path / "out/overlay.mp4") as film:
        assert len(list(film)) == 4


def test_a_joined_stream_is_followed_to_its_end(run: Run, weights: Path, tmp_path: Path) -> None:
    parts = [write_clip(tmp_path / f"{n}.ts", Clip(".ts", count=4, first=4 * n)).read_bytes() for n in range(2)]
    (tmp_path / "clip.ts").write_bytes(b"".join(parts))
    command = ("track", tmp_path / "clip.ts", "--box", "0:1:8,8,40,40", "--model", weights, "--out", tmp_path / "out")
    for _ in range(2):  # the second run opens the session of the first
        assert run(*command) == 0
    assert len(list((tmp_path / "out/masks").glob("*.png"))) == 8
    with open_video(tmp_path / "out/overlay.mp4") as film:
        assert len(list(film)) == 8


COUNTS = """
from contextlib import contextmanager
from masklet.formats.base import Format

@contextmanager
def write_counts(path, facts):
    lines = []
    yield lambda result: lines.append(len(result.objects))
    path.write_text(str(sum(lines)))

COUNTS = Format("counts", "how many objects", write_counts, video=".count")
"""


def test_the_file_of_a_format_of_ones_own_has_its_name(
    run: Run, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not `module:NAME`, which no file can be called everywhere."""
    (tmp_path / "counting_objects.py").write_text(COUNTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    clip = written(tmp_path / "a.nut", (48, 64), Fraction(24), 2)
    command = ("track", clip, "--box", "0:1:16,12,32,24", "--model", weights, "--out", tmp_path / "out", "--no-overlay")
    assert run(*command, "--format", "counting_objects:COUNTS") == 0
    assert [path.name for path in (tmp_path / "out/formats").iterdir()] == ["counts.count"]


def test_an_overlay_that_cannot_be_made_stops_no_masks(run: Run, weights: Path, tmp_path: Path, capsys: Read) -> None:
    clip = written(tmp_path / "wide.nut", (16, 17_000), Fraction(24), 3)
    command = ("track", clip, "--box", "0:1:4000,4,9000,12", "--model", weights, "--out", tmp_path / "out")
    assert run(*command, "--format", "objects") == 1
    said = capsys.readouterr()
    assert "3 frames: masks in" in said.out
    assert "overlay in" not in said.out
    assert said.err.count("overlay.mp4 cannot be made: the encoder takes no frames of 17000 x 16 pixels") == 1
    assert len(list((tmp_path / "out/masks").glob("*.png"))) == 3
    assert len(list((tmp_path / "out/formats/objects").rglob("*.png"))) == 3
    assert not list(tmp_path.rglob("*.partial"))
    assert run(*command, "--no-overlay") == 0
    assert not (tmp_path / "out/overlay.mp4").exists()


def test_a_folder_goes_on_after_a_video_with_an_output_that_fails(
    run: Run, weights: Path, tmp_path: Path, capsys: Read
) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    written(folder / "a.mov", (16, 17_000), Fraction(24), 2)
    written(folder / "b.mov", (16, 64), Fraction(24), 2)
    assert run("track", folder, "--box", "0:1:4,4,40,12", "--model", weights, "--out", tmp_path / "out") == 1
    said = capsys.readouterr()
    assert "1 video done, 1 failed" in said.out
    assert "a.mov: " in said.err
    for name in "ab":
        assert len(list((tmp_path / "out" / name / "masks").glob("*.png"))) == 2
    assert (tmp_path / "out/b/overlay.mp4").exists()


def test_a_run_that_begins_again_leaves_no_frame_of_the_one_before(
    run: Run, weights: Path, video: Path, tmp_path: Path
) -> None:
    command = ("track", video, "--box", "0:1:28,4,74,50", "--model", weights, "--no-overlay", "--out", tmp_path / "out")
    wanted = ("--format", "objects", "--format", "rgba")
    assert run(*command, *wanted) == 0
    assert run(*command, *wanted, "--overwrite", "--stop", 2) == 0
    for folder in ("masks", "formats/objects/1", "formats/clip-rgba"):
        assert sorted(path.name for path in (tmp_path / "out" / folder).iterdir()) == ["00000.png", "00001.png"]
