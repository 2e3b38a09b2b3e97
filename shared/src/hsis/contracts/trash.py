"""The trash of a collection, as catalog tells it."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field

from hsis.contracts.ids import ResourceId


class TrashEntry(BaseModel):
    """A removed item that can still be restored."""

    id: UUID
    collection: str
    item: str
    deleted_by: str = Field(description="Name of the user")
    deleted_at: datetime
    expires_at: datetime = Field(description="When everything of it is removed for good")
    upload: str | None = Field(description="The upload that it was made of")
    cube_kept: bool = Field(
        description="False where another item's cube lies in its place: then restoring it means "
        "converting its original files again"
    )
    originals: list[str] = Field(
        description="Prefixes of its original files; none of a computed item"
    )


class TrashPage(BaseModel):
    """Entries, newest first."""

    entries: list[TrashEntry]
    total: int = Field(description="Entries of the collection")


class RestoreRequest(BaseModel):
    """An entry of the trash to convert again from its original files."""

    collection: ResourceId
    entry: UUID
    id: ResourceId | None = Field(default=None, description="Of the item; by default as it was")
