"""Databases of the tests' own cluster."""

from typing import Any

from hsis_embedded.postgres import Postgres

PASSWORD = "password-of-the-tests"


def connection_settings(postgres: Postgres, name: str, schema: str) -> dict[str, Any]:
    """The settings by which a service reaches its schema there."""
    return {
        "database_host": "127.0.0.1",
        "database_port": postgres.port,
        "database_name": name,
        "database_user": f"hsis_{schema}",
        "database_password": PASSWORD,
        "database_pool_size": 4,
    }


async def create(postgres: Postgres, name: str, schema: str) -> dict[str, Any]:
    """Make a database with the service's schema, which is empty; the connection's settings."""
    await postgres.create_database(name)
    await postgres.create_schema(name, schema, PASSWORD)
    return connection_settings(postgres, name, schema)


async def clone(postgres: Postgres, template: str, name: str, schema: str) -> None:
    """Make the database `name` like `template`, which nobody is connected to."""
    connection = await postgres.connect()
    try:
        # Its files as they are: otherwise each page goes through the log.
        await connection.execute(
            f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY'
        )
        # What may be done with a database as a whole is not cloned.
        await connection.execute(f'REVOKE ALL ON DATABASE "{name}" FROM PUBLIC')
        await connection.execute(f'GRANT CONNECT ON DATABASE "{name}" TO "hsis_{schema}"')
    finally:
        await connection.close()
