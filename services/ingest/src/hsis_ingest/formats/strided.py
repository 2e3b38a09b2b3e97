"""One reader for every raw array in a file: any axis order, type, byte order and offset."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsis.runs import Runs
from hsis_ingest.allocation import KeptBuffers
from hsis_ingest.formats.source import ByteSource, Target, fill_all_exactly

MAX_GAP_BYTES = 512 * 1024
"""Runs up to so far apart are read as one: a range request costs more than the bytes between."""
MAX_READ_BYTES = 8 * 1024 * 1024
"""Of one request: each costs about as much as 1 MiB does."""


@dataclass(frozen=True, slots=True)
class _Window:
    """Of one axis: the whole size, and the first and number of elements wanted."""

    size: int
    start: int
    count: int


@dataclass(frozen=True, slots=True)
class _Read:
    """Runs of a window that are read as one, gaps included: the first, how many, their bytes."""

    first: int
    runs: int
    start: int
    length: int


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
    _buffers: KeptBuffers = field(
        default_factory=KeptBuffers, init=False, compare=False, repr=False
    )

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
        """The window's values, shape (band, y, x), in the machine's byte order.

        In memory they lie as in the file: most bytes are received where they stay.
        Slices need a start and a stop. TruncatedFile where the file ends before.
        """
        wanted = {"b": bands, "y": rows, "x": columns}
        windows = [
            _Window(size, wanted[axis].start, max(0, wanted[axis].stop - wanted[axis].start))
            for axis, size in zip(self.axes, self.shape, strict=True)
        ]
        values = self._buffers.empty(tuple(window.count for window in windows), self.dtype)
        if values.size:
            self._fill(values, windows)
        if not self.dtype.isnative:
            values = values.byteswap(inplace=True).view(self.dtype.newbyteorder("="))
        return values.transpose([self.axes.index(axis) for axis in "byx"])

    def _fill(self, values: NDArray[Any], windows: list[_Window]) -> None:
        """Read a window's runs, which follow each other in `values`."""
        *outer, rows, run = _merge_whole_axes(windows)
        runs = values.reshape(-1, run.count)
        run_bytes, stride = runs[0].nbytes, run.size * values.itemsize
        into = runs.reshape(-1).view(np.uint8).data

        def targets() -> Iterator[Target]:
            for read in self._reads([*outer, rows, run], run_bytes, stride):
                own = into[read.first * run_bytes :][: read.runs * run_bytes]
                if len(own) < read.length:
                    yield read.start, Runs(own, run_bytes, stride - run_bytes)
                    continue
                for at in range(0, read.length, MAX_READ_BYTES):
                    yield read.start + at, Runs.of(own[at : at + MAX_READ_BYTES])

        fill_all_exactly(self.source, targets())

    def _reads(self, windows: list[_Window], run_bytes: int, stride: int) -> Iterator[_Read]:
        """What is read, in the order of the file; runs without a gap between are one read."""
        *outer, rows, run = windows
        item = self.dtype.itemsize
        strides = [math.prod(w.size for w in windows[i + 1 :]) * item for i in range(len(outer))]
        base = self.offset + rows.start * stride + run.start * item
        for number, place in enumerate(product(*(range(w.count) for w in outer))):
            corner = base + sum(
                (w.start + i) * step for w, i, step in zip(outer, place, strides, strict=True)
            )
            for first, many in _groups(rows.count, stride, run_bytes):
                length = (many - 1) * stride + run_bytes
                yield _Read(number * rows.count + first, many, corner + first * stride, length)


def _merge_whole_axes(windows: list[_Window]) -> list[_Window]:
    """The windows with a fast axis that is wanted whole joined to the next slower one; two are
    left at least."""
    merged = list(windows)
    while len(merged) > 2 and merged[-1].count == merged[-1].size:
        fast = merged.pop()
        slow = merged.pop()
        merged.append(
            _Window(slow.size * fast.size, slow.start * fast.size, slow.count * fast.size)
        )
    return merged


def _groups(rows: int, stride: int, run_bytes: int) -> Iterator[tuple[int, int]]:
    """First row and number of rows of each read: neighbours close together are read as one."""
    step = 1
    if stride == run_bytes:
        step = rows
    elif stride - run_bytes <= MAX_GAP_BYTES:
        step = max(1, MAX_READ_BYTES // stride)
    for first in range(0, rows, step):
        yield first, min(step, rows - first)
