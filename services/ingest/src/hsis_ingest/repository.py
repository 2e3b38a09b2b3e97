"""All SQL of uploads and their files. Times are the database's own."""

import json
from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

import asyncpg

from hsis.contracts.metadata import CubeMetadata
from hsis.contracts.uploads import UploadRequest
from hsis.errors import Conflict, NotFound
from hsis_ingest.rows import UploadRow, upload_of


async def create(
    db: asyncpg.Connection,
    upload: UUID,
    item: str,
    request: UploadRequest,
    ttl_s: float,
    *,
    owner: str | None = None,
    group: str | None = None,
) -> None:
    """Note an upload and its files; Conflict where another is making the same item.

    `owner` and `group` are of one that a tus client's file makes.
    """
    try:
        await db.execute(
            "INSERT INTO uploads (id, collection, item, axes, variable, rows, columns, expires_at,"
            " owner, group_name, named, calibration, on_duplicate,"
            " white_reflectance)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, now() + make_interval(secs => $8), $9, $10, $11,"
            " $12, $13, $14)",
            upload,
            request.collection,
            item,
            request.axes,
            request.variable,
            request.rows,
            request.columns,
            ttl_s,
            owner,
            group,
            request.id is not None,
            request.calibration,
            request.on_duplicate,
            None if request.white_reflectance is None else str(request.white_reflectance),
        )
    except asyncpg.UniqueViolationError:
        raise item_taken(request.collection, item) from None
    await note_metadata(db, upload, request.metadata)
    await db.executemany(
        "INSERT INTO files (upload, position, name, declared_size) VALUES ($1, $2, $3, $4)",
        [(upload, place, file.name, file.size) for place, file in enumerate(request.files)],
    )


def item_taken(collection: str, item: str) -> Conflict:
    """The error where another upload is making the same item."""
    return Conflict(
        f"Another upload is making the item {item!r} in {collection!r}; "
        "wait for it, delete it, or give another id."
    )


async def note_metadata(
    db: asyncpg.Connection, upload: UUID, metadata: CubeMetadata | None
) -> None:
    """Keep what the uploader says of the cube, in place of what was said before."""
    if metadata is not None:
        await db.execute(
            "UPDATE uploads SET metadata = $2 WHERE id = $1", upload, json.dumps(metadata.said())
        )


async def note_panel(db: asyncpg.Connection, upload: UUID, reflectance: float | str | None) -> None:
    """Keep what the white panel reflects, in place of what was said before."""
    await db.execute(
        "UPDATE uploads SET white_reflectance = $2 WHERE id = $1",
        upload,
        None if reflectance is None else str(reflectance),
    )


async def find(db: asyncpg.Connection, upload: UUID, *, lock: bool = False) -> UploadRow:
    """An upload with its files; NotFound where there is none or it was given up.

    `lock` keeps others from changing it until the transaction ends.
    """
    sql = "SELECT * FROM uploads WHERE id = $1 AND NOT discarded"
    row = await db.fetchrow(sql + " FOR UPDATE" if lock else sql, upload)
    if row is None:
        raise NotFound(f"There is no upload {upload}.")
    return (await with_files(db, [row]))[0]


async def newest(
    db: asyncpg.Connection,
    collection: str,
    limit: int,
    *,
    entries: int,
    without_item: bool = False,
) -> list[UploadRow]:
    """A collection's uploads, the newest first, each with so many `entries` of its files and of its
    scenes, and without what was said of the cube, which may be long; or those of them that are no
    item, or not of all of their scenes, which do not count for themselves."""
    rows = await db.fetch(
        "SELECT id, collection, item, axes, variable, rows, columns, calibration, state, progress,"
        " attempts, purge, discarded, error, created_at, expires_at, owner, group_name, named,"
        " originals, trash_entry, kept_prefixes, on_duplicate, duplicate_of, parent, unpacked,"
        " white_reflectance, NULL AS metadata, NULL AS template, NULL AS restored"
        " FROM uploads u WHERE collection = $1 AND NOT discarded"
        " AND (NOT $3 OR parent IS NULL AND (state <> 'succeeded' OR unpacked AND EXISTS ("
        "  SELECT 1 FROM uploads s"
        "  WHERE s.parent = u.id AND NOT s.discarded AND s.state <> 'succeeded')))"
        " ORDER BY created_at DESC, id LIMIT $2",
        collection,
        limit,
        without_item,
    )
    return await with_files(db, rows, entries)


