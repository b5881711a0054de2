"""What it saves to fold batch normalisations into the convolutions before them, as every loaded model does.

    python benchmarks/folding.py [--rounds 25]

Both sides take turns on one thread, with the same weights and picture; medians of the processor's time, which other
work disturbs little. `lite0` is `nano` with another trunk and random weights.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import time

import torch
from rich.console import Console
from rich.table import Table

import masklet
from masklet.engines.torch import Model, folded
from masklet.nn import NANO
from masklet.nn.encoders.configs import LITE0


def medians(model: Model, rounds: int) -> tuple[float, float, float]:
    """Milliseconds of encoding a picture, plain and folded, and of the folding itself."""
    side = model.config.image_size
    images = torch.randn(1, 3, side, side, generator=torch.manual_seed(0))
    began = time.process_time()
    network = folded(model.network)
    once = 1e3 * (time.process_time() - began)
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(rounds):
        for fold, found in seconds.items():
            began = time.process_time()
            (network if fold else model.network).encode_image(images)
            found.append(time.process_time() - began)
    return 1e3 * statistics.median(seconds[False]), 1e3 * statistics.median(seconds[True]), once


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=25)
    args = parser.parse_args()
    torch.set_num_threads(1)
    table = Table(title="encoding a picture, milliseconds", title_justify="left")
    for column in ("model", "plain", "folded", "ratio", "folding, once"):
        table.add_column(column, justify="right")
    lite0 = masklet.build_model(dataclasses.replace(NANO, name="lite0", encoder=LITE0), seed=0)
    for model in (masklet.load_model("nano", device="cpu"), lite0):
        plain, quick, once = medians(model, args.rounds)
        table.add_row(model.name, f"{plain:.1f}", f"{quick:.1f}", f"{plain / quick:.2f}", f"{once:.0f}")
    Console(width=90).print(table)


if __name__ == "__main__":
    main()
