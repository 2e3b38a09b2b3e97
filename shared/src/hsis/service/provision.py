"""Makes the database, and one role and one schema a service in it, where they are missing.

`python -m hsis.service.provision` does it as superuser with the passwords in `HSIS_SECRETS_DIR`:
`postgres_password` and `database_<schema>` for every schema. Running it again gives the roles the
passwords that are there now.
"""

import asyncio
import os
from pathlib import Path

import asyncpg

from hsis.service.settings import DEFAULT_SECRETS_DIR

SCHEMAS = ("catalog", "ingest", "inference")
"""Services that own a Postgres schema of their name."""


async def create_database(connection: asyncpg.Connection, name: str) -> None:
    """Make a database that nobody may use until a role is given it, where it is missing."""
    known = await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name)
    if not known:
        await connection.execute(f'CREATE DATABASE "{name}"')
    await connection.execute(f'REVOKE ALL ON DATABASE "{name}" FROM PUBLIC')


async def create_schema(
    connection: asyncpg.Connection, database: str, schema: str, password: str
) -> str:
    """Make a service's schema and the role that owns it, where missing; the role's name.

    The role may log in, use this database and own this schema, and nothing else.
    """
    role = f"hsis_{schema}"
    await connection.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    known = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role)
    verb = "ALTER" if known else "CREATE"
    quoted = await connection.fetchval("SELECT quote_literal($1::text)", password)
    await connection.execute(f'{verb} ROLE "{role}" LOGIN PASSWORD {quoted}')
    await connection.execute(f'GRANT CONNECT ON DATABASE "{database}" TO "{role}"')
    await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}" AUTHORIZATION "{role}"')
    return role


async def provision(
    secrets: Path, *, host: str, port: int, superuser: str, database: str
) -> list[str]:
    """All of it on one server; the roles' names."""

    async def connect(name: str) -> asyncpg.Connection:
        password = _read(secrets / "postgres_password")
        return await asyncpg.connect(
            host=host, port=port, user=superuser, password=password, database=name, timeout=10
        )

    connection = await connect("postgres")
    try:
        await create_database(connection, database)
    finally:
        await connection.close()
    connection = await connect(database)
    try:
        return [
            await create_schema(connection, database, schema, _read(secrets / f"database_{schema}"))
            for schema in SCHEMAS
        ]
    finally:
        await connection.close()


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip()


if __name__ == "__main__":
    made = asyncio.run(
        provision(
            Path(os.environ.get("HSIS_SECRETS_DIR", DEFAULT_SECRETS_DIR)),
            host=os.environ.get("HSIS_DATABASE_HOST", "postgres"),
            port=int(os.environ.get("HSIS_DATABASE_PORT", "5432")),
            superuser=os.environ.get("HSIS_POSTGRES_SUPERUSER", "postgres"),
            database=os.environ.get("HSIS_DATABASE_NAME", "hsis"),
        )
    )
    print("roles: " + ", ".join(made))
