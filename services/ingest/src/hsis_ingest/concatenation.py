"""Files put together of partial transfers: the concatenation of tus."""

import hashlib
import uuid
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

from hsis.contracts.access import Caller
from hsis.errors import Conflict, InvalidInput
from hsis.service.postgres import autocommit, transaction
from hsis_ingest import transfer_repository, transfers
from hsis_ingest.errors import LeaseLost
from hsis_ingest.leases import while_leased
from hsis_ingest.receiving import note_finished
from hsis_ingest.state import State
from hsis_ingest.transfer_rows import TransferKind, TransferRow


async def concatenate(
    state: State, caller: Caller, parts: Sequence[UUID], new: transfers.NewFile, concat: str
) -> TransferRow:
    """A file put together of the caller's partial transfers, in this order; they are then gone.

    InvalidInput where one of them is not complete or not partial, NotFound where it is not there.
    """
    rows = [await transfers.owned(state, caller, part) for part in parts]
    for row in rows:
        if row.kind is not TransferKind.PARTIAL:
            raise InvalidInput(f"The transfer {row.id} is not a partial one.")
        if not row.done:
            raise InvalidInput(f"The partial transfer {row.id} is not complete yet.")
    length = sum(row.received for row in rows)
    whole = transfers.NewFile(new.values, new.metadata, length)
    made = await transfers.create_for_file(state, caller, whole, TransferKind.FINAL, concat)
    await _put_together(state, made, rows)
    async with transaction(state.pool) as db:
        for row in rows:
            await transfer_repository.discard(db, row.id)
    state.queue_filled.set()
    return await transfers.owned(state, caller, made.id)


async def _put_together(state: State, made: TransferRow, rows: Sequence[TransferRow]) -> None:
    settings, token = state.settings, uuid.uuid4()
    digest = hashlib.sha256()

    async def all_bytes() -> AsyncIterator[bytes]:
        for row in rows:
            async for piece in state.storage.stream(row.key):
                digest.update(piece)
                yield piece

    async def write() -> None:
        await state.storage.put(made.key, all_bytes())
        async with transaction(state.pool) as db:
            size = made.length
            assert size is not None
            if not await note_finished(
                db, made, token, size, digest.hexdigest(), settings.group_wait_s
            ):
                raise LeaseLost

    async def renew() -> bool:
        async with autocommit(state.pool) as db:
            return await transfer_repository.renew(db, made.id, token, settings.lease_s) is not None

    try:
        async with transaction(state.pool) as db:
            if not await transfer_repository.claim(
                db, made.id, token, settings.lease_s, settings.upload_ttl_s
            ):
                raise LeaseLost
        await while_leased(write(), renew, settings.lease_s)
    except LeaseLost:
        raise Conflict("The upload was given up while it was put together.") from None
    finally:
        async with transaction(state.pool) as db:
            await transfer_repository.release(db, made.id, token, settings.upload_ttl_s)
