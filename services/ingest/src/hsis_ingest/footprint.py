"""Where a cube lies on the earth."""

import math
from itertools import pairwise
from typing import Any

import rasterio
from rasterio.crs import CRS
from rasterio.warp import transform, transform_geom

from hsis.cube.layout import CubeInfo
from hsis.cube.stac import Footprint
from hsis_ingest.formats.gdal_file import GDAL_ERRORS

WGS84 = "EPSG:4326"
POINTS_PER_EDGE = 21
"""As many as rasterio's transform_bounds takes: a straight edge is bent in degrees."""
DECIMALS = 7
"""Of a degree: about 1 cm."""


def footprint(info: CubeInfo) -> Footprint | None:
    """The outline of a cube with CRS and transform; None where it has none, or lies nowhere."""
    if info.crs_wkt is None or info.transform is None:
        return None
    a, b, c, d, e, f = info.transform
    _, rows, columns = info.shape
    corners = [(0, 0), (0, rows), (columns, rows), (columns, 0), (0, 0)]
    ring = [(a * x + b * y + c, d * x + e * y + f) for x, y in corners]
    with rasterio.Env():
        try:
            crs = CRS.from_wkt(info.crs_wkt)
            polygon = {"type": "Polygon", "coordinates": [ring]}
            geometry: dict[str, Any] = transform_geom(crs, WGS84, polygon, precision=DECIMALS)
            longitudes, latitudes = transform(crs, WGS84, *_along(ring))
            code = crs.to_epsg()
        except GDAL_ERRORS:
            return None
    values = [*longitudes, *latitudes]
    if not values or not all(map(math.isfinite, values)):
        return None
    west, east = min(longitudes), max(longitudes)
    if east - west > 180:  # across the antimeridian, GeoJSON has west > east
        west = min(value for value in longitudes if value > 0)
        east = max(value for value in longitudes if value <= 0)
    bbox = (west, min(latitudes), east, max(latitudes))
    return Footprint(
        geometry={"type": geometry["type"], "coordinates": geometry["coordinates"]},
        bbox=bbox,
        proj_code=f"EPSG:{code}" if code else None,
    )


def _along(ring: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Points along the edges of a ring: all x, all y."""
    xs: list[float] = []
    ys: list[float] = []
    for (x0, y0), (x1, y1) in pairwise(ring):
        for step in range(POINTS_PER_EDGE):
            part = step / POINTS_PER_EDGE
            xs.append(x0 + (x1 - x0) * part)
            ys.append(y0 + (y1 - y0) * part)
    return xs, ys
