"""The two ways of attending memories, and of turning their keys, on this processor.

    python benchmarks/attention.py [--cells 32] [--memories 7] [--objects 1] [--threads 2]

Numbers are made up; widths are those of the published models. All ways take turns, and the best of some rounds counts.
The choice that masklet makes here by its own trial, and what that trial takes, are printed too.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from masklet.nn.narrow_attention import WAYS, quicker_way
from masklet.nn.rotary import _rotate_complex, _rotate_real, rotation

WIDTH, MEMORY_WIDTH, POINTERS = 256, 64, 64
"""Channels of keys and of memories, and tokens of sixteen pointers."""

ROUNDS = 5


def best_of(ways: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Seconds of each way, the best of all rounds."""
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS + 1):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            best[name] = min(best[name], time.perf_counter() - began)
    return best


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=32, help="of a side: image size / 16")
    parser.add_argument("--memories", type=int, default=7)
    parser.add_argument("--objects", type=int, default=1)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    queries = args.cells**2
    keys = queries * args.memories + POINTERS
    q, k = torch.randn(args.objects, 1, queries, WIDTH), torch.randn(args.objects, 1, keys, WIDTH)
    memory, projection = torch.randn(args.objects, keys, MEMORY_WIDTH), nn.Linear(MEMORY_WIDTH, WIDTH)
    by = rotation(WIDTH, args.cells, torch.device("cpu"))
    pairs = k[..., : keys - POINTERS, :].unflatten(-2, (-1, queries)).unflatten(-1, (-1, 2))
    found = best_of(
        {f"values projected {name}": lambda way=way: way(q, k, memory, projection, None) for name, way in WAYS.items()}
        | {
            "keys projected": lambda: nn.functional.linear(memory, projection.weight, projection.bias),
            "turned in real numbers": lambda: _rotate_real(pairs, by),
            "turned in complex numbers": lambda: _rotate_complex(pairs, by),
        }
    )
    table = Table(title=f"{args.objects} objects, {queries:,} queries, {keys:,} keys: seconds", title_justify="left")
    table.add_column("what")
    table.add_column("best", justify="right")
    for name, seconds in found.items():
        table.add_row(name, f"{seconds:.4f}")
    began = time.perf_counter()
    chosen = quicker_way(WIDTH, MEMORY_WIDTH, args.threads).__name__
    table.caption = f"chosen here: {chosen}, by a trial of {time.perf_counter() - began:.2f} s"
    Console(width=90).print(table)


if __name__ == "__main__":
    main()
