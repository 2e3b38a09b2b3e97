"""HDF5 and NetCDF-4: a named dataset, or the only one of three axes, with what is said beside it.

Attributes by the CF conventions: `_FillValue`, `missing_value`, `scale_factor`, `add_offset`,
`units`, `grid_mapping`; axes by dimension scales and labels. That reads EMIT L1B and L2A too, as
emit-sds writes them (emit_utils.daac_converter): axes (downtrack, crosstrack, bands), the groups
`sensor_band_parameters` (wavelengths, fwhm, good_wavelengths) and `location` (lat, lon).
"""

from datetime import datetime
from typing import Any

import h5py
from numpy.typing import NDArray

from hsis.cube.gains import Gain
from hsis.cube.layout import BY_BAND, PHYSICAL_VALUES, CubeInfo
from hsis.texts import decoded
from hsis_ingest.errors import VariableNeeded
from hsis_ingest.formats.array_cube import cube_of
from hsis_ingest.formats.axis_names import (
    FWHM_NAMES,
    GOOD_BAND_NAMES,
    WAVELENGTH_NAMES,
    axes_of_names,
    lengths_nm,
    nanometres,
)
from hsis_ingest.formats.gains import (
    OFFSET_NAMES,
    SCALE_NAMES,
    gain_of_attribute,
    gains_by_band,
)
from hsis_ingest.formats.hdf5_array import Hdf5Array, small_values
from hsis_ingest.formats.hdf5_file import Hdf5File
from hsis_ingest.formats.hdf5_place import place
from hsis_ingest.formats.source import NO_PROPERTIES, ReadOptions, parse_time
from hsis_ingest.formats.swath import swath_outline

TIME_ATTRIBUTES = ("time_coverage_start", "start_time", "acquisition_time")
NO_VARIABLE = "This is a netCDF dimension but not a netCDF variable"
"""Such a dimension is stored as an array of zeros."""
EMIT_GROUPS = ("sensor_band_parameters", "location")
NETCDF_MARKS = ("_NCProperties", "Conventions")


class Hdf5Source:
    """An opened dataset of an HDF5 or NetCDF-4 file."""

    properties = NO_PROPERTIES

    def __init__(self, file: Hdf5File, options: ReadOptions) -> None:
        self._file = file
        datasets = file.datasets()
        dataset = choose(file, datasets, options)
        where = f"{file.name}: {dataset.name}"
        array = Hdf5Array(file, dataset, options)
        with file.guarded():
            rank = min(3, dataset.ndim)
            axes = _axes(file, dataset)[-rank:]
        shape = array.shape[-rank:]
        named = axes_of_names([name for name, _ in axes]) if rank == 3 else None
        self._cube = cube_of(array.read, shape, options, where, named=named)
        self.axes = array.thin_first(self._cube.axes) if rank == 3 else self._cube.axes
        scales = dict(zip(self._cube.axes, [scale for _, scale in axes], strict=False))
        beside = Beside(file, datasets, dataset, options)
        bands = self._cube.cube_shape[0]
        wavelengths = beside.wavelengths(bands, scales.get("b"))
        scales = {axis: scales.get(axis) for axis in "yx"}
        if file.text(dataset, PHYSICAL_VALUES) == BY_BAND:
            scale, offset = beside.gains(bands, where)
        else:
            scale = _gain(file, dataset, "scale_factor", 1.0, bands)
            offset = _gain(file, dataset, "add_offset", 0.0, bands)
        crs_wkt, transform = place(file, dataset, scales, options)
        self.info = CubeInfo(
            shape=self._cube.cube_shape,
            dtype=array.dtype,
            wavelengths_nm=wavelengths,
            fwhm_nm=beside.widths(bands),
            good_bands=beside.good_bands(bands),
            unit=file.text(dataset, "units") or None,
            scale=scale,
            offset=offset,
            nodata=nodata(file, dataset),
            crs_wkt=crs_wkt,
            transform=transform,
        )
        _, rows, columns = self._cube.cube_shape
        self.outline = None if transform else swath_outline(file, datasets, rows, columns, options)
        self.acquired_at: datetime | None = None
        for name in TIME_ATTRIBUTES:
            self.acquired_at = self.acquired_at or parse_time(file.text(file.root, name))
        self.format_name = _format_name(file)

    def read(self, bands: slice, rows: slice, columns: slice) -> NDArray[Any]:
        """A window, shape (band, y, x)."""
        return self._cube.read(bands, rows, columns)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Beside:
    """The arrays of one value a band that lie in the same file as a cube's `dataset`."""

    def __init__(
        self,
        file: Hdf5File,
        datasets: dict[str, h5py.Dataset],
        dataset: h5py.Dataset,
        options: ReadOptions,
    ) -> None:
        self._file = file
        self._datasets = datasets
        self._group = dataset.name.strip("/").rpartition("/")[0]
        self._options = options
        self._factor: float | None = None

    def wavelengths(
        self, bands: int, coordinate: h5py.Dataset | None = None
    ) -> tuple[float, ...] | None:
        """Nanometres: the axis's own `coordinate` where it has a wavelength's name, else the
        array of a usual name in the same group, else the only one in the file."""
        values, unit, where = self._values(WAVELENGTH_NAMES, bands, coordinate)
        if values is None:
            return None
        self._factor = nanometres(unit, values)
        return lengths_nm(values, self._factor, where)

    def widths(self, bands: int) -> tuple[float, ...] | None:
        """Full widths at half maximum in nanometres; call `wavelengths` before, whose unit they
        have where they say none."""
        values, unit, where = self._values(FWHM_NAMES, bands)
        if values is None:
            return None
        return lengths_nm(values, nanometres(unit, values) if unit else self._factor, where)

    def good_bands(self, bands: int) -> tuple[bool, ...] | None:
        """Which bands are fit for use."""
        values, *_ = self._values(GOOD_BAND_NAMES, bands)
        return None if values is None else tuple(bool(flag == 1) for flag in values.ravel())

    def gains(self, bands: int, where: str) -> tuple[Gain, Gain]:
        """The scale and the offset of each band; HeaderMismatch where there are none."""
        found = [self._values(names, bands)[0] for names in (SCALE_NAMES, OFFSET_NAMES)]
        return gains_by_band(found[0], found[1], where)

    def _values(
        self, names: frozenset[str], bands: int, coordinate: h5py.Dataset | None = None
    ) -> tuple[NDArray[Any] | None, str | None, str]:
        """Values, unit and name of the array of one of `names`; None where there is none."""
        found = self._find(names, bands, coordinate)
        if found is None:
            return None, None, ""
        values = small_values(self._file, found, self._options)
        return values, self._file.text(found, "units"), f"{self._file.name}: {found.name}"

    def _find(
        self, names: frozenset[str], bands: int, coordinate: h5py.Dataset | None = None
    ) -> h5py.Dataset | None:
        file = self._file
        fitting = {
            path: dataset
            for path, dataset in self._datasets.items()
            if path.rpartition("/")[2].lower() in names
            and dataset.size == bands == max(dataset.shape, default=0)
            and numeric(dataset)
            and not (file.text(dataset, "NAME") or "").startswith(NO_VARIABLE)
        }
        if coordinate is not None:
            for dataset in fitting.values():
                if dataset.name == coordinate.name:
                    return dataset
        near = [d for path, d in fitting.items() if path.rpartition("/")[0] == self._group]
        for found in (near, list(fitting.values())):
            if len(found) == 1:
                return found[0]
        return None


