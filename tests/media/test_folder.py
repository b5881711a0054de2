from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from masklet.errors import MediaError
from masklet.media.image_file import VIDEO_SUFFIXES, ImageFiles, ImageFolder, files_in, holds_videos, picture_names


def save(path: Path, value: int, size: tuple[int, int] = (4, 6)) -> None:
    Image.fromarray(np.full((*size, 3), value, np.uint8)).save(path)


def test_pictures_come_in_natural_order(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        save(tmp_path / f"shot{number}.png", number)
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "._shot1.png").write_bytes(b"what macOS leaves behind")
    with ImageFolder(tmp_path) as source:
        source.rate = 2.0  # whoever knows it says so
        frames = list(source)
        assert (source.size, source.rate, source.frame_count, source.frame_count_exact) == ((4, 6), 2.0, 3, True)
        assert len(source) == 3
        assert len(list(source)) == 3
        assert source.ended_early is None
    assert [frame.image[0, 0, 0] for frame in frames] == [1, 2, 10]
    assert [(frame.index, frame.time) for frame in frames] == [(0, 0.0), (1, 0.5), (2, 1.0)]
    source = ImageFolder(tmp_path)  # without a rate, frames count seconds
    assert (source.rate, [frame.time for frame in source]) == (None, [0.0, 1.0, 2.0])


def test_masks_beside_their_pictures_are_no_frames(tmp_path: Path) -> None:
    for name in ("0", "1"):
        Image.new("RGB", (8, 6)).save(tmp_path / f"{name}.jpg")
    Image.new("1", (8, 6)).save(tmp_path / "0.png")
    Image.new("P", (8, 6)).save(tmp_path / "1.png")
    Image.new("L", (8, 6)).save(tmp_path / "2.png")  # a grey picture of its own
    Image.new("RGB", (8, 6)).save(tmp_path / "0.webp")
    assert picture_names(tmp_path) == ["0.jpg", "0.webp", "1.jpg", "2.png"]
    with ImageFolder(tmp_path) as source:
        assert [file.name for file in source.files] == picture_names(tmp_path)
    assert picture_names(tmp_path / "0.jpg") == []


def test_folder_without_pictures_is_named(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"")
    with pytest.raises(MediaError, match=r"the folder .* holds no pictures; give one with .*\.jpg"):
        ImageFolder(tmp_path)
    with pytest.raises(MediaError, match=r"clip\.mp4 is not a folder"):
        ImageFolder(tmp_path / "clip.mp4")


def test_picture_of_another_size_is_named(tmp_path: Path) -> None:
    save(tmp_path / "0.png", 0)
    save(tmp_path / "1.png", 0, size=(5, 6))
    frames = iter(ImageFolder(tmp_path))
    next(frames)
    for read in (lambda: next(frames), lambda: ImageFolder(tmp_path).read(1)):
        with pytest.raises(MediaError, match=r"1\.png is 6 x 5 pixels, but the first picture, 0\.png, is 6 x 4"):
            read()


def test_pictures_are_read_in_any_order(tmp_path: Path) -> None:
    for number in range(12):
        save(tmp_path / f"{number}.png", number)
    with ImageFolder(tmp_path) as source:
        source.rate = 4
        assert source.seekable
        assert [source.read(frame).image[0, 0, 0] for frame in (11, 2, 10, 0)] == [11, 2, 10, 0]
        assert source.read(3).time == 0.75
        assert [frame.index for frame in source.frames(10, 20)] == [10, 11]
        np.testing.assert_allclose(source.timestamps, np.arange(12) / 4)
        with pytest.raises(MediaError, match="there is no frame 12; the video has 12 frames, counted from 0"):
            source.read(12)
        with pytest.raises(MediaError, match="frame is -1; frames are counted from 0"):
            source.read(-1)


def test_a_list_of_pictures_keeps_its_order(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        save(tmp_path / f"{number}.png", number)
    source = ImageFiles([tmp_path / "3.png", str(tmp_path / "1.png"), tmp_path / "2.png"])
    assert [frame.image[0, 0, 0] for frame in source] == [3, 1, 2]
    with pytest.raises(MediaError, match="the list of pictures is empty"):
        ImageFiles([])


def test_a_folder_of_videos_is_told_from_a_video_in_pictures(tmp_path: Path) -> None:
    assert not holds_videos(tmp_path)
    for name in ("clip10.mp4", "clip9.MOV", ".hidden.mp4", "notes.txt"):
        (tmp_path / name).touch()
    assert holds_videos(tmp_path)
    assert [path.name for path in files_in(tmp_path, VIDEO_SUFFIXES)] == ["clip9.MOV", "clip10.mp4"]
    save(tmp_path / "shot.png", 1)
    assert not holds_videos(tmp_path)
    assert not holds_videos(tmp_path / "clip10.mp4")