async def is_active(
    db: asyncpg.Connection, collection: str, item: str, other_than: UUID | None
) -> bool:
    """Whether an upload, `other_than` one, is on its way to this item."""
    return bool(
        await db.fetchval(
            "SELECT EXISTS (SELECT 1 FROM uploads WHERE collection = $1 AND item = $2"
            " AND state IN ('receiving', 'queued', 'converting') AND id IS DISTINCT FROM $3"
            " AND NOT unpacked)",
            collection,
            item,
            other_than,
        )
    )


async def claim_file(
    db: asyncpg.Connection, upload: UUID, name: str, token: UUID, lease_s: float
) -> bool:
    """Take the right to send a file; False where another request or a transfer has it."""
    return (
        await db.fetchval(
            "UPDATE files SET receive_token = $3,"
            " receive_until = now() + make_interval(secs => $4)"
            " WHERE upload = $1 AND name = $2 AND size IS NULL"
            " AND (receive_until IS NULL OR receive_until < now()) AND EXISTS"
            " (SELECT 1 FROM uploads WHERE id = $1 AND state = 'receiving' FOR SHARE)"
            " AND NOT EXISTS"
            " (SELECT 1 FROM transfers WHERE upload = $1 AND file = $2 AND state = 'receiving')"
            " RETURNING true",
            upload,
            name,
            token,
            lease_s,
        )
        or False
    )


async def renew_file(
    db: asyncpg.Connection, upload: UUID, name: str, token: UUID, lease_s: float
) -> bool:
    """Keep the right to send a file; False where it is lost, or the upload given up."""
    return (
        await db.fetchval(
            "UPDATE files SET receive_until = now() + make_interval(secs => $4)"
            " WHERE upload = $1 AND name = $2 AND receive_token = $3 AND EXISTS"
            " (SELECT 1 FROM uploads WHERE id = $1 AND state = 'receiving') RETURNING true",
            upload,
            name,
            token,
            lease_s,
        )
        or False
    )


async def release_file(db: asyncpg.Connection, upload: UUID, name: str, token: UUID) -> None:
    """Give the right to send a file back, so that it can be sent again at once."""
    await db.execute(
        "UPDATE files SET receive_token = NULL, receive_until = NULL"
        " WHERE upload = $1 AND name = $2 AND receive_token = $3",
        upload,
        name,
        token,
    )


async def finish_file(
    db: asyncpg.Connection, upload: UUID, name: str, token: UUID, size: int, sha256: str
) -> bool:
    """Note that a file is stored; the last one queues the conversion. False: the right is lost."""
    locked = await db.fetchval(
        "SELECT true FROM uploads WHERE id = $1 AND state = 'receiving' FOR UPDATE", upload
    )
    done = locked and await db.fetchval(
        "UPDATE files SET size = $4, sha256 = $5, receive_token = NULL, receive_until = NULL"
        " WHERE upload = $1 AND name = $2 AND receive_token = $3 RETURNING true",
        upload,
        name,
        token,
        size,
        sha256,
    )
    if not done:
        return False
    await queue_if_complete(db, upload, 0)
    return True


async def note_stored(
    db: asyncpg.Connection, upload: UUID, name: str, size: int, sha256: str | None
) -> bool:
    """Note that a transfer has stored a file; False where the upload takes none any more.

    `sha256` is None where it is still to compute.
    """
    locked = await db.fetchval(
        "SELECT true FROM uploads WHERE id = $1 AND state = 'receiving' FOR UPDATE", upload
    )
    done: bool | None = locked and await db.fetchval(
        "UPDATE files SET size = $3, sha256 = $4, receive_token = NULL, receive_until = NULL"
        " WHERE upload = $1 AND name = $2 AND size IS NULL RETURNING true",
        upload,
        name,
        size,
        sha256,
    )
    return done or False


async def queue_if_complete(db: asyncpg.Connection, upload: UUID, group_wait_s: float) -> None:
    """Queue the conversion of an upload whose files are all stored.

    One whose files come one by one waits `group_wait_s`, in which a further one may be created.
    """
    await db.execute(
        "UPDATE uploads SET state = 'queued', expires_at = NULL, run_after = now() +"
        " CASE WHEN group_name IS NULL THEN interval '0' ELSE make_interval(secs => $2) END"
        " WHERE id = $1 AND state = 'receiving'"
        " AND EXISTS (SELECT 1 FROM files WHERE upload = $1)"
        " AND NOT EXISTS (SELECT 1 FROM files WHERE upload = $1 AND size IS NULL)",
        upload,
        group_wait_s,
    )


