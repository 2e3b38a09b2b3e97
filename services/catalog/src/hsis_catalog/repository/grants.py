"""The table `grants`, and what a user is in a collection."""

import uuid
from dataclasses import dataclass

from hsis.contracts.access import Role
from hsis.service.postgres import Connection


@dataclass(frozen=True, slots=True)
class Standing:
    """A collection's publicity and one user's role in it."""

    public: bool
    role: Role | None


async def standing(
    connection: Connection, collection: str, user: uuid.UUID | None
) -> Standing | None:
    """None when there is no such collection."""
    row = await connection.fetchrow(
        "SELECT c.public, g.role FROM collections c"
        " LEFT JOIN grants g ON g.collection_id = c.id AND g.user_id = $2 WHERE c.id = $1",
        collection,
        user,
    )
    return Standing(row["public"], Role(row["role"]) if row["role"] else None) if row else None


async def of_collection(connection: Connection, collection: str) -> list[tuple[str, Role]]:
    """User names and their roles, by name."""
    rows = await connection.fetch(
        "SELECT u.name, g.role FROM grants g JOIN users u ON u.id = g.user_id"
        " WHERE g.collection_id = $1 ORDER BY u.name",
        collection,
    )
    return [(row["name"], Role(row["role"])) for row in rows]


async def put(connection: Connection, collection: str, user: uuid.UUID, role: Role) -> None:
    """Give the user that role instead of any before."""
    await connection.execute(
        "INSERT INTO grants (collection_id, user_id, role) VALUES ($1, $2, $3)"
        " ON CONFLICT (collection_id, user_id) DO UPDATE SET role = excluded.role",
        collection,
        user,
        str(role),
    )


async def delete(connection: Connection, collection: str, user: uuid.UUID) -> None:
    """Take the user's role away."""
    await connection.execute(
        "DELETE FROM grants WHERE collection_id = $1 AND user_id = $2", collection, user
    )


async def has_other_owner(connection: Connection, collection: str, user: uuid.UUID) -> bool:
    """Whether someone else owns the collection. Locks it against other changes of its grants."""
    await connection.execute("SELECT 1 FROM collections WHERE id = $1 FOR UPDATE", collection)
    answer: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT 1 FROM grants"
        " WHERE collection_id = $1 AND role = 'owner' AND user_id <> $2)",
        collection,
        user,
    )
    return answer
