"""The values of an HDF5 dataset, fetched as byte ranges and decoded in bounded memory.

The HDF5 library inflates a chunk to whatever size its bytes say, and fetches one after the other;
here a chunk inflates to its declared size at most, and the next ones are on their way meanwhile.
"""

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import h5py
import numcodecs
import numpy as np
from cachetools import LRUCache
from h5py import h5d, h5t, h5z
from numpy.typing import NDArray

from hsis_ingest.errors import DecompressionBomb, TruncatedFile, UnsupportedFormat
from hsis_ingest.formats.expansion import check_chunk, check_expansion
from hsis_ingest.formats.hdf5_file import Hdf5File
from hsis_ingest.formats.source import ReadOptions, Span, native_dtype
from hsis_ingest.formats.spans import read_spans
from hsis_ingest.formats.strided import StridedArray

LZF = 32000
LZF_MAX_RATIO = 88
"""Three bytes of LZF stand for 264 at most."""
DECODED_HERE = frozenset({h5z.FILTER_DEFLATE, h5z.FILTER_SHUFFLE, h5z.FILTER_FLETCHER32})
DECODED_BY_HDF5 = frozenset({LZF, h5z.FILTER_SHUFFLE, h5z.FILTER_FLETCHER32})
FLETCHER32_BYTES = 4
MAX_SMALL_BYTES = 64 * 1024 * 1024
DECODED_BYTES_KEPT = 32 * 1024 * 1024

Window = tuple[slice, slice, slice]


@dataclass(frozen=True, slots=True)
class _Chunk:
    """A stored chunk: the indices of its first element, and its bytes in the file."""

    corner: tuple[int, ...]
    span: Span
    filter_mask: int


