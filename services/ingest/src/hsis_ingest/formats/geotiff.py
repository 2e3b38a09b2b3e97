"""GeoTIFF, with what each band says of itself in its tags."""

import contextvars
import math
import threading
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window

from hsis.cube.gains import gain_of
from hsis.cube.layout import CubeInfo
from hsis.envi import length_nm
from hsis_ingest.errors import HeaderMismatch, TruncatedFile, UnsupportedFormat
from hsis_ingest.formats.expansion import check_chunk, check_expansion
from hsis_ingest.formats.gdal_file import GDAL_ERRORS, SingleFile
from hsis_ingest.formats.source import (
    NO_PROPERTIES,
    ByteSource,
    ReadOptions,
    native_dtype,
    parse_time,
)
from hsis_ingest.formats.tiff_texts import with_texts_in_utf8

FORMAT = "GeoTIFF"
MAGICS = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
BLOCK_CACHE_BYTES = 64 * 1024 * 1024
MAX_BANDS = 8192
"""Of one image. rasterio looks each band of a read up in lists of all of them, with Python's lock
held: 2 s for so many, 10 s for twice as many."""
LEAST_BLOCK_BYTES = 6
"""What the list of a file's blocks takes for each: an offset and a size."""
GDAL_OPTIONS = {
    "GDAL_CACHEMAX": BLOCK_CACHE_BYTES,
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_PAM_ENABLED": "NO",
}
IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


class GeoTiffSource:
    """An opened GeoTIFF, read by GDAL through byte ranges."""

    format_name = FORMAT
    outline = None
    properties = NO_PROPERTIES

    def __init__(self, data: ByteSource, options: ReadOptions) -> None:
        self._options = options
        self._name = data.name
        self._file = SingleFile(with_texts_in_utf8(data))
        self._lock = threading.Lock()
        # rasterio keeps openers in a context variable: every call goes through one context,
        # whichever thread of the executor makes it.
        self._context = contextvars.copy_context()
        self._context.run(self._open, data)

    def _open(self, data: ByteSource) -> None:
        with rasterio.Env(**GDAL_OPTIONS):
            try:
                self._dataset = open_quietly(self._file.path, driver="GTiff", opener=self._file)
            except GDAL_ERRORS as error:
                raise self._fault(error) from error
            except UnicodeDecodeError as error:
                raise _no_text(data.name) from error
            try:
                self._describe(data)
            except GDAL_ERRORS as error:
                self._close()
                raise self._fault(error) from error
            except UnicodeDecodeError as error:
                self._close()
                raise _no_text(data.name) from error
            except BaseException:
                self._close()
                raise

    def _describe(self, data: ByteSource) -> None:
        """Check what the file says of itself, and take it over."""
        if len(self._dataset.subdatasets) > 1:
            raise UnsupportedFormat(
                f"{data.name} holds {len(self._dataset.subdatasets)} images; one image of several "
                "bands is right."
            )
        if self._dataset.count > MAX_BANDS:
            raise UnsupportedFormat(
                f"{data.name} holds an image of {self._dataset.count} bands; {MAX_BANDS} are the "
                "most in a TIFF, ENVI or NumPy can hold more."
            )
        check_sizes(self._dataset, data, self._options)
        check_blocks(self._dataset, data)
        self.axes = "byx" if _interleave(self._dataset) == "BAND" else "yxb"
        self.acquired_at = parse_time(self._dataset.tags().get("start_time"))
        self.info = describe(self._dataset, data.name)

    def read(self, bands: slice, rows: slice, columns: slice) -> NDArray[Any]:
        """A window, shape (band, y, x); TruncatedFile where GDAL cannot read it."""
        with self._lock:
            return self._context.run(self._read, bands, rows, columns)

    def close(self) -> None:
        """Close the dataset."""
        with self._lock:
            self._context.run(self._close)

    def first_byte(self) -> int | None:
        """Where the values begin; None where they are compressed."""
        with self._lock:
            return self._context.run(self._first_byte)

    def _first_byte(self) -> int | None:
        offset = self._dataset.get_tag_item("BLOCK_OFFSET_0_0", "TIFF", bidx=1)
        return None if self._dataset.compression or offset is None else int(offset)

    def _close(self) -> None:
        self._dataset.close()

    def _read(self, bands: slice, rows: slice, columns: slice) -> NDArray[Any]:
        window = Window.from_slices((rows.start, rows.stop), (columns.start, columns.stop))
        with rasterio.Env(**GDAL_OPTIONS):
            try:
                values = self._values(bands, window)
            except GDAL_ERRORS as error:
                raise self._fault(error) from error
        if self._file.error is not None:  # GDAL makes do with what it got
            raise self._file.error
        return values

    def _values(self, bands: slice, window: Window) -> NDArray[Any]:
        """The values of bands in a window, as GDAL reads them."""
        numbers = list(range(bands.start + 1, bands.stop + 1))
        values: NDArray[Any] = self._dataset.read(numbers, window=window)
        return values

    def _fault(self, error: Exception) -> Exception:
        """What really went wrong: the store did not answer, or the file is damaged."""
        if self._file.error is not None:
            return self._file.error
        return TruncatedFile(f"{self._name} is damaged or truncated: GDAL says {error}.")


def _no_text(name: str) -> Exception:
    return HeaderMismatch(
        f"{name}: the metadata for GDAL (names and units of bands, tags), or the names of its CRS, "
        "hold what is no text, as &#xD800; is; references to characters are right."
    )


