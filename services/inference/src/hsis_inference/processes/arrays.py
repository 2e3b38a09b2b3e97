"""Named arrays as bytes, for partial results that are kept in the database."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray


def pack(**arrays: NDArray[Any]) -> bytes:
    """The arrays in NumPy's .npz form, bit for bit."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def unpack(content: bytes) -> dict[str, NDArray[Any]]:
    """The arrays that were packed."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return dict(arrays)
