from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from masklet.errors import MediaError
from masklet.formats.film import write_pictures
from masklet.media.frames import ArrayFrames, IteratorFrames
from masklet.media.image_file import ImageFiles, ImageFolder, PagedImage
from masklet.media.source import open_video
from masklet.media.video_file import VideoFile


def test_a_folder_and_a_file_find_their_readers(tmp_path: Path) -> None:
    Image.new("RGB", (16, 16)).save(tmp_path / "0.png")
    with write_pictures(tmp_path / "clip.mp4", (16, 16), 24) as write:
        write(np.zeros((16, 16, 3), np.uint8))
    with open_video(tmp_path) as folder, open_video(str(tmp_path / "clip.mp4")) as video:
        assert isinstance(folder, ImageFolder)
        assert isinstance(video, VideoFile)


def test_nothing_at_the_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"there is nothing at .*gone\.mp4; give the path of a video file or"):
        open_video(tmp_path / "gone.mp4")


def test_pictures_and_arrays_find_their_readers(tmp_path: Path) -> None:
    Image.new("RGB", (6, 4)).save(tmp_path / "a.gif")
    array = np.zeros((4, 6, 3), np.uint8)
    for video, reader in [
        (tmp_path / "a.gif", PagedImage),
        ([tmp_path / "a.gif", str(tmp_path / "a.gif")], ImageFiles),
        ([array, array], ArrayFrames),
        (np.stack([array, array]), ArrayFrames),
        ((picture for picture in [array]), IteratorFrames),
    ]:
        with open_video(video) as source:
            assert isinstance(source, reader)
            assert source.size == (4, 6)
            assert next(iter(source)).image.shape == (4, 6, 3)


@pytest.mark.parametrize("place", [0, 3, np.int64(1), "rtsp://host/live", "https://host/live.m3u8"])
def test_cameras_and_streams_find_their_reader(place: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("masklet.media.camera.Camera", lambda place: ["camera", place])
    assert open_video(place) == ["camera", place]


@pytest.mark.parametrize("thing", [None, True, 1.5, b"clip.mp4", {"a": 1}])
def test_what_is_no_video_is_named(thing: object) -> None:
    name = type(thing).__name__
    with pytest.raises(MediaError, match=rf"a {name} is not a video; give one of: the number of a camera; .*array"):
        open_video(thing)


def test_an_empty_list_is_named() -> None:
    with pytest.raises(MediaError, match="the list of frames is empty"):
        open_video([])


def test_names_of_any_alphabet(tmp_path: Path) -> None:
    folder = tmp_path / "Größe 画像"
    folder.mkdir()
    Image.new("RGB", (16, 16)).save(folder / "кадр.png")
    with write_pictures(folder / "видео é.mp4", (16, 16), 24) as write:
        write(np.zeros((16, 16, 3), np.uint8))
    for path in (folder, folder / "кадр.png", folder / "видео é.mp4"):
        with open_video(path) as source:
            assert source.read(0).image.shape == (16, 16, 3)
