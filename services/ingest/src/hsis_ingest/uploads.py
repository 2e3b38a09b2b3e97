"""Announcing an upload, receiving its files, giving it up."""

import hashlib
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from functools import partial
from uuid import UUID

from starlette.requests import ClientDisconnect

from hsis.contracts.access import Caller, Role
from hsis.contracts.blobs import raw_prefix
from hsis.contracts.ids import id_from_filename
from hsis.contracts.uploads import RetryRequest, Upload, UploadRequest, UploadState
from hsis.errors import (
    Conflict,
    DomainError,
    Forbidden,
    InvalidInput,
    NotFound,
    TooLarge,
    Unauthenticated,
)
from hsis.service.postgres import autocommit, transaction
from hsis_ingest import fetch_queue, quotas, repository
from hsis_ingest.errors import LeaseLost, UploadInterrupted
from hsis_ingest.fetch_queue import FetchedFrom
from hsis_ingest.given import check_panel, check_said, check_table, with_earlier_table
from hsis_ingest.leases import while_leased
from hsis_ingest.rows import StoredFile, UploadRow
from hsis_ingest.state import State
from hsis_ingest.wanted import check_request, data_name


async def announce(
    state: State,
    caller: Caller,
    request: UploadRequest,
    key: UUID | None = None,
    sources: Sequence[FetchedFrom] = (),
) -> Upload:
    """A new upload, or the one that this caller announced with the same `key`. The collection is
    made, private and the caller's, where there is none. Files that have `sources` are fetched.

    InvalidInput for a request that cannot be, TooLarge over max_upload_bytes, Conflict where the
    item exists or another upload is making it; Forbidden or NotFound by the caller's role;
    QuotaExceeded where the collection has no room for it.
    """
    upload = uuid.uuid4() if key is None else uuid.uuid5(key, caller.subject)
    if key is not None:
        with suppress(NotFound):
            return _announced_before(await visible(state, caller, upload, Role.EDITOR), request)
    check_table(request)
    names = [file.name for file in request.files]
    check_panel(request.white_reflectance, request.calibration, names)
    item = await require_free_item(state, caller, request)
    holder = quotas.holder_of(upload)
    total = sum(file.size or 0 for file in request.files)
    await quotas.reserve(state.own_catalog, request.collection, holder, total)
    try:
        async with transaction(state.pool) as db:
            await repository.create(db, upload, item, request, state.settings.upload_ttl_s)
            await fetch_queue.note_sources(db, upload, sources)
            return (await repository.find(db, upload)).told()
    except DomainError:
        if key is not None:
            with suppress(NotFound):  # another request with the key was quicker just now
                return _announced_before(await visible(state, caller, upload, Role.EDITOR), request)
        await state.own_catalog.release_bytes(holder)
        raise


def _announced_before(found: UploadRow, request: UploadRequest) -> Upload:
    """The upload of an earlier announcement with the same key; Conflict where it was another."""
    names = [file.name for file in found.files]
    if (found.collection, names) != (request.collection, [file.name for file in request.files]):
        raise Conflict("The Idempotency-Key was used for another upload; each has its own.")
    return found.told()


async def require_free_item(state: State, caller: Caller, request: UploadRequest) -> str:
    """The item that an upload would make: the one asked for, or called after its data file.

    Raises as `announce` does; whether another upload is making it is not looked at.
    """
    check_request(request, state.settings.max_upload_bytes)
    await require_collection(state, caller, request.collection)
    item = request.id or id_from_filename(data_name(request))
    try:
        await state.catalog.item(request.collection, item, token=caller.token)
    except NotFound:
        await _require_replaceable(state, caller, request.collection, item)
        return item
    raise Conflict(
        f"The item {item!r} exists in {request.collection!r}; remove it or give another id."
    )


async def _require_replaceable(state: State, caller: Caller, collection: str, item: str) -> None:
    """Conflict where the trash keeps a cube of that id which no original files could make again."""
    trash = await state.catalog.trash(collection, item=item, token=caller.token)
    if any(entry.cube_kept and not entry.originals for entry in trash.entries):
        raise Conflict(
            f"The trash of {collection!r} keeps the only copy of a computed item {item!r}; "
            "restore or purge it, or give another id."
        )


