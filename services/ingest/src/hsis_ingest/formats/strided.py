"""One reader for every raw array in a file: any axis order, type, byte order and offset."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from hsis_ingest.formats.source import ByteSource, read_exactly

MAX_GAP_BYTES = 64 * 1024
"""Runs up to so far apart are read as one: a range request costs more than the bytes between."""
MAX_READ_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Window:
    """Of one axis: the whole size, and the first and number of elements wanted."""

    size: int
    start: int
    count: int


@dataclass(frozen=True, slots=True)
class StridedArray:
    """An array of three axes at `offset` in a file, without padding.

    `axes` names the axes slowest first: `byx` is BSQ, `ybx` BIL, `yxb` BIP; an array in Fortran
    order has both `axes` and `shape` (sizes in the same order) reversed. `dtype` has the file's
    byte order.
    """

    source: ByteSource
    offset: int
    dtype: np.dtype[Any]
    axes: str
    shape: tuple[int, int, int]

    @property
    def cube_shape(self) -> tuple[int, int, int]:
        """The sizes of (band, y, x)."""
        bands, rows, columns = (self.shape[self.axes.index(axis)] for axis in "byx")
        return bands, rows, columns

    @property
    def end(self) -> int:
        """The offset of the first byte behind the array."""
        return self.offset + math.prod(self.shape) * self.dtype.itemsize

    def read(self, bands: slice, rows: slice, columns: slice) -> NDArray[Any]:
        """The window's values, shape (band, y, x), C order, in the machine's byte order.

        Slices need a start and a stop. TruncatedFile where the file ends before.
        """
        wanted = {"b": bands, "y": rows, "x": columns}
        windows = [
            _Window(size, wanted[axis].start, wanted[axis].stop - wanted[axis].start)
            for axis, size in zip(self.axes, self.shape, strict=True)
        ]
        counts = [max(0, wanted[axis].stop - wanted[axis].start) for axis in "byx"]
        result = np.empty(counts, self.dtype.newbyteorder("="))
        in_file_order = result.transpose(["byx".index(axis) for axis in self.axes])
        if result.size == 0:
            return result
        self._fill(in_file_order, windows)
        return result

    def _fill(self, result: NDArray[Any], windows: list[_Window]) -> None:
        """Read the runs of a window in file order into `result` of the same axes."""
        merged, kept = _merge_whole_axes(windows)
        item = self.dtype.itemsize
        strides = [math.prod(w.size for w in merged[i + 1 :]) * item for i in range(len(merged))]
        *outer, rows, run = merged
        row_stride = strides[-2]
        run_bytes = run.count * item
        base = self.offset + rows.start * row_stride + run.start * item
        for place in product(*(range(w.count) for w in outer)):
            corner = base + sum(
                (w.start + i) * stride
                for w, i, stride in zip(outer, place, strides[: len(outer)], strict=True)
            )
            for first, many in _groups(rows.count, row_stride, run_bytes):
                start = corner + first * row_stride
                values = self._read_rows(start, many, row_stride, run.count)
                self._place(result, kept, place, first, values)

    def _read_rows(self, start: int, rows: int, stride: int, count: int) -> NDArray[Any]:
        """`rows` runs of `count` values, `stride` bytes apart; shape (rows, count)."""
        length = (rows - 1) * stride + count * self.dtype.itemsize
        pieces = [
            read_exactly(self.source, start + at, min(MAX_READ_BYTES, length - at))
            for at in range(0, length, MAX_READ_BYTES)
        ]
        content = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        values = np.frombuffer(content, self.dtype, count=count if rows == 1 else -1)
        return as_strided(values, (rows, count), (stride, self.dtype.itemsize), writeable=False)

    @staticmethod
    def _place(
        result: NDArray[Any],
        kept: int,
        place: tuple[int, ...],
        first: int,
        values: NDArray[Any],
    ) -> None:
        """Put rows of values where they belong; `kept` axes, 2 or 3, are left after merging."""
        rows = len(values)
        if kept == 3:
            result[place[0], first : first + rows] = values
        else:
            result[first : first + rows] = values.reshape(rows, *result.shape[1:])


def _merge_whole_axes(windows: list[_Window]) -> tuple[list[_Window], int]:
    """The windows with a fast axis that is wanted whole joined to the next slower one.

    Two are left at least, so that a large window is still read in pieces.
    """
    merged = list(windows)
    while len(merged) > 2 and merged[-1].count == merged[-1].size:
        fast = merged.pop()
        slow = merged.pop()
        merged.append(
            _Window(slow.size * fast.size, slow.start * fast.size, slow.count * fast.size)
        )
    return merged, len(merged)


def _groups(rows: int, stride: int, run_bytes: int) -> Iterator[tuple[int, int]]:
    """First row and number of rows of each read: neighbours close together are read as one."""
    step = 1
    if stride - run_bytes <= MAX_GAP_BYTES:
        step = max(1, MAX_READ_BYTES // stride)
    for first in range(0, rows, step):
        yield first, min(step, rows - first)
