"""All SQL that ends transfers: those that expired, or whose upload is gone."""

from dataclasses import dataclass
from uuid import UUID

import asyncpg


@dataclass(frozen=True, slots=True)
class Leftover:
    """A transfer for which something may be stored that is of no use any more.

    `parts_upload` is None where none was noted; `shared` says that another transfer is on its way
    to the same `key`.
    """

    id: UUID
    key: str
    parts_upload: str | None
    discarded: bool
    shared: bool


async def expire(db: asyncpg.Connection) -> None:
    """Give up the transfers that rested too long, and those whose upload is given up or failed.

    A complete one of a file is only forgotten: its bytes belong to the upload.
    """
    await db.execute(
        "UPDATE transfers SET state = 'discarded', purge = true"
        " WHERE state <> 'discarded' AND expires_at < now()"
        " AND (lease_until IS NULL OR lease_until < now())"
    )
    await db.execute(
        "UPDATE transfers SET state = 'discarded', purge = true"
        " FROM uploads WHERE uploads.id = transfers.upload"
        " AND transfers.state <> 'discarded' AND (uploads.state = 'failed' OR uploads.discarded)"
    )


async def full(db: asyncpg.Connection, limit: int) -> list[UUID]:
    """Transfers whose every byte is stored, and whose last request died before it made the file."""
    rows = await db.fetch(
        "SELECT id FROM transfers WHERE state = 'receiving' AND received = length AND length > 0"
        " AND kind <> 'final' AND (lease_until IS NULL OR lease_until < now())"
        " ORDER BY created_at LIMIT $1",
        limit,
    )
    return [row["id"] for row in rows]


async def to_purge(db: asyncpg.Connection, limit: int) -> list[Leftover]:
    """Transfers with something to remove; none that a request may still be writing to."""
    rows = await db.fetch(
        "SELECT id, key, parts_upload, state = 'discarded' AS discarded, EXISTS"
        " (SELECT 1 FROM transfers other WHERE other.upload = transfers.upload"
        "  AND other.key = transfers.key AND other.id <> transfers.id"
        "  AND other.state = 'receiving') AS shared"
        " FROM transfers WHERE purge AND (lease_until IS NULL OR lease_until < now())"
        " ORDER BY created_at LIMIT $1",
        limit,
    )
    return [
        Leftover(row["id"], row["key"], row["parts_upload"], row["discarded"], row["shared"])
        for row in rows
    ]


async def purged(db: asyncpg.Connection, transfer: UUID) -> None:
    """Nothing is stored for it any more: forget one that was given up, keep a complete one."""
    await db.execute("DELETE FROM transfers WHERE id = $1 AND state = 'discarded'", transfer)
    await db.execute("UPDATE transfers SET purge = false WHERE id = $1", transfer)
