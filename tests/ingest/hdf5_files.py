"""HDF5 files that the tests write with h5py."""

import io
from collections.abc import Callable
from typing import Any

import h5py

from tests.ingest.files import MemoryFile


def h5(write: Callable[[h5py.File], Any], name: str = "cube.h5", **options: Any) -> MemoryFile:
    """What `write` puts into a file, as a file in memory."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", **options) as file:
        write(file)
    return MemoryFile(name, buffer.getvalue())
