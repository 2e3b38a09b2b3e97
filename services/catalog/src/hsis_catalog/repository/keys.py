"""The table `api_keys`."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from hsis.service.postgres import Connection


@dataclass(frozen=True, slots=True)
class Key:
    """A row, without its owner."""

    id: uuid.UUID
    name: str
    scopes: list[str]
    collections: list[str] | None
    created_at: datetime
    expires_at: datetime


async def owner_is_admin(connection: Connection, key: uuid.UUID) -> bool | None:
    """Whether the key's user is an administrator; None when it is revoked or does not exist."""
    answer: bool | None = await connection.fetchval(
        "SELECT u.is_admin FROM api_keys k JOIN users u ON u.id = k.user_id"
        " WHERE k.id = $1 AND k.revoked_at IS NULL",
        key,
    )
    return answer


async def create(
    connection: Connection,
    user: uuid.UUID,
    name: str,
    scopes: list[str],
    collections: list[str] | None,
    life: timedelta,
) -> Key:
    """The new key."""
    row = await connection.fetchrow(
        "INSERT INTO api_keys (user_id, name, scopes, collections, expires_at)"
        " VALUES ($1, $2, $3, $4, now() + $5)"
        " RETURNING id, name, scopes, collections, created_at, expires_at",
        user,
        name,
        scopes,
        collections,
        life,
    )
    return Key(**row)


async def of_user(connection: Connection, user: uuid.UUID) -> list[Key]:
    """The user's keys that are not revoked, newest first."""
    rows = await connection.fetch(
        "SELECT id, name, scopes, collections, created_at, expires_at FROM api_keys"
        " WHERE user_id = $1 AND revoked_at IS NULL ORDER BY created_at DESC, id",
        user,
    )
    return [Key(**row) for row in rows]


async def revoke(connection: Connection, key: uuid.UUID, user: uuid.UUID | None) -> bool:
    """Whether there was such a key of the user (of anyone for None) to revoke."""
    gone = await connection.fetchval(
        "UPDATE api_keys SET revoked_at = now()"
        " WHERE id = $1 AND ($2::uuid IS NULL OR user_id = $2) AND revoked_at IS NULL"
        " RETURNING id",
        key,
        user,
    )
    return gone is not None