async def visible(state: State, caller: Caller | None, upload: UUID, role: Role) -> UploadRow:
    """An upload in whose collection the caller has `role`; NotFound where it may not be seen."""
    async with autocommit(state.pool) as db:
        found = await repository.find(db, upload)
    try:
        await state.access.require(caller, found.collection, role)
    except NotFound:
        raise NotFound(f"There is no upload {upload}.") from None
    except Unauthenticated:
        raise Unauthenticated("A token is needed to see this upload.") from None
    return found


async def told(state: State, caller: Caller | None, upload: UUID) -> Upload:
    """What the caller may see of an upload: who may write there also what was asked for, which may
    have been corrected meanwhile."""
    found = await visible(state, caller, upload, Role.VIEWER)
    try:
        await state.access.require(caller, found.collection, Role.EDITOR)
    except (Forbidden, Unauthenticated):
        return found.told()
    return found.told_with_asked()


async def receive(
    state: State, found: UploadRow, name: str, length: int | None, body: AsyncIterator[bytes]
) -> Upload:
    """Store one announced file while it arrives; the last one queues the conversion.

    `length` is the request's Content-Length. The file is stored whole or not at all. NotFound for
    a file that was not announced, Conflict for one that is stored or arriving already,
    InvalidInput or TooLarge where it has not the announced size, UploadInterrupted where the
    client goes away.
    """
    file = announced(found, name)
    allowed = bytes_allowed(state, found, file)
    if length is not None and file.declared_size not in {None, length}:
        raise InvalidInput(f"{name} was announced with {file.declared_size} bytes, not {length}.")
    if length is not None and length > allowed:
        raise _too_large(state, name)
    token = uuid.uuid4()
    lease_s = state.settings.lease_s
    async with autocommit(state.pool) as db:
        if not await repository.claim_file(db, found.id, name, token, lease_s):
            raise Conflict(f"{name} is stored already, or another request is just sending it.")
    try:
        return await while_leased(
            store_file(state, found, file, token, body, allowed),
            partial(_renew, state, found.id, name, token),
            lease_s,
        )
    except LeaseLost:
        raise Conflict(f"Another request sends {name} now, or the upload was given up.") from None
    finally:
        async with autocommit(state.pool) as db:
            await repository.release_file(db, found.id, name, token)


async def give_up(state: State, upload: UUID) -> None:
    """Forget an upload that is unfinished or failed; its objects are removed soon, after a
    conversion's worker has noticed that it lost its lease. Of an archive the scenes that are items
    stay. Conflict for one that is an item, or whose scenes all are.
    """
    async with transaction(state.pool) as db:
        found = await repository.find(db, upload, lock=True)
        made = [scene.state is UploadState.SUCCEEDED for scene in found.scenes]
        if found.unpacked and made and all(made):
            raise Conflict("The archive was unpacked, and its scenes are items; remove these.")
        if found.state is UploadState.SUCCEEDED and not found.unpacked:
            raise Conflict(f"The upload has become the item {found.item!r}; remove that.")
        await repository.discard(db, upload)


async def retry(state: State, upload: UUID, wanted: RetryRequest) -> Upload:
    """Queue a failed upload again; Conflict where its files are not kept any more, InvalidInput
    where what is said now cannot be."""
    metadata = wanted.metadata
    check_said(metadata)
    async with transaction(state.pool) as db:
        before = await repository.find(db, upload)
        if metadata is not None:
            metadata = with_earlier_table(metadata, before.metadata)
        await repository.note_metadata(db, upload, metadata)
        if "white_reflectance" in wanted.model_fields_set:
            names = [file.name for file in before.files]
            check_panel(wanted.white_reflectance, before.calibration, names)
            await repository.note_panel(db, upload, wanted.white_reflectance)
        await repository.requeue(db, upload)
        found = await repository.find(db, upload)
    state.queue_filled.set()
    return found.told()


