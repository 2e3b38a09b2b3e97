"""The table `reservations`: one maker at a time of an item that is not there yet."""

from hsis.service.postgres import Connection


async def take(
    connection: Connection, collection: str, item: str, holder: str, ttl_s: float
) -> bool:
    """Reserve an item's id, or keep what the holder has reserved; False where another has it."""
    taken = await connection.fetchval(
        "INSERT INTO reservations (collection, item, holder, expires_at)"
        " VALUES ($1, $2, $3, now() + make_interval(secs => $4))"
        " ON CONFLICT (collection, item) DO UPDATE"
        " SET holder = $3, expires_at = EXCLUDED.expires_at"
        " WHERE reservations.holder = $3 OR reservations.expires_at < now() RETURNING true",
        collection,
        item,
        holder,
        ttl_s,
    )
    return taken is not None


async def holder_of(connection: Connection, collection: str, item: str) -> str | None:
    """Who is making an item; None where nobody is."""
    holder: str | None = await connection.fetchval(
        "SELECT holder FROM reservations"
        " WHERE collection = $1 AND item = $2 AND expires_at > now()",
        collection,
        item,
    )
    return holder


async def release(connection: Connection, collection: str, item: str, holder: str) -> None:
    """Give a reservation back; no effect where another has it."""
    await connection.execute(
        "DELETE FROM reservations WHERE collection = $1 AND item = $2 AND holder = $3",
        collection,
        item,
        holder,
    )
