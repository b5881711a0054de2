"""Makes the moving picture of the README, docs/images/demo.gif, by the command that stands beside it.

.venv-test/bin/python scripts/demo_picture.py
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import av
from PIL import Image

ROOT = Path(__file__).parents[1]
FRAMES = range(17, 30)
SIZE = (480, 270)
RATE = 10  # frames a second


def main() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8").replace("\\\n", " ")
    shown = re.search(r"^masklet track src\S+clip\.mp4.*--point.*$", text, re.MULTILINE)
    assert shown, "the README has a command that tracks the sample"
    with TemporaryDirectory() as out:
        command = [*shlex.split(shown[0])[:-1], out]
        subprocess.run([sys.executable, "-m", *command], check=True, cwd=ROOT)
        with av.open(f"{out}/overlay.mp4") as film:
            pictures = [frame.to_image().resize(SIZE, Image.Resampling.LANCZOS) for frame in film.decode(video=0)]
    common = pictures[FRAMES[len(FRAMES) // 2]].quantize(256)  # one palette, or colours flicker
    first, *others = (pictures[n].quantize(palette=common, dither=Image.Dither.NONE) for n in FRAMES)
    first.save(
        ROOT / "docs/images/demo.gif", save_all=True, append_images=others, duration=1000 // RATE, loop=0, optimize=True
    )


if __name__ == "__main__":
    main()
