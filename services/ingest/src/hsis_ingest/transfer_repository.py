"""All SQL of transfers: files that arrive by the tus protocol. Times are the database's own.

What the holder of a transfer's lease changes is changed `WHERE lease_token = …`: a request that
lost its lease cannot.
"""

from uuid import UUID

import asyncpg

from hsis.errors import NotFound
from hsis_ingest.transfer_rows import NewTransfer, TransferKind, TransferRow


async def create(db: asyncpg.Connection, new: NewTransfer, ttl_s: float) -> None:
    """Note a transfer; one of the same file that is not complete gives way to it."""
    await db.execute(
        "UPDATE transfers SET state = 'discarded', purge = true"
        " WHERE upload = $1 AND file = $2 AND state = 'receiving'",
        new.upload,
        new.file,
    )
    await db.execute(
        "INSERT INTO transfers (id, owner, kind, upload, file, key, length, metadata, concat,"
        " expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9,"
        " now() + make_interval(secs => $10))",
        new.id,
        new.owner,
        new.kind,
        new.upload,
        new.file,
        new.key,
        new.length,
        new.metadata,
        new.concat,
        ttl_s,
    )


async def find(db: asyncpg.Connection, transfer: UUID, *, lock: bool = False) -> TransferRow:
    """A transfer; NotFound where there is none or it was given up."""
    sql = (
        "SELECT *, coalesce(lease_until > now(), false) AS leased FROM transfers"
        " WHERE id = $1 AND state <> 'discarded' AND (expires_at > now() OR lease_until > now())"
    )
    row = await db.fetchrow(sql + " FOR UPDATE" if lock else sql, transfer)
    if row is None:
        raise NotFound(f"There is no transfer {transfer}; it may have expired.")
    return await _with_parts(db, row)


async def of_file(db: asyncpg.Connection, upload: UUID, file: str) -> UUID | None:
    """The unfinished transfer of a file; None where there is none."""
    found: UUID | None = await db.fetchval(
        "SELECT id FROM transfers WHERE upload = $1 AND file = $2 AND state = 'receiving'",
        upload,
        file,
    )
    return found


async def claim(
    db: asyncpg.Connection, transfer: UUID, token: UUID, lease_s: float, ttl_s: float
) -> TransferRow | None:
    """Take the right to send to a transfer; None where another request has it, or it is over."""
    row = await db.fetchrow(
        "UPDATE transfers SET lease_token = $2, lease_until = now() + make_interval(secs => $3),"
        " asked = false, expires_at = now() + make_interval(secs => $4)"
        " WHERE id = $1 AND state = 'receiving' AND expires_at > now()"
        " AND (lease_until IS NULL OR lease_until < now()) AND (upload IS NULL OR EXISTS"
        "  (SELECT 1 FROM uploads WHERE id = transfers.upload AND state = 'receiving'))"
        " RETURNING *, true AS leased",
        transfer,
        token,
        lease_s,
        ttl_s,
    )
    if row is None:
        return None
    await _prolong(db, row["upload"], ttl_s)
    return await _with_parts(db, row)


async def renew(db: asyncpg.Connection, transfer: UUID, token: UUID, lease_s: float) -> bool | None:
    """Keep the right to send; whether another request waits for it, None where it is lost."""
    asked: bool | None = await db.fetchval(
        "UPDATE transfers SET lease_until = now() + make_interval(secs => $3)"
        " WHERE id = $1 AND lease_token = $2 AND state = 'receiving' AND (upload IS NULL OR EXISTS"
        "  (SELECT 1 FROM uploads WHERE id = transfers.upload AND state = 'receiving'))"
        " RETURNING asked",
        transfer,
        token,
        lease_s,
    )
    return asked


async def ask(db: asyncpg.Connection, transfer: UUID) -> None:
    """Say that another request waits for the lease."""
    await db.execute(
        "UPDATE transfers SET asked = true WHERE id = $1 AND lease_until > now()", transfer
    )


async def release(db: asyncpg.Connection, transfer: UUID, token: UUID, ttl_s: float) -> None:
    """Give the right to send back; the transfer may now rest for `ttl_s`."""
    upload = await db.fetchval(
        "UPDATE transfers SET lease_token = NULL, lease_until = NULL,"
        " expires_at = now() + make_interval(secs => $3)"
        " WHERE id = $1 AND lease_token = $2 RETURNING upload",
        transfer,
        token,
        ttl_s,
    )
    await _prolong(db, upload, ttl_s)