class Hdf5Array:
    """A dataset as an array of three axes in the file's order, slowest first.

    Leading axes of one element are left out; one of fewer axes gets such.
    """

    def __init__(self, file: Hdf5File, dataset: h5py.Dataset, options: ReadOptions) -> None:
        self._file = file
        self._dataset = dataset
        self._options = options
        file.opened.append(dataset)
        self.chunk_bytes = 0
        self._strided: StridedArray | None = None
        with file.guarded():
            self._where = f"{file.name}: {dataset.name}"
            self._describe()
        kept = max(DECODED_BYTES_KEPT, self.chunk_bytes)
        self._decoded: LRUCache[tuple[int, ...], NDArray[Any]] = LRUCache(
            kept, getsizeof=lambda values: values.nbytes
        )

    def _describe(self) -> None:
        """Shape, type and layout, as far as they can be read; the named errors otherwise."""
        dataset, where = self._dataset, self._where
        self._file.check_inside(dataset)
        self._lead, self.shape = three_axes(dataset.shape, where)
        self._stored_dtype, plain = _dtype(dataset, where)
        self.dtype = native_dtype(self._stored_dtype, where)
        item = self.dtype.itemsize
        properties = dataset.id.get_create_plist()
        self._filters = [
            properties.get_filter(number)[:3] for number in range(properties.get_nfilters())
        ]
        layout = properties.get_layout()
        self._chunked = layout == h5d.CHUNKED
        self._by_hdf5 = not plain or any(code == LZF for code, *_ in self._filters)
        self._check_filters(properties)
        if self._chunked:
            self.chunk_bytes = math.prod(dataset.chunks) * item
            check_chunk(self.chunk_bytes, where, self._options)
        stored = dataset.id.get_storage_size()
        check_expansion(math.prod(dataset.shape) * item, stored, where, self._options)
        offset = dataset.id.get_offset() if layout == h5d.CONTIGUOUS and plain else None
        if offset is not None:
            self._strided = StridedArray(
                self._file.data, offset, self._stored_dtype, "byx", self.shape
            )

    def thin_first(self, axes: str) -> str:
        """`axes`, the letters of the three axes, with those first along which chunks are thin:
        windows that are cut along them decode each chunk once."""
        if not self._chunked:
            return axes
        sizes = (1, 1, *self._dataset.chunks[self._lead :])[-3:]
        parts = [size / whole for size, whole in zip(sizes, self.shape, strict=True)]
        return "".join(axes[number] for number in sorted(range(3), key=parts.__getitem__))

    def read(self, window: Window) -> NDArray[Any]:
        """The values of a window of the three axes, in the machine's byte order."""
        if self._strided is not None:
            return self._strided.read(*window)
        if self._chunked and not self._by_hdf5:
            return self._read_chunks(window)
        with self._file.guarded():
            if self._chunked:
                for chunk in self._chunks(window):
                    self._check_stored(chunk.span[1], LZF_MAX_RATIO)
                    self._check_checksum(chunk)
            shape = self._dataset.shape
            inner = window[3 - (len(shape) - self._lead) :]
            selection = (slice(0, 1),) * self._lead + inner
            values: NDArray[Any] = self._dataset[selection]
        return self._typed(values).reshape([part.stop - part.start for part in window])

    def _check_filters(self, properties: Any) -> None:
        known = DECODED_BY_HDF5 if self._by_hdf5 else DECODED_HERE
        for number, (code, *_) in enumerate(self._filters):
            if code not in known:
                told = properties.get_filter(number)[3].decode("ascii", "replace") or f"no. {code}"
                raise UnsupportedFormat(
                    f"{self._where} ({self._dataset.dtype}) is compressed by the filter {told}, "
                    "which is not read; gzip (with shuffle, fletcher32) and lzf are."
                )

    def _typed(self, values: NDArray[Any]) -> NDArray[Any]:
        if values.dtype.names is not None:
            values = np.ascontiguousarray(values).view(self._stored_dtype)
        return values.astype(self.dtype, copy=False)

    def _read_chunks(self, window: Window) -> NDArray[Any]:
        counts = [part.stop - part.start for part in window]
        with self._file.guarded():
            chunks = list(self._chunks(window))
            fill = self._fill_value()
        result = np.full(counts, fill, self.dtype)
        for chunk, values in self._values_of(chunks):
            corner = (0, 0, 0, *chunk.corner)[-3:]
            target, source = [], []
            for start, size, part in zip(corner, values.shape, window, strict=True):
                first, stop = max(start, part.start), min(start + size, part.stop)
                target.append(slice(first - part.start, stop - part.start))
                source.append(slice(first - start, stop - start))
            result[tuple(target)] = values[tuple(source)]
        return result

    def _values_of(self, chunks: list[_Chunk]) -> Iterator[tuple[_Chunk, NDArray[Any]]]:
        """Each chunk and its values, of three axes: those still known, then the others as the
        file has them."""
        missing = []
        for chunk in chunks:
            values = self._decoded.get(chunk.corner)
            if values is None:
                missing.append(chunk)
            else:
                yield chunk, values
        missing.sort(key=lambda chunk: chunk.span)
        contents = read_spans(self._file.data, [chunk.span for chunk in missing])
        for chunk, content in zip(missing, contents, strict=True):
            values = self._decode(chunk, content)
            self._decoded[chunk.corner] = values
            yield chunk, values

    def _chunks(self, window: Window) -> Iterator[_Chunk]:
        """The stored chunks that a window touches; those never written are not there."""
        shape = self._dataset.chunks
        inner = window[3 - (len(shape) - self._lead) :]
        parts = [range(1)] * self._lead + [
            range(part.start // size, math.ceil(part.stop / size))
            for part, size in zip(inner, shape[self._lead :], strict=True)
        ]
        for place in product(*parts):
            corner = tuple(index * size for index, size in zip(place, shape, strict=True))
            info = self._dataset.id.get_chunk_info_by_coord(corner)
            if info.byte_offset is not None and info.size:
                self._check_stored(info.size, 1)
                yield _Chunk(corner, (info.byte_offset, info.size), info.filter_mask)

    def _check_stored(self, size: int, ratio: int) -> None:
        """DecompressionBomb where a chunk's stored bytes are more than its values could need."""
        largest = self.chunk_bytes + self.chunk_bytes // 8 + 4096
        if size > largest or (ratio > 1 and size * ratio > self._options.max_chunk_bytes):
            raise DecompressionBomb(
                f"{self._where} has a chunk of {size} stored bytes for {self.chunk_bytes} bytes of "
                "values (setting max_chunk_bytes)."
            )

    def _check_checksum(self, chunk: _Chunk) -> None:
        """TruncatedFile where a chunk is shorter than its checksum: the HDF5 library does not look
        and reads far beyond it."""
        for number, (code, *_) in enumerate(self._filters):
            applied = not chunk.filter_mask >> number & 1
            if applied and code == h5z.FILTER_FLETCHER32 and chunk.span[1] < FLETCHER32_BYTES:
                raise TruncatedFile(
                    f"{self._where}: the chunk at {chunk.corner} has {chunk.span[1]} bytes, fewer "
                    "than its checksum."
                )

    def _decode(self, chunk: _Chunk, content: Any) -> NDArray[Any]:
        """The values of a chunk's stored bytes, of three axes; without copies where that goes."""
        for number, (code, _, parameters) in reversed(list(enumerate(self._filters))):
            if not chunk.filter_mask >> number & 1:
                content = self._undo(code, parameters, content)
        size = memoryview(content).nbytes
        if size != self.chunk_bytes:
            raise TruncatedFile(
                f"{self._where}: the chunk at {chunk.corner} has {size} bytes; "
                f"{self.chunk_bytes} are right."
            )
        shape = (1, 1, *self._dataset.chunks[self._lead :])[-3:]
        values = np.frombuffer(memoryview(content).cast("B"), self._stored_dtype)
        return values[: math.prod(shape)].reshape(shape)

    def _undo(self, code: int, parameters: tuple[int, ...], content: Any) -> Any:
        try:
            if code == h5z.FILTER_DEFLATE:
                inflater = zlib.decompressobj()
                # Four bytes more: a checksum may be among what is compressed.
                inflated = inflater.decompress(content, self.chunk_bytes + 4)
                if inflater.unconsumed_tail:
                    raise DecompressionBomb(
                        f"{self._where} has a chunk that inflates to more than the "
                        f"{self.chunk_bytes} bytes that it declares."
                    )
                return inflated
            if code == h5z.FILTER_FLETCHER32:
                return numcodecs.Fletcher32().decode(content)
            if parameters[0] > 1 and memoryview(content).nbytes % parameters[0] == 0:
                return numcodecs.Shuffle(parameters[0]).decode(content)
        except (zlib.error, RuntimeError, ValueError, IndexError) as error:
            raise TruncatedFile(f"{self._where} has a damaged chunk: {error}.") from error
        return content

    def _fill_value(self) -> Any:
        fill = self._dataset.fillvalue
        if self._dataset.dtype.names is not None:
            return complex(*fill)
        return fill


def small_values(
    file: Hdf5File, dataset: h5py.Dataset, options: ReadOptions
) -> NDArray[Any] | None:
    """All numbers of a coordinate variable; None where it holds no numbers, or too many."""
    with file.guarded():
        if dataset.dtype.kind not in "iuf" or dataset.ndim > 2 or not dataset.size:
            return None
        if dataset.nbytes > MAX_SMALL_BYTES:
            return None
        if dataset.ndim == 0:
            file.check_inside(dataset)
            return np.asarray(dataset[()])
    array = Hdf5Array(file, dataset, options)
    return array.read(
        (slice(0, array.shape[0]), slice(0, array.shape[1]), slice(0, array.shape[2]))
    ).reshape(dataset.shape)


def three_axes(shape: tuple[int, ...] | None, where: str) -> tuple[int, tuple[int, int, int]]:
    """How many leading axes of one element are left out, and the sizes of the last three, with
    ones before them where there are fewer; UnsupportedFormat for other shapes."""
    sizes = shape or ()
    lead = max(0, len(sizes) - 3)
    if not sizes or 0 in sizes or any(size != 1 for size in sizes[:lead]):
        raise UnsupportedFormat(f"{where} has the shape {sizes}; three axes are right.")
    planes, rows, columns = (1, 1, *sizes[lead:])[-3:]
    return lead, (planes, rows, columns)


def _dtype(dataset: h5py.Dataset, where: str) -> tuple[np.dtype[Any], bool]:
    """The values' dtype, and whether the file has it byte for byte."""
    try:
        stored = dataset.dtype
    except TypeError as error:
        raise UnsupportedFormat(f"{where} holds values of a type that NumPy has not.") from error
    plain = h5t.py_create(stored).equal(dataset.id.get_type())
    if stored.names in {("real", "imag"), ("r", "i")}:  # MATLAB's way, and that of others
        part = stored[0]
        if part.kind == "f" and stored[1] == part and stored.itemsize == 2 * part.itemsize:
            return np.dtype(f"{part.byteorder}c{stored.itemsize}"), plain
    if stored.kind not in "iufc":
        raise UnsupportedFormat(f"{where} holds values of type {stored}, not numbers.")
    return stored, plain
