"""Transfers: files that arrive by tus. How they are made, seen, put together and given up."""

import asyncio
import uuid
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from hsis.contracts.access import Caller, Role, Scope
from hsis.contracts.blobs import raw_prefix, staging_prefix
from hsis.contracts.uploads import UploadRequest, UploadState
from hsis.errors import Conflict, InvalidInput, NotFound, TooLarge
from hsis.service.postgres import autocommit, transaction
from hsis_ingest import (
    groups,
    leases,
    quotas,
    repository,
    sending,
    transfer_repository,
    transfer_sweep,
    uploads,
)
from hsis_ingest.errors import QuotaExceeded
from hsis_ingest.rows import UploadRow
from hsis_ingest.state import State
from hsis_ingest.transfer_rows import NewTransfer, TransferKind, TransferRow
from hsis_ingest.wanted import request_from

LOOK_S = 0.2
GIVE_WAY_S = 2.0
"""Beside the time between two renewals of a lease: how long a request that asks for it waits."""
BATCH = 20


@dataclass(frozen=True, slots=True)
class NewFile:
    """What a client says of a file that it is about to send.

    `length` is None where it will be told later. `upload` is one that was announced and has the
    file; else `collection` and the others say what the file is for.
    """

    values: dict[str, str]
    metadata: str | None
    length: int | None


async def create(state: State, caller: Caller, new: NewFile) -> TransferRow:
    """A transfer for a file of an announced upload, or of one that is made for it or its group.

    Raises as `uploads.announce` does. An unfinished transfer of the same file gives way to it.
    """
    made = await create_for_file(state, caller, new, TransferKind.FILE)
    if made.length == 0:
        await sending.complete(state, made.id)
        return await owned(state, caller, made.id)
    return made


async def create_partial(
    state: State, caller: Caller, length: int | None, metadata: str | None
) -> TransferRow:
    """A transfer of a piece of a file, to be put together with others by `concatenate`."""
    caller.require_scope(Scope.WRITE)
    if length is not None and length > state.settings.max_upload_bytes:
        raise TooLarge(
            f"{length} bytes; at most {state.settings.max_upload_bytes} are taken "
            "(setting max_upload_bytes)."
        )
    made = uuid.uuid4()
    new = NewTransfer(
        made,
        caller.subject,
        TransferKind.PARTIAL,
        staging_prefix(str(made)) + "whole",
        length,
        metadata,
    )
    async with transaction(state.pool) as db:
        await transfer_repository.create(db, new, state.settings.upload_ttl_s)
    if length == 0:
        await sending.complete(state, made)
    return await owned(state, caller, made)


async def owned(state: State, caller: Caller, transfer: UUID) -> TransferRow:
    """The caller's transfer, where the caller may still write; NotFound where it is another's."""
    async with autocommit(state.pool) as db:
        row = await transfer_repository.find(db, transfer)
        if row.owner != caller.subject:
            raise NotFound(f"There is no transfer {transfer}; it may have expired.")
        upload = None if row.upload is None else await repository.find(db, row.upload)
    if upload is None:
        caller.require_scope(Scope.WRITE)
    else:
        await state.access.require(caller, upload.collection, Role.EDITOR)
    return row


async def look(state: State, caller: Caller, transfer: UUID) -> TransferRow:
    """The caller's transfer for one who wants to go on with it.

    A request that still holds it but gets no more bytes is asked to let go, and the answer waits
    a moment for what that one has received.
    """
    first = row = await owned(state, caller, transfer)
    renewal_s = state.settings.lease_s / leases.RENEWALS_PER_LEASE
    until = asyncio.get_running_loop().time() + renewal_s + GIVE_WAY_S
    while row.leased and row.received == first.received:
        if row is first:
            async with autocommit(state.pool) as db:
                await transfer_repository.ask(db, transfer)
        if asyncio.get_running_loop().time() > until:
            break
        await asyncio.sleep(LOOK_S)
        async with autocommit(state.pool) as db:
            row = await transfer_repository.find(db, transfer)
    if row.full and not row.leased and row.kind is not TransferKind.FINAL:
        await sending.complete(state, transfer)
        row = await owned(state, caller, transfer)
    return row


