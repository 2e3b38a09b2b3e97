"""The table `templates`."""

import json

import asyncpg

from hsis.contracts.metadata import CubeMetadata
from hsis.errors import NotFound
from hsis.service.postgres import Connection


async def get(connection: Connection, collection: str) -> CubeMetadata | None:
    """A collection's template."""
    found = await connection.fetchval(
        "SELECT document FROM templates WHERE collection_id = $1", collection
    )
    return None if found is None else CubeMetadata.model_validate_json(found)


async def put(connection: Connection, collection: str, template: CubeMetadata) -> None:
    """Set a collection's template; NotFound where the collection went away meanwhile."""
    try:
        await connection.execute(
            "INSERT INTO templates (collection_id, document) VALUES ($1, $2::jsonb)"
            " ON CONFLICT (collection_id) DO UPDATE SET document = $2::jsonb, updated_at = now()",
            collection,
            json.dumps(template.said()),
        )
    except asyncpg.ForeignKeyViolationError:
        raise NotFound(f"There is no collection {collection!r} any more.") from None


async def delete(connection: Connection, collection: str) -> bool:
    """False where it has none."""
    gone = await connection.fetchval(
        "DELETE FROM templates WHERE collection_id = $1 RETURNING true", collection
    )
    return gone is not None
