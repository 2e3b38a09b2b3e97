"""Where the cube of a NetCDF file lies, by the CF conventions (grid mappings, coordinates)."""

import h5py
from rasterio.crs import CRS

from hsis.cube.layout import Transform
from hsis_ingest.formats.cf_grid import even_step, gdal_transform, grid_of_steps, normal_wkt
from hsis_ingest.formats.hdf5_array import small_values
from hsis_ingest.formats.hdf5_file import Hdf5File
from hsis_ingest.formats.source import ReadOptions


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
    transform = _grid(file, scales, options) or gdal_transform(
        file.text(mapping, "GeoTransform") if mapping is not None else None
    )
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
    return normal_wkt(file.text(mapping, "crs_wkt") or file.text(mapping, "spatial_ref")), mapping


def _grid(
    file: Hdf5File, scales: dict[str, h5py.Dataset | None], options: ReadOptions
) -> Transform | None:
    """From the centres of rows and columns, where they are even."""
    steps: dict[str, tuple[float, float] | None] = {}
    for axis, scale in scales.items():
        if scale is None:
            return None
        steps[axis] = even_step(small_values(file, scale, options))
    return grid_of_steps(steps["y"], steps["x"])


def _geographic(scales: dict[str, h5py.Dataset | None]) -> bool:
    names = {axis: scale.name.rpartition("/")[2].lower() for axis, scale in scales.items() if scale}
    return names.get("y") in {"lat", "latitude"} and names.get("x") in {"lon", "longitude"}
