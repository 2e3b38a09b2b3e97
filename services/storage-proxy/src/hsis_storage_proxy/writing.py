"""One PUT: a stream of unknown length becomes a blob in bounded memory, whole or not at all."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, aclosing, contextmanager
from dataclasses import dataclass

import anyio

from hsis.contracts.blobs import Blob
from hsis.errors import DomainError, NotFound, TooLarge, Unavailable
from hsis_storage_proxy.digests import BodyDigests
from hsis_storage_proxy.store import BlobStore

logger = logging.getLogger(__name__)


SMALL_BYTES = 64 * 1024
"""Pieces of fewer bytes are joined, lest they take more memory than what is in them."""


@dataclass(frozen=True, slots=True)
class Part:
    """Consecutive bytes of a stream, in pieces, and whether they are its last."""

    pieces: list[bytes]
    last: bool


async def in_parts(pieces: AsyncIterator[bytes], part_bytes: int) -> AsyncGenerator[Part]:
    """The stream cut into parts of `part_bytes`, the last one shorter or equal, at least one."""
    held = _Held()
    async for received in pieces:
        piece = received
        while held.size + len(piece) > part_bytes:
            room = part_bytes - held.size
            held.add(piece[:room])
            piece = piece[room:]
            yield Part(held.taken(), last=False)
        held.add(piece)
    yield Part(held.taken(), last=True)


class _Held:
    """The bytes of a part so far."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._small = bytearray()
        self.size = 0

    def add(self, piece: bytes) -> None:
        self.size += len(piece)
        if self._small or len(piece) < SMALL_BYTES:
            self._small += piece
            if len(self._small) >= SMALL_BYTES:
                self._join()
        else:
            self._pieces.append(piece)

    def taken(self) -> list[bytes]:
        """All of it, which is not held here any more."""
        self._join()
        pieces, self._pieces, self.size = self._pieces, [], 0
        return pieces

    def _join(self) -> None:
        if self._small:
            self._pieces.append(bytes(self._small))
            self._small.clear()


async def at_most(pieces: AsyncIterator[bytes], max_bytes: int) -> AsyncIterator[bytes]:
    """The same stream; TooLarge as soon as it has more than `max_bytes`."""
    total = 0
    async for piece in pieces:
        total += len(piece)
        if total > max_bytes:
            raise TooLarge(f"A blob has at most {max_bytes} bytes (max_object_bytes).")
        yield piece


async def write(
    store: BlobStore,
    key: str,
    pieces: AsyncIterator[bytes],
    content_type: str,
    part_bytes: int,
    digests: BodyDigests,
    *,
    place: Callable[[], AbstractAsyncContextManager[None]],
    change: Callable[[], AbstractAsyncContextManager[None]],
) -> Blob:
    """Store the stream. Whatever `pieces` raises is raised, and then nothing was stored.

    `place` is entered while a part is in memory, and left between parts. `change` is entered while
    the blob becomes visible; what it raises prevents that. DigestMismatch where the stream has not
    the digests that it is said to have.
    """
    upload: str | None = None
    etags: list[str] = []
    async with aclosing(in_parts(pieces, part_bytes)) as parts:
        try:
            while True:
                async with place():
                    part = await anext(parts)
                    await digests.update(part.pieces)
                    if part.last:
                        digests.require()
                    if part.last and upload is None:
                        async with change():
                            return await store.put(key, part.pieces, content_type, digests.sha256)
                    if upload is None:
                        upload = await store.begin_parts(key, content_type, digests.sha256)
                    with _may_be_lost(key):
                        number = len(etags) + 1
                        etags.append(await store.put_part(key, upload, number, part.pieces))
                    last = part.last
                    del part  # else it would be held beside the next one
                if last:
                    break
            async with change():
                with _may_be_lost(key):
                    await store.complete_parts(key, upload, etags)
                    # S3's entity tag of a blob made of parts is known only now.
                    return await store.head(key)
        except BaseException:
            if upload is not None:
                with anyio.CancelScope(shield=True):
                    await _abort(store, key, upload)
            raise


@contextmanager
def _may_be_lost(key: str) -> Iterator[None]:
    """Unavailable where the object store knows nothing of the parts: it was killed, or has made the
    blob of them already and was asked again because its answer was lost."""
    try:
        yield
    except NotFound as error:
        raise Unavailable(
            f"The object store lost what came of {key!r}; the same again works."
        ) from error


async def _abort(store: BlobStore, key: str, upload: str) -> None:
    try:
        await store.abort_parts(key, upload)
    except DomainError:
        logger.warning("an unfinished upload could not be aborted", extra={"key": key})
