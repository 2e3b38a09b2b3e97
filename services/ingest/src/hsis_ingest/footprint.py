"""Where a cube lies on the earth."""

import dataclasses
import math
from itertools import pairwise
from typing import Any

import rasterio
from rasterio.crs import CRS
from rasterio.warp import transform, transform_geom

from hsis.cube.layout import CubeInfo
from hsis.cube.stac import Footprint
from hsis_ingest.formats.gdal_file import GDAL_ERRORS
from hsis_ingest.formats.source import Outline

WGS84 = "EPSG:4326"
POINTS_PER_EDGE = 21
"""As many as rasterio's transform_bounds takes: a straight edge is bent in degrees."""
DECIMALS = 7
"""Of a degree: about 1 cm."""


def footprint(info: CubeInfo, outline: Outline | None = None) -> Footprint | None:
    """The outline of a cube with CRS and transform, else the given one; None where there is none,
    or it lies nowhere."""
    if info.crs_wkt is None or info.transform is None:
        found = _of_ring(WGS84, [*outline, outline[0]]) if outline else None
        return dataclasses.replace(found, proj_code=None) if found else None
    a, b, c, d, e, f = info.transform
    _, rows, columns = info.shape
    corners = [(0, 0), (0, rows), (columns, rows), (columns, 0), (0, 0)]
    return _of_ring(info.crs_wkt, [(a * x + b * y + c, d * x + e * y + f) for x, y in corners])


def _of_ring(crs_text: str, ring: list[tuple[float, float]]) -> Footprint | None:
    with rasterio.Env():
        try:
            crs = CRS.from_user_input(crs_text)
            outline = transform(crs, WGS84, *zip(*ring, strict=True))
            edges = transform(crs, WGS84, *_along(ring))
            code = crs.to_epsg()
        except GDAL_ERRORS:
            return None
    if not all(math.isfinite(value) for values in (*outline, *edges) for value in values):
        return None
    geometry, bbox = _on_the_globe(_positions(outline), _positions(edges))
    return Footprint(geometry, bbox, f"EPSG:{code}" if code else None)


def _on_the_globe(outline: Ring, edges: Ring) -> tuple[dict[str, Any], Box]:
    """GeoJSON and bbox of a ring in degrees, given by its corners and by points along its edges:
    cut where it crosses the antimeridian, closed where a pole is inside. West is greater than east
    in the bbox of what crosses the antimeridian (RFC 7946)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", antimeridian.FixWindingWarning)
        whole: dict[str, Any] = antimeridian.fix_geojson(
            {"type": "Polygon", "coordinates": [edges]}, great_circle=False
        )
    longitudes, latitudes = zip(*edges, strict=True)
    plain = (min(longitudes), min(latitudes), max(longitudes), max(latitudes))
    west, south, east, north = map(float, antimeridian.bbox(whole))
    if west == east and plain[0] < plain[2]:  # all around, and cut on the way
        west, east = -180.0, 180.0
    box = (west, max(south, -90.0), east, min(north, 90.0))
    if whole["type"] == "Polygon" and box == pytest_approx(plain):
        return {"type": "Polygon", "coordinates": [outline]}, box
    return _plain(whole), box


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
