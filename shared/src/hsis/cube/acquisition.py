"""What is known of a cube beside its values and bands: when, where, with what it was measured."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Acquisition:
    """`geometry` is GeoJSON in WGS 84 degrees, with its bbox (west, south, east, north); it is of
    a cube that has no grid on the earth. `properties` are the user's own."""

    acquired_at: datetime | None = None
    sensor: str | None = None
    platform: str | None = None
    license: str | None = None
    geometry: Mapping[str, Any] | None = None
    bbox: Box | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)


def store_attributes(acquisition: Acquisition) -> dict[str, Any]:
    """The attributes of a stored cube's root, called as the Attribute Convention for Data
    Discovery (ACDD 1.3) calls them; the user's own under `properties`."""
    found: dict[str, Any] = {}
    if acquisition.acquired_at is not None:
        found["time_coverage_start"] = utc_text(acquisition.acquired_at)
    for name, value in (
        ("instrument", acquisition.sensor),
        ("platform", acquisition.platform),
        ("license", acquisition.license),
    ):
        if value is not None:
            found[name] = value
    if acquisition.bbox is not None:
        edges = ("lon_min", "lat_min", "lon_max", "lat_max")
        found |= {f"geospatial_{edge}": v for edge, v in zip(edges, acquisition.bbox, strict=True)}
    if acquisition.properties:
        found["properties"] = dict(acquisition.properties)
    return found


def item_properties(acquisition: Acquisition) -> dict[str, Any]:
    """The properties of a STAC Item, without its times and place."""
    found: dict[str, Any] = {}
    if acquisition.sensor is not None:
        found["instruments"] = [acquisition.sensor]
    if acquisition.platform is not None:
        found["platform"] = acquisition.platform
    if acquisition.license is not None:
        found["license"] = acquisition.license
    return found | dict(acquisition.properties)


def utc_text(moment: datetime) -> str:
    """An RFC 3339 time in UTC."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
