"""MATLAB v5 files: named arrays without axis names. The one chosen is held in memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.io
from numpy.typing import NDArray

from hsis.cube.layout import CubeInfo
from hsis.errors import InvalidInput
from hsis_ingest.errors import (
    DecompressionBomb,
    TruncatedFile,
    UnsupportedFormat,
    VariableNeeded,
)
from hsis_ingest.formats.matlab_elements import check_expansion
from hsis_ingest.formats.source import (
    NO_PROPERTIES,
    ByteSource,
    RangeFile,
    ReadOptions,
    native_dtype,
)

FORMAT = "MATLAB v5"
DEFAULT_AXES = "yxb"
BYTES_OF_CLASS = {
    "double": 8, "single": 4, "int8": 1, "uint8": 1, "int16": 2, "uint16": 2,
    "int32": 4, "uint32": 4, "int64": 8, "uint64": 8, "logical": 1,
}  # fmt: skip
WAVELENGTH_NAMES = ("wavelength", "wavelengths", "wavelength_nm", "lambda", "wl")


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable as the file declares it."""

    name: str
    shape: tuple[int, ...]
    kind: str

    @property
    def numeric(self) -> bool:
        """Whether it is an array of numbers."""
        return self.kind in BYTES_OF_CLASS

    @property
    def told(self) -> str:
        """Name and shape, for messages."""
        return f"{self.name} ({' x '.join(map(str, self.shape))} {self.kind})"


class MatlabSource:
    """An opened variable of a MATLAB v5 file."""

    format_name = FORMAT
    outline = None
    properties = NO_PROPERTIES
    acquired_at = None
    axes = "byx"

    def __init__(self, data: ByteSource, options: ReadOptions) -> None:
        check_expansion(data, options)
        variables = [Variable(*found) for found in _scipy(data, scipy.io.whosmat)]
        size = _declared_size(data, variables, options)
        bands_said = _scalar(data, variables, "nband")
        chosen = choose(variables, data.name, options, size, bands_said)
        self._values = _cube(_load(data, chosen, options), chosen, data.name, options, size)
        dtype = native_dtype(self._values.dtype, f"{data.name}: {chosen.name}")
        bands, rows, columns = self._values.shape
        self.info = CubeInfo(
            shape=(bands, rows, columns),
            dtype=dtype,
            wavelengths_nm=_wavelengths(data, variables, bands),
        )

    def read(self, bands: slice, rows: slice, columns: slice) -> NDArray[Any]:
        """A window, shape (band, y, x)."""
        return np.ascontiguousarray(self._values[bands, rows, columns], self.info.dtype)

    def close(self) -> None:
        """Nothing is held open."""


def choose(
    variables: Sequence[Variable],
    name: str,
    options: ReadOptions,
    size: tuple[int, int] | None,
    bands: int | None,
) -> Variable:
    """The variable that holds the cube.

    The named one; where `axes` are two letters, the only numeric array of two axes; else the only
    one of three axes; else the only one of two axes with
    one of (rows x columns) pixels, or that of them with nBand (`bands`) bands. VariableNeeded
    otherwise.
    """
    numeric = [variable for variable in variables if variable.numeric]
    candidates = [v for v in numeric if len(v.shape) == 3] or [
        v for v in numeric if len(v.shape) == 2 and min(v.shape) > 1
    ]
    told = ", ".join(variable.told for variable in candidates) or "none"
    if options.variable is not None:
        for variable in variables:
            if variable.name == options.variable:
                return _usable(variable, name)
        raise VariableNeeded(f"{name} has no variable {options.variable!r}; it has {told}.")
    planes = [v for v in numeric if len(v.shape) == 2 and min(v.shape) > 1]
    if options.axes is not None and len(options.axes) == 2 and len(planes) == 1:
        return planes[0]
    if len(candidates) == 1 and len(candidates[0].shape) == 3:
        return candidates[0]
    flat = [v for v in candidates if len(v.shape) == 2]
    if flat and size is not None:
        fitting = [v for v in flat if size[0] * size[1] in v.shape]
        named = [v for v in fitting if bands in v.shape]
        for found in (fitting, named):
            if len(found) == 1:
                return found[0]
        told = ", ".join(variable.told for variable in fitting) or told
    elif flat:
        raise VariableNeeded(
            f"{name} holds no array of three axes. Give `variable` and `rows` and `columns`; "
            f"candidates: {told}."
        )
    raise VariableNeeded(f"Give `variable`: the candidates in {name} are {told}.")


