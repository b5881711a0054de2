"""What it saves to fold batch normalisations into the convolutions before them, as every loaded model does, and to
write activations in place.

    python benchmarks/folding.py [--rounds 25]

All sides take turns on one thread, with the same weights and picture; medians of the processor's time, which other
work disturbs little. `lite0` is `nano` with another trunk and random weights.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import statistics
import time

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

import masklet
from masklet.engines.torch import Model, folded
from masklet.nn import NANO
from masklet.nn.config import LITE0


def medians(model: Model, rounds: int) -> tuple[list[float], float]:
    """Milliseconds of encoding a picture: plain, folded with activations apart, folded; and of the folding."""
    side = model.config.image_size
    images = torch.randn(1, 3, side, side, generator=torch.manual_seed(0))
    began = time.process_time()
    network = folded(model.network)
    once = 1e3 * (time.process_time() - began)
    apart = copy.deepcopy(network)
    for module in apart.modules():
        if isinstance(module, nn.ReLU6):
            module.inplace = False
    sides = [(each, list[float]()) for each in (model.network, apart, network)]
    for _ in range(rounds):
        for each, found in sides:
            began = time.process_time()
            each.encode_image(images)
            found.append(time.process_time() - began)
    return [1e3 * statistics.median(found) for _, found in sides], once


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=25)
    args = parser.parse_args()
    torch.set_num_threads(1)
    table = Table(title="encoding a picture, milliseconds", title_justify="left")
    for column in ("model", "plain", "folded, new maps", "folded", "plain / folded", "folding, once"):
        table.add_column(column, justify="right")
    lite0 = masklet.build_model(dataclasses.replace(NANO, name="lite0", encoder=LITE0), seed=0)
    for model in (masklet.load_model("nano", device="cpu"), lite0):
        found, once = medians(model, args.rounds)
        table.add_row(model.name, *(f"{each:.1f}" for each in found), f"{found[0] / found[-1]:.2f}", f"{once:.0f}")
    Console(width=90).print(table)


if __name__ == "__main__":
    main()
