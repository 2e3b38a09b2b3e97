"""What becomes of Postgres's own errors."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from hsis.errors import Unavailable
from hsis.service.postgres import open_pool, session, transaction
from hsis.service.settings import DatabaseSettings


async def test_a_migration_while_a_replica_runs_costs_it_one_answer(
    database: Callable[[str], Awaitable[dict[str, Any]]],
) -> None:
    settings = DatabaseSettings(token_public_key="-", **await database("ingest"))
    async with open_pool(settings, "ingest") as pool:
        async with transaction(pool) as db:
            await db.execute("CREATE TABLE things (name text)")
            await db.execute("INSERT INTO things VALUES ('a')")
            assert [tuple(row) for row in await db.fetch("SELECT * FROM things")] == [("a",)]
        async with transaction(pool) as db:
            await db.execute("ALTER TABLE things ADD COLUMN number int DEFAULT 7")
        with pytest.raises(Unavailable, match="the same again works"):
            async with transaction(pool) as db:
                await db.fetch("SELECT * FROM things")
        async with transaction(pool) as db:
            assert [tuple(row) for row in await db.fetch("SELECT * FROM things")] == [("a", 7)]


async def test_a_task_that_is_told_to_end_does_so_though_its_connection_broke(
    database: Callable[[str], Awaitable[dict[str, Any]]],
) -> None:
    settings = DatabaseSettings(token_public_key="-", **await database("ingest"))
    begun: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def wait_for_ever() -> None:
        async with transaction(pool) as db:
            begun.set_result(await db.fetchval("SELECT pg_backend_pid()"))
            await asyncio.Event().wait()

    async with open_pool(settings, "ingest") as pool:
        task = asyncio.create_task(wait_for_ever())
        number = await begun
        async with transaction(pool) as db:
            assert await db.fetchval("SELECT pg_terminate_backend($1, 60000)", number)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_session_lets_its_locks_go_however_it_ends(
    database: Callable[[str], Awaitable[dict[str, Any]]],
) -> None:
    settings = DatabaseSettings(token_public_key="-", **await database("ingest"))
    lock, try_lock = "SELECT pg_advisory_lock(7)", "SELECT pg_try_advisory_lock(7)"

    async def wait_for_lock() -> None:
        async with session(pool) as db:
            await db.execute(lock)
            await asyncio.Event().wait()

    async with open_pool(settings, "ingest") as pool, pool.acquire() as other:
        async with session(pool) as db:
            await db.execute(lock)
            assert not await other.fetchval(try_lock)
        assert await other.fetchval(try_lock)
        task = asyncio.create_task(wait_for_lock())  # in vain, as long as the other has it
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        while not await other.fetchval(waiting):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        await other.execute("SELECT pg_advisory_unlock(7)")
        with suppress(ZeroDivisionError):
            async with session(pool) as db:
                await db.execute(lock)
                raise ZeroDivisionError
        assert await other.fetchval(try_lock)