async def store_file(
    state: State,
    found: UploadRow,
    file: StoredFile,
    token: UUID,
    body: AsyncIterator[bytes],
    allowed: int,
) -> Upload:
    """Store a file whose lease is held, while it comes; see `receive`."""
    digest = hashlib.sha256()
    size = 0

    async def counted() -> AsyncIterator[bytes]:
        # Raising here breaks the PUT off, and storage-proxy keeps nothing of it.
        nonlocal size
        async for piece in body:
            size += len(piece)
            if size > allowed:
                raise _too_large(state, file.name)
            if file.declared_size is not None and size > file.declared_size:
                raise InvalidInput(
                    f"{file.name} has more than the {file.declared_size} bytes announced."
                )
            digest.update(piece)
            yield piece
        if file.declared_size is not None and size < file.declared_size:
            raise InvalidInput(
                f"{file.name} has {size} bytes; {file.declared_size} were announced."
            )

    key = raw_prefix(found.collection, str(found.id)) + file.name
    try:
        await state.storage.put(key, counted())
    except ClientDisconnect:
        raise UploadInterrupted(
            f"{file.name} broke off after {size} bytes; send it again."
        ) from None
    async with transaction(state.pool) as db:
        if not await repository.finish_file(
            db, found.id, file.name, token, size, digest.hexdigest()
        ):
            raise LeaseLost
        after = await repository.find(db, found.id)
        # Others may have arrived meanwhile; raised here, this one counts as not stored.
        if sum(other.size or 0 for other in after.files) > state.settings.max_upload_bytes:
            raise _too_large(state, file.name)
    if after.state is UploadState.QUEUED:
        state.queue_filled.set()
    return after.told()


async def _renew(state: State, upload: UUID, name: str, token: UUID) -> bool:
    async with autocommit(state.pool) as db:
        return await repository.renew_file(db, upload, name, token, state.settings.lease_s)


def announced(found: UploadRow, name: str) -> StoredFile:
    """A file of an upload that still takes files; Conflict or NotFound where there is none."""
    if found.state is not UploadState.RECEIVING:
        raise Conflict(f"The upload is {found.state}: it takes no more files.")
    for file in found.files:
        if file.name == name and found.parent is not None:
            raise Conflict(f"{name} comes out of an archive; it is not to be sent.")
        if file.name == name and file.source is not None:
            raise Conflict(f"{name} is fetched from {file.told_source()}; it is not to be sent.")
        if file.name == name:
            return file
    names = ", ".join(file.name for file in found.files)
    raise NotFound(f"{name!r} was not announced; the files are {names}.")


def bytes_allowed(state: State, found: UploadRow, file: StoredFile) -> int:
    """Bytes that this file may have beside the others."""
    others = sum(other.size or 0 for other in found.files if other.name != file.name)
    return max(0, state.settings.max_upload_bytes - others)


def _too_large(state: State, name: str) -> TooLarge:
    return TooLarge(
        f"With {name} the upload has more than {state.settings.max_upload_bytes} bytes "
        "(setting max_upload_bytes)."
    )


async def require_collection(state: State, caller: Caller, collection: str) -> None:
    """Return where the caller may write to the collection; it is made where there is none."""
    try:
        await state.access.require(caller, collection, Role.EDITOR)
    except NotFound:
        try:
            await state.catalog.create_collection(_new_collection(collection), token=caller.token)
        except Conflict:
            # It exists: made just now by another upload of this caller, or kept from them.
            await state.access.require(caller, collection, Role.EDITOR)


def _new_collection(collection: str) -> dict[str, object]:
    return {
        "type": "Collection",
        "stac_version": "1.1.0",
        "id": collection,
        "title": collection,
        "description": f"Hyperspectral cubes: {collection}",
        "license": "other",
        "extent": {
            "spatial": {"bbox": [[-180, -90, 180, 90]]},
            "temporal": {"interval": [[None, None]]},
        },
        "links": [],
    }
