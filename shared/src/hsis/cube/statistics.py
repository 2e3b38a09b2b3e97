"""Per-band statistics in one pass over a cube in any order of its parts, in bounded memory.

Mean and standard deviation are exact (pairwise combination, Chan et al. 1983); the percentiles are
exact for a cube whose sample fits `sample_bytes`, else those of a regular grid of pixels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from hsis.cube.layout import Shape

SAMPLE_BYTES = 64 * 1024 * 1024
PERCENTILES = (2.0, 98.0)
PIECE_PIXELS = 32 * 1024
PIECE_VALUES = 64 * 1024
"""Taken in at once: as float64 they stay in the processor's cache."""


class BandStatistics(BaseModel):
    """One band, in stored units. All but the count are None where no pixel is valid; those but min
    and max also where their sums and differences are beyond what a float64 holds.

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


@dataclass(frozen=True, slots=True)
class _Moments:
    """Of the valid pixels of a part, one number a band. Without any the mean is 0."""

    count: NDArray[np.int64]
    mean: NDArray[np.float64]
    squares: NDArray[np.float64]
    """Sums of squared differences from the mean."""
    low: NDArray[np.float64]
    high: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Counted:
    """What a part of the cube adds to the statistics."""

    bands: slice
    pieces: list[_Moments]


class StatisticsCollector:
    """Add every part of the cube once, in any order, then take `result`.

    To add is to `count`, which several threads may do at once, and to `merge` what was counted, one
    after the other: in the same order the same sums are rounded in the same way.
    """

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
        real = np.zeros(0, dtype).real.dtype
        affordable = max(1.0, sample_bytes / (bands * real.itemsize))
        self._step = max(1, math.ceil(math.sqrt(self._pixels / affordable)))
        self._sample = np.zeros(
            (bands, math.ceil(rows / self._step), math.ceil(columns / self._step)), real
        )

    def add(self, block: NDArray[Any], band: int, row: int, column: int) -> None:
        """Take in a block (band, y, x) whose first element is at (band, row, column)."""
        self.merge(self.count(block, band, row, column))

    def count(self, block: NDArray[Any], band: int, row: int, column: int) -> Counted:
        """What such a block adds, for `merge`; its part of the sample is taken already."""
        values = magnitudes(block, self._stored_nodata) if block.dtype.kind == "c" else block
        self._take_sample(values, band, row, column)
        flat = values.reshape(values.shape[0], -1)
        return Counted(
            slice(band, band + flat.shape[0]),
            [
                self._moments(flat[:, start : start + PIECE_PIXELS])
                for start in range(0, flat.shape[1], PIECE_PIXELS)
            ],
        )

    def merge(self, counted: Counted) -> None:
        """Take in what was counted."""
        with np.errstate(over="ignore", invalid="ignore"):
            self._merge(counted)

    def _merge(self, counted: Counted) -> None:
        bands = counted.bands
        for piece in counted.pieces:
            known = self._count[bands]
            total = known + piece.count
            share = piece.count / np.maximum(total, 1)
            delta = piece.mean - self._mean[bands]
            self._mean[bands] += delta * share
            self._squares[bands] += piece.squares + delta * delta * known * share
            self._min[bands] = np.minimum(self._min[bands], piece.low)
            self._max[bands] = np.maximum(self._max[bands], piece.high)
            self._count[bands] = total

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

    def _moments(self, values: NDArray[Any]) -> _Moments:
        """Of values of shape (band, pixel)."""
        bands, pixels = values.shape
        found = _Moments(
            np.zeros(bands, np.int64),
            np.zeros(bands),
            np.zeros(bands),
            np.full(bands, np.inf),
            np.full(bands, -np.inf),
        )
        step = max(1, PIECE_VALUES // pixels)
        for first in range(0, bands, step):
            some = values[first : first + step]
            if all_valid(some, self._nodata):
                _note_moments(found, slice(first, first + step), some)
                continue
            for number, band in enumerate(some, start=first):
                valid = band[valid_mask(band, self._nodata)]
                if valid.size:
                    _note_moments(found, slice(number, number + 1), valid[None])
        return found

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
            mean=_finite(float(self._mean[band])),
            std=_finite(math.sqrt(self._squares[band] / count)),
            p2=_finite(low),
            p98=_finite(high),
        )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _note_moments(found: _Moments, bands: slice, values: NDArray[Any]) -> None:
    """Write down those of some bands, of values that are all valid, at most PIECE_PIXELS a band."""
    count = values.shape[1]
    exact = values.astype(np.float64, order="C")
    found.count[bands] = count
    found.low[bands] = values.min(axis=1)
    found.high[bands] = values.max(axis=1)
    # Not `dot`, whose library starts threads of its own beside the encoders'.
    if values.dtype.kind in "iu" and values.dtype.itemsize <= 2:
        total = exact.sum(axis=1).astype(np.int64)  # these sums are whole numbers below 2**53
        squares = np.einsum("ij,ij->i", exact, exact).astype(np.int64)
        found.mean[bands] = total / count
        found.squares[bands] = (count * squares - total * total) / count
        return
    with np.errstate(over="ignore", invalid="ignore"):
        mean = exact.mean(axis=1)
        exact -= mean[:, None]
        found.mean[bands] = mean
        found.squares[bands] = np.einsum("ij,ij->i", exact, exact)


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
