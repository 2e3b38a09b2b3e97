"""One request that sends to a transfer: PATCH, or the bytes that come with its creation."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from hsis.contracts.blobs import staging_prefix
from hsis.errors import Conflict, DomainError, InvalidInput, TooLarge, Unavailable
from hsis.service.postgres import autocommit, transaction
from hsis_ingest import repository, transfer_repository
from hsis_ingest.bodies import Body, Checksum, Silence
from hsis_ingest.errors import ChecksumMismatch, LeaseLost, TransferLocked, UploadInterrupted
from hsis_ingest.leases import while_leased
from hsis_ingest.receiving import Receiver
from hsis_ingest.state import State
from hsis_ingest.transfer_rows import TransferRow


@dataclass(frozen=True, slots=True)
class Sent:
    """What a request says beside its body: where it begins, how many bytes it has (None where it
    does not tell), the whole length where it was deferred until now, a checksum of the body."""

    offset: int
    size: int | None
    length: int | None = None
    checksum: Checksum | None = None


async def send(
    state: State, transfer: UUID, sent: Sent, stream: AsyncIterator[bytes]
) -> TransferRow:
    """Append the request's bytes to the transfer; the last ones make the file of it.

    What came before the client went away counts, unless there is a checksum. TransferLocked where
    another request is sending, Conflict for another offset or where the store lost what had come,
    TooLarge past the length, ChecksumMismatch, UploadInterrupted, InvalidInput.
    """
    settings, token = state.settings, uuid.uuid4()
    async with transaction(state.pool) as db:
        row = await transfer_repository.claim(
            db, transfer, token, settings.lease_s, settings.upload_ttl_s
        )
        if row is None:
            row = await transfer_repository.find(db, transfer)
            if row.done and row.received == sent.offset and not sent.size:
                return row  # the answer to the last bytes was lost
            if row.done:
                raise Conflict(f"The transfer is complete, with {row.received} bytes.")
            raise TransferLocked("Another request is sending to this transfer; try again soon.")
    try:
        if row.received != sent.offset:
            raise Conflict(f"Upload-Offset is {sent.offset}; {row.received} bytes are here.")
        row = await _with_length(state, row, token, sent.length)
        limit = await bytes_allowed(state, row)
        if sent.size is not None and sent.offset + sent.size > limit:
            raise TooLarge(f"With these bytes the transfer has more than {limit}.")
        body = Body(stream, settings.transfer_idle_s, limit - row.received)

        async def renew() -> bool:
            async with autocommit(state.pool) as db:
                asked = await transfer_repository.renew(db, transfer, token, settings.lease_s)
            if asked:
                body.give_way()
            return asked is not None

        await while_leased(_receive(state, row, token, body, sent, limit), renew, settings.lease_s)
    except LeaseLost:
        raise TransferLocked(
            "Another request sends to this transfer now, or it was given up."
        ) from None
    finally:
        async with transaction(state.pool) as db:
            await transfer_repository.release(db, transfer, token, settings.upload_ttl_s)
    async with autocommit(state.pool) as db:
        return await transfer_repository.find(db, transfer)


async def complete(state: State, transfer: UUID) -> None:
    """Make the file of a transfer whose every byte is stored; nothing where another does so."""
    with suppress(TransferLocked, Conflict):
        async with autocommit(state.pool) as db:
            row = await transfer_repository.find(db, transfer)
        await send(state, transfer, Sent(row.received, 0), _nothing())


async def bytes_allowed(state: State, row: TransferRow) -> int:
    """The most bytes that the transfer may have, beside the other files of its upload."""
    if row.length is not None:
        return row.length
    allowed = state.settings.max_upload_bytes
    if row.upload is not None:
        async with autocommit(state.pool) as db:
            upload = await repository.find(db, row.upload)
        for file in upload.files:
            if file.name != row.file:
                allowed -= file.size or file.declared_size or 0
            elif file.declared_size is not None:
                return file.declared_size
    return max(0, allowed)


async def _with_length(
    state: State, row: TransferRow, token: UUID, length: int | None
) -> TransferRow:
    """The transfer with the length that was deferred until now."""
    if length is None or length == row.length:
        return row
    if row.length is not None:
        raise InvalidInput(f"Upload-Length is {row.length} already and cannot become {length}.")
    if length < row.received:
        raise InvalidInput(f"Upload-Length is {length}, but {row.received} bytes came already.")
    limit = await bytes_allowed(state, row)
    if length > limit:
        raise TooLarge(f"Upload-Length is {length}; at most {limit} are taken.")
    async with transaction(state.pool) as db:
        if not await transfer_repository.note_length(db, row.id, token, length):
            raise LeaseLost
        return await transfer_repository.find(db, row.id)


async def _receive(
    state: State, row: TransferRow, token: UUID, body: Body, sent: Sent, limit: int
) -> None:
    receiver = Receiver(state.pool, state.storage, state.settings, state.digests, row, token, limit)
    try:
        await receiver.open()
        try:
            if sent.checksum is None:
                await receiver.take(body.pieces())
            else:
                await _take_checked(state, row, token, receiver, body, sent)
        except UploadInterrupted as error:
            await receiver.end()
            if isinstance(error, Silence):  # which may be the client's line: it shall try again
                raise Unavailable(error.detail) from None
            raise
        except TooLarge:
            await receiver.end()
            raise
        if await receiver.end():
            state.queue_filled.set()
    finally:
        await receiver.close()


async def _take_checked(
    state: State, row: TransferRow, token: UUID, receiver: Receiver, body: Body, sent: Sent
) -> None:
    """Take the bytes once all of them are here and have the checksum; else none of them."""
    assert sent.checksum is not None
    digest = sent.checksum.start()

    async def hashed() -> AsyncIterator[bytes]:
        async for piece in body.pieces():
            digest.update(piece)
            yield piece

    if sent.size is not None and sent.size <= state.settings.transfer_part_bytes:
        content = b"".join([piece async for piece in hashed()])
        _require(sent.checksum, digest.digest())
        await receiver.take(_one(content))
        return
    # Too many for the memory: they wait in the store.
    key = f"{staging_prefix(str(row.id))}{token}-unchecked"
    try:
        await state.storage.put(key, hashed())
        _require(sent.checksum, digest.digest())
        await receiver.take(state.storage.stream(key))
    finally:
        with suppress(DomainError):  # the sweep removes it with the transfer
            await asyncio.shield(state.storage.delete(key))


def _require(checksum: Checksum, found: bytes) -> None:
    if found != checksum.expected:
        raise ChecksumMismatch(
            f"The {checksum.algorithm} of the bytes is not the one in Upload-Checksum; "
            "none of them was kept."
        )


async def _one(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""
