"""The bytes of one request on their way into a transfer, in bounded memory and under its lease."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from typing import Any, NoReturn
from uuid import UUID

import asyncpg

from hsis.clients.storage import StorageClient
from hsis.contracts.blobs import staging_prefix
from hsis.errors import Conflict, DomainError, NotFound
from hsis.service.postgres import autocommit, transaction
from hsis_ingest import repository, transfer_repository
from hsis_ingest.digests import Digests
from hsis_ingest.errors import LeaseLost
from hsis_ingest.settings import Settings
from hsis_ingest.transfer_rows import TransferKind, TransferRow

logger = logging.getLogger(__name__)

MAX_PARTS = 10_000
"""S3's own limit of parts in one upload."""
MAX_PIECES = 1024
PARTS_ON_THEIR_WAY = 2
"""Of one transfer: the object store finishes one while it takes in the next."""


def part_size(total: int, stored: int, parts: int, least: int) -> int:
    """Bytes of the next part, so that `total` fits in MAX_PARTS when `parts` hold `stored` already.

    The same for the same arguments: a part that is sent again has the same bytes.
    """
    left = max(1, MAX_PARTS - parts)
    return max(least, -(-(total - stored) // left))


class Pieces:
    """Bytes that came in pieces; joined only when they are taken."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.size = 0

    def add(self, piece: bytes) -> None:
        """Append a piece."""
        if len(self._pieces) >= MAX_PIECES:  # of a client that sends a few bytes at a time
            self._pieces = [b"".join(self._pieces)]
        self._pieces.append(piece)
        self.size += len(piece)

    def all(self) -> bytes:
        """All that is here, and stays."""
        self._pieces = [b"".join(self._pieces)]
        return self._pieces[0]

    def take(self, size: int) -> list[bytes]:
        """The first `size` bytes in pieces, which are then gone; no more than there are."""
        rest, excess = self._pieces, self.size - size
        kept: list[bytes] = []
        while excess > 0:
            last = rest.pop()
            kept.append(last[-excess:])
            if len(last) > excess:
                rest.append(last[:-excess])
            excess -= len(last)
        self._pieces = kept[::-1]
        self.size -= size
        return rest


class Receiver:
    """Appends to a transfer whose lease is held: `take` bytes, then `end` in any case but a lost
    lease. `close` lets go of what is still on its way.

    What is enough for a part is stored and counts at once, in the order of the parts; the next
    ones come in meanwhile.
    `limit` is the most bytes that the transfer may have. LeaseLost where another request has it,
    Conflict where the object store lost what had come.
    """

    def __init__(
        self,
        pool: asyncpg.Pool,
        storage: StorageClient,
        settings: Settings,
        digests: Digests,
        row: TransferRow,
        token: UUID,
        limit: int,
    ) -> None:
        self._pool = pool
        self._storage = storage
        self._settings = settings
        self._digests = digests
        self._row = row
        self._token = token
        self._limit = limit
        self._total = limit if row.length is None else row.length
        self._parts_upload = row.parts_upload
        self._etags = list(row.etags)
        self._stored = row.stored
        # With the parts that are on their way.
        self._parts, self._sent = len(row.etags), row.stored
        self._noted = row.received
        self._tail = row.tail
        self._buffer = Pieces()
        self._sending: deque[asyncio.Task[None]] = deque()
        self._hashing = asyncio.Lock()
        self._digest: Any | None = digests.take(row.id, row.stored)
        self._digested = row.stored

    async def open(self) -> None:
        """Take up what an earlier request left that was not enough for a part."""
        if self._tail is not None:
            with suppress(NotFound):
                self._buffer.add(await self._storage.get(self._tail))
        if self.received != self._row.received:
            await self._start_over()

    @property
    def received(self) -> int:
        """Bytes that have come, those of earlier requests included."""
        return self._sent + self._buffer.size

    def expect(self, length: int | None) -> None:
        """Take `length` for that of the whole, which the transfer has been noted with meanwhile."""
        self._row = replace(self._row, length=length)
        self._total = self._limit if length is None else length

    async def restart(self) -> None:
        """Give up all that came: the next byte is the first."""
        await self.close()
        await self._forget()
        self._digest, self._digested = self._digests.take(self._row.id, 0), 0
        self._etags, self._parts_upload = [], None
        self._stored = self._parts = self._sent = self._noted = 0
        self._buffer = Pieces()
        await self._remove_tail()

    async def take(self, pieces: AsyncIterator[bytes]) -> None:
        """Append bytes. Whatever `pieces` raises is raised; what came before it can be kept."""
        async for piece in pieces:
            self._buffer.add(piece)
            del piece
            # The last part is shorter or equal: it waits for `end`.
            while self._buffer.size > (size := self._part_size()):
                await self._send(size)

    async def end(self) -> bool:
        """Keep all that came: as the file where that is complete (True), else for the next
        request."""
        await self._wait()
        if self._row.length is not None and self.received == self._row.length:
            await self._complete()
            return True
        await self._keep_tail()
        return False

    async def close(self) -> None:
        """Let go of the parts that are on their way, and keep the hash for the next request."""
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        self._sending.clear()
        if self._digest is not None and self._digested == self._stored:
            self._digests.keep(self._row.id, self._stored, self._digest)

    def _part_size(self) -> int:
        return part_size(self._total, self._sent, self._parts, self._settings.transfer_part_bytes)

    async def _send(self, size: int) -> None:
        """Begin to store the next `size` bytes as a part, once there is room for it on the way."""
        if self._parts_upload is None:
            self._parts_upload = await self._begin()
        if len(self._sending) == PARTS_ON_THEIR_WAY:
            await self._sending.popleft()
        before = self._sending[-1] if self._sending else None
        self._parts += 1
        self._sent += size
        content = self._buffer.take(size)
        part = self._put(self._parts_upload, self._parts, content, size, before)
        self._sending.append(asyncio.create_task(part))

    async def _wait(self) -> None:
        while self._sending:
            await self._sending.popleft()

    async def _put(
        self,
        upload: str,
        number: int,
        content: list[bytes],
        size: int,
        before: asyncio.Task[None] | None,
    ) -> None:
        """Store a part; it counts once the one before does."""
        hashing = asyncio.create_task(self._hash(content, size))
        lost = False
        try:
            etag = await self._storage.put_part(self._row.key, upload, number, content)
        except (NotFound, Conflict):
            lost = True
        finally:
            await hashing
        if before is not None:
            await before
        if lost:
            await self._start_over()
        received = self._stored + size
        async with autocommit(self._pool) as db:
            kept = await transfer_repository.note_part(
                db, self._row.id, self._token, number, size, etag, received
            )
        if not kept:
            raise LeaseLost
        self._etags.append(etag)
        self._stored = self._noted = received
        await self._remove_tail()

    async def _begin(self) -> str:
        # One may be there that was begun by a process which was killed before it could note it.
        await self._storage.abort_parts(self._row.key)
        begun = await self._storage.begin_parts(self._row.key)
        async with autocommit(self._pool) as db:
            kept = await transfer_repository.note_parts_upload(db, self._row.id, self._token, begun)
        if not kept:
            await self._storage.abort_parts(self._row.key, begun)
            raise LeaseLost
        return begun

    async def _hash(self, content: list[bytes], size: int) -> None:
        if self._digest is not None:
            # First: a thread goes on when its task is cancelled, and then the hash is of no use.
            self._digested += size
            async with self._hashing:  # who comes first is let in first: the order of the parts
                await asyncio.to_thread(_update, self._digest, content)

    async def _keep_tail(self) -> None:
        if self.received == self._noted:
            return
        key = staging_prefix(str(self._row.id)) + str(self._token)
        await self._storage.put(key, self._buffer.all())
        async with autocommit(self._pool) as db:
            kept = await transfer_repository.note_tail(
                db, self._row.id, self._token, key, self.received
            )
        if not kept:
            await self._storage.delete(key)
            raise LeaseLost
        await self._remove_tail()

    async def _remove_tail(self) -> None:
        """Remove the blob that the bytes now stored elsewhere lay in."""
        if self._tail is not None:
            tail, self._tail = self._tail, None
            with suppress(DomainError):  # the sweep removes it with the transfer
                await self._storage.delete(tail)

    async def _complete(self) -> None:
        if self._parts == 0:
            content = self._buffer.all()
            await self._hash([content], len(content))
            await self._storage.put(self._row.key, content)
        else:
            if self._buffer.size:
                await self._send(self._buffer.size)
                await self._wait()
            await self._complete_parts()
        size = self._row.length
        assert size is not None
        known = self._digest is not None and self._digested == size
        sha256 = self._digest.hexdigest() if self._digest is not None and known else None
        async with transaction(self._pool) as db:
            if not await note_finished(
                db, self._row, self._token, size, sha256, self._settings.group_wait_s
            ):
                raise LeaseLost

    async def _complete_parts(self) -> None:
        assert self._parts_upload is not None
        try:
            await self._storage.complete_parts(self._row.key, self._parts_upload, self._etags)
        except (NotFound, Conflict):
            # It may have been completed by a request that died before it could say so.
            with suppress(NotFound):
                if (await self._storage.head(self._row.key)).size == self._row.length:
                    return
            await self._start_over()

    async def _start_over(self) -> NoReturn:
        """The object store has not what the database says: forget it, so that it is sent again."""
        logger.warning("the object store lost what had come", extra={"transfer": str(self._row.id)})
        await self._forget()
        raise Conflict("The object store lost what had come: send it again from offset 0.")

    async def _forget(self) -> None:
        async with transaction(self._pool) as db:
            if not await transfer_repository.start_over(db, self._row.id, self._token):
                raise LeaseLost
        if self._parts_upload is not None:
            await self._storage.abort_parts(self._row.key, self._parts_upload)


def _update(digest: Any, pieces: list[bytes]) -> None:
    for piece in pieces:
        digest.update(piece)


async def note_finished(
    db: asyncpg.Connection,
    row: TransferRow,
    token: UUID,
    size: int,
    sha256: str | None,
    group_wait_s: float,
) -> bool:
    """Note that the transfer's file is stored; the upload's last one queues the conversion.

    False where the lease is lost or the upload was given up.
    """
    if row.kind is not TransferKind.PARTIAL:
        assert row.upload is not None
        assert row.file is not None
        if not await repository.note_stored(db, row.upload, row.file, size, sha256):
            return False
    if not await transfer_repository.finish(db, row.id, token, size):
        raise LeaseLost  # nothing of the transaction is kept
    if row.upload is not None:
        await repository.queue_if_complete(db, row.upload, group_wait_s)
    return True
