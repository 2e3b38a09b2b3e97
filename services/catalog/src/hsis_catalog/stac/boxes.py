"""Bounding boxes in WGS 84 degrees."""

import math
from collections.abc import Sequence

Box = tuple[float, float, float, float]
"""West, south, east, north; east is beyond 180 where the box crosses the antimeridian."""


def box_of(bbox: object, name: str) -> Box:
    """The box of a STAC bbox of 4 numbers, or 6 with heights; ValueError says what is wrong."""
    if not isinstance(bbox, Sequence) or isinstance(bbox, str) or len(bbox) not in (4, 6):
        raise ValueError(f"{name} must be 4 numbers (west, south, east, north), or 6 with heights.")
    if not all(map(_is_finite, bbox)):
        raise ValueError(f"{name} must hold finite numbers only.")
    west, south = float(bbox[0]), float(bbox[1])
    east, north = (float(v) for v in bbox[len(bbox) // 2 :][:2])
    if not (-180 <= west <= 180 and -180 <= east <= 180):
        raise ValueError(f"{name}: longitudes go from -180 to 180.")
    if not -90 <= south <= north <= 90:
        raise ValueError(f"{name}: latitudes go from -90 to 90, the southern one first.")
    return west, south, east + 360 if east < west else east, north


def _is_finite(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer of hundreds of digits
        return False
