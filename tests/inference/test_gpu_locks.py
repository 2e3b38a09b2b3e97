"""Which process takes which GPU, with real processes and made-up UUIDs."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UUIDS = ["GPU-aaaa", "GPU-bbbb"]
PROGRAM = """
import sys
from pathlib import Path
from hsis_inference.gpu_locks import take_gpu
print(take_gpu(sys.argv[2:], Path(sys.argv[1])), flush=True)
sys.stdin.read()
"""


@contextmanager
def replica(folder: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that takes a GPU and holds it until it is left or killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder), *UUIDS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


def test_each_takes_one_of_its_own_and_a_third_shares(tmp_path: Path) -> None:
    with replica(tmp_path) as (_, a), replica(tmp_path) as (_, b), replica(tmp_path) as (_, c):
        assert (a, b, c) == (0, 1, 0)


def test_a_killed_replica_frees_its_gpu(tmp_path: Path) -> None:
    with replica(tmp_path) as (first, a), replica(tmp_path) as (_, b):
        assert (a, b) == (0, 1)
        first.kill()
        first.wait(10)
        with replica(tmp_path) as (_, c):
            assert c == 0
