"""MATLAB v5 files: named arrays without axis names, in Fortran order."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsis.cube.layout import CubeInfo
from hsis.errors import InvalidInput
from hsis_ingest.errors import VariableNeeded
from hsis_ingest.formats.inflated import InflatedSource
from hsis_ingest.formats.matlab_arrays import MatlabArray, Stored, read_variables
from hsis_ingest.formats.matlab_variables import Variable, choose, usable
from hsis_ingest.formats.source import NO_PROPERTIES, ByteSource, ReadOptions, native_dtype

FORMAT = "MATLAB v5"
DEFAULT_AXES = "yxb"
WAVELENGTH_NAMES = ("wavelength", "wavelengths", "wavelength_nm", "lambda", "wl")


class MatlabSource:
    """An opened variable of a MATLAB v5 file."""

    format_name = FORMAT
    outline = None
    properties = NO_PROPERTIES
    acquired_at = None

    def __init__(self, data: ByteSource, options: ReadOptions) -> None:
        variables = read_variables(data, options)
        size = _declared_size(variables, options)
        bands_said = _scalar(variables, "nband")
        known = [stored.variable for stored in variables]
        chosen = usable(choose(known, data.name, options, size, bands_said), data.name)
        self._stored = next(stored for stored in variables if stored.variable is chosen)
        shape, self.axes = _in_file_order(chosen, data.name, options, size)
        self._array = MatlabArray.of(self._stored, self.axes, shape)
        cube_shape = self._array.parts[0].cube_shape
        self.info = CubeInfo(
            shape=cube_shape,
            dtype=native_dtype(self._array.dtype, f"{data.name}: {chosen.name}"),
            wavelengths_nm=_wavelengths(variables, cube_shape[0]),
        )

    def read(self, bands: slice, rows: slice, columns: slice) -> NDArray[Any]:
        """A window, shape (band, y, x)."""
        return self._array.read(bands, rows, columns)

    def close(self) -> None:
        """Let go of what inflates the variable."""
        content = self._stored.matrix.content
        if isinstance(content, InflatedSource):
            content.close()


def _declared_size(variables: Sequence[Stored], options: ReadOptions) -> tuple[int, int] | None:
    """Rows and columns as given, else as the file's variables nRow and nCol say."""
    if options.rows is not None and options.columns is not None:
        return options.rows, options.columns
    rows, columns = _scalar(variables, "nrow"), _scalar(variables, "ncol")
    return (rows, columns) if rows and columns else None


def _scalar(variables: Sequence[Stored], name: str) -> int | None:
    for stored in variables:
        variable = stored.variable
        if variable.name.lower() == name and set(variable.shape) == {1} and variable.numeric:
            [value] = stored.values().tolist()
            return int(value) if np.isfinite(value) else None
    return None


def _in_file_order(
    variable: Variable, name: str, options: ReadOptions, size: tuple[int, int] | None
) -> tuple[tuple[int, int, int], str]:
    """The sizes and names of the axes, slowest first: MATLAB's in reverse. Pixels of an array of
    pixels by bands are counted column by column."""
    sizes = variable.shape[::-1]
    if len(sizes) == 3:
        axes = options.axes or DEFAULT_AXES
        if len(axes) != 3:
            raise InvalidInput(f"axes = {axes}, but {variable.told} in {name} has three.")
        return (sizes[0], sizes[1], sizes[2]), axes[::-1]
    if options.axes is not None and len(options.axes) == 2:
        return (1, sizes[0], sizes[1]), "b" + options.axes[::-1]
    if size is None:
        raise VariableNeeded(
            f"{name}: {variable.told} has two axes; give `rows` and `columns`, or `axes` = yx for "
            "a picture of one band."
        )
    rows, columns = size
    if sizes[0] == rows * columns:
        return (columns, rows, sizes[1]), "xyb"
    if sizes[1] == rows * columns:
        return (sizes[0], columns, rows), "bxy"
    raise InvalidInput(
        f"{rows} rows x {columns} columns are {rows * columns} pixels, but {variable.told} in "
        f"{name} has an axis of neither as many."
    )


def _wavelengths(variables: Sequence[Stored], bands: int) -> tuple[float, ...] | None:
    """A variable of one number a band by a usual name: nm, or µm where all are below 100."""
    for stored in variables:
        variable = stored.variable
        longest = max(variable.shape, default=0)
        fits = variable.numeric and longest == math.prod(variable.shape) == bands
        if variable.name.lower() in WAVELENGTH_NAMES and fits:
            found = stored.values().astype(np.float64)
            if not np.isfinite(found).all():
                return None
            return tuple((found * (1000.0 if found.max() < 100 else 1.0)).tolist())
    return None
