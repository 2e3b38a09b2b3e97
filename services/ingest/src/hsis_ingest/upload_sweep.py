"""Uploads that are over and what is stored for them: all SQL of the sweep."""

from uuid import UUID

import asyncpg

from hsis_ingest import repository
from hsis_ingest.rows import UploadRow


async def expire(db: asyncpg.Connection) -> int:
    """Give up the uploads that were not complete in time; how many.

    One with a file just arriving is left.
    """
    rows = await db.fetch(
        "UPDATE uploads SET state = 'failed', purge = true, discarded = true"
        " WHERE state = 'receiving' AND expires_at < now() AND NOT EXISTS"
        " (SELECT 1 FROM files WHERE upload = uploads.id AND receive_until > now())"
        " AND NOT EXISTS"
        " (SELECT 1 FROM transfers WHERE upload = uploads.id AND lease_until > now())"
        " RETURNING id"
    )
    return len(rows)


async def to_purge(db: asyncpg.Connection, limit: int) -> list[UploadRow]:
    """Failed uploads whose objects are now to be removed.

    None with a file still arriving or a transfer not yet swept, and none that a living worker is
    just removing.
    """
    rows = await db.fetch(
        "SELECT * FROM uploads WHERE purge AND (expires_at IS NULL OR expires_at < now())"
        " AND (lease_until IS NULL OR lease_until < now()) AND NOT EXISTS"
        " (SELECT 1 FROM files WHERE upload = uploads.id AND receive_until > now())"
        " AND NOT EXISTS (SELECT 1 FROM transfers WHERE upload = uploads.id"
        "  AND (purge OR state = 'receiving'))"
        " ORDER BY created_at LIMIT $1",
        limit,
    )
    return await repository.with_files(db, rows)


async def purged(db: asyncpg.Connection, upload: UUID) -> None:
    """Nothing is stored for it any more: forget a given-up upload, keep a failed one's story, or an
    unpacked archive's."""
    await db.execute("DELETE FROM uploads WHERE id = $1 AND discarded", upload)
    await db.execute(
        "UPDATE uploads SET purge = false, lease_token = NULL,"
        " state = CASE WHEN state = 'succeeded' THEN state ELSE 'failed' END,"
        " lease_until = NULL, expires_at = NULL WHERE id = $1 AND purge",
        upload,
    )
