"""Per-band statistics in one pass over a cube in any order of its parts, in bounded memory.

Mean and standard deviation are exact (pairwise combination, Chan et al. 1983); the percentiles are
exact for a cube whose sample fits `sample_bytes`, else those of a regular grid of pixels.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from hsis.cube.layout import Shape

SAMPLE_BYTES = 64 * 1024 * 1024
PERCENTILES = (2.0, 98.0)
PIECE_PIXELS = 32 * 1024
"""Taken in at once: as float64 they stay in the processor's cache."""


class BandStatistics(BaseModel):
    """One band, in stored units. All but the count are None where no pixel is valid.

    A pixel is valid where it is finite and not nodata. `std` is of the population (ddof 0).
    Complex values count by their magnitude.
    """

    band: int = Field(description="Number from 1")
    valid_count: int
    min: float | None
    max: float | None
    mean: float | None
    std: float | None
    p2: float | None = Field(description="2nd percentile, linear interpolation")
    p98: float | None = Field(description="98th percentile, linear interpolation")


class CubeStatistics(BaseModel):
    """The statistics stored with a cube."""

    pixels: int = Field(description="Rows x columns")
    sampled_pixels: int = Field(description="Pixels that the percentiles come from")
    bands: list[BandStatistics]

    @property
    def exact(self) -> bool:
        """Whether the percentiles come from every pixel."""
        return self.sampled_pixels == self.pixels


