"""One reader for every raw array in a file: any axis order, type, byte order and offset."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, product
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from hsis_ingest.formats.source import ByteSource, Span, read_all_exactly

MAX_GAP_BYTES = 512 * 1024
"""Runs up to so far apart are read as one: a range request costs more than the bytes between."""
MAX_READ_BYTES = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Window:
    """Of one axis: the whole size, and the first and number of elements wanted."""

    size: int
    start: int
    count: int


@dataclass(frozen=True, slots=True)
class _Read:
    """Neighbouring rows of a window that are read as one: where they belong, and their bytes."""

    place: tuple[int, ...]
    first: int
    rows: int
    start: int
    length: int

    def spans(self) -> list[Span]:
        """The bytes in pieces of bounded size."""
        return [
            (self.start + at, min(MAX_READ_BYTES, self.length - at))
            for at in range(0, self.length, MAX_READ_BYTES)
        ]


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
        reads: list[_Read] = []
        for place in product(*(range(w.count) for w in outer)):
            corner = base + sum(
                (w.start + i) * stride
                for w, i, stride in zip(outer, place, strides[: len(outer)], strict=True)
            )
            for first, many in _groups(rows.count, row_stride, run_bytes):
                length = (many - 1) * row_stride + run_bytes
                reads.append(_Read(place, first, many, corner + first * row_stride, length))
        pieces = read_all_exactly(self.source, [span for read in reads for span in read.spans()])
        for read in reads:
            content = b"".join(islice(pieces, len(read.spans())))
            values = np.frombuffer(content, self.dtype, count=run.count if read.rows == 1 else -1)
            as_rows = as_strided(
                values, (read.rows, run.count), (row_stride, item), writeable=False
            )
            self._place(result, kept, read.place, read.first, as_rows)

    @staticmethod
    def _place(
        result: NDArray[Any],
        kept: int,
        place: tuple[int, ...],
        first: int,
        values: NDArray[Any],
    ) -> None:
        """Put rows of values where they belong; `kept` axes, 2 or 3, are left after merging."""
        # Row by row: the values of one stay in the processor's cache while they are transposed.
        for row, run in enumerate(values, start=first):
            target = result[place[0], row] if kept == 3 else result[row]
            target[...] = run.reshape(target.shape)


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
