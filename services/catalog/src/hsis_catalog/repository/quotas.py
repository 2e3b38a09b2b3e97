"""The tables `quotas`, `stored_sizes` and `reserved_bytes`."""

from hsis.contracts.blobs import item_prefix
from hsis.contracts.quota import Quota
from hsis.service.postgres import Connection
from hsis_catalog.stac.items import StoredSize


async def put(connection: Connection, collection: str, allowed_bytes: int | None) -> None:
    """Set the limit; None takes it away."""
    if allowed_bytes is None:
        await connection.execute("DELETE FROM quotas WHERE collection = $1", collection)
        return
    await connection.execute(
        "INSERT INTO quotas (collection, allowed_bytes) VALUES ($1, $2)"
        " ON CONFLICT (collection) DO UPDATE SET allowed_bytes = EXCLUDED.allowed_bytes",
        collection,
        allowed_bytes,
    )


async def get(connection: Connection, collection: str, but: str | None = None) -> Quota:
    """The limit and what counts to it; what is reserved without that of the holder `but`."""
    row = await connection.fetchrow(
        "SELECT (SELECT allowed_bytes FROM quotas WHERE collection = $1) AS allowed_bytes,"
        " (SELECT coalesce(sum(bytes), 0)::bigint FROM stored_sizes WHERE collection = $1)"
        "  AS used_bytes,"
        " (SELECT coalesce(sum(bytes), 0)::bigint FROM reserved_bytes"
        "  WHERE collection = $1 AND expires_at > now() AND holder IS DISTINCT FROM $2)"
        "  AS reserved_bytes",
        collection,
        but,
    )
    return Quota(collection=collection, **row)


async def lock(connection: Connection, collection: str) -> None:
    """Until the transaction ends, only one reserves bytes in a collection with a limit."""
    await connection.execute("SELECT 1 FROM quotas WHERE collection = $1 FOR UPDATE", collection)


async def reserve(
    connection: Connection, collection: str, holder: str, count: int, ttl_s: float
) -> None:
    """Note what a holder is about to store, instead of what it said before."""
    await connection.execute(
        "INSERT INTO reserved_bytes (holder, collection, bytes, expires_at)"
        " VALUES ($1, $2, $3, now() + make_interval(secs => $4))"
        " ON CONFLICT (holder) DO UPDATE SET bytes = EXCLUDED.bytes,"
        "  expires_at = EXCLUDED.expires_at",
        holder,
        collection,
        count,
        ttl_s,
    )


async def release(connection: Connection, holder: str) -> None:
    """The holder stores nothing more: its item is there, or never will be."""
    await connection.execute("DELETE FROM reserved_bytes WHERE holder = $1", holder)


async def note_stored(connection: Connection, collection: str, sizes: list[StoredSize]) -> None:
    """Count what is stored for an item."""
    await connection.executemany(
        "INSERT INTO stored_sizes (path, collection, prefix, bytes) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (path) DO UPDATE SET bytes = EXCLUDED.bytes",
        [(size.path, collection, size.prefix, size.bytes) for size in sizes],
    )


async def forget_stored(connection: Connection, prefixes: list[str]) -> None:
    """What lay under these prefixes is removed."""
    await connection.execute("DELETE FROM stored_sizes WHERE prefix = ANY ($1::text[])", prefixes)


async def forget_unnamed(connection: Connection, collection: str, paths: list[str]) -> None:
    """What no document names any more is about to be removed, unless an item, or an entry of the
    trash, has something under the same prefix."""
    await connection.execute(
        "DELETE FROM stored_sizes WHERE collection = $1 AND path = ANY ($2::text[])"
        " AND NOT EXISTS (SELECT 1 FROM items WHERE stored_prefixes @> ARRAY[stored_sizes.prefix])"
        " AND NOT EXISTS (SELECT 1 FROM trash WHERE stored_prefixes @> ARRAY[stored_sizes.prefix])",
        collection,
        paths,
    )


async def forget_removed(connection: Connection, seq: int) -> None:
    """Count what an entry of the outbox names no more, but for what something still uses."""
    await connection.execute(
        "DELETE FROM stored_sizes USING removed_items AS gone WHERE gone.seq = $1"
        " AND (stored_sizes.prefix = ANY (gone.prefixes) OR (gone.cube"
        "  AND stored_sizes.prefix = 'cubes/' || gone.collection || '/' || gone.item || '/'))"
        " AND NOT EXISTS (SELECT 1 FROM items WHERE stored_prefixes @> ARRAY[stored_sizes.prefix])"
        " AND NOT EXISTS (SELECT 1 FROM trash WHERE stored_prefixes @> ARRAY[stored_sizes.prefix])",
        seq,
    )


async def forget_cube(connection: Connection, collection: str, item: str) -> None:
    """The item's cube gives way to another one."""
    await forget_stored(connection, [item_prefix(collection, item)])
