"""Uploads whose originals are the same: all SQL of it."""

import hashlib
from collections.abc import Mapping, Sequence
from uuid import UUID

import asyncpg

from hsis_ingest import repository
from hsis_ingest.rows import UploadRow

MAX_FOUND = 1000


async def claim(db: asyncpg.Connection, upload: UploadRow) -> bool:
    """Say that this upload stores its originals for others that have the same; False where one that
    is just on its way to its item has said so of the same files of the collection."""
    digest = hashlib.sha256(" ".join(_hashes(upload)).encode()).hexdigest()
    key = f"hsis:ingest:claim:{upload.collection}/{digest}"
    await db.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", key)
    claimed = await db.fetchval(
        "INSERT INTO claimed_originals AS claimed (collection, digest, upload) VALUES ($1, $2, $3)"
        " ON CONFLICT (collection, digest) DO UPDATE SET upload = EXCLUDED.upload"
        " WHERE claimed.upload = EXCLUDED.upload OR NOT EXISTS (SELECT 1 FROM uploads"
        "  WHERE id = claimed.upload AND state IN ('queued', 'converting') AND NOT purge)"
        " RETURNING true",
        upload.collection,
        digest,
        upload.id,
    )
    return claimed is not None


async def same_originals(db: asyncpg.Connection, upload: UploadRow) -> list[UploadRow]:
    """The collection's other successful uploads that have just the same SHA-256s, oldest first."""
    hashes = _hashes(upload)
    rows = await db.fetch(
        "SELECT id FROM uploads WHERE collection = $1 AND id <> $2 AND state = 'succeeded'"
        " AND NOT unpacked AND id IN (SELECT upload FROM files WHERE sha256 = $3)"
        ' AND $4::text[] = (SELECT array_agg(sha256 ORDER BY sha256 COLLATE "C")'
        "  FROM files WHERE upload = uploads.id)"
        " ORDER BY created_at LIMIT $5",
        upload.collection,
        upload.id,
        hashes[0],
        hashes,
        MAX_FOUND,
    )
    return [await repository.find(db, row["id"]) for row in rows]


async def with_file(db: asyncpg.Connection, sha256: str) -> list[UploadRow]:
    """Successful uploads, of any collection, with such a file, oldest first."""
    rows = await db.fetch(
        "SELECT DISTINCT uploads.id, created_at FROM uploads JOIN files ON upload = uploads.id"
        " WHERE files.sha256 = $1 AND state = 'succeeded' AND NOT unpacked"
        " ORDER BY created_at LIMIT $2",
        sha256,
        MAX_FOUND,
    )
    return [await repository.find(db, row["id"]) for row in rows]


async def note_duplicates(db: asyncpg.Connection, upload: UUID, items: Sequence[str]) -> None:
    """Say which items were made of the same originals."""
    await db.execute("UPDATE uploads SET duplicate_of = $2 WHERE id = $1", upload, [*items])


async def refer(
    db: asyncpg.Connection, upload: UUID, originals: UUID, names: Mapping[str, str]
) -> None:
    """Have an upload use the files that came with `originals`; `names` says which is which."""
    await db.execute("UPDATE uploads SET originals = $2 WHERE id = $1", upload, originals)
    await db.executemany(
        "UPDATE files SET stored_as = $3 WHERE upload = $1 AND name = $2",
        [(upload, name, stored_as) for name, stored_as in names.items()],
    )


def _hashes(upload: UploadRow) -> list[str]:
    return sorted(file.sha256 or "" for file in upload.files)
