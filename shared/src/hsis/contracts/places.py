"""Where a cube lies, as a user says it: a point, a box or a GeoJSON geometry, in WGS 84 degrees."""

import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator

MAX_POSITIONS = 10_000
DEPTHS = {"Point": 0, "Polygon": 2, "MultiPolygon": 3}
"""How many lists hold a position, by the type of the geometry."""

Position = tuple[float, float]
Box = tuple[float, float, float, float]


def geometry_of(place: object) -> tuple[dict[str, Any], Box]:
    """GeoJSON geometry and bbox (west, south, east, north) of a place.

    A place is `[longitude, latitude]`, `[west, south, east, north]` (west may be greater than
    east: such a box crosses the antimeridian) or a GeoJSON Point, Polygon or MultiPolygon.
    ValueError says what is wrong and what would be right.
    """
    if isinstance(place, dict):
        return _of_geojson(place)
    if not isinstance(place, list | tuple) or len(place) not in {2, 4}:
        raise ValueError(
            "a place is [longitude, latitude], [west, south, east, north] or a GeoJSON geometry"
        )
    if len(place) == 2:
        lon, lat = _position(place)
        return {"type": "Point", "coordinates": [lon, lat]}, (lon, lat, lon, lat)
    west, south = _position(place[:2])
    east, north = _position(place[2:])
    if south > north:
        raise ValueError(f"the box goes from latitude {south:g} to {north:g}: south comes first")
    if west == east or south == north:
        raise ValueError("the box has no area; give a point, [longitude, latitude]")
    box = (west, south, east, north)
    if west < east:
        return {"type": "Polygon", "coordinates": [_ring(*box)]}, box
    halves = [[_ring(west, south, 180.0, north)], [_ring(-180.0, south, east, north)]]
    return {"type": "MultiPolygon", "coordinates": halves}, box


def _checked(place: Any) -> Any:
    geometry_of(place)
    return place


Place = Annotated[list[float] | dict[str, Any], AfterValidator(_checked)]
"""A place that `geometry_of` takes."""


def _of_geojson(geometry: dict[str, Any]) -> tuple[dict[str, Any], Box]:
    kind = geometry.get("type")
    if not isinstance(kind, str) or kind not in DEPTHS:
        raise ValueError(f"a GeoJSON geometry of type {kind!r}; right are {', '.join(DEPTHS)}")
    coordinates = geometry.get("coordinates")
    positions: list[Position] = []
    for ring in _rings(coordinates, DEPTHS[kind]):
        found = [_position(position) for position in ring]
        if DEPTHS[kind] and (len(found) < 4 or found[0] != found[-1]):
            raise ValueError("a ring has four positions or more and ends where it begins")
        positions += found
        if len(positions) > MAX_POSITIONS:
            raise ValueError(f"more than {MAX_POSITIONS} positions")
    lons, lats = zip(*positions, strict=True)
    made = {"type": kind, "coordinates": coordinates}
    return made, (min(lons), min(lats), max(lons), max(lats))


def _rings(coordinates: Any, depth: int) -> Iterator[Sequence[Any]]:
    if depth == 0:
        yield [coordinates]
        return
    if not isinstance(coordinates, list) or not coordinates:
        raise ValueError("the coordinates of a GeoJSON geometry are lists that are not empty")
    if depth == 1:
        yield coordinates
        return
    for part in coordinates:
        yield from _rings(part, depth - 1)


def _position(position: Any) -> Position:
    if not isinstance(position, list | tuple) or len(position) != 2:
        raise ValueError(f"a position {position!r:.60}; [longitude, latitude] is right")
    for value in position:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"a position {position!r:.60}; two numbers are right")
    try:
        lon, lat = map(float, position)
    except OverflowError:  # an integer of hundreds of digits
        lon = lat = math.inf
    if not (math.isfinite(lon) and math.isfinite(lat) and abs(lon) <= 180 and abs(lat) <= 90):
        raise ValueError(
            f"the position {lon:g}, {lat:g}: longitudes go from -180 to 180 and come first, "
            "latitudes from -90 to 90"
        )
    return lon, lat


def _ring(west: float, south: float, east: float, north: float) -> list[list[float]]:
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]
