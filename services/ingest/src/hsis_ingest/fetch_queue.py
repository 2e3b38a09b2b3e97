"""The durable queue of files that ingest fetches itself: leases fenced by a token.

A job is a file with a source that is not stored, of an upload that still receives. Its lease is
that of a request which sends the file (see repository.claim_file): there is never another sender.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from hsis.errors import Problem
from hsis_ingest import repository
from hsis_ingest.rows import StoredFile, UploadRow


@dataclass(frozen=True, slots=True)
class Fetch:
    """A leased file. `attempts` counts this one."""

    upload: UploadRow
    file: StoredFile
    attempts: int


@dataclass(frozen=True, slots=True)
class FetchedFrom:
    """Where the file `name` is fetched: a URL, or `blob:` and a key with its entity tag."""

    name: str
    source: str
    etag: str | None = None


async def note_sources(
    db: asyncpg.Connection, upload: UUID, sources: Sequence[FetchedFrom]
) -> None:
    """Say where files of a new upload are fetched."""
    await db.executemany(
        "UPDATE files SET source = $3, source_etag = $4 WHERE upload = $1 AND name = $2",
        [(upload, one.name, one.source, one.etag) for one in sources],
    )


async def claim(db: asyncpg.Connection, token: UUID, lease_s: float) -> Fetch | None:
    """Lease the oldest file that is due; None where there is none."""
    row = await db.fetchrow(
        "UPDATE files SET receive_token = $1, fetched = 0, fetch_attempts = fetch_attempts + 1,"
        " receive_until = now() + make_interval(secs => $2)"
        " WHERE (upload, name) = (SELECT f.upload, f.name FROM files f"
        "  JOIN uploads u ON u.id = f.upload"
        "  WHERE f.source IS NOT NULL AND f.size IS NULL AND f.fetch_after <= now()"
        "  AND (f.receive_until IS NULL OR f.receive_until < now()) AND u.state = 'receiving'"
        "  ORDER BY u.created_at, f.position LIMIT 1 FOR UPDATE OF f SKIP LOCKED)"
        " RETURNING upload, name, fetch_attempts",
        token,
        lease_s,
    )
    if row is None:
        return None
    upload = await repository.find(db, row["upload"])
    [file] = (file for file in upload.files if file.name == row["name"])
    return Fetch(upload, file, row["fetch_attempts"])


async def note_fetched(
    db: asyncpg.Connection, upload: UUID, name: str, token: UUID, count: int
) -> None:
    """Say how many bytes are here."""
    await db.execute(
        "UPDATE files SET fetched = $4 WHERE upload = $1 AND name = $2 AND receive_token = $3",
        upload,
        name,
        token,
        count,
    )


async def note_size(
    db: asyncpg.Connection, upload: UUID, name: str, token: UUID, size: int
) -> None:
    """Say how large the file will be, as its server has just told."""
    await db.execute(
        "UPDATE files SET declared_size = $4"
        " WHERE upload = $1 AND name = $2 AND receive_token = $3 AND declared_size IS NULL",
        upload,
        name,
        token,
        size,
    )


async def put_back(
    db: asyncpg.Connection, fetch: Fetch, token: UUID, delay_s: float, *, counts: bool
) -> None:
    """Try the file again after `delay_s`; `counts` says whether this attempt counts as one."""
    await db.execute(
        "UPDATE files SET receive_token = NULL, receive_until = NULL,"
        " fetch_after = now() + make_interval(secs => $4),"
        " fetch_attempts = fetch_attempts - $5::integer"
        " WHERE upload = $1 AND name = $2 AND receive_token = $3",
        fetch.upload.id,
        fetch.file.name,
        token,
        delay_s,
        0 if counts else 1,
    )


async def fail(db: asyncpg.Connection, fetch: Fetch, token: UUID, problem: Problem) -> None:
    """The upload failed, as the file cannot be fetched; what came of it is to be removed."""
    await repository.release_file(db, fetch.upload.id, fetch.file.name, token)
    await db.execute(
        "UPDATE uploads SET state = 'failed', error = $2, purge = true, expires_at = NULL"
        " WHERE id = $1 AND state = 'receiving'",
        fetch.upload.id,
        problem.model_dump_json(exclude_none=True),
    )