async def note_sha256(db: asyncpg.Connection, upload: UUID, name: str, sha256: str) -> None:
    """Note a stored file's checksum that was computed later."""
    await db.execute(
        "UPDATE files SET sha256 = $3 WHERE upload = $1 AND name = $2", upload, name, sha256
    )


async def discard(db: asyncpg.Connection, upload: UUID) -> None:
    """Give an upload up: unseen from now on, its objects to be removed. Of an archive the scenes
    that are no items are given up, and itself where none is one."""
    await db.execute(
        "UPDATE uploads SET state = 'failed', purge = true, discarded = true, expires_at = NULL"
        " WHERE parent = $1 AND state <> 'succeeded'",
        upload,
    )
    # A scene that became an item at this moment is seen only by a second statement.
    await db.execute(
        "UPDATE uploads SET state = 'failed', purge = true, discarded = true, expires_at = NULL"
        " WHERE id = $1"
        " AND NOT EXISTS (SELECT 1 FROM uploads WHERE parent = $1 AND state = 'succeeded')",
        upload,
    )


async def requeue(db: asyncpg.Connection, upload: UUID) -> None:
    """Convert a failed upload once more; Conflict where its files are not kept, or another is
    making the item."""
    try:
        done = await db.fetchval(
            "UPDATE uploads SET state = 'queued', attempts = 0, progress = 0, error = NULL,"
            " purge = false, expires_at = NULL, run_after = now()"
            " WHERE id = $1 AND state = 'failed' AND purge AND NOT discarded"
            " AND expires_at > now() RETURNING true",
            upload,
        )
    except asyncpg.UniqueViolationError:
        raise Conflict("Another upload is making the same item.") from None
    if not done:
        raise Conflict("The files of this upload are not kept, or it has not failed.")


async def with_files(
    db: asyncpg.Connection, rows: Sequence[asyncpg.Record], entries: int | None = None
) -> list[UploadRow]:
    """Rows of uploads with all of their files and scenes, or so many `entries` of each: the first
    files; the scenes that can be converted again, then others that failed."""
    found = await db.fetch(
        "SELECT * FROM (SELECT upload, count(*), count(size) AS received,"
        "  coalesce(sum(coalesce(size, declared_size)), 0)::bigint AS total,"
        "  bool_or(source IS NOT NULL AND size IS NULL) AS fetching,"
        "  CASE WHEN count(declared_size) = count(*) AND sum(declared_size) > 0 THEN least(1.0,"
        "   sum(coalesce(size, fetched)) / sum(declared_size)) ELSE 0 END::double precision AS here"
        "  FROM files WHERE upload = ANY($1::uuid[]) GROUP BY upload) AS totals,"
        " LATERAL (SELECT * FROM files WHERE upload = totals.upload ORDER BY position LIMIT $2)"
        " AS file ORDER BY totals.upload, position",
        [row["id"] for row in rows],
        entries,
    )
    scenes = await db.fetch(
        "SELECT * FROM (SELECT parent, count(*),"
        "  count(*) FILTER (WHERE state = 'failed') AS failed,"
        "  bool_and(state IN ('succeeded', 'failed')) AS ended,"
        "  avg(CASE WHEN state IN ('succeeded', 'failed') THEN 1 ELSE progress END) AS done"
        "  FROM uploads WHERE parent = ANY($1::uuid[]) AND NOT discarded GROUP BY parent)"
        " AS totals,"
        " LATERAL (SELECT id, item, state, progress, error, expires_at, row_number() OVER"
        "  (ORDER BY CASE WHEN $2::bigint IS NULL THEN 0 WHEN state <> 'failed' THEN 2"
        "   WHEN expires_at IS NULL THEN 1 ELSE 0 END, created_at, item) AS place"
        "  FROM uploads WHERE parent = totals.parent AND NOT discarded ORDER BY place LIMIT $2)"
        " AS scene ORDER BY totals.parent, place",
        [row["id"] for row in rows if row["unpacked"]],
        entries,
    )
    files_of, scenes_of = _by(found, "upload"), _by(scenes, "parent")
    return [upload_of(row, files_of[row["id"]], scenes_of[row["id"]]) for row in rows]


def _by(rows: Sequence[asyncpg.Record], column: str) -> dict[UUID, list[asyncpg.Record]]:
    """The rows by a column, in their order; none for any other value."""
    found = defaultdict[UUID, list[asyncpg.Record]](list)
    for row in rows:
        found[row[column]].append(row)
    return found
