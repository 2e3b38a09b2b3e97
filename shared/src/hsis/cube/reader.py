"""Reading a stored cube by ranges: only the inner chunks that a request touches.

Stock Zarr readers fetch the chunks of one shard one after another; this one fetches them at once
and reads neighbours together.
"""

import asyncio
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from typing import Any, Protocol

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from hsis.cube import layout, shard
from hsis.cube.layout import INNER_CHUNK, CubeInfo, Shape

MAX_GAP_BYTES = 256 * 1024
"""A request costs about as much as reading these in vain."""
MAX_READ_BYTES = 8 * 1024 * 1024
CONCURRENT_READS = 16
INDEX_CACHE_ENTRIES = 1024
MAX_DOCUMENT_BYTES = 32 * 1024 * 1024
"""Of `zarr.json` or the statistics: far more than those of the widest cube have."""


class BlobReader(Protocol):
    """Where bytes come from: `hsis.clients.storage.StorageClient` is one."""

    async def get(self, key: str) -> bytes:
        """A whole blob."""
        ...

    async def get_range(self, key: str, start: int, length: int) -> bytes:
        """`length` bytes from offset `start`."""
        ...


@dataclass(frozen=True, slots=True)
class _Piece:
    """One inner chunk of a read: where it lies, and what of it goes where in the result."""

    bytes: shard.ByteRange
    from_chunk: tuple[Any, slice, slice]
    to_result: tuple[Any, slice, slice]


