"""The memory of a process that answers for weeks."""

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

POOLS = """
import ctypes, sys
from pathlib import Path
from threading import Barrier, Thread
from masklet import machine

if sys.argv[1] == "shared":
    machine.share_heap()
together = Barrier(9)

def take():
    memory = ctypes.create_string_buffer(1000)
    together.wait()
    together.wait()

threads = [Thread(target=take) for _ in range(8)]
for thread in threads:
    thread.start()
together.wait()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen(sys.argv[2].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
together.wait()
print(Path(sys.argv[2]).read_text().count("<heap nr="))
"""


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_info"), reason="of the GNU C library alone"
)
def test_threads_share_two_pools_of_memory(tmp_path: Path) -> None:
    def pools(kind: str) -> int:
        ran = subprocess.run(
            [sys.executable, "-c", POOLS, kind, str(tmp_path / "pools.xml")], stdout=subprocess.PIPE, check=True
        )
        return int(ran.stdout)

    assert pools("apart") > 2
    assert pools("shared") <= 2
