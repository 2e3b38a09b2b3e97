"""The table `trash`: removed items that can still be restored."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from hsis.contracts.blobs import item_prefix
from hsis.contracts.trash import TrashEntry
from hsis.service.postgres import Connection
from hsis_catalog.stac.documents import Document
from hsis_catalog.stac.items import removable_prefixes, stored_prefixes

_ENTRY = (
    "SELECT id, collection_id AS collection, item, deleted_by, deleted_at, expires_at,"
    " document -> 'properties' ->> 'hsi:upload' AS upload, stored_prefixes,"
    " EXISTS (SELECT 1 FROM jsonb_each(document -> 'assets') AS asset (name, value)"
    "  WHERE starts_with(value ->> 'href', '/blobs/cubes/' || collection_id || '/' || item || '/'))"
    " AS had_cube,"
    " ARRAY(SELECT substring(value ->> 'href' FROM '^/blobs/(raw/[^/]+/[^/]+/)')"
    "  FROM jsonb_each(document -> 'assets') AS asset (name, value)"
    "  WHERE NOT coalesce(value -> 'roles' ? 'labels', false)) AS file_prefixes"
    " FROM trash"
)


async def put(connection: Connection, document: Document, by: str, retention_s: float) -> None:
    """Keep a removed item's document, and with it what is stored for it, for so long."""
    await connection.execute(
        "INSERT INTO trash (collection_id, item, document, stored_prefixes, deleted_by, expires_at)"
        " VALUES ($1, $2, $3::jsonb, $4, $5, now() + make_interval(secs => $6))",
        document["collection"],
        document["id"],
        json.dumps(document),
        stored_prefixes(document),
        by,
        retention_s,
    )


async def page(
    connection: Connection, collection: str, item: str | None, after: UUID | None, limit: int
) -> list[TrashEntry]:
    """A collection's entries, newest first, those after an entry; of one item's id, where given."""
    rows = await connection.fetch(
        _ENTRY + " WHERE collection_id = $1 AND ($2::text IS NULL OR item = $2)"  # noqa: S608
        " AND ($3::uuid IS NULL OR (deleted_at, id) <"
        " (SELECT deleted_at, id FROM trash WHERE id = $3))"
        " ORDER BY deleted_at DESC, id DESC LIMIT $4",
        collection,
        item,
        after,
        limit,
    )
    return [_entry(row) for row in rows]


async def count(connection: Connection, collection: str) -> int:
    """How many entries a collection has."""
    found: int = await connection.fetchval(
        "SELECT count(*) FROM trash WHERE collection_id = $1", collection
    )
    return found


async def get(connection: Connection, collection: str, entry: UUID) -> TrashEntry | None:
    """One entry."""
    row = await connection.fetchrow(
        _ENTRY + " WHERE collection_id = $1 AND id = $2", collection, entry
    )
    return _entry(row) if row else None


async def document(connection: Connection, collection: str, entry: UUID) -> Document | None:
    """The document of the item that an entry was."""
    found = await connection.fetchval(
        "SELECT document FROM trash WHERE collection_id = $1 AND id = $2", collection, entry
    )
    return json.loads(found) if found is not None else None


async def lock(connection: Connection, collection: str, entry: UUID) -> Document | None:
    """The document of an entry, which nobody else changes until the transaction ends."""
    found = await connection.fetchval(
        "SELECT document FROM trash WHERE collection_id = $1 AND id = $2 FOR UPDATE",
        collection,
        entry,
    )
    return json.loads(found) if found is not None else None


async def forget(connection: Connection, collection: str, entry: UUID) -> None:
    """Take an entry out; what is stored for it stays."""
    await connection.execute(
        "DELETE FROM trash WHERE collection_id = $1 AND id = $2", collection, entry
    )


async def replace_cube(connection: Connection, collection: str, item: str) -> None:
    """Another item's cube is about to lie where those of the id's entries do."""
    await connection.execute(
        "UPDATE trash SET stored_prefixes = array_remove(stored_prefixes, $3)"
        " WHERE collection_id = $1 AND item = $2",
        collection,
        item,
        item_prefix(collection, item),
    )


async def keeping_cube(connection: Connection, collection: str, item: str) -> list[TrashEntry]:
    """The id's entries whose cube still lies there; nobody else changes them until the
    transaction ends."""
    rows = await connection.fetch(
        _ENTRY + " WHERE collection_id = $1 AND item = $2"
        " AND stored_prefixes @> ARRAY[$3::text] FOR UPDATE",
        collection,
        item,
        item_prefix(collection, item),
    )
    return [_entry(row) for row in rows]


async def purge(
    connection: Connection, collection: str | None = None, entry: UUID | None = None
) -> int:
    """Move entries to the outbox of what is to be removed: one, all of a collection, or without
    either those whose time is over. How many."""
    if collection is None:
        rows = await connection.fetch(
            "DELETE FROM trash WHERE expires_at <= now()"
            " RETURNING collection_id, item, document, stored_prefixes"
        )
    else:
        rows = await connection.fetch(
            "DELETE FROM trash WHERE collection_id = $1 AND ($2::uuid IS NULL OR id = $2)"
            " RETURNING collection_id, item, document, stored_prefixes",
            collection,
            entry,
        )
    await connection.executemany(
        "INSERT INTO removed_items (collection, item, prefixes, cube) VALUES ($1, $2, $3, $4)",
        [_removal(row) for row in rows],
    )
    return len(rows)


def _removal(row: Any) -> tuple[str, str, Sequence[str], bool]:
    collection, item, kept = row["collection_id"], row["item"], row["stored_prefixes"]
    prefixes = [p for p in removable_prefixes(json.loads(row["document"])) if p in kept]
    return collection, item, prefixes, item_prefix(collection, item) in kept


def _entry(row: Any) -> TrashEntry:
    told = dict(row)
    kept, had_cube = told.pop("stored_prefixes"), told.pop("had_cube")
    of_files = [] if told["upload"] is None else told["file_prefixes"]
    del told["file_prefixes"]
    return TrashEntry(
        **told,
        cube_kept=not had_cube or item_prefix(told["collection"], told["item"]) in kept,
        originals=[prefix for prefix in kept if prefix in of_files],
    )
