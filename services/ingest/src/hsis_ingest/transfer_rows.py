"""Transfers as the database has them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class TransferKind(StrEnum):
    """A file, a piece of a file that is still to be put together, or a file made of such pieces."""

    FILE = "file"
    PARTIAL = "partial"
    FINAL = "final"


@dataclass(frozen=True, slots=True)
class NewTransfer:
    """A transfer that is to be noted. `upload` and `file` are None for a partial one."""

    id: UUID
    owner: str
    kind: TransferKind
    key: str
    length: int | None
    metadata: str | None
    upload: UUID | None = None
    file: str | None = None
    concat: str | None = None


@dataclass(frozen=True, slots=True)
class TransferRow:
    """A transfer as the database has it.

    `received` bytes are safe in the store: the first `stored` in parts, the rest in the blob
    `tail`. `length` is None as long as the client has not told it.
    """

    id: UUID
    owner: str
    kind: TransferKind
    done: bool
    upload: UUID | None
    file: str | None
    key: str
    length: int | None
    received: int
    parts_upload: str | None
    tail: str | None
    metadata: str | None
    concat: str | None
    expires_at: datetime
    leased: bool
    etags: tuple[str, ...]
    stored: int

    @property
    def full(self) -> bool:
        """Whether every byte is in the store, but the file is not made of them yet."""
        return not self.done and self.received == self.length
