"""Settings of storage-proxy."""

from typing import ClassVar, Literal, Self

from pydantic import Field, SecretStr, model_validator

from hsis.service.settings import ServiceSettings

MIB = 1024 * 1024
MAX_PARTS = 10_000
"""S3's own limit of parts in one multipart upload."""


class Settings(ServiceSettings):
    """Where the object store is, and how much of a stream is held or taken."""

    service: ClassVar[str] = "storage-proxy"
    s3_endpoint_url: str = "http://objects:9000"
    s3_region: str = "us-east-1"
    s3_entity_tags: Literal["kept", "made"] = Field(
        default="kept",
        description="The object store's own, or made of time and size where telling its own costs "
        "it a look at every byte, as it does rclone",
    )
    s3_bucket: str = Field(default="hsis", min_length=3, max_length=63)
    s3_access_key: SecretStr
    s3_secret_key: SecretStr
    s3_timeout_s: float = Field(
        default=120.0, gt=0, description="Longest silence of the object store in an answer"
    )
    s3_connections: int = Field(default=128, ge=1)
    redirect_reads: bool = Field(
        default=False, description="Whether a reader that asks so is sent to the object store"
    )
    s3_public_endpoint_url: str | None = Field(
        default=None, description="The object store's address for these readers"
    )
    redirect_lifetime_s: int = Field(
        default=60, ge=1, le=3600, description="How long a reader may begin with such an address"
    )
    part_bytes: int = Field(
        default=16 * MIB,
        ge=5 * MIB,
        description="Bytes of one part of a large upload; what an upload holds in memory",
    )
    max_object_bytes: int = Field(default=128 * 1024 * MIB, ge=1)
    concurrent_uploads: int = Field(
        default=32, ge=1, description="Uploads that may hold a part in memory at once"
    )
    prompt_uploads: int = Field(
        default=8,
        ge=0,
        description="Of these, kept for what services send from memory, such as shards",
    )
    body_timeout_s: float = Field(
        default=60.0, gt=0, description="Longest silence of a client that sends a body"
    )

    hot_bytes: int = Field(
        default=64 * MIB, ge=0, description="Memory for small reads that may come again; 0 for none"
    )
    hot_s: float = Field(
        default=2.0,
        ge=0,
        le=60,
        description="How old such a read may be, and so what another replica has replaced",
    )
    reader_timeout_s: float = Field(
        default=60.0, gt=0, description="Longest time in which a client takes nothing of an answer"
    )
    client_requests: int = Field(
        default=96, ge=1, description="Of one client answered at once; more wait"
    )
    client_wait_s: float = Field(
        default=60.0, ge=0, description="Longest wait for one of these places, then 429"
    )
    client_bytes_per_s: int | None = Field(
        default=None,
        ge=MIB,
        description="Of one client, all of its requests and both ways together",
    )
    max_requests: int = Field(
        default=1024,
        ge=1,
        description="Of all clients, answered and waiting ones together; 503 for more",
    )
    max_ranges: int = Field(
        default=32,
        ge=1,
        description="Ranges of one request; where it asks for more, all of the blob is sent",
    )

    @model_validator(mode="after")
    def _redirects_lead_somewhere(self) -> Self:
        if self.redirect_reads and self.s3_public_endpoint_url is None:
            raise ValueError("redirect_reads needs s3_public_endpoint_url.")
        return self

    @model_validator(mode="after")
    def _parts_suffice(self) -> Self:
        if self.max_object_bytes > MAX_PARTS * self.part_bytes:
            raise ValueError(
                f"max_object_bytes may be at most {MAX_PARTS} x part_bytes "
                f"({MAX_PARTS * self.part_bytes})."
            )
        return self
