"""A GPU of its own for each process of a machine, by locks on the GPUs' UUIDs.

Compose gives every replica of a service the same GPUs. Replicas that share a folder (a volume) lock
a file in it for the GPU that they take; the kernel frees the lock when the process ends, however it
ends. Where there are more replicas than GPUs, a GPU is shared only after all are taken.
"""

import fcntl
from pathlib import Path
from typing import IO

MAX_SHARING = 64
_held: list[IO[str]] = []
"""The files of this process's locks, open for as long as it lives."""


def take_gpu(uuids: list[str], folder: Path) -> int:
    """The number in `uuids` of the GPU taken: of those least shared, the first.

    RuntimeError where all are shared by MAX_SHARING processes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for place in range(MAX_SHARING):
        for number, uuid in enumerate(uuids):
            file = (folder / f"{uuid}.{place}").open("w", encoding="utf-8")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                continue
            _held.append(file)
            return number
    raise RuntimeError(f"{MAX_SHARING} processes share each of the GPUs {', '.join(uuids)}.")
