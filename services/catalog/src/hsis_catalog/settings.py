"""Settings of catalog."""

from typing import ClassVar

from pydantic import Field, SecretStr

from hsis.service.settings import DatabaseSettings


class Settings(DatabaseSettings):
    """Secrets that only catalog knows, and limits."""

    service: ClassVar[str] = "catalog"
    database_user: str = "hsis_catalog"
    token_private_key: SecretStr = Field(
        description="PEM of the Ed25519 key that tokens are signed with"
    )
    admin_password: SecretStr = Field(
        description="Password of the user `admin`, who is made at start when missing"
    )
    service_secret_ingest: SecretStr
    service_secret_storage_proxy: SecretStr
    service_secret_tiles: SecretStr
    service_secret_inference: SecretStr
    token_ttl_s: int = Field(default=12 * 3600, ge=1, description="Life of a login")
    service_token_ttl_s: int = Field(default=3600, ge=1)
    key_max_days: int = Field(default=366, ge=1, description="Longest life of an API key")
    login_failures_max: int = Field(
        default=10, ge=1, description="Failed logins of one name within the window"
    )
    login_window_s: float = Field(default=60.0, gt=0)
    hashing_threads: int = Field(
        default=2, ge=1, description="Passwords hashed at once, each in memory of its own"
    )
    password_memory_kib: int = Field(
        default=64 * 1024,
        ge=32,
        description="Memory that the hash of a new password takes (argon2id)",
    )
    password_passes: int = Field(
        default=3, ge=1, description="Passes of that hash over its memory (argon2id)"
    )
    search_limit_max: int = Field(default=1000, ge=1, description="Most items on one page")
    search_positions_max: int = Field(
        default=10_000, ge=1, description="Most positions of a geometry that is searched by"
    )
    reservation_ttl_s: float = Field(
        default=7 * 86_400.0,
        gt=0,
        description="Life of the reservation of an item that an upload or a job is making",
    )
    trash_retention_s: float = Field(
        default=7 * 86_400.0,
        ge=0,
        description="How long a deleted item can be restored; 0: it is removed for good at once",
    )
    max_document_bytes: int = Field(
        default=16 * 1024**2,
        ge=1024,
        description="Largest body of a request that is no file, such as a STAC document",
    )

    def service_secrets(self) -> dict[str, SecretStr]:
        """The services' passwords by client id."""
        return {
            "ingest": self.service_secret_ingest,
            "storage-proxy": self.service_secret_storage_proxy,
            "tiles": self.service_secret_tiles,
            "inference": self.service_secret_inference,
        }
