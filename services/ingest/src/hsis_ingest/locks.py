"""One at a time for an item's objects: the sweep must not remove what a conversion just began."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from hsis.service.postgres import translated


@asynccontextmanager
async def item_lock(pool: asyncpg.Pool, collection: str, item: str) -> AsyncIterator[None]:
    """Hold the item among all replicas; let go with the connection when the process dies.

    An advisory lock of the session: no transaction stays open while objects are removed.
    Unavailable where another holds it longer than a statement may take.
    """
    key = f"hsis:ingest:{collection}/{item}"
    with translated():
        async with pool.acquire() as connection:
            await connection.execute("SELECT pg_advisory_lock(hashtextextended($1, 0))", key)
            try:
                yield
            finally:
                await connection.execute("SELECT pg_advisory_unlock(hashtextextended($1, 0))", key)
