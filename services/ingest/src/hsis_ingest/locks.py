"""One at a time for stored objects: the sweep must not remove what a conversion just began to make
or to use."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from uuid import UUID

import asyncpg

from hsis.service.postgres import translated


def item_lock(pool: asyncpg.Pool, collection: str, item: str) -> AbstractAsyncContextManager[None]:
    """Hold the item among all replicas; let go with the connection when the process dies.

    Unavailable where another holds it longer than a statement may take.
    """
    return _lock(pool, f"hsis:ingest:{collection}/{item}")


def originals_lock(
    pool: asyncpg.Pool, collection: str, upload: UUID
) -> AbstractAsyncContextManager[None]:
    """The same for the originals that came with an upload: whoever removes them looks under it
    whether they are used, whoever begins to use them looks whether they are there."""
    return _lock(pool, f"hsis:ingest:originals:{collection}/{upload}")


@asynccontextmanager
async def _lock(pool: asyncpg.Pool, key: str) -> AsyncIterator[None]:
    """An advisory lock of the session: no transaction stays open while objects are removed."""
    with translated():
        async with pool.acquire() as connection:
            await connection.execute("SELECT pg_advisory_lock(hashtextextended($1, 0))", key)
            try:
                yield
            finally:
                await connection.execute("SELECT pg_advisory_unlock(hashtextextended($1, 0))", key)
