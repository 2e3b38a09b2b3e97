"""The table `users`."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from hsis.service.postgres import Connection


@dataclass(frozen=True, slots=True)
class User:
    """A row."""

    id: uuid.UUID
    name: str
    password_hash: str
    is_admin: bool
    created_at: datetime


async def by_name(connection: Connection, name: str) -> User | None:
    """The user of that name."""
    row = await connection.fetchrow(
        "SELECT id, name, password_hash, is_admin, created_at FROM users WHERE name = $1", name
    )
    return User(**row) if row else None


async def is_admin(connection: Connection, user: uuid.UUID) -> bool | None:
    """Whether the user is an administrator; None when there is none."""
    answer: bool | None = await connection.fetchval(
        "SELECT is_admin FROM users WHERE id = $1", user
    )
    return answer


async def every(connection: Connection) -> list[User]:
    """All users by name."""
    rows = await connection.fetch(
        "SELECT id, name, password_hash, is_admin, created_at FROM users ORDER BY name"
    )
    return [User(**row) for row in rows]


async def create(connection: Connection, name: str, password_hash: str, admin: bool) -> User | None:
    """The new user; None when the name is taken."""
    row = await connection.fetchrow(
        "INSERT INTO users (name, password_hash, is_admin) VALUES ($1, $2, $3)"
        " ON CONFLICT (name) DO NOTHING"
        " RETURNING id, name, password_hash, is_admin, created_at",
        name,
        password_hash,
        admin,
    )
    return User(**row) if row else None


async def delete(connection: Connection, name: str) -> bool:
    """Whether there was such a user; its keys and grants go with it."""
    gone = await connection.fetchval("DELETE FROM users WHERE name = $1 RETURNING id", name)
    return gone is not None
