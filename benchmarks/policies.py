"""All memory policies, side by side: the same clips, a box on the first frame, as `masklet eval` measures them.

    python benchmarks/policies.py [--data DATA] [--model nano] [--policies published mine:Policy] [--out runs/policies]

Clips are made up (made_up.py, one for each thing that goes wrong with trackers), and the labelled validation videos of
--data, a folder with index.csv. Every policy is a run of `masklet eval vos` in a folder of its own; what is there is
not run again. The tables are those of `masklet eval compare`, against the first policy.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from made_up import write_clips

POLICIES = [
    "published",
    *(f"examples.policies.{n.lower()}:{n}Policy" for n in ("Quality", "Distractor", "Motion", "Long")),
]
"""What is compared if nothing else is said; run from the root of the repository."""


def evaluate(*arguments: object) -> None:
    """`masklet eval` with these arguments."""
    subprocess.run([sys.executable, "-m", "masklet", "eval", *map(str, arguments)], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with index.csv and videos")
    parser.add_argument("--model", default="nano")
    parser.add_argument("--policies", nargs="+", default=POLICIES, help="names, and module:Name")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/policies"))
    args = parser.parse_args()
    if not (args.out / "clips").exists():
        write_clips(args.out / "clips")
    sources = {"made-up": ("davis2017", args.out / "clips")}
    if args.data is not None:
        sources["videos"] = ("folder", args.data)
    for source, (dataset, root) in sources.items():
        runs = [args.out / source / policy.replace(":", ".") for policy in args.policies]
        for policy, run in zip(args.policies, runs, strict=True):
            tracker = ("--model", args.model, "--policy", policy, "--workers", args.workers)
            evaluate("vos", "--dataset", dataset, "--root", root, "--prompt", "box", *tracker, "--out", run)
        if len(runs) > 1:
            evaluate("compare", *runs, "--out", args.out / source / "compared")


if __name__ == "__main__":
    main()
