"""An array of three axes, in whatever order or flat, as a cube."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsis.errors import InvalidInput
from hsis_ingest.errors import VariableNeeded
from hsis_ingest.formats.source import ReadOptions

Window = tuple[slice, slice, slice]
ReadWindow = Callable[[Window], NDArray[Any]]


@dataclass(frozen=True, slots=True)
class ArrayCube:
    """`axes` are the letters of the array's axes, slowest first, and `shape` their sizes."""

    read_window: ReadWindow
    axes: str
    shape: tuple[int, int, int]

    @property
    def cube_shape(self) -> tuple[int, int, int]:
        """The sizes of (band, y, x)."""
        bands, rows, columns = (self.shape[self.axes.index(axis)] for axis in "byx")
        return bands, rows, columns

    def read(self, bands: slice, rows: slice, columns: slice) -> NDArray[Any]:
        """A window, shape (band, y, x), C order."""
        wanted = {"b": bands, "y": rows, "x": columns}
        first, second, third = (wanted[axis] for axis in self.axes)
        values = self.read_window((first, second, third))
        return np.ascontiguousarray(values.transpose([self.axes.index(axis) for axis in "byx"]))


@dataclass(frozen=True, slots=True)
class FlatCube:
    """An array of two axes, pixels and bands, which `read_window` gives with a leading one.

    `axes` has the letter of bands first or last; the two others say how pixels are counted:
    `yxb` and `byx` row by row.
    """

    read_window: ReadWindow
    axes: str
    cube_shape: tuple[int, int, int]

    def read(self, bands: slice, rows: slice, columns: slice) -> NDArray[Any]:
        """A window, shape (band, y, x), C order."""
        wanted = {"b": bands, "y": rows, "x": columns}
        sizes = dict(zip("byx", self.cube_shape, strict=True))
        slow, fast = (axis for axis in self.axes if axis != "b")
        outer, inner, length = wanted[slow], wanted[fast], sizes[fast]
        if (inner.start, inner.stop) == (0, length):
            pieces = [self._pixels(slice(outer.start * length, outer.stop * length), bands)]
        else:
            pieces = [
                self._pixels(slice(at * length + inner.start, at * length + inner.stop), bands)
                for at in range(outer.start, outer.stop)
            ]
        values = np.concatenate(pieces, axis=1).reshape(
            bands.stop - bands.start, outer.stop - outer.start, inner.stop - inner.start
        )
        return np.ascontiguousarray(values if slow == "y" else values.transpose(0, 2, 1))

    def _pixels(self, pixels: slice, bands: slice) -> NDArray[Any]:
        """Shape (band, pixel)."""
        bands_first = self.axes[0] == "b"
        window = (slice(0, 1), *((bands, pixels) if bands_first else (pixels, bands)))
        plane = self.read_window(window).reshape([part.stop - part.start for part in window[1:]])
        return plane if bands_first else plane.T


def cube_of(
    read_window: ReadWindow,
    shape: tuple[int, ...],
    options: ReadOptions,
    where: str,
    *,
    named: str | None,
    reverse: bool = False,
) -> ArrayCube | FlatCube:
    """The cube in an array of `shape`, in the file's order, whose windows `read_window` gives with
    three axes (a leading one where there are two).

    The axes are those that the uploader says, else the `named` ones, else `yxb`. `reverse` is for
    files that show the axes in the other order, as MATLAB does: there pixels count column by
    column. VariableNeeded or InvalidInput where it is not clear, or cannot be.
    """
    step = -1 if reverse else 1
    if len(shape) == 3:
        axes = (options.axes[::step] if options.axes else None) or named or "yxb"[::step]
        if len(axes) != 3 or set(axes) != set("byx"):
            raise InvalidInput(f"axes = {options.axes}, but {where} has three axes.")
        return ArrayCube(read_window, axes, (shape[0], shape[1], shape[2]))
    if options.axes is not None and len(options.axes) == 2:
        return ArrayCube(read_window, "b" + options.axes[::step], (1, shape[0], shape[1]))
    if options.rows is None or options.columns is None:
        raise VariableNeeded(
            f"{where} has two axes ({shape[0]} x {shape[1]}); give `rows` and `columns`, or "
            "`axes` = yx for a picture of one band."
        )
    pixels = options.rows * options.columns
    if pixels not in shape:
        raise InvalidInput(
            f"{options.rows} rows x {options.columns} columns are {pixels} pixels, but {where} has "
            f"an axis of neither as many ({shape[0]} x {shape[1]})."
        )
    counted = "xy" if reverse else "yx"
    pixels_first = shape[0] == pixels if reverse else shape[1] != pixels
    bands = shape[1] if pixels_first else shape[0]
    axes = f"{counted}b" if pixels_first else f"b{counted}"
    return FlatCube(read_window, axes, (bands, options.rows, options.columns))
