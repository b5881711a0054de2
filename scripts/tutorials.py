"""Runs the commands of the tutorials, and draws their pictures, docs/images/tutorial-*.jpg.

.venv-test/bin/python scripts/tutorials.py [NAME ...]
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
from PIL import Image

from masklet.media.source import open_video

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs/tutorials"
SERVERS = ("masklet annotate", "masklet serve")
"""They run until they are stopped, and are left out."""


def main() -> None:
    for name in sys.argv[1:] or PICTURES:
        with TemporaryDirectory() as folder:
            run(name, Path(folder))
            picture = PICTURES[name](Path(folder)).convert("RGB")
        picture.save(ROOT / f"docs/images/tutorial-{name}.jpg", quality=88, optimize=True)


def run(name: str, folder: Path) -> None:
    """Everything that the page NAME tells a reader to type, in an empty folder, with this Python's masklet."""
    text = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    lines = [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    script = "\n".join(line for line in lines if not line.startswith(SERVERS))
    (folder / "src").symlink_to(ROOT / "src")
    typed = f'set -e\nmasklet() {{ "{sys.executable}" -m masklet "$@"; }}\npython() {{ "{sys.executable}" "$@"; }}\n'
    done = subprocess.run(
        ["bash", "-c", typed + script],
        cwd=folder,
        env=os.environ | {"COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{name}.md: {done.stderr}")


def editor(folder: Path) -> Image.Image:
    overlay = frame(folder / "horse/overlay.mp4", 18)
    with av.open(str(folder / "horse/formats/horse-prores.mov")) as film:
        cut = next(f for n, f in enumerate(film.decode(video=0)) if n == 18).to_ndarray(format="rgba")
    height, width = cut.shape[:2]
    squares = (np.indices((height, width)) // 12).sum(axis=0) % 2 * 40 + 180
    alpha = cut[..., 3:] / 255
    shown = cut[..., :3] * alpha + squares[..., None] * (1 - alpha)
    return beside([overlay, Image.fromarray(shown.astype(np.uint8)), frame(folder / "shot.mp4", 13)])


def researcher(folder: Path) -> Image.Image:
    return Image.open(folder / "compared/compare.png").convert("RGB")


def engineer(folder: Path) -> Image.Image:
    return frame(folder / "live.mp4", 0)  # a busy machine passes over the others


def clinician(folder: Path) -> Image.Image:
    return beside([frame(folder / "organ/overlay.mp4", number).resize((288, 288)) for number in (7, 11, 15, 19, 23)])


PICTURES: dict[str, Callable[[Path], Image.Image]] = {
    "editor": editor,
    "researcher": researcher,
    "engineer": engineer,
    "clinician": clinician,
}
"""Name of a page -> draws its picture from what its commands left in a folder."""


def frame(film: Path, number: int) -> Image.Image:
    """A frame of a film by its place."""
    with open_video(film) as source:
        return Image.fromarray(source.read(number).image)


def beside(pictures: list[Image.Image]) -> Image.Image:
    """Pictures of one size in a row, with a gap."""
    width, height = pictures[0].size
    sheet = Image.new("RGB", (len(pictures) * (width + 8) - 8, height), "white")
    for place, picture in enumerate(pictures):
        sheet.paste(picture, (place * (width + 8), 0))
    return sheet


if __name__ == "__main__":
    main()
