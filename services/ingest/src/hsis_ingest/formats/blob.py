"""A blob of the object store as a ByteSource: reads from threads, awaited on the event loop."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator
from concurrent.futures import Future
from threading import Lock
from typing import Any, Protocol, TypeVar

from cachetools import LRUCache

from hsis.runs import Runs
from hsis_ingest.formats.source import Span, Target

BLOCK_BYTES = 256 * 1024
CACHED_BLOCKS = 32
DIRECT_READ_BYTES = 8 * 1024 * 1024
READS_AHEAD = 3
"""Requests on their way while one is waited for: they hide the time to the first byte."""


class RangeReader(Protocol):
    """`hsis.clients.storage.StorageClient` is one."""

    async def get_range(self, key: str, start: int, length: int) -> bytes:
        """`length` bytes from offset `start`."""
        ...

    async def get_range_into(self, key: str, start: int, runs: Runs) -> int:
        """The bytes from offset `start` that are to come into `runs`; how many came."""
        ...


T = TypeVar("T")


class BlobSource:
    """Reads one blob; made on the event loop, read from other threads only.

    Small reads go through a cache of whole blocks (at most 8 MiB), large ones directly.
    """

    def __init__(self, blobs: RangeReader, key: str, name: str, size: int) -> None:
        self._blobs = blobs
        self._key = key
        self._name = name
        self._size = size
        self._loop = asyncio.get_running_loop()
        self._blocks: LRUCache[int, bytes] = LRUCache(CACHED_BLOCKS)
        self._pending: set[Future[Any]] = set()
        self._lock = Lock()
        self._closed = False

    @property
    def name(self) -> str:
        """The file's name."""
        return self._name

    @property
    def size(self) -> int:
        """Bytes."""
        return self._size

    def read_at(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`, fewer at the end; the storage client's errors."""
        end = min(offset + length, self._size)
        if end <= offset:
            return b""
        if end - offset > BLOCK_BYTES:
            return b"".join(
                self._fetch(at, min(DIRECT_READ_BYTES, end - at))
                for at in range(offset, end, DIRECT_READ_BYTES)
            )
        first, last = offset // BLOCK_BYTES, (end - 1) // BLOCK_BYTES
        content = b"".join(self._block(number) for number in range(first, last + 1))
        return content[offset - first * BLOCK_BYTES : end - first * BLOCK_BYTES]

    def read_ahead(self, spans: Iterable[Span]) -> Iterator[bytes]:
        """The bytes of each span in turn, a few requests ahead of the one that is waited for."""
        return _in_turn(
            self._start(offset, self._available(offset, length)) for offset, length in spans
        )

    def fill_ahead(self, targets: Iterable[Target]) -> Iterator[int]:
        """Fill each target in turn, as `read_ahead`; how many bytes came."""
        return _in_turn(self._start_into(offset, runs) for offset, runs in targets)

    def close(self) -> None:
        """Break off what is being read, so that a thread that waits for it comes back."""
        with self._lock:
            self._closed = True
            pending = list(self._pending)
        for future in pending:
            future.cancel()

    def _block(self, number: int) -> bytes:
        with self._lock:
            block = self._blocks.get(number)
        if block is None:
            start = number * BLOCK_BYTES
            block = self._fetch(start, min(BLOCK_BYTES, self._size - start))
            with self._lock:
                self._blocks[number] = block
        return block

    def _fetch(self, start: int, length: int) -> bytes:
        return self._start(start, length).result()

    def _available(self, offset: int, length: int) -> int:
        return max(0, min(length, self._size - offset))

    def _start(self, start: int, length: int) -> Future[bytes]:
        return self._ask(lambda: self._blobs.get_range(self._key, start, length))

    def _start_into(self, start: int, runs: Runs) -> Future[int]:
        if start >= self._size:  # what storage refuses to tell anything of
            runs = Runs.of(runs.target[:0])
        return self._ask(lambda: self._blobs.get_range_into(self._key, start, runs))

    def _ask(self, request: Callable[[], Coroutine[Any, Any, T]]) -> Future[T]:
        with self._lock:
            if self._closed:
                raise ValueError(f"{self._name} is closed")
            future = asyncio.run_coroutine_threadsafe(request(), self._loop)
            self._pending.add(future)
        future.add_done_callback(self._forget)
        return future

    def _forget(self, future: Future[Any]) -> None:
        with self._lock:
            self._pending.discard(future)


def _in_turn(requests: Iterable[Future[T]]) -> Iterator[T]:
    """The results in turn, with a few requests begun ahead of the one that is waited for."""
    ahead: deque[Future[T]] = deque()
    try:
        for future in requests:
            ahead.append(future)
            if len(ahead) > READS_AHEAD:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        for future in ahead:
            future.cancel()
