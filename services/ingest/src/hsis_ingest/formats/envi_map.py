"""Where an ENVI cube lies: `map info` and `coordinate system string`."""

import math

from rasterio.crs import CRS
from rasterio.errors import CRSError

from hsis.cube.layout import Transform
from hsis.digits import natural
from hsis.envi import listed
from hsis_ingest.errors import HeaderMismatch

UTM_EPSG = {
    "wgs-84": (32600, 32700),
    "wgs84": (32600, 32700),
    "nad-83": (26900, None),
    "north america 1983": (26900, None),
    "nad-27": (26700, None),
    "north america 1927": (26700, None),
}
"""EPSG codes of zone 0 on the northern and southern half, by datum."""
ORDINARY = {"geographic lat/lon": "EPSG:4326"}


def place(fields: dict[str, str], name: str) -> tuple[str | None, Transform | None]:
    """CRS as WKT and the transform of a header's fields; None where it says none.

    HeaderMismatch where `map info` has no numbers where they belong.
    """
    info = listed(fields.get("map info", ""))
    if len(info) < 7 or info[0].lower() == "arbitrary":
        return None, None
    return _crs_wkt(fields, info), _transform(info, name)


def _transform(info: list[str], name: str) -> Transform:
    try:
        ref_x, ref_y, east, north, size_x, size_y = map(float, info[1:7])
        turn = math.radians(float(_named(info, "rotation") or 0.0))
        if not all(map(math.isfinite, (ref_x, ref_y, east, north, size_x, size_y, turn))):
            raise ValueError("not finite")
    except ValueError:
        raise HeaderMismatch(
            f"{name}: `map info` needs reference pixel x, y, easting, northing, pixel size x, y "
            "as numbers after the projection's name."
        ) from None
    cos, sin = math.cos(turn), math.sin(turn)
    a, b, d, e = cos * size_x, sin * size_x, sin * size_y, -cos * size_y
    # The reference pixel counts from 1 at the outer corner of the upper left pixel.
    x, y = ref_x - 1, ref_y - 1
    return a, b, east - a * x - b * y, d, e, north - d * x - e * y


def _named(info: list[str], key: str) -> str | None:
    for entry in info[7:]:
        found, _, value = entry.partition("=")
        if found.strip().lower() == key:
            return value.strip()
    return None


def _crs_wkt(fields: dict[str, str], info: list[str]) -> str | None:
    text = fields.get("coordinate system string", "").strip()
    if text:
        try:
            crs = CRS.from_wkt(text, morph_from_esri_dialect=True)
            code = crs.to_epsg()  # the register's own words, where it is a registered one
            wkt: str = (CRS.from_epsg(code) if code else crs).to_wkt()
        except CRSError:
            pass  # programs write strings of their own; map info may still say it
        else:
            return wkt
    said = _epsg(info)
    return CRS.from_string(said).to_wkt() if said else None


def _epsg(info: list[str]) -> str | None:
    projection = info[0].lower()
    if projection in ORDINARY:
        datum = info[7].lower() if len(info) > 7 and "=" not in info[7] else "wgs-84"
        return ORDINARY[projection] if datum in {"wgs-84", "wgs84"} else None
    zone = natural(info[7]) if len(info) > 8 else None
    if projection != "utm" or zone is None:
        return None
    datum = info[9].lower() if len(info) > 9 and "=" not in info[9] else "wgs-84"
    north, south = UTM_EPSG.get(datum, (None, None))
    base = south if info[8].lower().startswith("s") else north
    return f"EPSG:{base + zone}" if base is not None and 1 <= zone <= 60 else None