def choose(file: Hdf5File, datasets: dict[str, h5py.Dataset], options: ReadOptions) -> h5py.Dataset:
    """The dataset that holds the cube: the named one, else the only numeric one of three axes, or
    of two where `axes` are two letters."""
    with file.guarded():
        numbers = {path: each for path, each in datasets.items() if numeric(each)}
        cubes = {path: each for path, each in numbers.items() if _rank(each) == 3}
        flat = {path: each for path, each in numbers.items() if _rank(each) == 2}
        told = ", ".join(tell(path, each) for path, each in (cubes or flat).items()) or "none"
    if options.variable is not None:
        found = file.dataset(options.variable)
        if found is None:
            raise VariableNeeded(f"{file.name} has no dataset {options.variable!r}; it has {told}.")
        return found
    if options.axes is not None and len(options.axes) == 2 and len(flat) == 1:
        return next(iter(flat.values()))
    if len(cubes) == 1:
        return next(iter(cubes.values()))
    if cubes:
        raise VariableNeeded(f"Give `variable`: the candidates in {file.name} are {told}.")
    if flat:
        raise VariableNeeded(
            f"{file.name} holds no array of three axes. Give `variable` and `rows` and `columns`; "
            f"candidates: {told}."
        )
    raise file.no_candidates("arrays of numbers with three axes")


def numeric(dataset: h5py.Dataset) -> bool:
    """Whether it holds numbers, complex ones as MATLAB writes them too."""
    try:
        dtype = dataset.dtype
    except TypeError:  # a type that NumPy has not
        return False
    return dtype.kind in "iufc" or dtype.names in {("real", "imag"), ("r", "i")}


def tell(path: str, dataset: h5py.Dataset) -> str:
    """Path and shape, for messages."""
    return f"{path} ({' x '.join(map(str, dataset.shape))} {dataset.dtype})"


def nodata(file: Hdf5File, dataset: h5py.Dataset) -> float | None:
    """The value that stands for none, by either of the usual attributes."""
    fill = file.number(dataset, "_FillValue")
    return file.number(dataset, "missing_value") if fill is None else fill


def _rank(dataset: h5py.Dataset) -> int:
    """Number of axes without leading ones of one element; 0 where the array is empty."""
    shape = dataset.shape or ()
    lead = max(0, len(shape) - 3)
    if 0 in shape or any(size != 1 for size in shape[:lead]):
        return 0
    return len(shape) - lead


def _axes(file: Hdf5File, dataset: h5py.Dataset) -> list[tuple[str | None, h5py.Dataset | None]]:
    """Name and coordinate variable of each axis, where it has them.

    By the attributes themselves: the HDF5 library's own functions (H5DS) never come back from
    some damaged ones.
    """
    labels = file.items(dataset, "DIMENSION_LABELS", dataset.ndim)
    scales = file.items(dataset, "DIMENSION_LIST", dataset.ndim)
    found: list[tuple[str | None, h5py.Dataset | None]] = []
    for label, references in zip(labels, scales, strict=True):
        text = decoded(label) if isinstance(label, bytes) else label
        scale = file.referred(references)
        last = scale.name.rpartition("/")[2] if scale is not None and scale.name else None
        found.append((text or last, scale))
    return found


def _gain(file: Hdf5File, dataset: h5py.Dataset, name: str, default: float, bands: int) -> Gain:
    """An attribute of one number, or of one a band; `default` where it is not there."""
    numbers = file.numbers(dataset, name)
    if numbers is None:
        return default
    what = f"{file.name}: {dataset.name}: {name}"
    return gain_of_attribute(numbers, bands, what, zero_allowed=default == 0)


def _format_name(file: Hdf5File) -> str:
    if all(file.group(name) is not None for name in EMIT_GROUPS):
        return "EMIT"
    marks = [file.attribute(file.root, mark) for mark in NETCDF_MARKS]
    return "NetCDF-4" if any(mark is not None for mark in marks) else "HDF5"
