"""Freed memory leaves the process."""

import subprocess
import sys

import numpy as np
import pytest

from hsis_ingest.allocation import LARGE_BYTES, KeptBuffers

SCRIPT = """
import ctypes, gc, sys
from hsis_ingest.allocation import give_back_large_blocks, give_back_rest

def resident_mib():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 // 2**20

if sys.argv[1] == "large":
    give_back_large_blocks()
    bytes(30 * 2**20)  # freed: without the fixed limit, blocks up to 30 MiB are kept from now on
before = resident_mib()
blocks = [bytearray(b"x" * int(sys.argv[2])) for _ in range(int(sys.argv[3]))]
keep = bytearray(b"x" * int(sys.argv[2]))  # above them: the heap's end is in use
full = resident_mib()
del blocks
if sys.argv[1] == "rest":
    give_back_rest()
print(full - before, resident_mib() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc and the GNU C library are Linux's")
@pytest.mark.parametrize(
    ("what", "size", "count"), [("large", 4 * 2**20, 40), ("rest", 90_000, 2000)]
)
def test_it_is_given_back(what, size, count):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, what, str(size), str(count)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    full, left = map(int, done.stdout.split())
    assert full >= 150
    assert left <= 12


def test_kept_memory_is_taken_again_once_no_view_of_it_is_left():
    buffers, shape = KeptBuffers(), (2, LARGE_BYTES // 4)
    first = buffers.empty(shape, np.dtype(">i2"))
    assert (first.shape, first.dtype) == (shape, np.dtype(">i2"))
    place, view = first.ctypes.data, first.transpose()[5:9].view(np.int16)
    del first
    other = buffers.empty(shape, np.dtype("i2"))
    assert not np.shares_memory(other, view)
    del view
    assert buffers.empty((LARGE_BYTES // 4,), np.dtype("f4")).ctypes.data == place
