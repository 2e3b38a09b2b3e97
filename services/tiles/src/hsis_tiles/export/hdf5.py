"""HDF5 files whose header exists before their values do.

The library writes the whole file but the values of one array: that one is chunked, not compressed,
allocated at once and never filled, so that the library says where each chunk belongs and writes
none. What it did write is kept by pages; the chunks are streamed into their places.
"""

import io
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

import h5py
import numpy as np

from hsis.cube.layout import Shape
from hsis_tiles.export.blocks import (
    Block,
    ExportFile,
    Interval,
    Piece,
    block_of,
    cells_encoder,
)
from hsis_tiles.export.selection import Selection

PAGE_BYTES = 4096
MAX_LITERAL_BYTES = 1024 * 1024


class SparseFile(io.RawIOBase):
    """A file in memory that keeps the pages that were written; the rest reads as 0."""

    def __init__(self) -> None:
        self._pages: dict[int, bytearray] = {}
        self._position = 0
        self.length = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def writable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """The new position."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.length}[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """The position."""
        return self._position

    def truncate(self, size: int | None = None) -> int:
        """Make the file end at `size`."""
        self.length = self._position if size is None else size
        return self.length

    def write(self, content: Any) -> int:
        """Keep the pages that these bytes touch."""
        view = memoryview(content).cast("B")
        for start, stop, page, at in self._parts(len(view)):
            kept = self._pages.setdefault(page, bytearray(PAGE_BYTES))
            kept[at : at + stop - start] = view[start:stop]
        self._position += len(view)
        self.length = max(self.length, self._position)
        return len(view)

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer up to the end of the file."""
        view = memoryview(buffer).cast("B")
        count = max(0, min(len(view), self.length - self._position))
        for start, stop, page, at in self._parts(count):
            kept = self._pages.get(page)
            view[start:stop] = kept[at : at + stop - start] if kept else bytes(stop - start)
        self._position += count
        return count

    def literals(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes of a part of the file, in pieces."""
        for at in range(start, stop, MAX_LITERAL_BYTES):
            self.seek(at)
            yield self.read(min(MAX_LITERAL_BYTES, stop - at))

    def _parts(self, count: int) -> Iterator[tuple[int, int, int, int]]:
        """Of `count` bytes from the position: start, stop, page, place in the page."""
        start = 0
        while start < count:
            page, at = divmod(self._position + start, PAGE_BYTES)
            stop = min(start + PAGE_BYTES - at, count)
            yield start, stop, page, at
            start = stop


def hdf5_file(
    name: str,
    media_type: str,
    chosen: Selection,
    axes: str,
    chunk: Shape,
    dtype: np.dtype[Any],
    max_bytes: int,
    write: Callable[[h5py.File, Callable[[str], h5py.Dataset]], None],
    *,
    user_block: bytes = b"",
    stored_type: np.dtype[Any] | None = None,
) -> ExportFile:
    """A file with one large array of the axes `axes` and the chunks `chunk` along them.

    `stored_type` is what the library shall call the type of the values, where it is not `dtype`.
    `write(file, array)` makes the file; it calls `array(name)` once, for the array without values.
    `user_block` stands before the file, 512 bytes or none. Files are read by HDF5 1.8 and later.
    """
    sizes = dict(zip("byx", chosen.shape, strict=True))
    shape = tuple(sizes[axis] for axis in axes)
    sparse = SparseFile()
    made: list[tuple[int, tuple[int, ...]]] = []
    with h5py.File(
        sparse,
        "w",
        libver=("earliest", "v110"),
        track_order=True,
        userblock_size=len(user_block),
    ) as file:

        def array(path: str) -> h5py.Dataset:
            found = _allocated(file, path, shape, chunk, stored_type or dtype)
            found.id.chunk_iter(lambda c: made.append((c.byte_offset, c.chunk_offset)))
            return found

        write(file, array)
    sparse.seek(0)
    if user_block:
        sparse.write(user_block)
    cell_bytes = int(np.prod(chunk)) * dtype.itemsize
    places = sorted(made)
    encode = cells_encoder(chunk, axes, dtype.newbyteorder("<"))
    at_once = max(1, max_bytes // cell_bytes)

    def block(run: list[tuple[int, tuple[int, ...]]]) -> Block:
        first, last = run[0][1], run[-1][1]
        cut: dict[str, Interval] = {
            axis: (start, min(end + step, size))
            for axis, start, end, step, size in zip(axes, first, last, chunk, shape, strict=True)
        }
        length = len(run) * cell_bytes
        return block_of(chosen, cut, dtype.itemsize, encode, length=length)

    def pieces() -> Iterator[Piece]:
        at = 0
        for run in _runs(places, cell_bytes, chunk[2], at_once):
            yield from sparse.literals(at, run[0][0])
            yield block(run)
            at = run[-1][0] + cell_bytes
        yield from sparse.literals(at, sparse.length)

    return ExportFile(name, media_type, sparse.length, pieces)


def _allocated(
    file: h5py.File, path: str, shape: tuple[int, ...], chunk: Shape, dtype: np.dtype[Any]
) -> h5py.Dataset:
    """An array whose chunks have their places, and no values."""
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_chunk(chunk)
    creation.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    creation.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    creation.set_obj_track_times(False)  # an export of the same state is the same bytes
    creation.set_attr_creation_order(h5py.h5p.CRT_ORDER_TRACKED | h5py.h5p.CRT_ORDER_INDEXED)
    made = h5py.h5d.create(
        file.id,
        path.encode(),
        h5py.h5t.py_create(dtype.newbyteorder("<"), logical=True),
        h5py.h5s.create_simple(shape),
        dcpl=creation,
    )
    return h5py.Dataset(made)


def _runs(
    places: list[tuple[int, tuple[int, ...]]], cell_bytes: int, step: int, at_once: int
) -> Iterator[list[tuple[int, tuple[int, ...]]]]:
    """Chunks that follow each other in the file and along the fastest axis, at most `at_once`."""

    def line(entry: tuple[int, tuple[int, tuple[int, ...]]]) -> tuple[int, ...]:
        number, (offset, corner) = entry
        # The same for all that follow each other in both.
        return offset - number * cell_bytes, corner[2] - number * step, *corner[:2]

    for _, group in groupby(enumerate(places), line):
        run = [place for _, place in group]
        for start in range(0, len(run), at_once):
            yield run[start : start + at_once]
