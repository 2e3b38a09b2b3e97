"""Making an item again of original files that an entry of the trash keeps."""

import json
import uuid
from typing import Any
from uuid import UUID

import asyncpg

from hsis.contracts.access import Caller, Role
from hsis.contracts.trash import RestoreRequest, TrashEntry
from hsis.contracts.uploads import Upload
from hsis.cube.acquisition import utc_text
from hsis.errors import Conflict, NotFound
from hsis.service.postgres import autocommit, transaction
from hsis_ingest import correction_repository, repository
from hsis_ingest.as_it_was import Before, needed_prefixes
from hsis_ingest.errors import NotRestorable
from hsis_ingest.locks import originals_lock
from hsis_ingest.rows import UploadRow
from hsis_ingest.state import State


async def restore(state: State, caller: Caller, request: RestoreRequest) -> Upload:
    """A new upload of the files where they lie, its conversion queued; the entry is taken out of
    the trash once the item is there, with its label maps, corrections and document.

    NotFound where there is no such entry, NotRestorable where it has no files, Conflict where an
    item has the id or an upload is making it.
    """
    await state.access.require(caller, request.collection, Role.EDITOR)
    entry = await state.catalog.trash_entry(request.collection, request.entry, token=caller.token)
    before = await state.catalog.trash_item(request.collection, entry.id, token=caller.token)
    item = request.id or entry.item
    await _require_free(state, caller, request.collection, item)
    async with autocommit(state.pool) as db:
        source = await _source(db, entry)
    made = uuid.uuid4()
    files = source.originals or source.id
    folders = [prefix.split("/")[2] for prefix in needed_prefixes(before)]
    async with originals_lock(
        state.pool, source.collection, files, *filter(None, map(_uuid, folders))
    ):
        # As long as the entry is there, its files are; from now on the upload keeps them too.
        await state.catalog.trash_entry(request.collection, request.entry, token=caller.token)
        async with transaction(state.pool) as db:
            try:
                await copy(db, source, made, item, entry.id, before)
            except asyncpg.UniqueViolationError:
                raise repository.item_taken(request.collection, item) from None
            again = await repository.find(db, made)
            await correction_repository.copy(db, before, item, utc_text(again.created_at))
    state.queue_filled.set()
    return again.told()


async def before_of(db: asyncpg.Connection, upload: UploadRow) -> Before | None:
    """What the item was that an upload makes again; None for any other upload."""
    if upload.restored is None:
        return None
    created = utc_text(upload.created_at)
    rows = await correction_repository.of_item(db, upload.collection, upload.item, created)
    return Before(dict(upload.restored), tuple(row.metadata for row in rows))


async def copy(
    db: asyncpg.Connection,
    source: UploadRow,
    made: UUID,
    item: str,
    entry: UUID,
    before: dict[str, Any],
) -> None:
    """Queue an upload of the same files and options under another id, for the item `before`."""
    await db.execute(
        "INSERT INTO uploads SELECT (jsonb_populate_record(earlier, jsonb_build_object("
        " 'id', $2::uuid, 'item', $3::text, 'state', 'queued', 'progress', 0, 'attempts', 0,"
        " 'run_after', now(), 'created_at', now(), 'expires_at', NULL, 'error', NULL,"
        " 'lease_token', NULL, 'lease_until', NULL, 'purge', false, 'discarded', false,"
        " 'owner', NULL, 'group_name', NULL, 'named', true, 'parent', NULL,"
        " 'originals', $4::uuid, 'trash_entry', $5::uuid, 'restored', $6::jsonb,"
        " 'kept_prefixes', $7::text[]))).*"
        " FROM uploads AS earlier WHERE id = $1",
        source.id,
        made,
        item,
        source.originals or source.id,
        entry,
        json.dumps(before),
        needed_prefixes(before),
    )
    await db.execute(
        "INSERT INTO files SELECT (jsonb_populate_record(earlier, jsonb_build_object("
        " 'upload', $2::uuid, 'receive_token', NULL, 'receive_until', NULL))).*"
        " FROM files AS earlier WHERE upload = $1",
        source.id,
        made,
    )


async def converts(
    db: asyncpg.Connection, collection: str, originals: UUID, but: UUID | None = None
) -> bool:
    """Whether a restored item's upload, `but` this one, may still convert the files that came with
    the upload `originals`, or needs the label map of that id."""
    return bool(
        await db.fetchval(
            "SELECT EXISTS (SELECT 1 FROM uploads WHERE collection = $2"
            " AND (originals = $1 OR 'raw/' || $2::text || '/' || $1::uuid || '/'"
            "  = ANY (kept_prefixes))"
            " AND id IS DISTINCT FROM $3 AND NOT discarded"
            " AND (state IN ('queued', 'converting') OR (state = 'failed' AND purge)))",
            originals,
            collection,
            but,
        )
    )


async def _require_free(state: State, caller: Caller, collection: str, item: str) -> None:
    try:
        await state.catalog.item(collection, item, token=caller.token)
    except NotFound:
        return
    raise Conflict(f"There is an item {item!r} in {collection!r}; give another id.")


def _uuid(folder: str) -> UUID | None:
    """Of an upload or a label map; None for a folder of its users' own, which nothing removes."""
    try:
        return UUID(folder)
    except ValueError:
        return None


async def _source(db: asyncpg.Connection, entry: TrashEntry) -> UploadRow:
    """The upload that an entry's item was made of."""
    try:
        found = await repository.find(db, UUID(entry.upload or ""))
    except (ValueError, NotFound):
        found = None
    if (
        found is None
        or found.collection != entry.collection
        or found.originals_prefix not in entry.originals
        or not all(file.received for file in found.files)
    ):
        raise NotRestorable(
            f"The entry {entry.id} of {entry.item!r} has no original files to convert again."
        )
    return found