class StatisticsCollector:
    """Add every part of the cube once, in any order, then take `result`."""

    def __init__(
        self,
        shape: Shape,
        dtype: np.dtype[Any],
        nodata: float | None,
        sample_bytes: int = SAMPLE_BYTES,
    ) -> None:
        bands, rows, columns = shape
        self._nodata = None if dtype.kind == "c" else nodata  # see `magnitudes`
        self._stored_nodata = nodata
        self._pixels = rows * columns
        self._count = np.zeros(bands, np.int64)
        self._mean = np.zeros(bands)
        self._squares = np.zeros(bands)
        self._min = np.full(bands, np.inf)
        self._max = np.full(bands, -np.inf)
        self._exact = np.empty(PIECE_PIXELS)
        real = np.zeros(0, dtype).real.dtype
        affordable = max(1.0, sample_bytes / (bands * real.itemsize))
        self._step = max(1, math.ceil(math.sqrt(self._pixels / affordable)))
        self._sample = np.zeros(
            (bands, math.ceil(rows / self._step), math.ceil(columns / self._step)), real
        )

    def add(self, block: NDArray[Any], band: int, row: int, column: int) -> None:
        """Take in a block (band, y, x) whose first element is at (band, row, column)."""
        values = magnitudes(block, self._stored_nodata) if block.dtype.kind == "c" else block
        self._take_sample(values, band, row, column)
        flat = values.reshape(values.shape[0], -1)
        for offset in range(flat.shape[0]):
            for start in range(0, flat.shape[1], PIECE_PIXELS):
                self._add_piece(band + offset, flat[offset, start : start + PIECE_PIXELS])

    def result(self) -> CubeStatistics:
        """The statistics of everything added."""
        return CubeStatistics(
            pixels=self._pixels,
            sampled_pixels=self._sample[0].size,
            bands=[self._band_result(band) for band in range(len(self._count))],
        )

    def _take_sample(self, values: NDArray[Any], band: int, row: int, column: int) -> None:
        step = self._step
        picked = values[:, -row % step :: step, -column % step :: step]
        bands, rows, columns = picked.shape
        top, left = -(-row // step), -(-column // step)
        self._sample[band : band + bands, top : top + rows, left : left + columns] = picked

    def _add_piece(self, band: int, values: NDArray[Any]) -> None:
        valid = values
        if not all_valid(values, self._nodata):
            valid = values[valid_mask(values, self._nodata)]
        if valid.size == 0:
            return
        count, known = valid.size, self._count[band]
        exact = self._exact[:count]
        exact[:] = valid
        mean = exact.mean()
        self._min[band] = min(self._min[band], float(valid.min()))
        self._max[band] = max(self._max[band], float(valid.max()))
        exact -= mean
        # Not `dot`, whose library starts threads of its own beside the encoders'.
        squares = np.einsum("i,i->", exact, exact)
        delta = mean - self._mean[band]
        total = known + count
        self._mean[band] += delta * count / total
        self._squares[band] += squares + delta * delta * known * count / total
        self._count[band] = total

    def _band_result(self, band: int) -> BandStatistics:
        count = int(self._count[band])
        if count == 0:
            return BandStatistics(
                band=band + 1,
                valid_count=0,
                min=None,
                max=None,
                mean=None,
                std=None,
                p2=None,
                p98=None,
            )
        sample = self._sample[band].ravel()
        if not all_valid(sample, self._nodata):
            sample = sample[valid_mask(sample, self._nodata)]
        low, high = percentiles(sample, PERCENTILES) if sample.size else (None, None)
        return BandStatistics(
            band=band + 1,
            valid_count=count,
            min=float(self._min[band]),
            max=float(self._max[band]),
            mean=float(self._mean[band]),
            std=math.sqrt(self._squares[band] / count),
            p2=low,
            p98=high,
        )


def percentiles(values: NDArray[Any], percents: Sequence[float]) -> list[float]:
    """`np.percentile` of real values, its linear interpolation included, without sorting them.

    Integers of up to two bytes are counted, others partitioned at the ranks in question.
    """
    places = [(values.size - 1) * (percent / 100) for percent in percents]
    lower = [math.floor(place) for place in places]
    ranks = sorted({min(rank + step, values.size - 1) for rank in lower for step in (0, 1)})
    if values.dtype.kind in "iu" and values.dtype.itemsize <= 2:
        lowest = int(np.iinfo(values.dtype).min)
        counts = np.bincount(values.view(f"u{values.dtype.itemsize}"))
        # In two's complement the negative values are counted behind the others.
        counts = np.roll(np.pad(counts, (0, 256**values.dtype.itemsize - counts.size)), lowest)
        found = np.searchsorted(np.cumsum(counts), ranks, side="right") + lowest
    else:
        found = np.partition(values, ranks)[ranks]
    at = dict(zip(ranks, found.astype(np.float64).tolist(), strict=True))
    results = []
    for place, rank in zip(places, lower, strict=True):
        low, high, part = at[rank], at[min(rank + 1, values.size - 1)], place - rank
        # From the nearer end, as numpy does.
        results.append(
            low + (high - low) * part if part < 0.5 else high - (high - low) * (1 - part)
        )
    return results


def magnitudes(values: NDArray[Any], nodata: float | None) -> NDArray[Any]:
    """The magnitudes of complex values, NaN where a value is not finite or nodata.

    Nodata is what was stored: a value of another phase and its magnitude is none.
    """
    with np.errstate(over="ignore"):  # larger than the dtype can say: infinite, so not valid
        found: NDArray[Any] = np.abs(values)
    if not all_valid(values, nodata):
        found[~valid_mask(values, nodata)] = np.nan
    return found


def all_valid(values: NDArray[Any], nodata: float | None) -> bool:
    """Whether every value is finite and not nodata: cheaper than a mask where that is so."""
    if values.dtype.kind not in "iub" and not np.isfinite(values).all():
        return False
    if nodata is None or math.isnan(nodata):
        return True
    own = nodata_in(values.dtype, nodata)
    return own is None or not (values == own).any()


def valid_mask(values: NDArray[Any], nodata: float | None) -> NDArray[np.bool_]:
    """True where a value is finite and not nodata (compared in the array's own dtype)."""
    mask: NDArray[np.bool_] = np.isfinite(values)
    if nodata is None or math.isnan(nodata):
        return mask
    if (own := nodata_in(values.dtype, nodata)) is not None:
        mask &= values != own
    return mask


def nodata_in(dtype: np.dtype[Any], nodata: float) -> int | float | None:
    """What values of the type that are nodata are, or their real part; None where none can be.

    As floats, integers of 64 bits would equal their neighbours.
    """
    if dtype.kind not in "iu":
        with np.errstate(over="ignore"):
            nearest = float(np.finfo(dtype).dtype.type(nodata))
        return nearest if math.isfinite(nearest) or not math.isfinite(nodata) else None
    if not float(nodata).is_integer():
        return None
    limits = np.iinfo(dtype)
    if nodata == float(limits.max):  # the largest of 64 bits is no float: files say the next one
        return int(limits.max)
    return int(nodata) if limits.min <= nodata <= limits.max else None
