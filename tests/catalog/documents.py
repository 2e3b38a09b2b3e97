"""STAC documents for tests."""

from typing import Any


def item(
    name: str,
    moment: str = "2024-06-01T10:30:00Z",
    bbox: list[float] | None = None,
    **properties: Any,
) -> dict[str, Any]:
    """An item whose geometry is its bbox; without one it has no place."""
    document: dict[str, Any] = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": name,
        "geometry": None,
        "properties": {"datetime": moment} | properties,
        "links": [],
        "assets": {
            "cube": {
                "href": f"/blobs/cubes/private/{name}/cube.zarr",
                "type": "application/vnd+zarr; version=3",
                "roles": ["data"],
                "bands": [{"name": "1"}, {"name": "2"}],
            }
        },
    }
    if bbox is not None:
        west, south, east, north = bbox
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        document["bbox"] = bbox
        document["geometry"] = {"type": "Polygon", "coordinates": [ring]}
    return document