def open_quietly(path: str, **options: Any) -> Any:
    """A dataset of rasterio, without a warning where it has no place: many cubes are so."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(path, **options)


def check_blocks(dataset: Any, data: ByteSource) -> None:
    """TruncatedFile where the last blocks of a band lie behind the end of the file, or where the
    file is too short for the list of its blocks."""
    needed = 0
    pixel_interleaved = _interleave(dataset) != "BAND"
    blocks = sum(
        math.ceil(dataset.height / rows) * math.ceil(dataset.width / columns)
        for rows, columns in dataset.block_shapes[: 1 if pixel_interleaved else None]
    )
    if blocks * LEAST_BLOCK_BYTES > data.size:
        raise TruncatedFile(
            f"{data.name} has {data.size} bytes: no place for the list of its {blocks} blocks."
        )
    for band in (1,) if pixel_interleaved else dataset.indexes:
        rows, columns = dataset.block_shapes[band - 1]
        last_row = math.ceil(dataset.height / rows) - 1
        for column in range(math.ceil(dataset.width / columns)):
            place = f"{column}_{last_row}"
            offset = dataset.get_tag_item(f"BLOCK_OFFSET_{place}", "TIFF", bidx=band)
            size = dataset.get_tag_item(f"BLOCK_SIZE_{place}", "TIFF", bidx=band)
            if offset and size:
                needed = max(needed, int(offset) + int(size))
    if needed > data.size:
        raise TruncatedFile(f"{data.name} has {data.size} bytes; its image needs {needed}.")


def check_sizes(dataset: Any, data: ByteSource, options: ReadOptions, *, images: int = 1) -> None:
    """DecompressionBomb where strips, tiles or the whole image expand too far."""
    if dataset.count == 0 or "complex_int16" in dataset.dtypes:
        return  # refused for what they are
    item = max(np.dtype(dtype).itemsize for dtype in dataset.dtypes)
    pixel = item * (dataset.count if _interleave(dataset) != "BAND" else 1)
    rows, columns = dataset.block_shapes[0]
    check_chunk(rows * columns * pixel, data.name, options)
    declared = images * dataset.count * dataset.height * dataset.width * item
    check_expansion(declared, data.size, data.name, options)


def _interleave(dataset: Any) -> str:
    return str(dataset.tags(ns="IMAGE_STRUCTURE").get("INTERLEAVE", "BAND"))


def describe(dataset: Any, name: str) -> CubeInfo:
    """What an image says of its bands, place and values."""
    if dataset.count == 0:
        raise UnsupportedFormat(f"{name} holds several images and no bands; send one image.")
    dtype = _same("data types", dataset.dtypes, name)
    wavelengths, fwhm = _wavelengths(dataset, name)
    names = tuple(dataset.descriptions)
    units = set(dataset.units)
    transform = tuple(dataset.transform)[:6]
    placed = dataset.crs is not None or transform != IDENTITY
    try:
        native = native_dtype(np.dtype(dtype), name)
    except TypeError:  # complex_int16, which NumPy has not
        raise UnsupportedFormat(
            f"{name} has values of type {dtype}; NumPy has none such."
        ) from None
    nodata = _same("nodata values", dataset.nodatavals, name)
    return CubeInfo(
        shape=(dataset.count, dataset.height, dataset.width),
        dtype=native,
        wavelengths_nm=wavelengths,
        fwhm_nm=fwhm,
        good_bands=_good_bands(dataset, name),
        band_names=names if all(names) else None,
        unit=(units.pop() or None) if len(units) == 1 else None,
        scale=gain_of(dataset.scales),
        offset=gain_of(dataset.offsets),
        nodata=None if nodata is None else float(nodata),
        crs_wkt=dataset.crs.to_wkt() if dataset.crs is not None else None,
        transform=transform if placed else None,
    )


def _same(what: str, values: Iterable[Any], name: str) -> Any:
    """The one value that all bands have; UnsupportedFormat where they differ."""
    different = list(dict.fromkeys("nan" if v != v else v for v in values))
    if len(different) > 1:
        shown = ", ".join(map(str, different[:4]))
        raise UnsupportedFormat(f"{name} has bands of different {what}: {shown}; one is right.")
    return different[0]


def _wavelengths(
    dataset: Any, name: str
) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
    """Wavelengths and widths in nm where every band has its own."""
    wavelengths: list[float] = []
    widths: list[float] = []
    for band in dataset.indexes:
        tags = {key.lower(): value for key, value in dataset.tags(band).items()}
        imagery = dataset.tags(band, ns="IMAGERY")
        factor = length_nm(tags.get("wavelength_units", tags.get("wavelength_unit", "nm")))
        if "CENTRAL_WAVELENGTH_UM" in imagery:
            wavelengths.append(_float(imagery["CENTRAL_WAVELENGTH_UM"], band, name) * 1e3)
            if "FWHM_UM" in imagery:
                widths.append(_float(imagery["FWHM_UM"], band, name) * 1e3)
        elif factor is not None:
            if "wavelength" in tags:
                wavelengths.append(_float(tags["wavelength"], band, name) * factor)
            if "fwhm" in tags:
                widths.append(_float(tags["fwhm"], band, name) * factor)
    return (
        tuple(wavelengths) if len(wavelengths) == dataset.count else None,
        tuple(widths) if len(widths) == dataset.count else None,
    )


def _good_bands(dataset: Any, name: str) -> tuple[bool, ...] | None:
    flags = [
        {key.lower(): value for key, value in dataset.tags(band).items()}.get("bbl")
        for band in dataset.indexes
    ]
    if any(flag is None for flag in flags):
        return None
    return tuple(
        _float(flag or "0", band, name) != 0
        for band, flag in zip(dataset.indexes, flags, strict=True)
    )


def _float(text: str, band: int, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise HeaderMismatch(f"{name}, band {band}: {text[:40]!r} is no number.")
    return value
