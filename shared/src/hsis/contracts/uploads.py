"""Uploads: several files that make one cube, and the conversion that follows."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from hsis.contracts.ids import ResourceId
from hsis.errors import Problem

Filename = Annotated[str, StringConstraints(pattern=r"^[^/\\\x00-\x1f]{1,255}$")]
Axes = Annotated[str, StringConstraints(pattern=r"^[bxy]{2,3}$")]


class UploadState(StrEnum):
    """Where an upload stands. The last two are final."""

    RECEIVING = "receiving"
    QUEUED = "queued"
    CONVERTING = "converting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"

    @property
    def final(self) -> bool:
        """Whether nothing will change any more."""
        return self in {UploadState.SUCCEEDED, UploadState.FAILED}


class DeclaredFile(BaseModel):
    """A file that the client is about to send."""

    name: Filename
    size: int | None = Field(default=None, ge=0, description="Bytes, where known")


class UploadRequest(BaseModel):
    """What to store and how to read it. Files that belong together (data and header) go together.

    `axes` names the axes of an array without names, slowest first in the order that the reader of
    the format shows it (`yxb` when not given); a two-dimensional array of pixels by bands takes
    `rows` and `columns`.
    """

    collection: ResourceId
    id: ResourceId | None = Field(default=None, description="Item id; made of the name if absent")
    files: list[DeclaredFile] = Field(min_length=1)
    axes: Axes | None = None
    variable: str | None = Field(default=None, max_length=256)
    rows: int | None = Field(default=None, ge=1)
    columns: int | None = Field(default=None, ge=1)


class ReceivedFile(BaseModel):
    """A file as far as it is stored."""

    name: str
    size: int | None = Field(default=None, description="Declared size in bytes, where declared")
    received: bool = False
    sha256: str | None = Field(default=None, description="Of the bytes received, hexadecimal")


class Upload(BaseModel):
    """An upload and its conversion, as ingest tells it."""

    id: str
    collection: str
    item: str
    state: UploadState
    files: list[ReceivedFile]
    progress: float = Field(default=0.0, ge=0, le=1, description="Of the conversion")
    attempts: int = 0
    error: Problem | None = None
    created_at: datetime
    expires_at: datetime | None = Field(
        default=None,
        description="When an unfinished upload is given up, or a failed one's files are removed",
    )
