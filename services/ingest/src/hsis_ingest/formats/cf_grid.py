"""Grids as the CF conventions and GDAL write them: even coordinates, `GeoTransform`, WKT."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import CRSError

from hsis.cube.layout import Transform

STEP_TOLERANCE = 1e-4
"""Of a step: how far coordinates may be from an even grid."""


def even_step(values: NDArray[Any] | None) -> tuple[float, float] | None:
    """The outer edge and the step of an axis by the centres of its pixels; None where they are not
    even."""
    if values is None or values.ndim != 1 or values.size < 2:
        return None
    centres = values.astype(np.float64)
    step = (centres[-1] - centres[0]) / (centres.size - 1)
    even = centres[0] + step * np.arange(centres.size)
    if not step or not np.isfinite(centres).all():
        return None
    if np.abs(centres - even).max() > STEP_TOLERANCE * abs(step):
        return None
    return float(centres[0] - step / 2), float(step)


def grid_of_steps(y: tuple[float, float] | None, x: tuple[float, float] | None) -> Transform | None:
    """The transform of axes by their edges and steps."""
    if y is None or x is None:
        return None
    return x[1], 0.0, x[0], 0.0, y[1], y[0]


def gdal_transform(text: str | None) -> Transform | None:
    """GDAL's `GeoTransform` of six numbers; None where it is none."""
    try:
        numbers = [float(word) for word in (text or "").split()]
    except ValueError:
        return None
    if len(numbers) != 6 or not all(map(math.isfinite, numbers)):
        return None
    c, a, b, f, d, e = numbers
    return a, b, c, d, e, f


def normal_wkt(text: str | None) -> str | None:
    """The CRS as WKT of GDAL; None where there is none: programs write strings of their own."""
    try:
        return CRS.from_wkt(text).to_wkt() if text else None
    except CRSError:
        return None
