"""One at a time for stored objects: the sweep must not remove what a conversion just began to make
or to use."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from uuid import UUID

import asyncpg

from hsis.service.postgres import session

_HASH = "hashtextextended($1, 0)"


def item_lock(pool: asyncpg.Pool, collection: str, item: str) -> AbstractAsyncContextManager[None]:
    """Hold the item among all replicas; let go with the connection when the process dies.

    Unavailable where another holds it longer than a statement may take.
    """
    return _lock(pool, [f"hsis:ingest:{collection}/{item}"])


def originals_lock(
    pool: asyncpg.Pool, collection: str, *uploads: UUID
) -> AbstractAsyncContextManager[None]:
    """The same for the originals that came with uploads, and for label maps: whoever removes some
    looks under it whether they are used, whoever begins to use some looks whether they are there.
    """
    names = sorted({f"hsis:ingest:originals:{collection}/{upload}" for upload in uploads})
    return _lock(pool, names)


@asynccontextmanager
async def _lock(pool: asyncpg.Pool, keys: list[str]) -> AsyncIterator[None]:
    """Advisory locks of the session, in an order that all keep to: no transaction stays open while
    objects are removed."""
    async with session(pool) as connection:
        for key in keys:
            await connection.execute(f"SELECT pg_advisory_lock({_HASH})", key)
        yield
