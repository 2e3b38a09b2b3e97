"""A stored cube's description and its item as a correction makes them. Nothing is stored here."""

import dataclasses
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from hsis.contracts.metadata import (
    PROPERTY_NAME,
    RESERVED_NAMES,
    RESERVED_PREFIXES,
    CubeMetadata,
)
from hsis.contracts.places import geometry_of
from hsis.cube.acquisition import Acquisition, utc_text
from hsis.cube.layout import CubeInfo
from hsis.cube.stac import EXTENSIONS, cube_description, wavelength_range
from hsis.errors import InvalidInput
from hsis_ingest.errors import NeedsConversion
from hsis_ingest.given import FIELDS, OF_INFO, PER_BAND, SOURCES_PROPERTY, check, gridded, in_store

Item = dict[str, Any]
UNSAID = {"scale": 1.0, "offset": 0.0}
"""What holds where nothing is said; None for other fields."""
PLAIN_PROPERTIES = {"platform": "platform", "license": "license"}
PLACE_PROPERTIES = ("proj:code", "proj:wkt2")


def check_changes(info: CubeInfo, changes: CubeMetadata) -> None:
    """InvalidInput, MetadataMismatch or NeedsConversion where a cube cannot be changed so."""
    wanted = changes.model_fields_set
    if not wanted:
        raise InvalidInput(f"Nothing is to be changed; a field is right: {', '.join(FIELDS)}.")
    if "wavelengths_file" in wanted:
        raise InvalidInput("wavelengths_file names a file of an upload; give `wavelengths` here.")
    if changes.wavelength_unit and not (changes.wavelengths or changes.fwhm):
        raise InvalidInput("wavelength_unit is of `wavelengths` or `fwhm`; give these with it.")
    for name in FIELDS:
        value = getattr(changes, name)
        if name in wanted and (value is not None or name == "place"):
            check(info, name, value, f"`{name}`")
    if "nodata" in wanted and not _same_nodata(info, changes):
        raise NeedsConversion(
            f"nodata is {info.nodata}: the statistics, overviews and bands of no data were made "
            "with it. Upload the files again, with another `nodata`."
        )


def corrected_info(info: CubeInfo, changes: CubeMetadata) -> CubeInfo:
    """The cube's description with the changes; they have been checked."""
    changed: dict[str, Any] = {}
    for name in OF_INFO:
        if name in changes.model_fields_set and name != "nodata":
            said = getattr(changes, name) is not None
            value = in_store(changes, name, info) if said else UNSAID.get(name)
            changed[PER_BAND.get(name, name)] = value
    return dataclasses.replace(info, **changed)


def corrected_item(item: Item, info: CubeInfo, changes: CubeMetadata, at: datetime) -> Item:
    """The item with the changes, made at a time; `info` is the cube's corrected description."""
    wanted = changes.model_fields_set
    properties = {
        name: value
        for name, value in item["properties"].items()
        if name not in {"hsi:wavelength_min", "hsi:wavelength_max"}
    } | wavelength_range(info)
    if "sensor" in wanted:
        _set(properties, "instruments", [changes.sensor] if changes.sensor else None)
    for field, name in PLAIN_PROPERTIES.items():
        if field in wanted:
            _set(properties, name, getattr(changes, field))
    if "datetime" in wanted:
        known = changes.datetime
        properties["datetime"] = (
            utc_text(known) if known else properties.get("created", utc_text(at))
        )
        properties["hsi:datetime_source"] = "acquisition" if known else "upload"
    if "properties" in wanted:
        _set_properties(properties, changes.properties)
    properties[SOURCES_PROPERTY] = dict(properties.get(SOURCES_PROPERTY, {})) | {
        name: "correction" for name in FIELDS if name in wanted
    }
    properties["updated"] = utc_text(at)
    described = cube_description(info)
    asset = {
        name: value
        for name, value in item["assets"]["cube"].items()
        if name not in {"unit", "nodata", "raster:scale", "raster:offset", *described}
    }
    made = item | {
        "properties": properties,
        "assets": item["assets"] | {"cube": asset | described},
    }
    return _placed(made, changes) if "place" in wanted else made


