"""What makes stored values physical ones: a scale and an offset of all bands, or of each."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Gain = float | tuple[float, ...]
"""A scale or an offset: one number for all bands, or where they differ one a band."""


def gain_of(values: Sequence[float]) -> Gain:
    """Of one number a band: the number itself where all have the same."""
    numbers = tuple(map(float, values))
    return numbers[0] if len(set(numbers)) == 1 else numbers


def of_bands(gain: Gain, bands: Sequence[int]) -> Gain:
    """Of some bands, by number from 0."""
    return gain if isinstance(gain, float | int) else gain_of([gain[band] for band in bands])


def each(gain: Gain, bands: int) -> tuple[float, ...]:
    """One number a band."""
    return (gain,) * bands if isinstance(gain, float | int) else gain


def physical(stored: NDArray[Any], scale: Gain, offset: Gain) -> NDArray[np.float64]:
    """`stored * scale + offset`, in float64; bands lie along the first axis."""
    values = stored.astype(np.float64)
    if scale != 1.0:
        values *= _along_bands(scale, values)
    if offset != 0.0:
        values += _along_bands(offset, values)
    return values


def _along_bands(gain: Gain, values: NDArray[np.float64]) -> float | NDArray[np.float64]:
    if isinstance(gain, float | int):
        return gain
    return np.array(gain, np.float64).reshape(-1, *(1,) * (values.ndim - 1))
