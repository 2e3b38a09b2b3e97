"""Transactions, with the driver's errors translated."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from hsis.errors import InvalidInput, Unavailable

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
    """A connection inside one transaction; Unavailable when Postgres does not answer,
    InvalidInput for a text that it cannot hold."""
    try:
        async with pool.acquire() as connection, connection.transaction():
            yield connection
    except asyncpg.CharacterNotInRepertoireError:
        raise InvalidInput("A text holds the character U+0000, which cannot be.") from None
    except _AWAY as error:
        raise Unavailable("Postgres does not answer.") from error
