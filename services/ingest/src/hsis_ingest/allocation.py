"""Memory that was freed goes back to the system, not only to this process.

A conversion allocates blocks of many sizes in several threads; the GNU C library keeps what they
freed. For 2 GB in BIP that was 130 of 614 MiB. Where another C library is, nothing is done.
"""

import ctypes
import math
import weakref
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

M_MMAP_THRESHOLD = -3
LARGE_BYTES = 1024 * 1024


def give_back_large_blocks() -> None:
    """From now on, have blocks of 1 MiB and more of the system, to which they go back when freed.

    By itself the library raises that limit to the largest block freed so far, up to 32 MiB.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)


def give_back_rest() -> None:
    """Give back what is free now, of all threads; takes some milliseconds."""
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(0)


class KeptBuffers:
    """Memory for large arrays of one size after another, used again once nothing refers to it.

    Pages that are fresh for each array cost about as much as filling them: a fifth of the
    processor's time of a conversion.
    """

    def __init__(self) -> None:
        self._free: list[mmap] = []
        self._lock = Lock()

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """An array of any values. Its memory is taken again when it and its views are gone."""
        size = math.prod(shape) * dtype.itemsize
        if size < LARGE_BYTES:
            return np.empty(shape, dtype)
        buffer = self._take(size)
        whole = np.frombuffer(buffer, np.uint8, size)  # every view refers to this very array
        weakref.finalize(whole, self._free.append, buffer).atexit = False
        return whole.view(dtype).reshape(shape)

    def _take(self, size: int) -> mmap:
        """A buffer that is large enough; of those that are too small one is given up."""
        with self._lock:
            for place, buffer in enumerate(self._free):
                if len(buffer) >= size:
                    return self._free.pop(place)
            if self._free:
                self._free.pop()
        return mmap(-1, size, flags=MAP_PRIVATE | MAP_ANONYMOUS)