class StoredCube:
    """A cube in the object store. `read` takes bands by number from 0 and half-open windows."""

    def __init__(
        self,
        blobs: BlobReader,
        prefix: str,
        info: CubeInfo,
        executor: Executor | None,
        concurrent_reads: int = CONCURRENT_READS,
    ) -> None:
        self._blobs = blobs
        self._prefix = prefix
        self._executor = executor
        self._indexes: LRUCache[str, NDArray[np.uint64]] = LRUCache(INDEX_CACHE_ENTRIES)
        self._reads = asyncio.Semaphore(concurrent_reads)
        self.info = info

    @classmethod
    async def open(
        cls,
        blobs: BlobReader,
        prefix: str,
        executor: Executor | None = None,
        *,
        concurrent_reads: int = CONCURRENT_READS,
    ) -> "StoredCube":
        """The cube whose store has the root `prefix` (which ends in `/`).

        At most `concurrent_reads` ranges, of `MAX_READ_BYTES` each, are in memory at once. Chunks
        are decompressed in `executor` (None: the event loop's default one). DamagedShard where
        the documents are not those of a stored cube.
        """
        content = await read_document(blobs, prefix + "zarr.json")
        with _told_as_damage():
            root = json.loads(content)
            nodes = root["consolidated_metadata"]["metadata"]
            names = layout.coordinate_names(root)
            keys = [prefix + layout.coordinate_key(name, nodes[name]) for name in names]
        contents = await asyncio.gather(*(read_document(blobs, key) for key in keys))
        with _told_as_damage():
            values = {
                name: layout.plain_values(nodes[name], content)
                for name, content in zip(names, contents, strict=True)
            }
            info = layout.info_of_documents(root, values)
        return cls(blobs, prefix, info, executor, concurrent_reads)

    async def read(
        self,
        bands: Sequence[int] | None,
        rows: tuple[int, int],
        columns: tuple[int, int],
        factor: int = 1,
    ) -> NDArray[Any]:
        """Stored values, shape (len(bands), rows, columns), of the original dtype.

        `bands` in any order (None: all); `rows` and `columns` are half-open intervals in pixels
        of the array of that reduction `factor` (1, or an overview's). IndexError when a part lies
        outside.
        """
        shape = layout.overview_shape(self.info.shape, factor) if factor > 1 else self.info.shape
        wanted = np.arange(shape[0]) if bands is None else np.asarray(bands, dtype=np.int64)
        _check_window(shape, wanted, rows, columns)
        result = np.zeros(
            (len(wanted), rows[1] - rows[0], columns[1] - columns[0]), self.info.dtype
        )
        size = layout.shard_shape(shape)
        shards = product(
            np.unique(wanted // size[0]).tolist(),
            range(rows[0] // size[1], (rows[1] - 1) // size[1] + 1),
            range(columns[0] // size[2], (columns[1] - 1) // size[2] + 1),
        )
        await asyncio.gather(
            *(
                self._read_shard((b, y, x), factor, size, wanted, rows, columns, result)
                for b, y, x in shards
            )
        )
        return result

    async def spectrum(self, x: int, y: int) -> NDArray[Any]:
        """The stored values of one pixel, shape (bands,); IndexError outside the cube."""
        return (await self.read(None, (y, y + 1), (x, x + 1)))[:, 0, 0]

    async def _read_shard(
        self,
        index: Shape,
        factor: int,
        size: Shape,
        wanted: NDArray[np.int64],
        rows: tuple[int, int],
        columns: tuple[int, int],
        result: NDArray[Any],
    ) -> None:
        key = self._prefix + layout.shard_key(index, factor)
        offsets = await self._index(key, size)
        pieces = list(_pieces(offsets, index, size, self.info.dtype, wanted, rows, columns))
        runs = shard.coalesce((p.bytes for p in pieces), MAX_GAP_BYTES, MAX_READ_BYTES)
        await asyncio.gather(*(self._read_run(key, run, pieces, result) for run in runs))

    async def _read_run(
        self, key: str, run: shard.ByteRange, pieces: list[_Piece], result: NDArray[Any]
    ) -> None:
        async with self._reads:
            content = await self._blobs.get_range(key, run.start, run.stop - run.start)
            inside = [p for p in pieces if run.start <= p.bytes.start and p.bytes.stop <= run.stop]
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(
                self._executor, _place, content, run.start, inside, self.info.dtype, result
            )

    async def _index(self, key: str, size: Shape) -> NDArray[np.uint64]:
        index = self._indexes.get(key)
        if index is None:
            content = await self._blobs.get_range(key, 0, shard.index_bytes(size))
            index = shard.decode_index(content, size)
            self._indexes[key] = index
        return index


async def read_document(blobs: BlobReader, key: str) -> bytes:
    """A whole blob, as small as the documents of a cube are; DamagedShard where it is larger."""
    content = await blobs.get_range(key, 0, MAX_DOCUMENT_BYTES + 1)
    if len(content) > MAX_DOCUMENT_BYTES:
        raise shard.DamagedShard(f"{key} has more than {MAX_DOCUMENT_BYTES} bytes")
    return content


@contextmanager
def _told_as_damage() -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise shard.DamagedShard("the documents are not those of a stored cube") from error


def _check_window(
    shape: Shape, bands: NDArray[np.int64], rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    if bands.size == 0 or bands.min() < 0 or bands.max() >= shape[0]:
        raise IndexError(f"bands must lie in 0..{shape[0] - 1}")
    for name, (start, stop), size in (("rows", rows, shape[1]), ("columns", columns, shape[2])):
        if not 0 <= start < stop <= size:
            raise IndexError(f"{name} {start}..{stop} must lie in 0..{size} and not be empty")


def _pieces(
    offsets: NDArray[np.uint64],
    index: Shape,
    size: Shape,
    dtype: np.dtype[Any],
    wanted: NDArray[np.int64],
    rows: tuple[int, int],
    columns: tuple[int, int],
) -> list[_Piece]:
    found: list[_Piece] = []
    start = [i * s for i, s in zip(index, size, strict=True)]
    in_shard = wanted[(wanted >= start[0]) & (wanted < start[0] + size[0])]
    for position in product(
        np.unique((in_shard - start[0]) // INNER_CHUNK[0]).tolist(),
        _touched(rows, start[1], size[1], INNER_CHUNK[1]),
        _touched(columns, start[2], size[2], INNER_CHUNK[2]),
    ):
        b0, y0, x0 = (s + p * c for s, p, c in zip(start, position, INNER_CHUNK, strict=True))
        (places,) = np.nonzero((wanted >= b0) & (wanted < b0 + INNER_CHUNK[0]))
        top, bottom = max(rows[0], y0), min(rows[1], y0 + INNER_CHUNK[1])
        left, right = max(columns[0], x0), min(columns[1], x0 + INNER_CHUNK[2])
        where = shard.chunk_range(offsets, position, dtype)
        if where is None:
            continue
        found.append(
            _Piece(
                bytes=where,
                from_chunk=(
                    wanted[places] - b0,
                    slice(top - y0, bottom - y0),
                    slice(left - x0, right - x0),
                ),
                to_result=(
                    places,
                    slice(top - rows[0], bottom - rows[0]),
                    slice(left - columns[0], right - columns[0]),
                ),
            )
        )
    return found


def _touched(interval: tuple[int, int], start: int, size: int, step: int) -> range:
    """Which of the steps of a shard, that begins at `start`, a half-open interval touches."""
    first = max(interval[0] - start, 0) // step
    last = (min(interval[1] - start, size) - 1) // step
    return range(first, last + 1)


def _place(
    content: bytes,
    start: int,
    pieces: list[_Piece],
    dtype: np.dtype[Any],
    result: NDArray[Any],
) -> None:
    view = memoryview(content)
    for piece in pieces:
        packed = bytes(view[piece.bytes.start - start : piece.bytes.stop - start])
        chunk = shard.decode_chunk(packed, dtype)
        result[piece.to_result] = chunk[piece.from_chunk]
