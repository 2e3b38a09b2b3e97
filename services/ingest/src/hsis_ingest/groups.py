"""Uploads whose files come one by one, as tus clients send them: all SQL of it."""

import uuid
from uuid import UUID

import asyncpg

from hsis.contracts.ids import id_from_filename
from hsis.contracts.metadata import CubeMetadata
from hsis.contracts.uploads import Calibration, DeclaredFile, OnDuplicate, UploadRequest
from hsis.errors import Conflict, InvalidInput
from hsis_ingest import repository
from hsis_ingest.rows import UploadRow
from hsis_ingest.settings import Settings
from hsis_ingest.wanted import check_request, data_name


async def join(
    db: asyncpg.Connection,
    owner: str,
    item: str,
    request: UploadRequest,
    group: str | None,
    settings: Settings,
) -> UploadRow:
    """The upload that the request's one file belongs to: the owner's open one of that group, put
    back to receiving, or a new one that makes `item`.

    Conflict where the file is stored there already, or where another upload makes the item; an
    upload of the same owner that nothing has come for gives way.
    """
    if group is not None:
        await db.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))",
            f"hsis:ingest:group:{owner}/{request.collection}/{group}",
        )
        found = await _open_upload(db, owner, request.collection, group)
        if found is not None:
            return await _add(db, found, request, settings)
    item = item or request.id or id_from_filename(data_name(request))
    await _let_give_way(db, owner, request.collection, item)
    upload = uuid.uuid4()
    await repository.create(
        db, upload, item, request, settings.upload_ttl_s, owner=owner, group=group
    )
    return await repository.find(db, upload)


async def is_open(db: asyncpg.Connection, owner: str, collection: str, group: str | None) -> bool:
    """Whether the owner's group still takes files."""
    return group is not None and await _open_upload(db, owner, collection, group) is not None


async def remove_file(db: asyncpg.Connection, upload: UUID, name: str) -> None:
    """Take a file that is not stored out of an upload."""
    await db.execute(
        "DELETE FROM files WHERE upload = $1 AND name = $2 AND size IS NULL", upload, name
    )


async def _open_upload(
    db: asyncpg.Connection, owner: str, collection: str, group: str
) -> UploadRow | None:
    upload = await db.fetchval(
        "SELECT id FROM uploads WHERE owner = $1 AND collection = $2 AND group_name = $3"
        " AND NOT discarded AND (state = 'receiving'"
        "  OR (state = 'queued' AND attempts = 0 AND run_after > now()))"
        " ORDER BY created_at DESC LIMIT 1 FOR UPDATE",
        owner,
        collection,
        group,
    )
    return None if upload is None else await repository.find(db, upload)


async def _let_give_way(db: asyncpg.Connection, owner: str, collection: str, item: str) -> None:
    """Give up an upload whose client never got to know of it: its answer was lost."""
    await db.execute(
        "UPDATE uploads SET state = 'failed', purge = true, discarded = true, expires_at = NULL"
        " WHERE owner = $1 AND collection = $2 AND item = $3 AND state = 'receiving'"
        " AND NOT EXISTS (SELECT 1 FROM files WHERE upload = uploads.id AND size IS NOT NULL)"
        " AND NOT EXISTS (SELECT 1 FROM transfers WHERE upload = uploads.id"
        "  AND state <> 'discarded' AND (received > 0 OR lease_until > now()))",
        owner,
        collection,
        item,
    )


async def _add(
    db: asyncpg.Connection, found: UploadRow, request: UploadRequest, settings: Settings
) -> UploadRow:
    [new] = request.files
    for file in found.files:
        if file.name == new.name and file.received:
            raise Conflict(f"{new.name} is stored already in this group.")
    if found.named and request.id not in {None, found.item}:
        raise InvalidInput(
            f"The group makes the item {found.item!r}; {new.name} cannot make {request.id!r}."
        )
    merged = _merged(found, request)
    check_request(merged, settings.max_upload_bytes)
    named = found.named or request.id is not None
    item = merged.id if merged.id is not None else id_from_filename(data_name(merged))
    await _change(db, found.id, item, named, merged, settings.upload_ttl_s)
    await db.execute(
        "INSERT INTO files (upload, position, name, declared_size)"
        " SELECT $1, coalesce(max(position), -1) + 1, $2, $3 FROM files WHERE upload = $1"
        " ON CONFLICT (upload, name) DO UPDATE SET declared_size = $3",
        found.id,
        new.name,
        new.size,
    )
    return await repository.find(db, found.id)


def _merged(found: UploadRow, request: UploadRequest) -> UploadRequest:
    """The announcement of the group with its new file; what the new one says wins."""
    [new] = request.files
    files = [
        DeclaredFile(name=file.name, size=file.declared_size if file.size is None else file.size)
        for file in found.files
        if file.name != new.name
    ]
    return UploadRequest(
        collection=found.collection,
        id=request.id or (found.item if found.named else None),
        files=[*files, new],
        axes=request.axes or found.axes,
        variable=request.variable or found.variable,
        rows=request.rows or found.rows,
        columns=request.columns or found.columns,
        calibration=found.calibration
        if request.calibration is Calibration.NONE
        else request.calibration,
        on_duplicate=found.on_duplicate
        if request.on_duplicate is OnDuplicate.SHARE
        else request.on_duplicate,
        white_reflectance=found.white_reflectance
        if request.white_reflectance is None
        else request.white_reflectance,
        metadata=_said(found, request),
    )


def _said(found: UploadRow, request: UploadRequest) -> CubeMetadata | None:
    """What the group's files say of the cube, field by field."""
    if request.metadata is None or found.metadata is None:
        return request.metadata or found.metadata
    return CubeMetadata.model_validate(found.metadata.said() | request.metadata.said())


async def _change(
    db: asyncpg.Connection,
    upload: UUID,
    item: str,
    named: bool,
    merged: UploadRequest,
    ttl_s: float,
) -> None:
    try:
        await db.execute(
            "UPDATE uploads SET state = 'receiving', item = $2, named = $3, axes = $4,"
            " variable = $5, rows = $6, columns = $7,"
            " expires_at = now() + make_interval(secs => $8), calibration = $9, on_duplicate = $10,"
            " white_reflectance = $11"
            " WHERE id = $1",
            upload,
            item,
            named,
            merged.axes,
            merged.variable,
            merged.rows,
            merged.columns,
            ttl_s,
            merged.calibration,
            merged.on_duplicate,
            None if merged.white_reflectance is None else str(merged.white_reflectance),
        )
    except asyncpg.UniqueViolationError:
        raise repository.item_taken(merged.collection, item) from None
    await repository.note_metadata(db, upload, merged.metadata)
