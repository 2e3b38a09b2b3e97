"""Memory that was freed goes back to the system, not only to this process.

A conversion allocates blocks of many sizes in several threads; the GNU C library keeps what they
freed. For 2 GB in BIP that was 130 of 614 MiB. Where another C library is, nothing is done.
"""

import ctypes

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
