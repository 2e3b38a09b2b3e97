"""The tags of a GeoTIFF that do not depend on its size, as GDAL writes them."""

import struct
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rasterio.crs import CRS
from rasterio.errors import CRSError, NotGeoreferencedWarning
from rasterio.io import MemoryFile
from rasterio.transform import Affine

from hsis.cube.layout import CubeInfo
from hsis.cube.statistics import nodata_in
from hsis_tiles.errors import UnsupportedExport
from hsis_tiles.export.attributes import ACQUIRED_AT, Texts

SHORT, LONG, LONG8 = 3, 4, 16
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 16: 8, 17: 8}
_CODES = {SHORT: "H", LONG: "I", LONG8: "Q"}
_OF_THE_SIZE = frozenset(
    {254, 256, 257, 259, 273, 278, 279, 317, 322, 323, 324, 325}
)  # dimensions, compression, strips and tiles
_GDAL_NODATA = 42113
TEMPLATE_PIXELS = 16


@dataclass(frozen=True, slots=True)
class Tag:
    """An entry of a directory: `count` values of a type, little-endian."""

    number: int
    kind: int
    count: int
    content: bytes

    @classmethod
    def of_numbers(cls, number: int, kind: int, values: Sequence[int]) -> "Tag":
        """SHORT, LONG or LONG8 values."""
        return cls(number, kind, len(values), struct.pack(f"<{len(values)}{_CODES[kind]}", *values))


def template_tags(info: CubeInfo, attributes: Texts) -> list[Tag]:
    """The tags of the place, the type, the bands and their metadata.

    UnsupportedExport where GDAL cannot say the type or the reference system in a GeoTIFF.
    """
    try:
        content = _template(info, attributes)
    except (CRSError, TypeError, ValueError) as error:
        raise UnsupportedExport(
            f"A GeoTIFF cannot hold {info.dtype.name} values or this reference system: {error}."
        ) from error
    tags = [tag for tag in _tags(content) if tag.number not in _OF_THE_SIZE]
    nodata = _nodata(info)
    if not isinstance(nodata, int):
        return tags
    # GDAL writes it as a float, and of one with an exponent it reads only the first digit.
    digits = f"{nodata}\0".encode()
    return [
        replace(tag, count=len(digits), content=digits) if tag.number == _GDAL_NODATA else tag
        for tag in tags
    ]


def _template(info: CubeInfo, attributes: Texts) -> bytes:
    crs = CRS.from_wkt(info.crs_wkt) if info.crs_wkt is not None else None
    place = {} if info.transform is None else {"transform": Affine(*info.transform), "crs": crs}
    with MemoryFile() as memory:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            dataset = memory.open(
                driver="GTiff",
                width=TEMPLATE_PIXELS,
                height=TEMPLATE_PIXELS,
                count=info.bands,
                dtype=info.dtype.name,
                interleave="band",
                BIGTIFF="YES",
                ENDIANNESS="LITTLE",
                SPARSE_OK="TRUE",
                TILED="YES",
                BLOCKXSIZE=TEMPLATE_PIXELS,
                BLOCKYSIZE=TEMPLATE_PIXELS,
                PHOTOMETRIC="MINISBLACK",
                **place,
                **({} if _nodata(info) is None else {"nodata": _nodata(info)}),
            )
        with dataset:
            _describe_bands(dataset, info)
            if attributes:
                dataset.update_tags(**_dataset_tags(attributes))
        return bytes(memory.read())


def _dataset_tags(attributes: Texts) -> dict[str, str]:
    """By their names, and the time by the one that GeoTIFFs of hyperspectral scenes have."""
    found = dict(attributes)
    if ACQUIRED_AT in attributes:
        found["start_time"] = attributes[ACQUIRED_AT]
    return found


def _nodata(info: CubeInfo) -> float | int | None:
    """As GDAL takes it: integers of 64 bits are none of its floats, and what no value of the type
    can be is none."""
    return None if info.nodata is None else nodata_in(info.dtype, info.nodata)


def _describe_bands(dataset: Any, info: CubeInfo) -> None:
    for at, band in enumerate(dataset.indexes):
        tags: dict[str, str] = {}
        imagery: dict[str, str] = {}
        if info.wavelengths_nm is not None:
            tags |= {"wavelength": repr(info.wavelengths_nm[at]), "wavelength_units": "nm"}
            imagery["CENTRAL_WAVELENGTH_UM"] = repr(info.wavelengths_nm[at] / 1000)
        if info.fwhm_nm is not None:
            tags |= {"fwhm": repr(info.fwhm_nm[at]), "wavelength_units": "nm"}
            imagery["FWHM_UM"] = repr(info.fwhm_nm[at] / 1000)
        if info.good_bands is not None:
            tags["bbl"] = str(int(info.good_bands[at]))
        if tags:
            dataset.update_tags(band, **tags)
        if imagery:
            dataset.update_tags(band, ns="IMAGERY", **imagery)
        if info.band_names is not None:
            dataset.set_band_description(band, info.band_names[at])
    if info.is_scaled:
        dataset.scales = info.scales
        dataset.offsets = info.offsets
    if info.unit is not None:
        dataset.units = [info.unit] * info.bands


def _tags(content: bytes) -> Iterator[Tag]:
    """The entries of the only directory of a little-endian BigTIFF."""
    (at,) = struct.unpack_from("<Q", content, 8)
    (entries,) = struct.unpack_from("<Q", content, at)
    for entry in range(at + 8, at + 8 + 20 * entries, 20):
        number, kind, count = struct.unpack_from("<HHQ", content, entry)
        length = _SIZES[kind] * count
        start = entry + 12
        if length > 8:
            (start,) = struct.unpack_from("<Q", content, start)
        yield Tag(number, kind, count, content[start : start + length])
