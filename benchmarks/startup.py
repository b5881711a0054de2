"""How long until masklet can begin: importing, the command line, and loading the largest model.

    python benchmarks/startup.py [--model sam2.1-large] [--runs 5] [--output benchmarks/results/startup.json]

Each figure is the median over fresh processes. Files of weights hold random numbers and are made in a temporary
folder, so they are in the page cache when they are read: a cold disk adds the time of reading. Memory is the peak of
the process (`ru_maxrss`) beyond what it was before loading, once when the model is ready and once when every weight
has been used: files are mapped, so weights take memory when they are used.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

COMMANDS = {
    "python alone": "pass",
    "import masklet": "import masklet",
    "list_models()": "import masklet; masklet.list_models()",
    "import torch": "import torch",
}
CLI = "import sys; from masklet.cli.main import main; sys.argv = ['masklet', {option!r}]; main()"

MAKE = """
import sys, torch, masklet
model = masklet.build_model(sys.argv[1], seed=0)
torch.save({"model": model.network.state_dict()}, sys.argv[2] + "/weights.pt")
masklet.save_model(model, sys.argv[2] + "/weights.safetensors")
"""

LOAD = """
import json, resource, sys, time
import torch
from masklet.checkpoints import load_model

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

before = peak()
start = time.perf_counter()
model = load_model(sys.argv[1], device="cpu")
seconds = time.perf_counter() - start
loaded = peak() - before
weights = [*model.network.parameters()]
used = sum(float(weight.sum()) for weight in weights)
size = sum(weight.nbytes for weight in weights)
print(json.dumps({"seconds": seconds, "loaded": loaded, "used": peak() - before, "weights": size}))
"""


def run(program: str, *arguments: str) -> str:
    """What a fresh interpreter prints for a program."""
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def seconds_of(program: str, runs: int) -> float:
    """Median wall time of a fresh interpreter that runs a program."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        run(program)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def measure_commands(runs: int) -> dict[str, float]:
    """Seconds of each command."""
    programs = dict(COMMANDS)
    if importlib.util.find_spec("masklet.cli.main"):
        programs |= {f"masklet {option}": CLI.format(option=option) for option in ("--version", "--help")}
    return {name: seconds_of(program, runs) for name, program in programs.items()}


def measure_loading(model: str, runs: int) -> dict[str, dict[str, float]]:
    """Seconds and bytes of loading a model from each kind of file."""
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        run(MAKE, model, folder)
        for suffix in (".pt", ".safetensors"):
            figures = [json.loads(run(LOAD, str(Path(folder) / f"weights{suffix}"))) for _ in range(runs)]
            results[suffix] = {key: statistics.median(figure[key] for figure in figures) for key in figures[0]}
    return results


def describe_machine() -> dict[str, Any]:
    """Where and with what the figures were taken."""
    processors = Path("/proc/cpuinfo")
    lines = processors.read_text().splitlines() if processors.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": run("import torch; print(torch.__version__)").strip(),
        "commit": commit or None,
    }


def show(results: dict[str, Any]) -> None:
    """Print both tables."""
    console = Console()
    commands = Table("command", "seconds", title="Start")
    for name, seconds in results["commands"].items():
        commands.add_row(name, f"{seconds:.2f}")
    loading = Table("file", "seconds", "memory when ready", "when used", "weights", title=f"Loading {results['model']}")
    for suffix, figures in results["loading"].items():
        sizes = (f"{figures[key] / 2**20:.0f} MiB" for key in ("loaded", "used", "weights"))
        loading.add_row(suffix, f"{figures['seconds']:.2f}", *sizes)
    console.print(commands, loading)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description="How long until masklet can begin.")
    parser.add_argument("--model", default="sam2.1-large", help="which model is loaded")
    parser.add_argument("--runs", type=int, default=5, help="fresh processes for each figure")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "startup.json")
    options = parser.parse_args(arguments)
    results = {
        "machine": describe_machine(),
        "runs": options.runs,
        "model": options.model,
        "commands": measure_commands(options.runs),
        "loading": measure_loading(options.model, options.runs),
    }
    show(results)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
