"""The memory that a process takes. Imports no torch, so that it adds nothing to what it measures."""

import sys


def peak_memory() -> float | None:
    """MiB, on a GPU if there is work on one, else of the processor; None if the system does not report it."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and (taken := torch.cuda.max_memory_allocated()):
        return float(taken) / 2**20
    try:
        import resource
    except ImportError:  # Windows
        return None
    taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return taken / 2**20 if sys.platform == "darwin" else taken / 2**10