async def terminate(state: State, caller: Caller, transfer: UUID) -> None:
    """Give a transfer up, and with it the file, or the upload that was made for it alone.

    Conflict where its file is being converted or has become an item.
    """
    row = await owned(state, caller, transfer)
    async with transaction(state.pool) as db:
        upload = None
        if row.upload is not None:
            upload = await repository.find(db, row.upload, lock=True)
        await transfer_repository.discard(db, transfer)
        if upload is None or upload.owner is None or row.file is None:
            return
        if row.done:
            _require_unconverted(upload)
            await repository.discard(db, upload.id)
        elif len(upload.files) == 1:
            await repository.discard(db, upload.id)
        else:
            await groups.remove_file(db, upload.id, row.file)
            await repository.queue_if_complete(db, upload.id, state.settings.group_wait_s)


async def complete_forgotten(state: State) -> None:
    """Make the files of transfers whose last request died when every byte was stored."""
    async with autocommit(state.pool) as db:
        found = await transfer_sweep.full(db, BATCH)
    for transfer in found:
        await sending.complete(state, transfer)


async def create_for_file(
    state: State, caller: Caller, new: NewFile, kind: TransferKind, concat: str | None = None
) -> TransferRow:
    """The transfer alone, with nothing sent to it. Raises as `uploads.announce` does."""
    values = new.values
    if not values.get("filename"):
        raise InvalidInput("Upload-Metadata needs `filename`.")
    made = uuid.uuid4()
    if "upload" in values:
        announced = await _announced(state, caller, new)
        async with transaction(state.pool) as db:
            await _note(db, state, caller, made, announced, new, kind, concat)
    else:
        request, group = request_of(new), values.get("group") or None
        async with transaction(state.pool) as db:
            joins = await groups.is_open(db, caller.subject, request.collection, group)
        if joins:  # its item was looked at when its first file was made
            await uploads.require_collection(state, caller, request.collection)
            item = ""
        else:
            item = await uploads.require_free_item(state, caller, request)
        async with transaction(state.pool) as db:
            upload = await groups.join(db, caller.subject, item, request, group, state.settings)
            await _note(db, state, caller, made, upload, new, kind, concat)
        try:
            await quotas.reserve(
                state.own_catalog,
                upload.collection,
                quotas.holder_of(upload.id),
                quotas.own_bytes(upload),
            )
        except QuotaExceeded:
            await terminate(state, caller, made)
            raise
    return await owned(state, caller, made)


async def _note(
    db: asyncpg.Connection,
    state: State,
    caller: Caller,
    made: UUID,
    upload: UploadRow,
    new: NewFile,
    kind: TransferKind,
    concat: str | None,
) -> None:
    name = new.values["filename"]
    transfer = NewTransfer(
        id=made,
        owner=caller.subject,
        kind=kind,
        key=raw_prefix(upload.collection, str(upload.id)) + name,
        length=new.length,
        metadata=new.metadata,
        upload=upload.id,
        file=name,
        concat=concat,
    )
    await transfer_repository.create(db, transfer, state.settings.upload_ttl_s)


async def _announced(state: State, caller: Caller, new: NewFile) -> UploadRow:
    """The upload that was announced with this file, which is still to come."""
    try:
        upload = UUID(new.values["upload"])
    except ValueError:
        raise InvalidInput("`upload` in Upload-Metadata is no id of an upload.") from None
    found = await uploads.visible(state, caller, upload, Role.EDITOR)
    file = uploads.announced(found, new.values["filename"])
    if file.received:
        raise Conflict(f"{file.name} is stored already.")
    if new.length is not None and file.declared_size not in {None, new.length}:
        raise InvalidInput(
            f"{file.name} was announced with {file.declared_size} bytes, not {new.length}."
        )
    others = sum(other.size or other.declared_size or 0 for other in found.files if other != file)
    if others + (new.length or 0) > state.settings.max_upload_bytes:
        raise TooLarge(
            f"With {file.name} the upload has more than {state.settings.max_upload_bytes} bytes "
            "(setting max_upload_bytes)."
        )
    return found


def request_of(new: NewFile) -> UploadRequest:
    """The announcement of an upload of this file alone; InvalidInput where it cannot be."""
    values = new.values
    if "collection" not in values:
        raise InvalidInput("Upload-Metadata needs `collection` (or `upload`, one announced).")
    file = (values["filename"], new.length)
    return request_from(values, [file], "Upload-Metadata")


def _require_unconverted(upload: UploadRow) -> None:
    if upload.state is UploadState.CONVERTING:
        raise Conflict("The file is just being converted; wait for its end.")
    if upload.state is UploadState.SUCCEEDED:
        raise Conflict(f"The file has become the item {upload.item!r}; remove that.")
