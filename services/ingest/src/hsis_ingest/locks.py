"""One at a time for an item's objects: the sweep must not remove what a conversion just began."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

RETRY_S = 0.2


@asynccontextmanager
async def item_lock(pool: asyncpg.Pool, collection: str, item: str) -> AsyncIterator[None]:
    """Hold the item among all replicas; let go with the connection when the process dies.

    An advisory lock of the session: no transaction stays open while objects are removed.
    """
    key = f"hsis:ingest:{collection}/{item}"
    async with pool.acquire() as connection:
        while not await connection.fetchval(
            "SELECT pg_try_advisory_lock(hashtextextended($1, 0))", key
        ):
            await asyncio.sleep(RETRY_S)
        try:
            yield
        finally:
            await connection.execute("SELECT pg_advisory_unlock(hashtextextended($1, 0))", key)
