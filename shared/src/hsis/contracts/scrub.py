"""Checking what is stored: what is asked for, and the lines of the answer (NDJSON)."""

from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field, TypeAdapter, model_validator

from hsis.contracts.ids import ResourceId


class ScrubRequest(BaseModel):
    """What to check: an item, a collection, or everything; with what is in the trash of it."""

    collection: ResourceId | None = None
    item: ResourceId | None = None

    @model_validator(mode="after")
    def _item_has_a_collection(self) -> "ScrubRequest":
        if self.item is not None and self.collection is None:
            raise ValueError("an item needs its collection")
        return self


class FaultKind(StrEnum):
    """What is wrong with a stored object."""

    DAMAGED = "damaged"
    MISSING = "missing"
    UNEXPECTED = "unexpected"
    UNREADABLE = "unreadable"


class Fault(BaseModel):
    """An object that is not as it was stored."""

    key: str
    kind: FaultKind
    detail: str


class ScrubbedItem(BaseModel):
    """An item, or an entry of the trash, whose objects were all read."""

    kind: Literal["item"] = "item"
    collection: str
    item: str
    trash_entry: UUID | None = Field(default=None, description="Where it is in the trash")
    objects: int = Field(description="Objects that were read")
    bytes: int
    verified: bool = Field(description="False where no checksums of its cube are stored")
    faults: list[Fault] = []


class ScrubProgress(BaseModel):
    """A sign of life while a large item is read."""

    kind: Literal["progress"] = "progress"
    collection: str
    item: str
    bytes: int = Field(description="Read so far, of all items")


class ScrubSummary(BaseModel):
    """The last line: without it the check did not end."""

    kind: Literal["summary"] = "summary"
    items: int = Field(description="Those in the trash too")
    trash_entries: int = Field(default=0, description="Of the items: those in the trash")
    unverified_items: int
    objects: int
    bytes: int
    faults: int


ScrubLine = Annotated[ScrubbedItem | ScrubProgress | ScrubSummary, Field(discriminator="kind")]
SCRUB_LINE: TypeAdapter[ScrubLine] = TypeAdapter(ScrubLine)
