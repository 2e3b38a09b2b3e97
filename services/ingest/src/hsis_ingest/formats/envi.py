"""ENVI: a raw array beside a text header."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from numpy.typing import NDArray

from hsis.cube.layout import CubeInfo
from hsis_ingest.errors import HeaderMismatch, TruncatedFile
from hsis_ingest.formats import envi_map
from hsis_ingest.formats.envi_classes import with_classes
from hsis_ingest.formats.envi_header import MAX_HEADER_BYTES, EnviHeader, parse_header
from hsis_ingest.formats.exposure import Exposure, exposure_of
from hsis_ingest.formats.source import (
    NO_PROPERTIES,
    ByteSource,
    native_dtype,
    parse_time,
    read_exactly,
)
from hsis_ingest.formats.strided import StridedArray

FORMAT = "ENVI"


class EnviSource:
    """An opened ENVI cube."""

    format_name = FORMAT
    outline = None
    properties = NO_PROPERTIES

    def __init__(self, header_file: ByteSource, data: ByteSource) -> None:
        if header_file.size > MAX_HEADER_BYTES:
            raise HeaderMismatch(
                f"{header_file.name} has {header_file.size} bytes; a header has at most "
                f"{MAX_HEADER_BYTES}."
            )
        header = parse_header(read_exactly(header_file, 0, header_file.size), header_file.name)
        self._header = header
        self.header_name, self.data_name = header_file.name, data.name
        sizes = {"b": header.bands, "y": header.lines, "x": header.samples}
        first, second, third = (sizes[axis] for axis in header.axes)
        self._array = StridedArray(
            data, header.offset, header.dtype, header.axes, (first, second, third)
        )
        self.axes = header.axes
        self.acquired_at: datetime | None = _acquired_at(header.fields)
        _check_size(header_file.name, header, data, self._array.end)
        crs_wkt, transform = envi_map.place(header.fields, header_file.name)
        info = CubeInfo(
            shape=self._array.cube_shape,
            dtype=native_dtype(header.dtype, data.name),
            wavelengths_nm=header.wavelengths_nm,
            fwhm_nm=header.fwhm_nm,
            good_bands=header.good_bands,
            band_names=header.band_names,
            scale=header.scale,
            offset=header.value_offset,
            nodata=header.nodata,
            crs_wkt=crs_wkt,
            transform=transform,
        )
        self.info = with_classes(info, header, header_file.name)

    @property
    def exposure(self) -> Exposure | None:
        """The exposure time of each band, where the header says it."""
        return exposure_of(self._header, self.header_name)

    def read(self, bands: slice, rows: slice, columns: slice) -> NDArray[Any]:
        """A window, shape (band, y, x)."""
        return self._array.read(bands, rows, columns)

    def close(self) -> None:
        """Nothing is held."""


def _acquired_at(fields: Mapping[str, str]) -> datetime | None:
    """`acquisition time`, else `acquisition date` and `start time` as Specim's programs write them:
    `DATE(yyyy-mm-dd): 2018-01-24` and `UTC TIME: 22:47:35`."""
    day = fields.get("acquisition date", "").rpartition(" ")[2]
    start = fields.get("start time", "").rpartition(" ")[2]
    return parse_time(fields.get("acquisition time")) or parse_time(f"{day}T{start}")


def _check_size(header_name: str, header: EnviHeader, data: ByteSource, expected: int) -> None:
    """TruncatedFile where the data ends too soon, HeaderMismatch where there is too much."""
    if data.size == expected:
        return
    kind = TruncatedFile if data.size < expected else HeaderMismatch
    raise kind(
        f"{data.name} has {data.size} bytes; {header_name} says {expected} "
        f"({header.lines} lines x {header.samples} samples x {header.bands} bands of "
        f"{header.dtype.itemsize} bytes after an offset of {header.offset})."
    )
