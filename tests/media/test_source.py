from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from masklet.errors import MediaError
from masklet.formats.overlay import OverlayWriter
from masklet.media.folder import ImageFolder
from masklet.media.source import open_video
from masklet.media.video_file import VideoFile


def test_a_folder_and_a_file_find_their_readers(tmp_path: Path) -> None:
    Image.new("RGB", (16, 16)).save(tmp_path / "0.png")
    with OverlayWriter(tmp_path / "clip.mp4", (16, 16), 24) as writer:
        writer.write(np.zeros((16, 16, 3), np.uint8))
    with open_video(tmp_path) as folder, open_video(str(tmp_path / "clip.mp4")) as video:
        assert isinstance(folder, ImageFolder)
        assert isinstance(video, VideoFile)


def test_nothing_at_the_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"there is nothing at .*gone\.mp4; give the path of a video file or"):
        open_video(tmp_path / "gone.mp4")
