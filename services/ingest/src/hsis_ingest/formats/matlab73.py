"""MATLAB v7.3 files: HDF5 behind a header of 512 bytes, the axes of every array in reverse."""

import dataclasses

import h5py
import numpy as np
from numpy.typing import NDArray

from hsis.cube.layout import CubeInfo
from hsis_ingest.formats.array_cube import cube_of
from hsis_ingest.formats.hdf5 import Beside, numeric
from hsis_ingest.formats.hdf5_array import Hdf5Array, small_values
from hsis_ingest.formats.hdf5_file import Hdf5File
from hsis_ingest.formats.matlab_variables import Variable, choose
from hsis_ingest.formats.source import NO_PROPERTIES, ReadOptions

FORMAT = "MATLAB v7.3"
CLASSES = {"float64": "double", "float32": "single"}
"""MATLAB's names of NumPy's types, where they differ."""


class Matlab73Source:
    """An opened variable of a MATLAB v7.3 file."""

    format_name = FORMAT
    outline = None
    properties = NO_PROPERTIES
    acquired_at = None

    def __init__(self, file: Hdf5File, options: ReadOptions) -> None:
        self._file = file
        # MATLAB keeps the cells and objects of variables in groups named #refs# and #subsystem#.
        datasets = {path: d for path, d in file.datasets().items() if not path.startswith("#")}
        variables = [_variable(file, path, each) for path, each in datasets.items()]
        if not variables and file.outside:
            raise file.no_candidates("arrays of numbers with three axes")
        options = self._with_size(datasets, options)
        size = (options.rows, options.columns) if options.rows and options.columns else None
        name = (options.variable or "").replace(".", "/") or None
        if name is not None:
            file.dataset(name)  # says it where the name leads out of the file
        options = dataclasses.replace(options, variable=name)
        bands = self._scalar(datasets, "nband")
        chosen = choose(variables, file.name, options, size, bands)
        dataset = datasets[chosen.name]
        array = Hdf5Array(file, dataset, options)
        rank = min(3, len(chosen.shape))
        where = f"{file.name}: {chosen.told}"
        self._cube = cube_of(
            array.read, array.shape[-rank:], options, where, named=None, reverse=True
        )
        self.axes = array.thin_first(self._cube.axes) if rank == 3 else self._cube.axes
        beside = Beside(file, datasets, dataset, options)
        wavelengths = beside.wavelengths(self._cube.cube_shape[0])
        self.info = CubeInfo(
            shape=self._cube.cube_shape,
            dtype=array.dtype,
            wavelengths_nm=wavelengths,
            fwhm_nm=beside.widths(self._cube.cube_shape[0]),
        )

    def read(self, bands: slice, rows: slice, columns: slice) -> NDArray[np.generic]:
        """A window, shape (band, y, x)."""
        return self._cube.read(bands, rows, columns)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _with_size(self, datasets: dict[str, h5py.Dataset], options: ReadOptions) -> ReadOptions:
        """The options with rows and columns as the file's variables nRow and nCol say, unless
        they are given."""
        if options.rows is not None and options.columns is not None:
            return options
        rows, columns = self._scalar(datasets, "nrow"), self._scalar(datasets, "ncol")
        if not rows or not columns:
            return options
        return dataclasses.replace(options, rows=rows, columns=columns)

    def _scalar(self, datasets: dict[str, h5py.Dataset], name: str) -> int | None:
        for path, dataset in datasets.items():
            if path.lower() == name and dataset.size == 1 and numeric(dataset):
                values = small_values(self._file, dataset, ReadOptions())
                if values is not None and np.isfinite(values).all():
                    return int(values.ravel()[0])
        return None


def _variable(file: Hdf5File, path: str, dataset: h5py.Dataset) -> Variable:
    """As MATLAB shows it: axes reversed, with MATLAB's name of the class."""
    shape = tuple(reversed(dataset.shape or ()))
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if file.attribute(dataset, "MATLAB_empty") is not None:
        return Variable(path, shape, "empty")
    kind = file.text(dataset, "MATLAB_class")
    if kind is None:
        kind = str(dataset.dtype) if numeric(dataset) else "other"
    elif not numeric(dataset):
        kind = f"{kind} (no numbers)"
    return Variable(path, shape, CLASSES.get(kind, kind))
