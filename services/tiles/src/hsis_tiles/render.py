"""Previews: which bands, which overview, which stretch."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsis.cube import layout, picture
from hsis.cube.layout import CubeInfo
from hsis.cube.statistics import CubeStatistics, magnitudes, valid_mask
from hsis.errors import InvalidInput

Limits = list[tuple[float, float]]

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_PERCENTILES = re.compile(r"^(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)$")
_VALUES = re.compile(rf"^({_NUMBER}),({_NUMBER})$")
STORED_PERCENTILES = (2.0, 98.0)
STRETCH_RULE = (
    "`2-98` (percentiles, lower below higher, 0 to 100), `minmax`, or `low,high` (stored values)"
)


@dataclass(frozen=True, slots=True)
class Stretch:
    """How stored values become grey levels: a pair of percentiles, of values, or neither, which
    is each band's minimum and maximum."""

    percentiles: tuple[float, float] | None = None
    values: tuple[float, float] | None = None


def parse_bands(text: str | None, info: CubeInfo) -> tuple[int, ...]:
    """Bands from 0 of `r,g,b` or of one number from 1; natural colour where nothing is said."""
    if text is None or not text.strip():
        return picture.natural_colour_bands(info)
    parts = [part.strip() for part in text.split(",")]
    if len(parts) not in (1, 3) or not all(re.fullmatch(r"\d{1,9}", part) for part in parts):
        raise InvalidInput(f"bands={text!r}: one band number or three as `r,g,b` are right.")
    numbers = [int(part) for part in parts]
    for number in numbers:
        if not 1 <= number <= info.bands:
            raise InvalidInput(f"There is no band {number}: bands are numbered 1 to {info.bands}.")
    return tuple(number - 1 for number in numbers)


def parse_stretch(text: str | None) -> Stretch | None:
    """The stretch that a request names, if it names one."""
    if text is None or not text.strip():
        return None
    text = text.strip()
    if text == "minmax":
        return Stretch()
    if found := _PERCENTILES.match(text):
        low, high = float(found[1]), float(found[2])
        if low < high <= 100:
            return Stretch(percentiles=(low, high))
    elif found := _VALUES.match(text):
        low, high = float(found[1]), float(found[2])
        if low < high and np.isfinite([low, high]).all():
            return Stretch(values=(low, high))
    raise InvalidInput(f"stretch={text!r}: right are {STRETCH_RULE}.")


def fitting_factor(info: CubeInfo, size: int) -> int:
    """The strongest reduction whose longer side still has `size` pixels; 1 where none has."""
    fitting = [
        factor
        for factor in layout.overview_factors(info.shape)
        if max(layout.overview_shape(info.shape, factor)[1:]) >= size
    ]
    return max(fitting, default=1)


def limits_of(
    stretch: Stretch,
    statistics: CubeStatistics,
    bands: Sequence[int],
    values: NDArray[Any],
    nodata: float | None,
) -> Limits:
    """Lower and upper limit of each band, in stored units.

    The stored statistics say the 2-98 % stretch and the extremes; other percentiles come from
    `values` (band, y, x), the pixels of the picture itself.
    """
    if stretch.values is not None:
        return [stretch.values] * len(bands)
    if stretch.percentiles == STORED_PERCENTILES:
        return picture.band_limits(statistics, bands)
    if stretch.percentiles is None:
        return [_extremes(statistics, band) for band in bands]
    return [_percentiles(band, stretch.percentiles, nodata) for band in values]


def draw(
    values: NDArray[Any],
    bands: Sequence[int],
    info: CubeInfo,
    statistics: CubeStatistics,
    stretch: Stretch | None,
    size: int,
) -> bytes:
    """A PNG of stored values (band, y, x) with one or three bands, at most `size` pixels wide or
    high; pixels without data are transparent.

    Where no stretch is given, a band of classes has their colours, and everything else is
    stretched from the 2nd to the 98th percentile.
    """
    if stretch is None and info.classes and len(bands) == 1:
        return picture.encode(
            picture.class_colours(values[0], info.classes), "PNG", size, mixed=False
        )
    chosen = stretch or Stretch(percentiles=STORED_PERCENTILES)
    limits = limits_of(chosen, statistics, bands, values, info.nodata)
    image = picture.stretch(values, limits, info.nodata)
    return picture.encode(image, "PNG", size)


def _extremes(statistics: CubeStatistics, band: int) -> tuple[float, float]:
    found = statistics.bands[band]
    if found.min is None or found.max is None:
        return 0.0, 1.0
    return found.min, found.max


def _percentiles(
    band: NDArray[Any], percentiles: tuple[float, float], nodata: float | None
) -> tuple[float, float]:
    if band.dtype.kind == "c":
        band, nodata = magnitudes(band, nodata), None
    valid = band[valid_mask(band, nodata)]
    if valid.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(valid.astype(np.float64), percentiles).tolist()
    return low, high
