"""`python -m tests.fuzz`: new cases for as long as one likes; see `scripts/fuzz`."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.fuzz.readers import TARGETS, Bad, attempt, where


def main() -> int:
    """Returns the exit code: 1 if a file met no sentence."""
    parser = argparse.ArgumentParser(description="Damage files by a seed, and read them.")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--targets", default=",".join(TARGETS))
    parser.add_argument("--first", type=int, default=int(time.time()) << 20, help="number of the first case")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-finds"), help="folder for files that met no sentence")
    asked = parser.parse_args()
    names = asked.targets.split(",")
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        seeds = {}
        for name in names:
            (Path(folder) / name).mkdir()
            seeds[name] = TARGETS[name].make(Path(folder) / name)
            shutil.copytree(Path(folder) / name, Path(folder) / "damaged" / name)
        number, end = asked.first, time.monotonic() + 60 * asked.minutes
        print(f"cases from {number} on")
        while time.monotonic() < end:
            for name in names:
                seed = seeds[name][number % len(seeds[name])]
                path = Path(folder) / "damaged" / seed.relative_to(folder)
                try:
                    attempt(TARGETS[name], seed, number, path)
                except Bad as bad:
                    place = f"{name}, {where(bad)}"
                    found[place] += 1
                    if found[place] == 1:
                        asked.keep.mkdir(exist_ok=True)
                        shutil.copy(path, asked.keep / f"{number}-{seed.name}")
                        print(f"{place}: {bad}", flush=True)
            number += 1
    print(f"{(number - asked.first) * len(names)} cases, {sum(found.values())} of them bad")
    for place, count in found.most_common():
        print(f"{count:6} {place}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
