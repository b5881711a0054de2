"""All measures of weights in one table: pictures from a box and from clicks, videos from a mask and from a click, real
and made up, and the baselines.

    masklet train clips runs/made-up --data DATA --count 50
    python benchmarks/weights.py nano other.safetensors --data DATA --made-up runs/made-up --out runs/weights

Every cell is a run of `masklet eval` in a folder of its own under OUT, with all that it writes; what is there is not
run again. Means over objects, in percent. `benchmarks/nano.py` tells the frames a second.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table


class Run(NamedTuple):
    """One run of `masklet eval`: its folder's name and its arguments."""

    name: str
    arguments: tuple[str, ...]


BOX = Run("box", ("image", "DATA", "--prompt", "box", "--clicks", "1"))
CLICKS = Run("clicks", ("image", "DATA", "--clicks", "5"))
VIDEO = Run("video-mask", ("vos", "DATA"))
CLICKED = Run("video-click", ("vos", "DATA", "--prompt", "click"))
MADE_UP = Run("made-up-mask", ("vos", "MADE-UP"))
MADE_UP_CLICKED = Run("made-up-click", ("vos", "MADE-UP", "--prompt", "click"))

OF_WEIGHTS = (BOX, CLICKS, VIDEO, CLICKED, MADE_UP, MADE_UP_CLICKED)
OF_BASELINES = {"grabcut": (BOX, VIDEO, MADE_UP), "flow": (VIDEO, MADE_UP), "still": (VIDEO, MADE_UP)}

COLUMNS = {
    "box": (BOX, "IoU@1"),
    "1 click": (CLICKS, "IoU@1"),
    "3 clicks": (CLICKS, "IoU@3"),
    "5 clicks": (CLICKS, "IoU@5"),
    "video, mask": (VIDEO, "J&F"),
    "video, click": (CLICKED, "J&F"),
    "made up, mask": (MADE_UP, "J&F"),
    "made up, click": (MADE_UP_CLICKED, "J&F"),
}


def sources(arguments: argparse.Namespace) -> dict[str, tuple[str, ...]]:
    return {
        "DATA": ("--dataset", "folder", "--root", str(arguments.data)),
        "MADE-UP": ("--dataset", "davis2017", "--root", str(arguments.made_up)),
    }


def measure(run: Run, contender: tuple[str, str], folder: Path, arguments: argparse.Namespace) -> dict[str, float]:
    """Do a run that is not done yet; returns its summary's figures."""
    out = folder / run.name
    if not (out / "summary.json").exists():
        kind, source, *rest = run.arguments
        command = [sys.executable, "-m", "masklet", "eval", kind, *sources(arguments)[source], *contender, *rest]
        subprocess.run([*command, "--out", str(out), "--workers", str(arguments.workers)], check=True)
    overall: dict[str, float] = json.loads((out / "summary.json").read_text())["overall"]
    return overall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="*", help="names and files of models; without any the baselines alone")
    parser.add_argument("--data", type=Path, required=True, help="folder with index.csv, pictures and videos")
    parser.add_argument("--made-up", type=Path, required=True, help="what masklet train clips wrote")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/weights"))
    args = parser.parse_args()
    rows: dict[str, dict[str, dict[str, float]]] = {}
    for weights in args.weights:
        name = Path(weights).stem
        rows[name] = {r.name: measure(r, ("--model", weights), args.out / name, args) for r in OF_WEIGHTS}
    for name, runs in OF_BASELINES.items():
        rows[name] = {r.name: measure(r, ("--baseline", name), args.out / name, args) for r in runs}

    cells = [
        (name, *(f"{100 * found[run.name][of]:.1f}" if run.name in found else "" for run, of in COLUMNS.values()))
        for name, found in rows.items()
    ]
    table = Table("weights", title="mean IoU of pictures, J&F of videos, in percent", title_justify="left")
    for column in COLUMNS:
        table.add_column(column, justify="right")
    for row in cells:
        table.add_row(*row)
    Console(width=140).print(table)
    lines = [("weights", *COLUMNS), ("---", *["--:"] * len(COLUMNS)), *cells]
    (args.out / "table.md").write_text("".join(f"| {' | '.join(line)} |\n" for line in lines))


if __name__ == "__main__":
    main()
