"""The tables `items` and `removed_items`."""

import json
from typing import Any

import asyncpg

from hsis.errors import NotFound
from hsis.service.postgres import Connection
from hsis_catalog.stac.items import NewItem


async def get(connection: Connection, collection: str, item: str) -> dict[str, Any] | None:
    """The whole document."""
    found = await connection.fetchval(
        "SELECT document FROM items WHERE collection_id = $1 AND id = $2", collection, item
    )
    return json.loads(found) if found is not None else None


async def get_to_change(
    connection: Connection, collection: str, item: str
) -> dict[str, Any] | None:
    """The whole document, which nobody else changes in the time of the transaction."""
    found = await connection.fetchval(
        "SELECT document FROM items WHERE collection_id = $1 AND id = $2 FOR UPDATE",
        collection,
        item,
    )
    return json.loads(found) if found is not None else None


async def create(connection: Connection, item: NewItem) -> bool:
    """False when the id is taken; NotFound when the collection went away meanwhile."""
    try:
        made = await connection.fetchval(
            "INSERT INTO items"
            " (collection_id, id, document, summary, starts_at, ends_at, stored_prefixes,"
            "  footprint)"
            " VALUES ($1, $2, $3::jsonb, $4::jsonb, $5, $6, $7,"
            "  box(point($8::float8, $9::float8), point($10::float8, $11::float8)))"
            " ON CONFLICT (collection_id, id) DO NOTHING RETURNING seq",
            *_values(item),
        )
    except asyncpg.ForeignKeyViolationError:
        raise NotFound(f"There is no collection {item.collection!r} any more.") from None
    return made is not None


async def replace(connection: Connection, item: NewItem) -> bool:
    """False when there is no such item."""
    done = await connection.fetchval(
        "UPDATE items SET document = $3::jsonb, summary = $4::jsonb, starts_at = $5,"
        "  ends_at = $6, stored_prefixes = $7,"
        "  footprint = box(point($8::float8, $9::float8), point($10::float8, $11::float8))"
        " WHERE collection_id = $1 AND id = $2 RETURNING seq",
        *_values(item),
    )
    return done is not None


async def delete(connection: Connection, collection: str, item: str) -> dict[str, Any] | None:
    """The document of the item that was removed; None when there was none."""
    gone = await connection.fetchval(
        "DELETE FROM items WHERE collection_id = $1 AND id = $2 RETURNING document",
        collection,
        item,
    )
    return json.loads(gone) if gone is not None else None


def _values(item: NewItem) -> tuple[Any, ...]:
    return (
        item.collection,
        item.id,
        json.dumps(item.document),
        json.dumps(item.summary),
        item.starts_at,
        item.ends_at,
        item.stored_prefixes,
        *(item.footprint or (None, None, None, None)),
    )


async def uses(connection: Connection, prefix: str) -> bool:
    """Whether an asset of any item, or of one in the trash, lies under a prefix
    `raw/<collection>/<upload>/` or `cubes/<collection>/<item>/`."""
    return bool(
        await connection.fetchval(
            "SELECT EXISTS (SELECT 1 FROM items WHERE stored_prefixes @> ARRAY[$1::text])"
            " OR EXISTS (SELECT 1 FROM trash WHERE stored_prefixes @> ARRAY[$1::text])",
            prefix,
        )
    )


async def unknown(connection: Connection, prefixes: list[str]) -> list[str]:
    """Those of the prefixes that no item, entry of the trash or of the outbox, and no reservation
    needs, in their order."""
    rows = await connection.fetch(
        "SELECT prefix FROM unnest($1::text[]) WITH ORDINALITY AS wanted (prefix, place)"
        " WHERE NOT EXISTS (SELECT 1 FROM items WHERE stored_prefixes @> ARRAY[prefix])"
        " AND NOT EXISTS (SELECT 1 FROM trash WHERE stored_prefixes @> ARRAY[prefix])"
        " AND prefix NOT IN (SELECT unnest(prefixes) FROM removed_items)"
        " AND prefix NOT IN"
        "  (SELECT 'cubes/' || collection || '/' || item || '/' FROM removed_items"
        "   UNION SELECT 'cubes/' || collection || '/' || item || '/' FROM reservations"
        "   WHERE expires_at > now()"
        # Even where its document does not say so.
        "   UNION SELECT 'cubes/' || collection_id || '/' || id || '/' FROM items"
        "   UNION SELECT 'raw/' || collection_id || '/'"
        "    || coalesce(summary -> 'properties' ->> 'hsi:upload', '') || '/' FROM items)"
        " ORDER BY place",
        prefixes,
    )
    return [row["prefix"] for row in rows]


async def remember_removed(
    connection: Connection, collection: str, item: str, prefixes: list[str]
) -> None:
    """Put an item into the outbox of those whose stored objects are to be removed."""
    await connection.execute(
        "INSERT INTO removed_items (collection, item, prefixes) VALUES ($1, $2, $3)",
        collection,
        item,
        prefixes,
    )


async def removed(
    connection: Connection, collection: str | None, item: str | None, limit: int
) -> list[dict[str, Any]]:
    """The oldest entries of the outbox; of one item, where its collection and id are given."""
    rows = await connection.fetch(
        "SELECT seq, collection, item, prefixes, cube FROM removed_items"
        " WHERE ($1::text IS NULL OR collection = $1) AND ($2::text IS NULL OR item = $2)"
        " ORDER BY seq LIMIT $3",
        collection,
        item,
        limit,
    )
    return [dict(row) for row in rows]


async def forget_removed(connection: Connection, seq: int) -> None:
    """Take an entry out of the outbox."""
    await connection.execute("DELETE FROM removed_items WHERE seq = $1", seq)
