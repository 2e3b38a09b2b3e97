"""Orphans and items without their objects: the lines of the report (NDJSON), and the removal."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, TypeAdapter

MAX_PREFIXES = 1000


class Orphan(BaseModel):
    """Stored objects that no item, upload, transfer, job or entry of the trash knows."""

    kind: Literal["orphan"] = "orphan"
    prefix: str
    objects: int
    bytes: int
    last_modified: datetime | None = Field(description="Of the newest object")


class IncompleteItem(BaseModel):
    """An item whose objects are not all there."""

    kind: Literal["incomplete"] = "incomplete"
    collection: str
    item: str
    missing: list[str] = Field(description="Keys")


class SweepProgress(BaseModel):
    """A sign of life."""

    kind: Literal["progress"] = "progress"
    looked_at: int = Field(description="Prefixes and items so far")


class SweepSummary(BaseModel):
    """The last line: without it the report is not whole."""

    kind: Literal["summary"] = "summary"
    prefixes: int = Field(description="That were looked at")
    items: int
    orphans: int
    orphaned_bytes: int
    incomplete_items: int


SweepLine = Annotated[
    Orphan | IncompleteItem | SweepProgress | SweepSummary, Field(discriminator="kind")
]
SWEEP_LINE: TypeAdapter[SweepLine] = TypeAdapter(SweepLine)


class Removal(BaseModel):
    """Prefixes of a report's orphans that are to be removed."""

    prefixes: list[str] = Field(min_length=1, max_length=MAX_PREFIXES)


class Kept(BaseModel):
    """A prefix that was not removed."""

    prefix: str
    reason: str


class RemovalAnswer(BaseModel):
    """What became of the prefixes."""

    removed: list[str]
    objects: int
    kept: list[Kept]
