"""NumPy's .npy: one array with its type and shape, without axis names."""

import tokenize
import warnings
from typing import Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from hsis.cube.layout import CubeInfo
from hsis.errors import InvalidInput
from hsis_ingest.errors import HeaderMismatch, TruncatedFile, UnsupportedFormat, VariableNeeded
from hsis_ingest.formats.source import (
    NO_PROPERTIES,
    ByteSource,
    RangeFile,
    ReadOptions,
    native_dtype,
)
from hsis_ingest.formats.strided import StridedArray

FORMAT = "NumPy"
MAGIC = b"\x93NUMPY"
DEFAULT_AXES = "yxb"
MAX_HEADER_BYTES = 64 * 1024
DAMAGE = (
    ValueError, TypeError, OverflowError, SyntaxError, tokenize.TokenError, RecursionError,
)  # fmt: skip
"""What NumPy raises over headers that are none."""


class NpySource:
    """An opened .npy file of three axes, or of two with their meaning given."""

    format_name = FORMAT
    outline = None
    properties = NO_PROPERTIES
    acquired_at = None

    def __init__(self, data: ByteSource, options: ReadOptions) -> None:
        shape, fortran, dtype, offset = _header(data)
        sizes, axes = _cube_axes(shape, fortran, options, data.name)
        native = native_dtype(dtype, data.name)
        self._array = StridedArray(data, offset, dtype, axes, sizes)
        self.axes = axes
        if data.size != self._array.end:
            kind = TruncatedFile if data.size < self._array.end else HeaderMismatch
            raise kind(
                f"{data.name} has {data.size} bytes; its header says {self._array.end} "
                f"(shape {shape} of {dtype})."
            )
        self.info = CubeInfo(shape=self._array.cube_shape, dtype=native)

    def read(self, bands: slice, rows: slice, columns: slice) -> NDArray[Any]:
        """A window, shape (band, y, x)."""
        return self._array.read(bands, rows, columns)

    def close(self) -> None:
        """Nothing is held."""


def _header(data: ByteSource) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Shape, whether in Fortran order, dtype and the offset of the values."""
    file = RangeFile(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers written by Python 2
            version = npy_format.read_magic(file)
            if version not in {(1, 0), (2, 0), (3, 0)}:
                raise UnsupportedFormat(f"{data.name} is of .npy version {version}; 1 to 3 are.")
            read = (
                npy_format.read_array_header_1_0
                if version == (1, 0)
                else npy_format.read_array_header_2_0
            )
            shape, fortran, dtype = read(file, max_header_size=MAX_HEADER_BYTES)
    except DAMAGE as error:
        if file.error is not None:
            raise file.error from error
        raise TruncatedFile(f"{data.name} has a damaged .npy header.") from error
    if dtype.hasobject or dtype.names is not None:
        raise UnsupportedFormat(f"{data.name} holds Python objects or records, not numbers.")
    return shape, fortran, dtype, file.tell()


def _cube_axes(
    shape: tuple[int, ...], fortran: bool, options: ReadOptions, name: str
) -> tuple[tuple[int, int, int], str]:
    """Three sizes and the axes' names in the order of the file, slowest first."""
    if any(size < 1 for size in shape):
        raise UnsupportedFormat(f"{name} holds an array of shape {shape}: it is empty.")
    if len(shape) == 3:
        axes = options.axes or DEFAULT_AXES
        if len(axes) != 3:
            raise InvalidInput(f"axes = {axes}, but the array in {name} has three: {shape}.")
        return _in_file_order((shape[0], shape[1], shape[2]), axes, fortran)
    if len(shape) != 2:
        raise UnsupportedFormat(f"{name} holds an array of shape {shape}; three axes are right.")
    if options.axes is not None and len(options.axes) == 2:
        return _in_file_order((1, shape[0], shape[1]), "b" + options.axes, fortran)
    if options.rows is None or options.columns is None:
        raise VariableNeeded(
            f"{name} holds an array of shape {shape}: give `rows` and `columns` for pixels by "
            "bands, or `axes` = yx for a picture of one band."
        )
    pixels = options.rows * options.columns
    if pixels not in shape:
        raise InvalidInput(
            f"{options.rows} rows x {options.columns} columns are {pixels} pixels; the array in "
            f"{name} has the shape {shape}."
        )
    pixels_last = shape[1] == pixels
    bands = shape[0] if pixels_last else shape[1]
    if pixels_last != fortran:  # the pixels of a band lie together
        return (bands, options.rows, options.columns), "byx"
    return (options.rows, options.columns, bands), "yxb"


def _in_file_order(
    sizes: tuple[int, int, int], axes: str, fortran: bool
) -> tuple[tuple[int, int, int], str]:
    return ((sizes[2], sizes[1], sizes[0]), axes[::-1]) if fortran else (sizes, axes)
