"""The two ways of attending memories, and of turning their keys, on this processor.

    python benchmarks/attention.py [--cells 32] [--memories 7] [--objects 1] [--threads 2]

Numbers are made up; widths are those of the published models. All ways take turns, and the best of some rounds counts.
Seconds are those of the processor with one thread (other work disturbs them little), of the clock with more. The rule
in `masklet.nn.memory_attention.LAST_FROM` comes from runs with `--width 64`, 128 and 256.
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

from masklet.nn.memory_attention import LAST_FROM, project_first, project_last
from masklet.nn.positions import _rotate_complex, _rotate_real, rotation

POINTERS = 64
"""Tokens of sixteen pointers."""

ROUNDS = 5


def best_of(ways: dict[str, Callable[[], object]], clock: Callable[[], float]) -> dict[str, float]:
    """Seconds of each way, the best of all rounds."""
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS + 1):
        for name, way in ways.items():
            began = clock()
            way()
            best[name] = min(best[name], clock() - began)
    return best


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=32, help="of a side: image size / 16")
    parser.add_argument("--memories", type=int, default=7)
    parser.add_argument("--objects", type=int, default=1)
    parser.add_argument("--width", type=int, default=256, help="channels of keys; memories have a quarter")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    queries = args.cells**2
    keys = queries * args.memories + POINTERS
    q, k = torch.randn(args.objects, 1, queries, args.width), torch.randn(args.objects, 1, keys, args.width)
    memory = torch.randn(args.objects, keys, args.width // 4)
    projection = nn.Linear(args.width // 4, args.width)
    by = rotation(args.width, args.cells, torch.device("cpu"))
    pairs = k[..., : keys - POINTERS, :].unflatten(-2, (-1, queries)).unflatten(-1, (-1, 2))
    found = best_of(
        {
            "values projected first": lambda: project_first(q, k, memory, projection, None),
            "values projected last": lambda: project_last(q, k, memory, projection, None),
            "keys projected": lambda: nn.functional.linear(memory, projection.weight, projection.bias),
            "turned in real numbers": lambda: _rotate_real(pairs, by),
            "turned in complex numbers": lambda: _rotate_complex(pairs, by),
        },
        time.process_time if args.threads == 1 else time.perf_counter,
    )
    table = Table(title=f"{args.objects} objects, {queries:,} queries, {keys:,} keys: seconds", title_justify="left")
    table.add_column("what")
    table.add_column("best", justify="right")
    for name, seconds in found.items():
        table.add_row(name, f"{seconds:.4f}")
    table.caption = f"the rule takes values projected {'last' if args.width >= LAST_FROM else 'first'}"
    Console(width=90).print(table)


if __name__ == "__main__":
    main()
