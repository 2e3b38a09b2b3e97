"""Ways to see that a process is ready."""

import asyncio
import secrets
import socket

import asyncpg
import httpx

from hsis_embedded.postgres import Postgres

PORTS = range(15_000, 32_000)
"""Below those that Linux gives to clients: none of these takes the port before its server does."""

_given: set[int] = set()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that was free a moment ago, and that this process was not given
    before: what it was given for may not listen yet."""
    while True:
        port = secrets.choice(PORTS)
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port


async def accepts(port: int) -> bool:
    """Whether something listens on the port of 127.0.0.1."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


async def answers_ok(http: httpx.AsyncClient, url: str) -> bool:
    """Whether a GET of the URL is answered with status 200."""
    try:
        return (await http.get(url)).status_code == 200
    except httpx.TransportError:
        return False


async def answers_sql(postgres: Postgres) -> bool:
    """Whether the database takes connections; RuntimeError where it has another password."""
    try:
        connection = await postgres.connect()
    except asyncpg.InvalidPasswordError as error:
        raise RuntimeError(
            f"The database in {postgres.folder} has another password than the one in the secrets; "
            "put back the secrets that it was made with."
        ) from error
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
    await connection.close()
    return True