def _usable(variable: Variable, name: str) -> Variable:
    if not variable.numeric or len(variable.shape) not in {2, 3} or 0 in variable.shape:
        raise UnsupportedFormat(
            f"{name}: {variable.told} is no array of numbers with two or three axes."
        )
    return variable


def _declared_size(
    data: ByteSource, variables: Sequence[Variable], options: ReadOptions
) -> tuple[int, int] | None:
    """Rows and columns as given, else as the file's variables nRow and nCol say."""
    if options.rows is not None and options.columns is not None:
        return options.rows, options.columns
    rows, columns = _scalar(data, variables, "nrow"), _scalar(data, variables, "ncol")
    return (rows, columns) if rows and columns else None


def _scalar(data: ByteSource, variables: Sequence[Variable], name: str) -> int | None:
    for variable in variables:
        if variable.name.lower() == name and set(variable.shape) == {1} and variable.numeric:
            values = _scipy(data, scipy.io.loadmat, variable_names=[variable.name])
            return int(np.asarray(values[variable.name]).real.ravel()[0])
    return None


def _load(data: ByteSource, variable: Variable, options: ReadOptions) -> NDArray[Any]:
    """The variable's values as scipy gives them, Fortran order."""
    declared = BYTES_OF_CLASS[variable.kind]
    for length in variable.shape:
        declared *= length
    if declared > options.matlab_max_bytes:
        raise DecompressionBomb(
            f"{data.name}: {variable.told} takes {declared} bytes; at most "
            f"{options.matlab_max_bytes} are read (setting matlab_max_bytes)."
        )
    values = _scipy(data, scipy.io.loadmat, variable_names=[variable.name])[variable.name]
    if not isinstance(values, np.ndarray):
        raise UnsupportedFormat(f"{data.name}: {variable.told} is sparse; a full array is right.")
    return values


def _cube(
    values: NDArray[Any],
    variable: Variable,
    name: str,
    options: ReadOptions,
    size: tuple[int, int] | None,
) -> NDArray[Any]:
    """The array with axes (band, y, x). Pixels of a flat one are counted column by column."""
    if values.ndim == 3:
        axes = options.axes or DEFAULT_AXES
        if len(axes) != 3:
            raise InvalidInput(f"axes = {axes}, but {variable.told} in {name} has three.")
        return values.transpose([axes.index(axis) for axis in "byx"])
    if options.axes is not None and len(options.axes) == 2:
        return values.transpose([options.axes.index(axis) for axis in "yx"])[np.newaxis]
    if size is None:
        raise VariableNeeded(
            f"{name}: {variable.told} has two axes; give `rows` and `columns`, or `axes` = yx for "
            "a picture of one band."
        )
    rows, columns = size
    if values.shape[1] == rows * columns:
        return values.reshape(values.shape[0], rows, columns, order="F")
    if values.shape[0] == rows * columns:
        return values.T.reshape(values.shape[1], rows, columns, order="F")
    raise InvalidInput(
        f"{rows} rows x {columns} columns are {rows * columns} pixels, but {variable.told} in "
        f"{name} has an axis of neither as many."
    )


def _wavelengths(
    data: ByteSource, variables: Sequence[Variable], bands: int
) -> tuple[float, ...] | None:
    """A variable of one number a band by a usual name: nm, or µm where all are below 100."""
    for variable in variables:
        count = max(variable.shape, default=0)
        fits = variable.numeric and count == bands and sum(n != 1 for n in variable.shape) <= 1
        if variable.name.lower() in WAVELENGTH_NAMES and fits:
            values = _scipy(data, scipy.io.loadmat, variable_names=[variable.name])
            found = np.asarray(values[variable.name]).real.astype(np.float64).ravel()
            if not np.isfinite(found).all():
                return None
            return tuple((found * (1000.0 if found.max() < 100 else 1.0)).tolist())
    return None


def _scipy(data: ByteSource, function: Any, **arguments: Any) -> Any:
    """A scipy.io function on the file; TruncatedFile where it cannot make sense of the bytes."""
    file = RangeFile(data)
    try:
        return function(file, **arguments)
    except MemoryError:
        raise
    except Exception as error:  # scipy raises whatever a damaged byte leads it to
        if file.error is not None:
            raise file.error from error
        raise TruncatedFile(f"{data.name} is damaged or truncated: {error}.") from error
