"""The memory and the threads of a process. Imports no torch; what is here asks it if it was imported."""

import ctypes
import os
import sys

M_ARENA_MAX = -8
"""The parameter of the GNU C library's `mallopt` that bounds its pools of memory."""


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


def threads() -> int:
    """How many threads the network may take on a processor: as many as PyTorch takes, or `OMP_NUM_THREADS`, or one for
    each core that the process may use."""
    torch = sys.modules.get("torch")
    if torch is not None:
        return int(torch.get_num_threads())
    said = os.environ.get("OMP_NUM_THREADS", "")
    if said.isdecimal() and int(said):
        return int(said)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_threads(count: int) -> None:
    """Let PyTorch take so many in this thread, if it was imported; other engines have them from the start."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != count:
        torch.set_num_threads(count)


def share_heap() -> None:
    """Have the GNU C library take the memory of all threads from two pools, not from eight for each core, so that a
    server's threads use what others gave back. Other C libraries have nothing of the kind."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_ARENA_MAX, 2)
