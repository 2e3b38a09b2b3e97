"""NetCDF-4 by the CF conventions 1.12, an HDF5 file by the rules of the netCDF library
("NetCDF-4 Format Specification"): dimensions are HDF5 dimension scales.
"""

from collections.abc import Callable, Mapping
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import CRSError

from hsis.cube.classes import cf_attributes
from hsis.cube.layout import (
    BAND_OFFSET,
    BAND_SCALE,
    BY_BAND,
    INNER_CHUNK,
    PHYSICAL_VALUES,
    CubeInfo,
)
from hsis.cube.statistics import nodata_in
from hsis_tiles.errors import UnsupportedExport
from hsis_tiles.export.attributes import NO_TEXTS, as_texts
from hsis_tiles.export.blocks import ExportFile, even_step
from hsis_tiles.export.hdf5 import hdf5_file
from hsis_tiles.export.selection import Selection

MEDIA_TYPE = "application/x-netcdf"
VARIABLE = "cube"
DIMENSIONS = ("band", "y", "x")
_NO_VARIABLE = "This is a netCDF dimension but not a netCDF variable.%10d"
"""The name that the netCDF library gives a dimension without coordinates."""


def netcdf_file(
    name: str,
    info: CubeInfo,
    chosen: Selection,
    *,
    max_bytes: int,
    attributes: Mapping[str, Any] = NO_TEXTS,
) -> ExportFile:
    """The variable `cube` (band, y, x), with its coordinates.

    UnsupportedExport for complex values, which netCDF has not.
    """
    if info.dtype.kind == "c":
        raise UnsupportedExport(
            f"NetCDF has no complex numbers such as {info.dtype.name}; ENVI, GeoTIFF, NumPy, "
            "MATLAB and Zarr hold them."
        )

    def write(file: h5py.File, array: Callable[[str], h5py.Dataset]) -> None:
        file.attrs["Conventions"] = _text("CF-1.12, ACDD-1.3")
        file.attrs["title"] = _text(name)
        for key, value in attributes.items():
            number = isinstance(value, float | int)
            file.attrs[key] = np.float64(value) if number else _text(as_texts({key: value})[key])
        scales = _dimensions(file, info)
        beside = _beside(file, info)
        cube = array(VARIABLE)
        for at, scale in enumerate(scales):
            cube.dims[at].attach_scale(scale)
        for key, value in _attributes(info, beside).items():
            cube.attrs[key] = value

    return hdf5_file(
        f"{name}.nc", MEDIA_TYPE, chosen, "byx", chunk_of(info, "byx"), info.dtype, max_bytes, write
    )


def chunk_of(info: CubeInfo, axes: str) -> tuple[int, int, int]:
    """Chunks as those of the stored cube, but even: little of the last ones is empty."""
    sizes = dict(zip("byx", info.shape, strict=True))
    most = dict(zip("byx", INNER_CHUNK, strict=True))
    first, second, third = (even_step(sizes[axis], most[axis]) for axis in axes)
    return first, second, third


def _dimensions(file: h5py.File, info: CubeInfo) -> list[h5py.Dataset]:
    """The dimensions, with coordinates where the cube has a grid along the axes of a map."""
    bands, rows, columns = info.shape
    coordinates: dict[str, tuple[NDArray[Any], dict[str, Any]]] = {
        "band": (np.arange(1, bands + 1, dtype=np.int32), {"long_name": _text("band number")})
    }
    if info.transform is not None and info.transform[1] == info.transform[3] == 0:
        a, _, c, _, e, f = info.transform
        words = _axis_words(info.crs_wkt)
        coordinates["y"] = (f + e * (np.arange(rows) + 0.5), words[0])
        coordinates["x"] = (c + a * (np.arange(columns) + 0.5), words[1])
    scales = []
    for number, (dimension, size) in enumerate(zip(DIMENSIONS, info.shape, strict=True)):
        if dimension in coordinates:
            values, attributes = coordinates[dimension]
            scale = file.create_dataset(dimension, data=values, track_order=True)
            scale.make_scale(dimension)
            for key, value in attributes.items():
                scale.attrs[key] = value
        else:
            scale = file.create_dataset(dimension, (size,), ">f4", track_order=True)
            scale.make_scale(_NO_VARIABLE % size)
        scale.attrs["_Netcdf4Dimid"] = np.int32(number)
        scales.append(scale)
    return scales


