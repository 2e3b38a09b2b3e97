"""All SQL of corrections."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from hsis.contracts.access import Caller
from hsis.contracts.metadata import Correction, CubeMetadata


@dataclass(frozen=True, slots=True)
class CorrectionRow:
    """A correction as the database has it. `item_created` tells its item from a later one of the
    same id."""

    id: UUID
    collection: str
    item: str
    item_created: str
    by_name: str
    changes: Mapping[str, Any]
    before: Mapping[str, Any]
    created_at: datetime
    applied_at: datetime | None

    @property
    def metadata(self) -> CubeMetadata:
        """What is to be changed: the fields that are set."""
        return CubeMetadata.model_validate(self.changes)

    def told(self) -> Correction:
        """What users see."""
        return Correction(
            id=str(self.id),
            by=self.by_name,
            at=self.created_at,
            applied=self.applied_at is not None,
            before=dict(self.before),
            after=dict(self.changes),
        )


async def note(
    db: asyncpg.Connection,
    correction: UUID,
    item: Mapping[str, Any],
    by: Caller,
    changes: Mapping[str, Any],
    before: Mapping[str, Any],
) -> CorrectionRow:
    """Note what is to be changed of an item."""
    row = await db.fetchrow(
        "INSERT INTO corrections"
        " (id, collection, item, item_created, by_subject, by_name, changes, before)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING *",
        correction,
        item["collection"],
        item["id"],
        item["properties"].get("created", ""),
        by.subject,
        by.name,
        json.dumps(changes),
        json.dumps(before),
    )
    return _row(row)


async def open_items(
    db: asyncpg.Connection, after: tuple[str, str], limit: int
) -> list[tuple[str, str]]:
    """Collections and ids of items with corrections that are not applied, those after `after`."""
    rows = await db.fetch(
        "SELECT DISTINCT collection, item FROM corrections"
        " WHERE applied_at IS NULL AND (collection, item) > ($1, $2)"
        " ORDER BY collection, item LIMIT $3",
        *after,
        limit,
    )
    return [(row["collection"], row["item"]) for row in rows]


async def open_of(db: asyncpg.Connection, collection: str, item: str) -> list[CorrectionRow]:
    """An item's corrections that are not applied, in their order."""
    rows = await db.fetch(
        "SELECT * FROM corrections WHERE applied_at IS NULL AND collection = $1 AND item = $2"
        " ORDER BY created_at",
        collection,
        item,
    )
    return [_row(row) for row in rows]


async def applied(db: asyncpg.Connection, correction: UUID) -> None:
    """Cube and item are as the correction wants them."""
    await db.execute("UPDATE corrections SET applied_at = now() WHERE id = $1", correction)


async def forget(db: asyncpg.Connection, correction: UUID) -> None:
    """Its item is gone."""
    await db.execute("DELETE FROM corrections WHERE id = $1", correction)


async def history(
    db: asyncpg.Connection, item: Mapping[str, Any], limit: int
) -> list[CorrectionRow]:
    """An item's corrections, the newest first."""
    rows = await db.fetch(
        "SELECT * FROM corrections WHERE collection = $1 AND item = $2 AND item_created = $3"
        " ORDER BY created_at DESC LIMIT $4",
        item["collection"],
        item["id"],
        item["properties"].get("created", ""),
        limit,
    )
    return [_row(row) for row in rows]


async def of_item(
    db: asyncpg.Connection, collection: str, item: str, created: str
) -> list[CorrectionRow]:
    """All that were applied to the item of that id that was made then, the oldest first."""
    rows = await db.fetch(
        "SELECT * FROM corrections WHERE collection = $1 AND item = $2 AND item_created = $3"
        " AND applied_at IS NOT NULL ORDER BY created_at",
        collection,
        item,
        created,
    )
    return [_row(row) for row in rows]


async def copy(db: asyncpg.Connection, before: Mapping[str, Any], item: str, created: str) -> None:
    """The corrections of an item that is made again are those of the new one too."""
    await db.execute(
        "INSERT INTO corrections (id, collection, item, item_created, by_subject, by_name, changes,"
        " before, created_at, applied_at)"
        " SELECT gen_random_uuid(), collection, $4, $5, by_subject, by_name, changes, before,"
        "  created_at, applied_at FROM corrections"
        " WHERE collection = $1 AND item = $2 AND item_created = $3 AND applied_at IS NOT NULL",
        before["collection"],
        before["id"],
        before["properties"].get("created", ""),
        item,
        created,
    )


def _row(row: asyncpg.Record) -> CorrectionRow:
    return CorrectionRow(
        id=row["id"],
        collection=row["collection"],
        item=row["item"],
        item_created=row["item_created"],
        by_name=row["by_name"],
        changes=json.loads(row["changes"]),
        before=json.loads(row["before"]),
        created_at=row["created_at"],
        applied_at=row["applied_at"],
    )
