"""Reducing a cube along y and x by two, level by level."""

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsis.cube.statistics import all_valid, valid_mask

SUMMABLE_BYTES = 4
"""Of integers of up to so many bytes, four fit an int64, and a float64 holds their sum exactly."""
PAIRED_BANDS = 8
"""Halved at once: few enough for the processor's cache, many enough for numpy."""


def halve(block: NDArray[Any], nodata: float | None, *, categorical: bool) -> NDArray[Any]:
    """A block (band, y, x) reduced to half along y and x, odd ends kept.

    The mean of the valid pixels of each 2 x 2 (rounded for integers), nodata where none is valid;
    for `categorical` values the upper left pixel, since the mean of two classes is none.
    """
    if categorical:
        return np.ascontiguousarray(block[:, ::2, ::2])
    bands, rows, columns = block.shape
    result = np.empty((bands, -(-rows // 2), -(-columns // 2)), block.dtype)
    if _has_pairs(block):
        for first in range(0, bands, PAIRED_BANDS):
            some = slice(first, first + PAIRED_BANDS)
            if all_valid(block[some], nodata):
                _halve_pairs(block[some], result[some])
            else:
                _halve_bands(block[some], result[some], nodata)
        return result
    _halve_bands(block, result, nodata)
    return result


def _halve_bands(block: NDArray[Any], result: NDArray[Any], nodata: float | None) -> None:
    # Band by band: what is made on the way stays small and in the processor's cache.
    for band, reduced in zip(block, result, strict=True):
        everything = all_valid(band, nodata)
        if block.dtype.kind in "iu" and block.dtype.itemsize > SUMMABLE_BYTES:
            _halve_long_integers(band, reduced, nodata, everything)
        elif everything and block.dtype.kind in "iu":
            _halve_integers(band, reduced)
        else:
            _halve_any(band, reduced, nodata, everything)


def _has_pairs(block: NDArray[Any]) -> bool:
    """Whether two neighbours in a row of 16-bit integers are the halves of one of 32 bits."""
    dtype = block.dtype
    return (
        dtype.kind in "iu"
        and dtype.itemsize == 2
        and dtype.isnative
        and sys.byteorder == "little"
        and block.flags.c_contiguous
        and block.shape[1] % 2 == 0
        and block.shape[2] % 2 == 0
    )


def _halve_pairs(block: NDArray[Any], reduced: NDArray[Any]) -> None:
    """`_halve_integers` of many bands, without a copy of them as wider numbers."""
    pairs = block.view(np.int32 if block.dtype.kind == "i" else np.uint32)
    total = pairs << 16  # the first of two, its sign kept by the shift back
    total >>= 16
    total += pairs >> 16
    total = total[:, ::2] + total[:, 1::2]
    up = total >> 2
    up &= 1
    up += 1
    total += up
    total >>= 2
    reduced[:] = total


def _halve_integers(band: NDArray[Any], reduced: NDArray[Any]) -> None:
    """Exact sums of integers, all valid; halves are rounded to even as by `rint`."""
    wide = np.int32 if band.dtype.itemsize <= 2 else np.int64
    rows, columns = band.shape
    paired = np.add(band[: rows - rows % 2 : 2], band[1::2], dtype=wide)
    if columns > 1:
        total = paired[:, : columns - columns % 2 : 2] + paired[:, 1::2]
        total += ((total >> 2) & 1) + 1
        reduced[: rows // 2, : columns // 2] = total >> 2
    if columns % 2:
        reduced[: rows // 2, -1] = _half(paired[:, -1])
    if rows % 2:
        last = band[-1].astype(wide)
        reduced[-1, : columns // 2] = _half(last[: columns - columns % 2 : 2] + last[1::2])
        if columns % 2:
            reduced[-1, -1] = band[-1, -1]


def _half(total: NDArray[Any]) -> NDArray[Any]:
    halved: NDArray[Any] = (total + ((total >> 1) & 1)) >> 1
    return halved


def _halve_long_integers(
    band: NDArray[Any], reduced: NDArray[Any], nodata: float | None, everything: bool
) -> None:
    """Exact means of integers whose sums fit no integer, of the valid ones; halves to even.

    Quotients and remainders are summed apart. Where a sum of quotients goes over the end of the
    dtype, by one at most, adding that of the remainders brings it back.
    """
    rows, columns = band.shape
    # Pixels that are there twice leave the mean as it is.
    even = (
        np.pad(band, ((0, rows % 2), (0, columns % 2)), "edge") if rows % 2 or columns % 2 else band
    )
    parts = [even[top::2, left::2] for top in (0, 1) for left in (0, 1)]
    rest = np.zeros(reduced.shape, band.dtype)
    reduced[:] = 0
    for part in parts:
        reduced += part >> 2
        rest += part & 3
    reduced += rest >> 2
    rest &= 3
    reduced += (rest > 2) | ((rest == 2) & ((reduced & 1) == 1))
    if everything:
        return
    masks = [valid_mask(part, nodata) for part in parts]
    some = ~np.logical_and.reduce(masks)
    reduced[some] = _mean_of_valid([p[some] for p in parts], [m[some] for m in masks])


def _mean_of_valid(parts: list[NDArray[Any]], masks: list[NDArray[np.bool_]]) -> NDArray[Any]:
    """Means of the valid ones of four values, which stand at one place of four arrays; the first
    of the four where none is valid."""
    count = np.sum(masks, axis=0, dtype=parts[0].dtype)
    divisor = np.maximum(count, 1)
    mean, rest = np.zeros_like(count), np.zeros_like(count)
    for part, mask in zip(parts, masks, strict=True):
        quotient, remainder = np.divmod(part, divisor)
        mean += quotient * mask
        rest += remainder * mask
    quotient, remainder = np.divmod(rest, divisor)
    mean += quotient
    mean += (2 * remainder > divisor) | ((2 * remainder == divisor) & ((mean & 1) == 1))
    return np.where(count > 0, mean, parts[0])


def _halve_any(
    band: NDArray[Any], reduced: NDArray[Any], nodata: float | None, everything: bool
) -> None:
    """Means in floating point, of the valid pixels; `everything` tells that all are."""
    wide = np.complex128 if band.dtype.kind == "c" else np.float64
    total = np.zeros(reduced.shape, wide)
    count = np.zeros(reduced.shape, np.int8)
    for top in (0, 1):
        for left in (0, 1):
            part = band[top::2, left::2]
            here = (slice(0, part.shape[0]), slice(0, part.shape[1]))
            if everything:
                total[here] += part
                count[here] += 1
                continue
            valid = valid_mask(part, nodata)
            total[here] += np.where(valid, part, 0)
            count[here] += valid
    mean = total / np.maximum(count, 1)
    if band.dtype.kind in "iu":
        mean = np.rint(mean)
    empty = band[::2, ::2]  # any of the four invalid values stands for them
    reduced[:] = np.where(count > 0, mean.astype(band.dtype), empty)
