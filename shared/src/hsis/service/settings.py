"""The settings that every service has. Each service adds its own and its own defaults.

Every value comes from the environment (prefix `HSIS_`) or from a file of the same name in lower
case in `HSIS_SECRETS_DIR` (default `/run/secrets`), or from the YAML file `HSIS_CONFIG`; secrets
have no default.
"""

import os
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)

from hsis.service.config_file import ConfigFileSource

DEFAULT_SECRETS_DIR = Path("/run/secrets")


class ServiceSettings(BaseSettings):
    """Settings common to all services; frozen, built once by `create_app` and passed in."""

    model_config = SettingsConfigDict(env_prefix="HSIS_", frozen=True, extra="ignore")

    service: ClassVar[str]
    """The service's name, which is its section in the YAML file."""

    token_public_key: str = Field(
        description="PEM of the Ed25519 key that catalog's tokens are verified with"
    )
    log_level: str = "INFO"
    log_format: str = Field(default="json", pattern="^(json|text)$")
    public_url: str | None = Field(
        default=None, description="The edge's origin; made of the request's headers when absent"
    )
    catalog_url: str = "http://catalog:8000"
    storage_proxy_url: str = "http://storage-proxy:8000"
    service_secret: SecretStr | None = Field(
        default=None, description="This service's own password at catalog (client credentials)"
    )
    access_cache_s: float = Field(
        default=5.0, ge=0, description="How long an answer about a role may be reused"
    )
    http_timeout_s: float = Field(default=60.0, gt=0)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the base class's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments first, then the environment, files of the secrets folder, the YAML file."""
        folder = Path(os.environ.get("HSIS_SECRETS_DIR", DEFAULT_SECRETS_DIR))
        sources: list[PydanticBaseSettingsSource] = [init_settings, env_settings]
        if folder.is_dir():
            sources.append(SecretsSettingsSource(settings_cls, secrets_dir=folder))
        if hasattr(settings_cls, "service"):
            common = frozenset(DatabaseSettings.model_fields)
            sources.append(ConfigFileSource(settings_cls, settings_cls.service, common))
        return tuple(sources)


class DatabaseSettings(ServiceSettings):
    """Settings of a service that owns a Postgres schema."""

    database_host: str = "postgres"
    database_port: int = 5432
    database_name: str = "hsis"
    database_user: str
    database_password: SecretStr
    database_pool_size: int = Field(default=8, ge=1)
    migrate_at_start: bool = Field(
        default=True, description="False where a job migrates before the services start"
    )

    def connection(self) -> dict[str, Any]:
        """Arguments for asyncpg.connect and asyncpg.create_pool."""
        return {
            "host": self.database_host,
            "port": self.database_port,
            "database": self.database_name,
            "user": self.database_user,
            "password": self.database_password.get_secret_value(),
        }
