"""A pool of connections to the service's own schema, and its numbered migrations."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.resources import files
from typing import Any

import asyncpg
from fastapi import Request

from hsis.errors import InvalidInput, Unavailable
from hsis.service.ending import end_if_told
from hsis.service.settings import DatabaseSettings

logger = logging.getLogger(__name__)

LOCK_TIMEOUT = "5s"

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
async def open_pool(settings: DatabaseSettings, schema: str) -> AsyncIterator[asyncpg.Pool]:
    """A pool whose connections have `schema` as their search path."""
    pool = await asyncpg.create_pool(
        **settings.connection(),
        min_size=1,
        max_size=settings.database_pool_size,
        command_timeout=settings.http_timeout_s,
        server_settings={"search_path": schema, "application_name": f"hsis-{schema}"},
        reset=_as_it_is,
    )
    try:
        yield pool
    finally:
        await pool.close()


async def _as_it_is(_: Connection) -> None:
    """Give a connection back without asking Postgres once more: what a transaction sets ends with
    it, and `session` undoes the rest."""


@contextmanager
def translated() -> Iterator[None]:
    """Unavailable when Postgres does not answer, InvalidInput for a text that it cannot hold.

    Unavailable also where a newer version's migration came between: within a transaction asyncpg
    cannot plan a statement anew, the next time it does.
    """
    try:
        yield
    except asyncpg.DataError as error:  # U+0000, half a surrogate pair
        raise InvalidInput("The request holds a text that cannot be stored.") from error
    except asyncpg.InvalidCachedStatementError as error:
        raise Unavailable(
            "The tables were changed at this moment; the same again works."
        ) from error
    except _AWAY as error:
        end_if_told()
        raise Unavailable("Postgres does not answer.") from error


@asynccontextmanager
async def transaction(pool: asyncpg.Pool) -> AsyncIterator[Connection]:
    """A connection inside one transaction, its errors translated."""
    with translated():
        async with pool.acquire() as connection, connection.transaction():
            yield connection


@asynccontextmanager
async def autocommit(pool: asyncpg.Pool) -> AsyncIterator[Connection]:
    """A connection each of whose statements is a transaction of its own, its errors translated.

    For one statement, and for several that read: each sees what is committed at its moment, as it
    would inside one transaction too (READ COMMITTED). Postgres is not asked for BEGIN and COMMIT.
    """
    with translated():
        async with pool.acquire() as connection:
            yield connection


@asynccontextmanager
async def session(pool: asyncpg.Pool) -> AsyncIterator[Connection]:
    """A connection outside of a transaction, its errors translated. Locks that it holds are let go
    at the end, and with the connection where that fails."""
    with translated():
        async with pool.acquire() as connection:
            try:
                yield connection
            finally:
                try:
                    await connection.reset()
                except BaseException:
                    connection.terminate()
                    raise


async def ping(pool: asyncpg.Pool) -> None:
    """Unavailable unless the database answers."""
    try:
        await pool.fetchval("SELECT 1", timeout=2.0)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise Unavailable("Postgres does not answer.") from error


async def check_postgres(request: Request) -> None:
    """The readiness check of a service whose state has the pool as `pool`."""
    await ping(request.state.state.pool)


async def migrate(settings: DatabaseSettings, schema: str, package: str) -> list[str]:
    """Apply the migrations `package/migrations/NNNN_name.sql` that the schema does not have yet.

    Forward only, in order, each in a transaction of its own under an advisory lock, so that
    several replicas may start at once. Returns the names of those applied.
    """
    connection = await asyncpg.connect(**settings.connection())
    applied: list[str] = []
    try:
        await connection.execute("SELECT pg_advisory_lock(hashtext($1))", f"hsis:{schema}")
        await connection.execute(f"SET search_path TO {schema}")
        await connection.execute(f"SET lock_timeout TO '{LOCK_TIMEOUT}'")
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS migrations"
            " (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        done = {row["name"] for row in await connection.fetch("SELECT name FROM migrations")}
        folder = files(package) / "migrations"
        for script in sorted(folder.iterdir(), key=lambda entry: entry.name):
            if not script.name.endswith(".sql") or script.name in done:
                continue
            async with connection.transaction():
                await connection.execute(script.read_text(encoding="utf-8"))
                await connection.execute("INSERT INTO migrations (name) VALUES ($1)", script.name)
            logger.info("migration applied", extra={"schema": schema, "migration": script.name})
            applied.append(script.name)
    finally:
        await connection.close()
    return applied
