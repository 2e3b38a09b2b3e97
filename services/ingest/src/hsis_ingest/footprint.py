"""Where a cube lies on the earth."""

import dataclasses
import logging
import math
import warnings
from itertools import pairwise
from typing import Any

import antimeridian
import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.warp import transform
from shapely.errors import ShapelyError

from hsis.cube.layout import CubeInfo
from hsis.cube.stac import Footprint
from hsis_ingest.formats.gdal_file import GDAL_ERRORS
from hsis_ingest.formats.source import Outline

logger = logging.getLogger(__name__)

WGS84 = "EPSG:4326"
POINTS_PER_EDGE = 21
"""As many as rasterio's transform_bounds takes: a straight edge is bent in degrees."""
DECIMALS = 7
"""Of a degree: about 1 cm."""

Ring = list[tuple[float, float]]
Box = tuple[float, float, float, float]


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


def _of_ring(crs_text: str, ring: Ring) -> Footprint | None:
    with rasterio.Env():
        try:
            crs = CRS.from_user_input(crs_text)
            corners = _in_degrees(crs, ring)
            edges = _in_degrees(crs, _along(ring))
            code = crs.to_epsg()
        except GDAL_ERRORS:
            return None
    if not all(math.isfinite(value) for position in corners + edges for value in position):
        return None
    try:
        geometry, bbox = _on_the_globe(corners, edges)
    except (ValueError, ShapelyError):
        logger.warning("the footprint %s cannot be drawn on the globe", corners, exc_info=True)
        return None
    return Footprint(geometry, bbox, f"EPSG:{code}" if code else None)


def _in_degrees(crs: CRS, ring: Ring) -> Ring:
    xs, ys = zip(*ring, strict=True)
    longitudes, latitudes = transform(crs, WGS84, xs, ys)
    return [
        (round(lon, DECIMALS), round(lat, DECIMALS))
        for lon, lat in zip(longitudes, latitudes, strict=True)
    ]


def _on_the_globe(corners: Ring, edges: Ring) -> tuple[dict[str, Any], Box]:
    """GeoJSON and bbox of a ring in degrees, given by its corners and by points along its edges:
    cut where it crosses the antimeridian, closed where a pole is inside. West is greater than east
    in the bbox of what crosses the antimeridian (RFC 7946)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says what it has mended
        whole: dict[str, Any] = antimeridian.fix_geojson(
            {"type": "Polygon", "coordinates": [edges]}, great_circle=False
        )
    west, south, east, north = map(float, antimeridian.bbox(whole))
    if west == east:  # all around, and cut on the way
        band = [(-180.0, south), (180.0, south), (180.0, north), (-180.0, north), (-180.0, south)]
        return {"type": "Polygon", "coordinates": [band]}, (-180.0, south, 180.0, north)
    box = (west, south, east, north)
    if np.allclose(box, (*np.min(edges, axis=0), *np.max(edges, axis=0)), rtol=0, atol=1e-6):
        return {"type": "Polygon", "coordinates": [corners]}, box
    return {"type": whole["type"], "coordinates": whole["coordinates"]}, box


def _along(ring: Ring) -> Ring:
    """Points along the edges of a ring, closed as it is."""
    points: Ring = []
    for (x0, y0), (x1, y1) in pairwise(ring):
        for step in range(POINTS_PER_EDGE):
            part = step / POINTS_PER_EDGE
            points.append((x0 + (x1 - x0) * part, y0 + (y1 - y0) * part))
    return [*points, ring[-1]]