def metadata_of(item: Item, info: CubeInfo) -> dict[str, Any]:
    """What is known of a cube, by the fields of CubeMetadata, lengths in nm."""
    known = acquisition_of(item, info)
    found: dict[str, Any] = {
        name: list(values)
        for name, own in PER_BAND.items()
        if (values := getattr(info, own)) is not None
    }
    if "wavelengths" in found or "fwhm" in found:
        found["wavelength_unit"] = "nm"
    nodata = None if info.nodata is None else CubeMetadata(nodata=info.nodata).said()["nodata"]
    for name, gain in (("scale", info.scale), ("offset", info.offset)):
        found[name] = list(gain) if isinstance(gain, tuple) else gain
    found |= {"unit": info.unit, "nodata": nodata}
    found |= {
        "sensor": known.sensor,
        "platform": known.platform,
        "datetime": None if known.acquired_at is None else utc_text(known.acquired_at),
        "place": None if known.geometry is None else dict(known.geometry),
        "license": known.license,
        "properties": dict(known.properties) or None,
    }
    return {name: value for name, value in found.items() if value is not None}


def acquisition_of(item: Item, info: CubeInfo) -> Acquisition:
    """What an item says of its cube beside the cube's own description."""
    properties = item["properties"]
    measured = properties.get("hsi:datetime_source") != "upload" and properties.get("datetime")
    placed = not gridded(info) and item.get("geometry") is not None
    instruments = properties.get("instruments")
    return Acquisition(
        acquired_at=datetime.fromisoformat(properties["datetime"]) if measured else None,
        sensor=", ".join(map(str, instruments)) or None if isinstance(instruments, list) else None,
        platform=properties.get("platform"),
        license=properties.get("license"),
        geometry=item["geometry"] if placed else None,
        bbox=tuple(item["bbox"]) if placed and len(item.get("bbox", ())) == 4 else None,
        properties={name: value for name, value in properties.items() if _is_free(name)},
    )


def _placed(item: Item, changes: CubeMetadata) -> Item:
    properties = {
        name: value for name, value in item["properties"].items() if name not in PLACE_PROPERTIES
    }
    projection = EXTENSIONS["projection"]
    extensions = [name for name in item.get("stac_extensions", ()) if name != projection]
    others = {name: value for name, value in item.items() if name != "bbox"}
    if changes.place is None:
        more: dict[str, Any] = {"geometry": None}
    else:
        geometry, bbox = geometry_of(changes.place)
        more = {"geometry": geometry, "bbox": list(bbox)}
        properties |= dict.fromkeys(PLACE_PROPERTIES)
        extensions.append(projection)
    return others | {"properties": properties, "stac_extensions": extensions} | more


def _set(properties: dict[str, Any], name: str, value: Any) -> None:
    if value is None:
        properties.pop(name, None)
    else:
        properties[name] = value


def _set_properties(properties: dict[str, Any], changes: Mapping[str, Any] | None) -> None:
    """Merge the user's own properties; null takes one away, or all where it stands for them."""
    if changes is None:
        changes = dict.fromkeys(filter(_is_free, [*properties]))
    for name, value in changes.items():
        _set(properties, name, value)


def _is_free(name: str) -> bool:
    reserved = name in RESERVED_NAMES or name.partition(":")[0] in RESERVED_PREFIXES
    return not reserved and re.fullmatch(PROPERTY_NAME, name) is not None


def _same_nodata(info: CubeInfo, changes: CubeMetadata) -> bool:
    if info.nodata is None or changes.nodata is None:
        return info.nodata is changes.nodata
    wanted = in_store(changes, "nodata", info)
    return bool(wanted == info.nodata or (wanted != wanted and info.nodata != info.nodata))
