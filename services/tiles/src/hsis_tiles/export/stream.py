"""The bytes of an export in order: the next block is read while one is sent."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from concurrent.futures import Executor
from contextlib import aclosing
from typing import Protocol, TypeVar

from hsis.cube.reader import StoredCube
from hsis.errors import Unavailable
from hsis_tiles.export.blocks import Blob, Block, Piece

SENT_BYTES = 1024 * 1024
"""Given to the connection at once."""

Bytes = bytes | memoryview
T = TypeVar("T")


class BlobStreamer(Protocol):
    """Where whole blobs come from: `hsis.clients.storage.StorageClient` is one."""

    def stream(self, key: str, *, start: int) -> AsyncGenerator[bytes, None]:
        """The blob's bytes from offset `start`, in pieces."""
        ...


async def content_of(
    pieces: Iterator[Piece],
    cube: StoredCube | None,
    blobs: BlobStreamer,
    executor: Executor,
    *,
    skip: int = 0,
) -> AsyncGenerator[Bytes, None]:
    """The bytes of `pieces` without the first `skip`; blocks among these are not read.

    At most two blocks are in memory. Closing the generator stops what is under way.
    """
    rest = _after(pieces, skip)
    current = _begin(next(rest, None), cube, executor)
    try:
        while current is not None:
            start, loading = current
            found = await loading
            current = _begin(next(rest, None), cube, executor)
            if isinstance(found, Blob):
                async with aclosing(_blob_content(found, blobs, start)) as parts:
                    async for part in parts:
                        yield part
            else:
                yield memoryview(found)[start:]
            del found, loading
    finally:
        if current is not None:
            current[1].cancel()
            await asyncio.gather(current[1], return_exceptions=True)


async def small_parts(content: AsyncGenerator[Bytes, None]) -> AsyncGenerator[Bytes, None]:
    """The same bytes in parts that a connection takes at once."""
    async with aclosing(content):
        async for part in content:
            view = memoryview(part)
            for start in range(0, len(view), SENT_BYTES):
                yield view[start : start + SENT_BYTES]
            del view, part


async def one_ahead(items: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """The same items; the next one is made while one is used."""

    async def following() -> T | None:
        return await anext(items, None)

    pending = asyncio.create_task(following())
    try:
        while (item := await pending) is not None:
            pending = asyncio.create_task(following())
            yield item
            del item
    finally:
        pending.cancel()
        await asyncio.gather(pending, return_exceptions=True)
        await items.aclose()


async def when_unchanged(
    content: AsyncGenerator[Bytes, None], check: Callable[[], Awaitable[None]]
) -> AsyncGenerator[Bytes, None]:
    """The same bytes, the last of them only where `check` raises nothing at the end: what is not
    whole is then known to be so by its length."""
    held: Bytes | None = None
    async with aclosing(content):
        async for part in content:
            if held is not None:
                yield held
            held = part
        await check()
        if held is not None:
            yield held


async def first_bytes(
    content: AsyncGenerator[Bytes, None], count: int
) -> AsyncGenerator[Bytes, None]:
    """The first `count` bytes; nothing behind them is made."""
    async with aclosing(content):
        async for part in content:
            yield part[:count]
            count -= len(part)
            if count <= 0:
                return


def piece_length(piece: Piece) -> int:
    """The bytes that a piece has in the file."""
    return len(piece) if isinstance(piece, bytes) else piece.length


def _after(pieces: Iterator[Piece], skip: int) -> Iterator[tuple[int, Piece]]:
    """The pieces behind the first `skip` bytes, each with the number of its own to leave out."""
    for piece in pieces:
        length = piece_length(piece)
        if skip < length:
            yield skip, piece
        skip = max(0, skip - length)


def _begin(
    piece: tuple[int, Piece] | None, cube: StoredCube | None, executor: Executor
) -> tuple[int, asyncio.Task[Bytes | Blob]] | None:
    if piece is None:
        return None
    return piece[0], asyncio.create_task(_load(piece[1], cube, executor))


async def _load(piece: Piece, cube: StoredCube | None, executor: Executor) -> Bytes | Blob:
    if not isinstance(piece, Block):
        return piece
    assert cube is not None, "blocks are of a cube"
    values = await cube.read(piece.bands, piece.rows, piece.columns, piece.factor)
    content = await asyncio.get_running_loop().run_in_executor(executor, piece.encode, values)
    assert len(content) == piece.length, "offsets in the file were computed from it"
    return content


async def _blob_content(blob: Blob, blobs: BlobStreamer, start: int) -> AsyncGenerator[bytes, None]:
    """The bytes of a blob from `start`; Unavailable where it is not as long as it was."""
    left = blob.length - start
    async with aclosing(blobs.stream(blob.key, start=start)) as parts:
        async for part in parts:
            left -= len(part)
            if left < 0:
                break
            yield part
    if left != 0:
        raise Unavailable(f"{blob.key} was replaced while it was sent.")
