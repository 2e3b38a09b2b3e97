"""ENVI: a raw array and a text header beside it.

Fields as in "ENVI Header Files" of the ENVI documentation; `map info` as GDAL reads and writes it.
"""

import math
from collections.abc import Iterable

import numpy as np
from rasterio.crs import CRS
from rasterio.errors import CRSError

from hsis.cube.layout import CubeInfo, Transform
from hsis_tiles.errors import UnsupportedExport
from hsis_tiles.export.attributes import ACQUIRED_AT, INSTRUMENT, NO_TEXTS, Texts
from hsis_tiles.export.blocks import ExportFile, array_blocks, literal
from hsis_tiles.export.selection import Selection

INTERLEAVES = {"bsq": "byx", "bil": "ybx", "bip": "yxb"}
DATA_TYPES = {
    "uint8": 1, "int16": 2, "int32": 3, "float32": 4, "float64": 5, "complex64": 6,
    "complex128": 9, "uint16": 12, "uint32": 13, "int64": 14, "uint64": 15,
}  # fmt: skip
UTM_NORTH, UTM_SOUTH = 32600, 32700
"""EPSG code of WGS 84 / UTM zone 0."""
PER_LINE = 8
MEDIA_TYPE = "application/octet-stream"


def envi_files(
    name: str,
    info: CubeInfo,
    chosen: Selection,
    *,
    interleave: str,
    max_bytes: int,
    attributes: Texts = NO_TEXTS,
) -> list[ExportFile]:
    """The header and the data of a selection that `info` describes.

    UnsupportedExport where ENVI has no such data type.
    """
    code = DATA_TYPES.get(info.dtype.name)
    if code is None:
        raise UnsupportedExport(
            f"ENVI has no data type for {info.dtype.name}; it has {', '.join(DATA_TYPES)}. "
            "GeoTIFF, NetCDF, NumPy, MATLAB and Zarr hold it."
        )
    header = "\n".join(["ENVI", *_fields(name, info, code, interleave, attributes)]) + "\n"
    dtype = info.dtype.newbyteorder("<")
    axes = INTERLEAVES[interleave]
    data = ExportFile(
        f"{name}.img",
        MEDIA_TYPE,
        math.prod(info.shape) * dtype.itemsize,
        lambda: array_blocks(chosen, axes, dtype, max_bytes),
    )
    return [literal(f"{name}.hdr", "text/plain; charset=utf-8", header.encode()), data]


def _fields(
    name: str, info: CubeInfo, code: int, interleave: str, attributes: Texts
) -> Iterable[str]:
    bands, rows, columns = info.shape
    classified = bool(info.classes) and bands == 1
    yield f"description = {{{_safe(name)}}}"
    yield f"samples = {columns}"
    yield f"lines = {rows}"
    yield f"bands = {bands}"
    yield "header offset = 0"
    yield f"file type = ENVI {'Classification' if classified else 'Standard'}"
    yield f"data type = {code}"
    yield f"interleave = {interleave}"
    yield "byte order = 0"
    if ACQUIRED_AT in attributes:
        yield f"acquisition time = {_safe(attributes[ACQUIRED_AT])}"
    if INSTRUMENT in attributes:
        yield f"sensor type = {_safe(attributes[INSTRUMENT])}"
    if info.nodata is not None:
        yield f"data ignore value = {_number(info.nodata)}"
    if info.is_scaled:
        yield _list("data gain values", map(repr, info.scales))
        yield _list("data offset values", map(repr, info.offsets))
    if info.unit is not None:
        yield f"data units = {_safe(info.unit)}"
    if info.wavelengths_nm is not None:
        yield "wavelength units = Nanometers"
        yield _list("wavelength", map(repr, info.wavelengths_nm))
    if info.fwhm_nm is not None:
        yield _list("fwhm", map(repr, info.fwhm_nm))
    if info.good_bands is not None:
        yield _list("bbl", (str(int(good)) for good in info.good_bands))
    if info.band_names is not None:
        yield _list("band names", map(_safe, info.band_names))
    if classified:
        yield from _classes(info)
    if info.transform is not None:
        yield from _place(info.crs_wkt, info.transform)


def _classes(info: CubeInfo) -> Iterable[str]:
    """Every value from 0 to the last class has a name and a colour."""
    named = {entry.value: entry for entry in info.classes}
    count = max(named) + 1
    titles = [named[n].title if n in named else "Unclassified" for n in range(count)]
    colours = [named[n].colour if n in named else "000000" for n in range(count)]
    yield f"classes = {count}"
    yield _list("class names", map(_safe, titles))
    yield _list("class lookup", (str(part) for colour in colours for part in bytes.fromhex(colour)))


def _place(crs_wkt: str | None, transform: Transform) -> Iterable[str]:
    crs = None
    if crs_wkt is not None:
        try:
            crs = CRS.from_wkt(crs_wkt)
            yield f"coordinate system string = {{{crs.to_wkt(version='WKT1_ESRI')}}}"
        except CRSError:
            # Not one that ESRI's words can say: the whole of it is better than nothing.
            yield f"coordinate system string = {{{crs_wkt}}}"
    a, b, c, d, e, f = transform
    width, height, turn = math.hypot(a, b), math.hypot(d, e), math.atan2(b, a)
    upright = (height * math.sin(turn), -height * math.cos(turn))
    if not np.allclose((d, e), upright, rtol=0, atol=1e-9 * height):
        # Mirrored or sheared, which `map info` cannot say.
        yield _list("geotransform", map(repr, (c, a, b, f, d, e)))
        return
    words = ["Arbitrary"] if crs is None else _projection(crs)
    parts = [words[0], "1", "1", *map(repr, (c, f, width, height)), *words[1:]]
    parts += [f"units={unit}" for unit in _units(crs)]
    if turn:
        parts.append(f"rotation={math.degrees(turn)!r}")
    yield f"map info = {{{', '.join(parts)}}}"


def _units(crs: CRS | None) -> Iterable[str]:
    if crs is None:
        return
    if crs.is_geographic:
        yield "Degrees"
    elif crs.linear_units == "metre":
        yield "Meters"
    elif "foot" in crs.linear_units:
        yield "Feet"


def _projection(crs: CRS) -> list[str]:
    """What `map info` calls it, and what it says of it behind the numbers."""
    code = crs.to_epsg() or 0
    for base, half in ((UTM_NORTH, "North"), (UTM_SOUTH, "South")):
        if base < code <= base + 60:
            return ["UTM", str(code - base), half, "WGS-84"]
    if crs.is_geographic:
        return ["Geographic Lat/Lon", "WGS-84"] if code == 4326 else ["Geographic Lat/Lon"]
    title = crs.to_wkt(version="WKT1_GDAL").split('"')[1]
    return [_safe(title)]


def _list(field: str, values: Iterable[str]) -> str:
    texts = list(values)
    lines = [", ".join(texts[start : start + PER_LINE]) for start in range(0, len(texts), PER_LINE)]
    return f"{field} = {{\n " + ",\n ".join(lines) + "}"


def _safe(text: str) -> str:
    """Without what ends an entry of a header."""
    plain = text.replace(",", ";").replace("{", "(").replace("}", ")")
    return " ".join(plain.split())


def _number(value: float) -> str:
    return str(int(value)) if math.isfinite(value) and value == int(value) else repr(value)
