"""Uploads and their files as the database has them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from hsis.contracts.uploads import ReceivedFile, Upload, UploadState
from hsis.errors import Problem


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of an upload. `size` and `sha256` are of the bytes stored, None before.

    `sha256` of a file that is stored may still be to compute.
    """

    name: str
    declared_size: int | None
    size: int | None
    sha256: str | None

    @property
    def received(self) -> bool:
        """Whether it is stored whole."""
        return self.size is not None


@dataclass(frozen=True, slots=True)
class UploadRow:
    """An upload as the database has it.

    `owner` is None where it was announced; else it is whose first file made it. `named` is False
    where the item is called after a file.
    """

    id: UUID
    collection: str
    item: str
    axes: str | None
    variable: str | None
    rows: int | None
    columns: int | None
    state: UploadState
    progress: float
    attempts: int
    purge: bool
    discarded: bool
    error: Problem | None
    created_at: datetime
    expires_at: datetime | None
    owner: str | None
    group_name: str | None
    named: bool
    files: tuple[StoredFile, ...]

    def told(self) -> Upload:
        """What its users see."""
        return Upload(
            id=str(self.id),
            collection=self.collection,
            item=self.item,
            state=self.state,
            files=[
                ReceivedFile(
                    name=file.name,
                    size=file.declared_size if file.size is None else file.size,
                    received=file.received,
                    sha256=file.sha256,
                )
                for file in self.files
            ],
            progress=self.progress,
            attempts=self.attempts,
            error=self.error,
            created_at=self.created_at,
            expires_at=self.expires_at,
        )


def upload_of(row: asyncpg.Record, files: Sequence[asyncpg.Record]) -> UploadRow:
    """The typed form of a row and its files' rows."""
    error: Any = row["error"]
    return UploadRow(
        id=row["id"],
        collection=row["collection"],
        item=row["item"],
        axes=row["axes"],
        variable=row["variable"],
        rows=row["rows"],
        columns=row["columns"],
        state=UploadState(row["state"]),
        progress=row["progress"],
        attempts=row["attempts"],
        purge=row["purge"],
        discarded=row["discarded"],
        error=None if error is None else Problem.model_validate(json.loads(error)),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        owner=row["owner"],
        group_name=row["group_name"],
        named=row["named"],
        files=tuple(
            StoredFile(file["name"], file["declared_size"], file["size"], file["sha256"])
            for file in files
        ),
    )
