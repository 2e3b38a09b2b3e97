"""Where the cube of a NetCDF file lies, by the CF conventions (grid mappings, coordinates)."""

import math
from typing import Any

import h5py
import numpy as np
from rasterio.crs import CRS
from rasterio.errors import CRSError

from hsis.cube.layout import Transform
from hsis_ingest.formats.hdf5_array import small_values
from hsis_ingest.formats.hdf5_file import Hdf5File
from hsis_ingest.formats.source import ReadOptions

STEP_TOLERANCE = 1e-4
"""Of a step: how far coordinates may be from an even grid."""


def place(
    file: Hdf5File,
    dataset: h5py.Dataset,
    scales: dict[str, h5py.Dataset | None],
    options: ReadOptions,
) -> tuple[str | None, Transform | None]:
    """CRS as WKT and the transform; `scales` are the coordinate variables of axes y and x.

    None where the file does not say, or its grid is not even.
    """
    crs_wkt, mapping = _crs(file, dataset)
    transform = _grid(file, scales, options) or _gdal_transform(file, mapping)
    if transform is not None and crs_wkt is None and _geographic(scales):
        crs_wkt = CRS.from_epsg(4326).to_wkt()
    return crs_wkt, transform


def _crs(file: Hdf5File, dataset: h5py.Dataset) -> tuple[str | None, h5py.Dataset | None]:
    said = (file.text(dataset, "grid_mapping") or "").split(":")[0].strip()
    if not said:
        return None, None
    with file.guarded():
        parent = dataset.parent.name
    mapping = file.dataset(f"{parent}/{said}") or file.dataset(said)
    if mapping is None:
        return None, None
    text = file.text(mapping, "crs_wkt") or file.text(mapping, "spatial_ref")
    try:
        return (CRS.from_wkt(text).to_wkt() if text else None), mapping
    except CRSError:
        return None, mapping  # programs write strings of their own


def _grid(
    file: Hdf5File, scales: dict[str, h5py.Dataset | None], options: ReadOptions
) -> Transform | None:
    """From the centres of rows and columns, where they are even."""
    steps: dict[str, tuple[float, float]] = {}
    for axis, scale in scales.items():
        if scale is None:
            return None
        values = small_values(file, scale, options)
        if values is None or values.ndim != 1 or values.size < 2:
            return None
        centres = values.astype(np.float64)
        step = (centres[-1] - centres[0]) / (centres.size - 1)
        even = centres[0] + step * np.arange(centres.size)
        if not step or not np.isfinite(centres).all():
            return None
        if np.abs(centres - even).max() > STEP_TOLERANCE * abs(step):
            return None
        steps[axis] = float(centres[0] - step / 2), float(step)
    (top, down), (left, across) = steps["y"], steps["x"]
    return across, 0.0, left, 0.0, down, top


def _gdal_transform(file: Hdf5File, mapping: Any) -> Transform | None:
    text = file.text(mapping, "GeoTransform") if mapping is not None else None
    try:
        numbers = [float(word) for word in (text or "").split()]
    except ValueError:
        return None
    if len(numbers) != 6 or not all(map(math.isfinite, numbers)):
        return None
    c, a, b, f, d, e = numbers
    return a, b, c, d, e, f


def _geographic(scales: dict[str, h5py.Dataset | None]) -> bool:
    names = {axis: scale.name.rpartition("/")[2].lower() for axis, scale in scales.items() if scale}
    return names.get("y") in {"lat", "latitude"} and names.get("x") in {"lon", "longitude"}
