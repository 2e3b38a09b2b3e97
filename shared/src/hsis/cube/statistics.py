"""Per-band statistics in one pass over a cube in any order of its parts, in bounded memory.

Mean and standard deviation are exact (pairwise combination, Chan et al. 1983); the percentiles are
exact for a cube whose sample fits `sample_bytes`, else those of a regular grid of pixels.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from hsis.cube.layout import Shape

SAMPLE_BYTES = 64 * 1024 * 1024
PERCENTILES = (2.0, 98.0)


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
        self._nodata = nodata
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
        values = np.abs(block) if block.dtype.kind == "c" else block
        self._take_sample(values, band, row, column)
        flat = values.reshape(values.shape[0], -1)
        for offset in range(flat.shape[0]):
            self._add_band(band + offset, flat[offset])

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

    def _add_band(self, band: int, values: NDArray[Any]) -> None:
        # The mask's copy is the dearest step; integers without a nodata value are all valid.
        everything = values.dtype.kind in "iub" and self._nodata is None
        valid = values if everything else values[valid_mask(values, self._nodata)]
        if valid.size == 0:
            return
        count, known = valid.size, self._count[band]
        exact = valid.astype(np.float64)
        mean = exact.mean()
        self._min[band] = min(self._min[band], float(valid.min()))
        self._max[band] = max(self._max[band], float(valid.max()))
        exact -= mean
        squares = np.dot(exact, exact)
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
        sample = sample[valid_mask(sample, self._nodata)]
        low, high = (
            np.percentile(sample.astype(np.float64), PERCENTILES).tolist()
            if sample.size
            else (None, None)
        )
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


def valid_mask(values: NDArray[Any], nodata: float | None) -> NDArray[np.bool_]:
    """True where a value is finite and not nodata (compared in the array's own dtype)."""
    mask: NDArray[np.bool_] = np.isfinite(values)
    if nodata is not None and not math.isnan(nodata):
        mask &= values != nodata
    return mask
