"""The table `collections`."""

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from hsis.service.postgres import Connection
from hsis_catalog.errors import CollectionNotEmpty


@dataclass(frozen=True, slots=True)
class Reach:
    """Which collections a caller can see: everything, or the public ones and the user's own; of
    these only `only`, where the token is limited."""

    everything: bool
    user: UUID | None
    only: list[str] | None


VISIBLE = (
    "SELECT c.id FROM collections c"
    " WHERE ($1 OR c.public OR EXISTS"
    " (SELECT 1 FROM grants g WHERE g.collection_id = c.id AND g.user_id = $2))"
    " AND ($3::text[] IS NULL OR c.id = ANY ($3))"
)
"""The ids of the visible collections; its parameters are the fields of Reach in order."""


async def visible(connection: Connection, reach: Reach) -> list[dict[str, Any]]:
    """The documents of the visible collections, by id."""
    rows = await connection.fetch(
        f"SELECT document FROM collections WHERE id IN ({VISIBLE}) ORDER BY id",  # noqa: S608
        reach.everything,
        reach.user,
        reach.only,
    )
    return [json.loads(row["document"]) for row in rows]


async def get(connection: Connection, collection: str) -> dict[str, Any] | None:
    """The document."""
    found = await connection.fetchval("SELECT document FROM collections WHERE id = $1", collection)
    return json.loads(found) if found is not None else None


async def create(connection: Connection, document: dict[str, Any]) -> bool:
    """False when the id is taken."""
    made = await connection.fetchval(
        "INSERT INTO collections (id, document) VALUES ($1, $2::jsonb)"
        " ON CONFLICT (id) DO NOTHING RETURNING id",
        document["id"],
        json.dumps(document),
    )
    return made is not None


async def replace(connection: Connection, document: dict[str, Any]) -> bool:
    """Store another document for the same id; False when there is no such collection."""
    done = await connection.fetchval(
        "UPDATE collections SET document = $2::jsonb, updated_at = now() WHERE id = $1"
        " RETURNING id",
        document["id"],
        json.dumps(document),
    )
    return done is not None


async def set_public(connection: Connection, collection: str, public: bool) -> None:
    """Let everyone read it, or not."""
    await connection.execute("UPDATE collections SET public = $2 WHERE id = $1", collection, public)


async def delete(connection: Connection, collection: str) -> None:
    """Remove an empty collection; CollectionNotEmpty when items, spectra or files in the trash are
    in it. Entries of the trash that nothing is stored for go with it."""
    await connection.execute(
        "DELETE FROM trash WHERE collection_id = $1 AND stored_prefixes = '{}'", collection
    )
    try:
        await connection.execute("DELETE FROM collections WHERE id = $1", collection)
    except asyncpg.ForeignKeyViolationError as error:
        if error.table_name == "trash":
            raise CollectionNotEmpty(
                f"Collection {collection!r} has items in its trash: restore them, or remove them "
                f"for good with DELETE /stac/collections/{collection}/trash."
            ) from None
        raise CollectionNotEmpty(
            f"Collection {collection!r} still has items or spectra; remove these first."
        ) from None
