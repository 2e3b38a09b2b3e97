"""Transactions, with the driver's errors translated."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from hsis.errors import Unavailable

Connection = Any
"""An asyncpg connection, from the pool or not (asyncpg ships no types)."""

_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
)


@asynccontextmanager
async def transaction(pool: asyncpg.Pool) -> AsyncIterator[Connection]:
    """A connection inside one transaction; Unavailable when Postgres does not answer."""
    try:
        async with pool.acquire() as connection, connection.transaction():
            yield connection
    except _AWAY as error:
        raise Unavailable("Postgres does not answer.") from error