def _axis_words(crs_wkt: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """CF's attributes of y and x."""
    axes = {"axis": _text("Y")}, {"axis": _text("X")}
    try:
        crs = None if crs_wkt is None else CRS.from_wkt(crs_wkt)
    except CRSError:
        crs = None
    if crs is None:
        return axes
    if crs.is_geographic:
        names, units = ("latitude", "longitude"), ("degrees_north", "degrees_east")
    else:
        names = ("projection_y_coordinate", "projection_x_coordinate")
        units = ("m", "m") if crs.linear_units == "metre" else ("", "")
    for words, standard_name, unit in zip(axes, names, units, strict=True):
        words["standard_name"] = _text(standard_name)
        if unit:
            words["units"] = _text(unit)
    return axes


def _beside(file: h5py.File, info: CubeInfo) -> list[str]:
    """The variables of one value a band and of the place; the names of the former."""
    band = file["band"]
    values = {
        "wavelength_nm": (info.wavelengths_nm, np.float64, "radiation_wavelength", "nm"),
        "fwhm_nm": (info.fwhm_nm, np.float64, None, "nm"),
        "good_band": (info.good_bands, np.int8, None, None),
    }
    if info.gains_differ:  # a variable of CF has one `scale_factor`
        values[BAND_SCALE] = (info.scales, np.float64, None, None)
        values[BAND_OFFSET] = (info.offsets, np.float64, None, None)
    titles = {
        "fwhm_nm": "full width at half maximum",
        "good_band": "band is fit for use",
        BAND_SCALE: "what stored values of the band are multiplied by",
        BAND_OFFSET: "what is added to scaled values of the band",
    }
    written = []
    for name, (found, kind, standard_name, unit) in values.items():
        if found is None:
            continue
        variable = file.create_dataset(name, data=np.array(found, kind), track_order=True)
        variable.dims[0].attach_scale(band)
        if standard_name is not None:
            variable.attrs["standard_name"] = _text(standard_name)
        if name in titles:
            variable.attrs["long_name"] = _text(titles[name])
        if unit is not None:
            variable.attrs["units"] = _text(unit)
        written.append(name)
    if info.band_names is not None:
        names = file.create_dataset(
            "band_name", data=list(info.band_names), dtype=h5py.string_dtype(), track_order=True
        )
        names.dims[0].attach_scale(band)
        written.append("band_name")
    if info.transform is not None:
        a, b, c, d, e, f = info.transform
        place = file.create_dataset("spatial_ref", data=np.int32(0), track_order=True)
        place.attrs["GeoTransform"] = _text(f"{c!r} {a!r} {b!r} {f!r} {d!r} {e!r}")
        if info.crs_wkt is not None:
            place.attrs["crs_wkt"] = _text(info.crs_wkt)
            place.attrs["spatial_ref"] = _text(info.crs_wkt)
    return written


def _attributes(info: CubeInfo, coordinates: list[str]) -> dict[str, Any]:
    """Of the cube. Scale, offset and the value for no data by CF's names, so that its readers give
    physical values."""
    found: dict[str, Any] = {}
    if info.nodata is not None:
        fill = nodata_in(info.dtype, info.nodata)
        if fill is None:  # no value of the cube can be it
            found["nodata"] = np.float64(info.nodata)
        else:
            found["_FillValue"] = np.array([fill], info.dtype)
    if info.gains_differ:
        found[PHYSICAL_VALUES] = _text(BY_BAND)
    elif info.is_scaled:
        found |= {
            "scale_factor": np.float64(info.scales[0]),
            "add_offset": np.float64(info.offsets[0]),
        }
    if info.unit is not None:
        found["units"] = _text(info.unit)
    if coordinates:
        found["coordinates"] = _text(" ".join(coordinates))
    if info.transform is not None:
        found["grid_mapping"] = _text("spatial_ref")
    if info.classes:
        flags = cf_attributes(info.classes)
        found["flag_values"] = np.array(flags["flag_values"], info.dtype)
        for key in ("flag_meanings", "flag_colors"):
            found[key] = _text(flags[key])
    return found


def _text(value: str) -> np.bytes_:
    """A string of fixed length, as netCDF's own attributes of characters are."""
    return np.bytes_(value.encode())
