"""The durable queue of files that ingest fetches itself: leases fenced by a token.

A job is a file with a source that is not stored, of an upload that still receives. Its lease is
that of a request which sends the file (see repository.claim_file): there is never another sender.
Its bytes come into a transfer, as those of tus do, so that the next attempt goes on with them.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from hsis.contracts.blobs import raw_prefix
from hsis.errors import Problem
from hsis_ingest import repository, transfer_repository
from hsis_ingest.errors import LeaseLost
from hsis_ingest.rows import StoredFile, UploadRow
from hsis_ingest.transfer_rows import NewTransfer, TransferKind, TransferRow

NOBODY = ""
"""The owner of a transfer that no user may see."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """A leased file, and the transfer that its bytes come into, leased too. `attempts` counts this
    one; `spent_s` is the time that the earlier ones took. `validator` is what the source was known
    by when its bytes came."""

    upload: UploadRow
    file: StoredFile
    transfer: TransferRow
    attempts: int
    spent_s: float
    validator: str | None


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


async def claim(db: asyncpg.Connection, token: UUID, lease_s: float, ttl_s: float) -> Fetch | None:
    """Lease the oldest file that is due; None where there is none.

    One whose transfer rested too long is left to the sweep, which ends that, or its upload.
    """
    due = await db.fetchrow(
        "SELECT f.upload, f.name FROM files f JOIN uploads u ON u.id = f.upload"
        " WHERE f.source IS NOT NULL AND f.size IS NULL AND f.fetch_after <= now()"
        " AND (f.receive_until IS NULL OR f.receive_until < now()) AND u.state = 'receiving'"
        " AND NOT EXISTS (SELECT 1 FROM transfers t WHERE t.upload = f.upload AND t.file = f.name"
        "  AND t.state = 'receiving' AND (t.lease_until > now() OR t.expires_at <= now()))"
        " ORDER BY u.created_at, f.position LIMIT 1 FOR UPDATE OF f SKIP LOCKED"
    )
    if due is None:
        return None
    upload = await repository.find(db, due["upload"])
    transfer = await _claim_transfer(db, upload, due["name"], token, lease_s, ttl_s)
    if transfer is None:
        return None
    row = await db.fetchrow(
        "UPDATE files SET receive_token = $3, fetched = $4, fetch_attempts = fetch_attempts + 1,"
        " receive_until = now() + make_interval(secs => $5) WHERE upload = $1 AND name = $2"
        " RETURNING fetch_attempts, fetch_spent_s, fetch_validator",
        upload.id,
        due["name"],
        token,
        transfer.received,
        lease_s,
    )
    [file] = (file for file in upload.files if file.name == due["name"])
    return Fetch(
        upload,
        file,
        transfer,
        row["fetch_attempts"],
        row["fetch_spent_s"],
        row["fetch_validator"],
    )


async def _claim_transfer(
    db: asyncpg.Connection, upload: UploadRow, file: str, token: UUID, lease_s: float, ttl_s: float
) -> TransferRow | None:
    """The file's transfer, which is made where there is none; None where another has it."""
    found = await transfer_repository.of_file(db, upload.id, file)
    if found is None:
        found = uuid.uuid4()
        key = raw_prefix(upload.collection, str(upload.id)) + file
        new = NewTransfer(found, NOBODY, TransferKind.FILE, key, None, None, upload.id, file)
        await transfer_repository.create(db, new, ttl_s)
    return await transfer_repository.claim(db, found, token, lease_s, ttl_s)


async def note_fetched(
    db: asyncpg.Connection, fetch: Fetch, token: UUID, count: int, spent_s: float, step: int
) -> int:
    """Say how many bytes are here, and how long all attempts took; how many attempts count.

    Where `step` bytes more than ever are here, only this one does. What is fetched again because
    it changed is no more than ever: the attempts of one file are bounded by its size.
    """
    attempts: int | None = await db.fetchval(
        "UPDATE files SET fetched = $4, fetch_spent_s = $5,"
        " fetch_attempts = CASE WHEN $4 >= fetch_mark + $6 THEN 1 ELSE fetch_attempts END,"
        " fetch_mark = CASE WHEN $4 >= fetch_mark + $6 THEN $4 ELSE fetch_mark END"
        " WHERE upload = $1 AND name = $2 AND receive_token = $3 RETURNING fetch_attempts",
        fetch.upload.id,
        fetch.file.name,
        token,
        count,
        spent_s,
        step,
    )
    return fetch.attempts if attempts is None else attempts


async def note_source(
    db: asyncpg.Connection, fetch: Fetch, token: UUID, size: int | None, validator: str | None
) -> None:
    """Say what the source told of itself: its size, and what it is known by. LeaseLost."""
    await db.execute(
        "UPDATE files SET declared_size = $4, fetch_validator = $5"
        " WHERE upload = $1 AND name = $2 AND receive_token = $3",
        fetch.upload.id,
        fetch.file.name,
        token,
        size,
        validator,
    )
    if not await transfer_repository.note_length(db, fetch.transfer.id, token, size):
        raise LeaseLost


async def put_back(
    db: asyncpg.Connection,
    fetch: Fetch,
    token: UUID,
    delay_s: float,
    ttl_s: float,
    *,
    counts: bool,
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
    await transfer_repository.release(db, fetch.transfer.id, token, ttl_s)


async def fail(db: asyncpg.Connection, fetch: Fetch, token: UUID, problem: Problem) -> None:
    """The upload failed, as the file cannot be fetched; what came of it is to be removed."""
    await repository.release_file(db, fetch.upload.id, fetch.file.name, token)
    await transfer_repository.release(db, fetch.transfer.id, token, 0)
    await db.execute(
        "UPDATE uploads SET state = 'failed', error = $2, purge = true, expires_at = NULL"
        " WHERE id = $1 AND state = 'receiving'",
        fetch.upload.id,
        problem.model_dump_json(exclude_none=True),
    )
