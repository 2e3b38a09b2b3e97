"""Pixels of a block in physical values, a bounded number at a time."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsis.cube.gains import physical
from hsis.cube.statistics import valid_mask
from hsis_inference.processes.base import Plan

PIXELS_AT_ONCE = 16_384
"""Bounds the memory: 224 bands of so many pixels are 29 MB in float64."""


def valid_pixels(
    plan: Plan, block: NDArray[Any]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Pieces of a block (band, y, x) of stored values: positions of pixels (counted along x, then
    y) and their physical values, shape (band, pixel), float64.

    Left out are pixels with a band that is not finite or nodata.
    """
    flat = block.reshape(block.shape[0], -1)
    for start in range(0, flat.shape[1], PIXELS_AT_ONCE):
        piece = flat[:, start : start + PIXELS_AT_ONCE]
        (valid,) = np.nonzero(valid_mask(piece, plan.nodata).all(axis=0))
        if valid.size:
            yield valid + start, physical(piece[:, valid], plan.scale, plan.offset)
