"""What becomes of Postgres's own errors."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from hsis.errors import Unavailable
from hsis.service.postgres import open_pool, transaction
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
