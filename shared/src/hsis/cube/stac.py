"""The STAC 1.1 Item of a stored cube."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from hsis.contracts.blobs import cube_prefix, statistics_key, thumbnail_key
from hsis.cube.classes import stac_classes
from hsis.cube.layout import CubeInfo

STAC_VERSION = "1.1.0"
EXTENSIONS = {
    "eo": "https://stac-extensions.github.io/eo/v2.0.0/schema.json",
    "raster": "https://stac-extensions.github.io/raster/v2.0.0/schema.json",
    "projection": "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "file": "https://stac-extensions.github.io/file/v2.1.0/schema.json",
    "datacube": "https://stac-extensions.github.io/datacube/v2.2.0/schema.json",
    "processing": "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
    "view": "https://stac-extensions.github.io/view/v1.0.0/schema.json",
    "classification": "https://stac-extensions.github.io/classification/v2.0.0/schema.json",
}
ZARR_MEDIA_TYPE = "application/vnd+zarr; version=3"


@dataclass(frozen=True, slots=True)
class Footprint:
    """Where a cube lies: GeoJSON geometry and bbox in WGS 84 degrees, and its EPSG code."""

    geometry: dict[str, Any]
    bbox: tuple[float, float, float, float]
    proj_code: str | None = None


@dataclass(frozen=True, slots=True)
class ItemParts:
    """What goes into an Item besides the description of the cube."""

    collection: str
    item: str
    info: CubeInfo
    footprint: Footprint | None
    acquired_at: datetime | None
    created_at: datetime
    properties: Mapping[str, Any] = field(default_factory=dict)
    assets: Mapping[str, Any] = field(default_factory=dict)
    links: Sequence[Mapping[str, Any]] = ()
    extensions: Sequence[str] = ()


def item_document(parts: ItemParts) -> dict[str, Any]:
    """A STAC Item as plain JSON. Hrefs begin with `/` and are made absolute by catalog.

    A cube without an acquisition time has the time of its arrival as `datetime`, and says so in
    `hsi:datetime_source`; one without a place has `geometry` null and no bbox.
    """
    info = parts.info
    properties: dict[str, Any] = {
        "datetime": _utc(parts.acquired_at or parts.created_at),
        "created": _utc(parts.created_at),
        "updated": _utc(parts.created_at),
        "hsi:datetime_source": "acquisition" if parts.acquired_at else "upload",
        "hsi:band_count": info.bands,
        "hsi:data_type": info.dtype.name,
        "cube:dimensions": _dimensions(info),
    }
    properties |= wavelength_range(info)
    if info.transform is not None:
        properties["proj:transform"] = list(info.transform)
        properties["proj:shape"] = list(info.shape[1:])
    extensions = ["eo", "raster", "datacube", *parts.extensions]
    if parts.footprint is not None:
        extensions.append("projection")
        properties["proj:code"] = parts.footprint.proj_code
    if parts.footprint is not None and parts.footprint.proj_code is None:
        properties["proj:wkt2"] = info.crs_wkt
    document: dict[str, Any] = {
        "type": "Feature",
        "stac_version": STAC_VERSION,
        "stac_extensions": [EXTENSIONS[name] for name in dict.fromkeys(extensions)],
        "id": parts.item,
        "collection": parts.collection,
        "geometry": parts.footprint.geometry if parts.footprint else None,
        "properties": properties | dict(parts.properties),
        "assets": {
            "cube": _cube_asset(parts),
            "thumbnail": {
                "href": "/blobs/" + thumbnail_key(parts.collection, parts.item),
                "type": "image/webp",
                "roles": ["thumbnail"],
                "title": "Thumbnail",
            },
            "statistics": {
                "href": "/blobs/" + statistics_key(parts.collection, parts.item),
                "type": "application/json",
                "roles": ["metadata"],
                "title": "Statistics of every band",
            },
        }
        | dict(parts.assets),
        "links": [dict(link) for link in parts.links],
    }
    if parts.footprint is not None:
        document["bbox"] = list(parts.footprint.bbox)
    return document


def _cube_asset(parts: ItemParts) -> dict[str, Any]:
    info = parts.info
    asset: dict[str, Any] = {
        "href": "/blobs/" + cube_prefix(parts.collection, parts.item).rstrip("/"),
        "type": ZARR_MEDIA_TYPE,
        "roles": ["data"],
        "title": "Cube (Zarr v3)",
    }
    return asset | cube_description(info)


def wavelength_range(info: CubeInfo) -> dict[str, float]:
    """The properties that tell an Item's least and greatest wavelength, in micrometres."""
    if info.wavelengths_nm is None:
        return {}
    known = [value for value in info.wavelengths_nm if math.isfinite(value)]
    return {
        "hsi:wavelength_min": min(known) / 1000,
        "hsi:wavelength_max": max(known) / 1000,
    }


def cube_description(info: CubeInfo) -> dict[str, Any]:
    """The members of the asset `cube` that describe its values and bands."""
    bands = [_band(info, band) for band in range(info.bands)]
    asset: dict[str, Any] = {"data_type": _data_type(info), "bands": bands}
    if info.gains_differ:
        for entry, scale, offset in zip(bands, info.scales, info.offsets, strict=True):
            entry |= {"raster:scale": scale, "raster:offset": offset}
    else:
        asset |= {"raster:scale": info.scale, "raster:offset": info.offset}
    if info.nodata is not None:
        finite = math.isfinite(info.nodata)
        asset["nodata"] = info.nodata if finite else str(info.nodata)
    if info.unit is not None:
        asset["unit"] = info.unit
    if info.classes:
        asset["classification:classes"] = stac_classes(info.classes, info.nodata)
    return asset


def _band(info: CubeInfo, band: int) -> dict[str, Any]:
    name = info.band_names[band] if info.band_names is not None else str(band + 1)
    entry: dict[str, Any] = {"name": name}
    if info.wavelengths_nm is not None and info.wavelengths_nm[band] > 0:
        entry["eo:center_wavelength"] = info.wavelengths_nm[band] / 1000
    if info.fwhm_nm is not None and info.fwhm_nm[band] > 0:
        entry["eo:full_width_half_max"] = info.fwhm_nm[band] / 1000
    if info.good_bands is not None:
        entry["hsi:good_band"] = info.good_bands[band]
    return entry


def _data_type(info: CubeInfo) -> str:
    return {"complex64": "cfloat32", "complex128": "cfloat64"}.get(info.dtype.name, info.dtype.name)


def _dimensions(info: CubeInfo) -> dict[str, Any]:
    bands, rows, columns = info.shape
    dimensions: dict[str, Any] = {"band": {"type": "bands", "values": list(range(1, bands + 1))}}
    if info.transform is None:
        for name, size in (("y", rows), ("x", columns)):
            dimensions[name] = {"type": "spatial", "axis": name, "extent": [0, size]}
        return dimensions
    a, b, c, d, e, f = info.transform
    corners = [(x, y) for x in (0, columns) for y in (0, rows)]
    xs = [a * x + b * y + c for x, y in corners]
    ys = [d * x + e * y + f for x, y in corners]
    dimensions["y"] = {"type": "spatial", "axis": "y", "extent": [min(ys), max(ys)]}
    dimensions["x"] = {"type": "spatial", "axis": "x", "extent": [min(xs), max(xs)]}
    return dimensions


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
