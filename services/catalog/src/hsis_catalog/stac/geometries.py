"""GeoJSON geometries in WGS 84 degrees, and which of them meet."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from hsis_catalog.stac.boxes import Box

TYPES = frozenset(
    {
        "Point",
        "MultiPoint",
        "LineString",
        "MultiLineString",
        "Polygon",
        "MultiPolygon",
        "GeometryCollection",
    }
)
TURNS = (-360.0, 0.0, 360.0)
"""Degrees by which a geometry is turned before it is held against an item's, which may reach
beyond 180 degrees east."""


@dataclass(frozen=True, slots=True)
class Region:
    """The geometry of a search, its edges straight in degrees and cut at the antimeridian."""

    geometry: shapely.Geometry

    @property
    def box(self) -> Box:
        """Its bounding box."""
        west, south, east, north = self.geometry.bounds
        return west, south, east, north

    def meets(self, geometries: Sequence[str], crossing: Sequence[bool]) -> NDArray[np.bool_]:
        """Which of the geometries of items (JSON texts) have a point in common with it.

        Those marked `crossing` are of items whose bbox crosses the antimeridian: these count their
        longitudes from 0 to 360, whether they are cut there or not.
        """
        # A geometry that came in before geometries were checked meets nothing.
        others = shapely.from_geojson(np.array(geometries, dtype=object), on_invalid="ignore")
        across = np.array(crossing, dtype=bool)
        others[across] = shapely.transform(others[across], _eastward)
        found = np.zeros(len(others), dtype=bool)
        for turn in TURNS:
            turned = shapely.transform(self.geometry, _turn_by(turn))
            shapely.prepare(turned)
            found |= shapely.intersects(turned, others)
        return found


def region_of(geometry: object, max_positions: int) -> Region:
    """The region of a GeoJSON geometry; ValueError says what is wrong with it."""
    made = shapely.force_2d(geometry_of(geometry, "intersects"))
    positions = int(shapely.get_num_coordinates(made))
    if positions > max_positions:
        raise ValueError(
            f"intersects has {positions} positions; at most {max_positions} are right "
            "(HSIS_SEARCH_POSITIONS_MAX)."
        )
    west, south, east, north = made.bounds
    if west < -180 or east > 180 or south < -90 or north > 90:
        raise ValueError(
            "intersects: positions are longitude (-180 to 180), latitude (-90 to 90); cut what "
            "crosses the antimeridian in two."
        )
    if not made.is_valid:
        reason = shapely.is_valid_reason(made)
        raise ValueError(f"intersects is no valid geometry: {reason} (longitude latitude).")
    return Region(made)


def geometry_of(geometry: object, name: str) -> shapely.Geometry:
    """The geometry of a GeoJSON object; ValueError, with the member's `name`, says what is wrong.

    A polygon whose rings cross is taken.
    """
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if not isinstance(kind, str) or kind not in TYPES:
        raise ValueError(f"{name} must be a GeoJSON geometry: one of {', '.join(sorted(TYPES))}.")
    try:
        made: Any = shapely.from_geojson(json.dumps(geometry, allow_nan=False))
    except (shapely.GEOSException, ValueError, RecursionError):
        raise ValueError(
            f"{name}: the coordinates do not make a {kind}; positions are [longitude, latitude] "
            "in numbers, and a ring ends where it begins."
        ) from None
    if made.is_empty:
        raise ValueError(f"{name}: the {kind} has no positions.")
    return made


def _turn_by(degrees: float) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    return lambda positions: positions + np.array([degrees, 0.0])


def _eastward(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    west = positions[:, 0] < 0
    return np.column_stack(
        [np.where(west, positions[:, 0] + 360, positions[:, 0]), positions[:, 1]]
    )