async def _prolong(db: asyncpg.Connection, upload: UUID | None, ttl_s: float) -> None:
    await db.execute(
        "UPDATE uploads SET expires_at = now() + make_interval(secs => $2)"
        " WHERE id = $1 AND state = 'receiving'",
        upload,
        ttl_s,
    )


async def note_length(
    db: asyncpg.Connection, transfer: UUID, token: UUID, length: int | None
) -> bool:
    """Note the length that was not known, or is not any more; False where the lease is lost."""
    return await _noted(
        db,
        "UPDATE transfers SET length = $3"
        " WHERE id = $1 AND lease_token = $2 AND state = 'receiving' RETURNING true",
        transfer,
        token,
        length,
    )


async def note_parts_upload(
    db: asyncpg.Connection, transfer: UUID, token: UUID, parts_upload: str
) -> bool:
    """Note the upload in parts that was begun; False where the lease is lost."""
    return await _noted(
        db,
        "UPDATE transfers SET parts_upload = $3"
        " WHERE id = $1 AND lease_token = $2 AND state = 'receiving' RETURNING true",
        transfer,
        token,
        parts_upload,
    )


async def note_part(
    db: asyncpg.Connection,
    transfer: UUID,
    token: UUID,
    number: int,
    size: int,
    etag: str,
    received: int,
) -> bool:
    """Note a part that is stored, `received` bytes with it; False where the lease is lost."""
    return await _noted(
        db,
        "WITH kept AS (UPDATE transfers SET received = $3, tail = NULL"
        " WHERE id = $1 AND lease_token = $2 AND state = 'receiving' RETURNING id)"
        " INSERT INTO transfer_parts (transfer, number, size, etag)"
        " SELECT id, $4, $5, $6 FROM kept RETURNING true",
        transfer,
        token,
        received,
        number,
        size,
        etag,
    )


async def note_tail(
    db: asyncpg.Connection, transfer: UUID, token: UUID, tail: str, received: int
) -> bool:
    """Note the blob with what is not yet enough for a part; False where the lease is lost."""
    return await _noted(
        db,
        "UPDATE transfers SET received = $4, tail = $3"
        " WHERE id = $1 AND lease_token = $2 AND state = 'receiving' RETURNING true",
        transfer,
        token,
        tail,
        received,
    )


async def start_over(db: asyncpg.Connection, transfer: UUID, token: UUID) -> bool:
    """Forget every byte: the store has lost the parts. False where the lease is lost."""
    kept = await _noted(
        db,
        "UPDATE transfers SET received = 0, tail = NULL, parts_upload = NULL"
        " WHERE id = $1 AND lease_token = $2 AND state = 'receiving' RETURNING true",
        transfer,
        token,
    )
    if kept:
        await db.execute("DELETE FROM transfer_parts WHERE transfer = $1", transfer)
    return kept


async def finish(db: asyncpg.Connection, transfer: UUID, token: UUID, size: int) -> bool:
    """Note that the file of `size` bytes is stored; False where the lease is lost."""
    return await _noted(
        db,
        "UPDATE transfers SET state = 'done', received = $3, length = $3, tail = NULL,"
        " parts_upload = NULL, purge = kind <> 'partial'"
        " WHERE id = $1 AND lease_token = $2 AND state = 'receiving' RETURNING true",
        transfer,
        token,
        size,
    )


async def discard(db: asyncpg.Connection, transfer: UUID) -> None:
    """Give a transfer up: unseen from now on, what is stored for it to be removed."""
    await db.execute(
        "UPDATE transfers SET state = 'discarded', purge = true WHERE id = $1", transfer
    )


async def _noted(db: asyncpg.Connection, sql: str, *values: object) -> bool:
    return await db.fetchval(sql, *values) or False


async def _with_parts(db: asyncpg.Connection, row: asyncpg.Record) -> TransferRow:
    parts = await db.fetch(
        "SELECT size, etag FROM transfer_parts WHERE transfer = $1 ORDER BY number", row["id"]
    )
    return TransferRow(
        id=row["id"],
        owner=row["owner"],
        kind=TransferKind(row["kind"]),
        done=row["state"] == "done",
        upload=row["upload"],
        file=row["file"],
        key=row["key"],
        length=row["length"],
        received=row["received"],
        parts_upload=row["parts_upload"],
        tail=row["tail"],
        metadata=row["metadata"],
        concat=row["concat"],
        expires_at=row["expires_at"],
        leased=row["leased"],
        etags=tuple(part["etag"] for part in parts),
        stored=sum(part["size"] for part in parts),
    )
