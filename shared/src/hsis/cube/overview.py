"""Reducing a cube along y and x by two, level by level."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsis.cube.statistics import valid_mask


def halve(block: NDArray[Any], nodata: float | None, *, categorical: bool) -> NDArray[Any]:
    """A block (band, y, x) reduced to half along y and x, odd ends kept.

    The mean of the valid pixels of each 2 x 2 (rounded for integers), nodata where none is valid;
    for `categorical` values the upper left pixel, since the mean of two classes is none.
    """
    if categorical:
        return np.ascontiguousarray(block[:, ::2, ::2])
    bands, rows, columns = block.shape
    wide = np.complex128 if block.dtype.kind == "c" else np.float64
    total = np.zeros((bands, -(-rows // 2), -(-columns // 2)), wide)
    # Integers without a nodata value are all valid, and each band has the same counts.
    everything = block.dtype.kind in "iu" and nodata is None
    count = np.zeros((1, *total.shape[1:]) if everything else total.shape, np.int8)
    for top in (0, 1):
        for left in (0, 1):
            part = block[:, top::2, left::2]
            here = (slice(None), slice(0, part.shape[1]), slice(0, part.shape[2]))
            if everything:
                total[here] += part
                count[here] += 1
                continue
            valid = valid_mask(part, nodata)
            total[here] += np.where(valid, part, 0)
            count[here] += valid
    mean = total / np.maximum(count, 1)
    if block.dtype.kind in "iu":
        mean = np.rint(mean)
    empty = block[:, ::2, ::2]  # any of the four invalid values stands for them
    return np.where(count > 0, mean.astype(block.dtype), empty)
