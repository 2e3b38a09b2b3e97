"""How much may be stored in a collection, and how much is."""

from pydantic import BaseModel, Field

from hsis.contracts.ids import ResourceId

MAX_BYTES = 2**62


class QuotaRequest(BaseModel):
    """The limit to set; None for no limit."""

    allowed_bytes: int | None = Field(ge=0, le=MAX_BYTES)


class Quota(BaseModel):
    """A collection's limit and what counts to it, in bytes."""

    collection: str
    allowed_bytes: int | None = Field(description="None: no limit")
    used_bytes: int = Field(
        description="Of originals, cubes, label maps and results, those in the trash too"
    )
    reserved_bytes: int = Field(description="Of uploads and jobs on their way")


class BytesReservation(BaseModel):
    """What an upload (`upload:<id>`), a job (`job:<id>`) or a label map (`labels:<id>`) is about to
    store, all of it."""

    collection: ResourceId
    holder: str = Field(min_length=1, max_length=100)
    bytes: int = Field(ge=0, le=MAX_BYTES)
