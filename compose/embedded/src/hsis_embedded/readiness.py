"""Ways to see that a process is ready."""

import asyncio
import errno
import os
import secrets
import socket
import time
from collections import deque

import asyncpg
import httpx

from hsis_embedded.postgres import Postgres

PORTS = range(15_000, 32_000)
"""Below those that Linux gives to clients: none of these takes the port before its server does."""

ATTEMPTS = 10_000
CLAIM_S = 60.0
"""In which what a port was given for begins to listen."""

_given: set[int] = set()
_claims: deque[tuple[float, int]] = deque()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that was free a moment ago. This process was not given it before, nor
    another within a minute: what it was given for may not listen yet."""
    now = time.monotonic()
    while _claims and now - _claims[0][0] > CLAIM_S:
        os.close(_claims.popleft()[1])
    for _ in range(ATTEMPTS):
        port = secrets.choice(PORTS)
        if port in _given or (claim := _claim(port)) is None:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                os.close(claim)
                continue
        _given.add(port)
        _claims.append((now, claim))
        return port
    raise RuntimeError(f"No port from {PORTS.start} to {PORTS.stop - 1} is free on 127.0.0.1.")


def _claim(port: int) -> int | None:
    """A descriptor that says to other processes, while it is open, that the port is given; None
    where one says so. The name is of Linux's abstract namespace: no file stays behind."""
    with socket.socket(socket.AF_UNIX) as name:
        try:
            name.bind(f"\0hsis-port-{port}")
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return None
        return name.detach()


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
